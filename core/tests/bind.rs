// SPDX-License-Identifier: GPL-2.0

//! The classifier against a model that looks at every bind (longest prefix, then narrowest range
//! of ports, then what takes all protocols, then table order). Of SCTP it knows what binds name.

use glb_core::director::classify::bind::{
    build, shared, words_needed, Bind, BindId, BuildError, Classifier, Entry, Proto,
};
use glb_core::packet::addr::Addr;
use proptest::prelude::*;

fn covers(bind: &Bind, dst: Addr) -> bool {
    let (net, host, bits) = match (bind.addr, dst) {
        (Addr::V4(a), Addr::V4(b)) => (
            u128::from(u32::from_be_bytes(a)) << 96,
            u128::from(u32::from_be_bytes(b)) << 96,
            bind.prefix_len,
        ),
        (Addr::V6(a), Addr::V6(b)) => (
            u128::from_be_bytes(a),
            u128::from_be_bytes(b),
            bind.prefix_len,
        ),
        _ => return false,
    };
    bits == 0 || (net ^ host) >> (128 - u32::from(bits)) == 0
}

fn model(entries: &[Entry], dst: Addr, proto: Proto, port: u16) -> Option<BindId> {
    entries
        .iter()
        .filter(|e| covers(&e.bind, dst) && e.bind.proto.is_none_or(|one| one == proto))
        .filter(|e| (e.bind.port_start..=e.bind.port_end).contains(&port))
        .min_by_key(|e| {
            let width = e.bind.port_end - e.bind.port_start;
            let wide = (e.bind.proto.is_none(), width);
            (128 - e.bind.prefix_len, wide, e.id.table, e.id.bind)
        })
        // What a bind for all protocols takes of SCTP has no ports.
        .filter(|e| proto != Proto::Sctp || e.bind.proto.is_some())
        .map(|e| e.id)
}

fn model_addr(entries: &[Entry], dst: Addr) -> Option<BindId> {
    entries
        .iter()
        .filter(|e| covers(&e.bind, dst))
        .min_by_key(|e| {
            (
                128 - e.bind.prefix_len,
                e.bind.proto.is_some(),
                e.id.table,
                e.id.bind,
            )
        })
        .map(|e| e.id)
}

/// Where the port of a packet is not known: of what takes its protocol, if anything does.
fn model_proto(entries: &[Entry], dst: Addr, proto: Proto) -> Option<BindId> {
    let takes = |e: &&Entry| e.bind.proto.is_none_or(|one| one == proto);
    let of_proto: Vec<Entry> = entries.iter().filter(takes).copied().collect();
    model_addr(&of_proto, dst).or_else(|| model_addr(entries, dst))
}

fn model_all(entries: &[Entry], dst: Addr) -> Option<BindId> {
    entries
        .iter()
        .filter(|e| covers(&e.bind, dst) && e.bind.proto.is_none())
        .min_by_key(|e| (128 - e.bind.prefix_len, e.id.table, e.id.bind))
        .map(|e| e.id)
}

fn built(entries: &[Entry]) -> Vec<u32> {
    let mut sorted = entries.to_vec();
    // Whatever the words held before must not matter.
    let mut words = vec![0xdead_beef; words_needed(entries)];
    let used = build(&mut sorted, &mut words).expect("the computed size is enough");
    words.truncate(used);
    words
}

/// Addresses from few bits, so that prefixes nest and collide.
fn addr() -> impl Strategy<Value = Addr> {
    let byte = || prop::sample::select(vec![0u8, 1, 0x80, 0xff]);
    prop_oneof![
        [byte(), byte(), byte(), byte()].prop_map(Addr::V4),
        (byte(), byte(), byte(), byte()).prop_map(|(a, b, c, d)| {
            Addr::V6([0xfd, a, 0, 0, 0, 0, 0, b, 0, 0, 0, 0, 0, c, 0, d])
        }),
    ]
}

fn proto() -> impl Strategy<Value = Proto> {
    prop_oneof![Just(Proto::Tcp), Just(Proto::Udp), Just(Proto::Sctp)]
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![
        Just(0),
        Just(65535),
        Just(255),
        Just(256),
        0u16..40,
        any::<u16>()
    ]
}

fn bind() -> impl Strategy<Value = Bind> {
    (
        addr(),
        0..=128u8,
        any::<bool>(),
        prop::option::weighted(0.8, proto()),
        port(),
        port(),
        any::<bool>(),
    )
        .prop_map(|(addr, len, whole, proto, a, b, single)| {
            let (port_start, port_end) = match proto {
                None => (0, u16::MAX),
                Some(_) if single => (a.min(b), a.min(b)),
                Some(_) => (a.min(b), a.max(b)),
            };
            Bind {
                addr,
                prefix_len: if whole {
                    addr.bits()
                } else {
                    len.min(addr.bits())
                },
                proto,
                port_start,
                port_end,
            }
        })
}

fn named(binds: Vec<Bind>) -> Vec<Entry> {
    binds
        .into_iter()
        .enumerate()
        .map(|(i, bind)| Entry {
            bind,
            id: BindId {
                table: (i / 7) as u16,
                bind: (i % 7) as u16,
            },
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn agrees_with_the_model(
        binds in prop::collection::vec(bind(), 0..120),
        asked in prop::collection::vec((addr(), proto(), port()), 60),
    ) {
        let entries = named(binds);
        let words = built(&entries);
        let classifier = Classifier::new(&words);
        // Also ask for what the binds name, and for the ports around their ends.
        let near = entries.iter().flat_map(|e| {
            let (a, b) = (e.bind.port_start, e.bind.port_end);
            let proto = e.bind.proto.unwrap_or(Proto::Udp);
            [a, b, a.wrapping_sub(1), b.wrapping_add(1)].map(|p| (e.bind.addr, proto, p))
        });
        for (dst, proto, port) in asked.into_iter().chain(near) {
            prop_assert_eq!(
                classifier.lookup(dst, proto, port),
                model(&entries, dst, proto, port),
                "{:?} {:?} {}", dst, proto, port
            );
            prop_assert_eq!(classifier.lookup_addr(dst), model_addr(&entries, dst));
            prop_assert_eq!(classifier.lookup_all(dst), model_all(&entries, dst));
            prop_assert_eq!(
                classifier.lookup_proto(dst, proto),
                model_proto(&entries, dst, proto)
            );
        }
    }

    #[test]
    fn many_ranges_of_one_address(
        ranges in prop::collection::vec((port(), port(), any::<bool>()), 5..200),
        asked in prop::collection::vec(any::<u16>(), 100),
    ) {
        let binds = ranges.into_iter().map(|(a, b, single)| Bind {
            addr: Addr::V4([10, 0, 0, 1]),
            prefix_len: 32,
            proto: Some(Proto::Udp),
            port_start: a.min(b),
            port_end: if single { a.min(b) } else { a.max(b) },
        }).collect();
        let entries = named(binds);
        let words = built(&entries);
        let dst = Addr::V4([10, 0, 0, 1]);
        for port in asked.into_iter().chain(0..600).chain(65000..=65535) {
            prop_assert_eq!(
                Classifier::new(&words).lookup(dst, Proto::Udp, port),
                model(&entries, dst, Proto::Udp, port),
                "{}", port
            );
        }
        prop_assert_eq!(Classifier::new(&words).lookup(dst, Proto::Tcp, 1), None);
    }

    #[test]
    fn arbitrary_words_do_no_harm(
        words in prop::collection::vec(prop_oneof![0u32..64, any::<u32>()], 0..80),
        dst in addr(),
    ) {
        let classifier = Classifier::new(&words);
        let _ = classifier.lookup(dst, Proto::Tcp, 80);
        let _ = classifier.lookup_addr(dst);
        let _ = classifier.lookup_all(dst);
        let _ = classifier.lookup_proto(dst, Proto::Udp);
    }
}

proptest! {
    /// Against a model that compares each pair. Few addresses and ports, so that many binds are equal.
    #[test]
    fn a_bind_of_two_tables_that_differ_is_found(
        binds in prop::collection::vec((0u8..2, 31u8..=32, 0u16..2, 0u16..2, 0u16..6), 0..12),
        remembers in prop::array::uniform6(any::<bool>()),
    ) {
        let entries: Vec<Entry> = (0..).zip(&binds).map(|(index, (host, len, start, more, table))| Entry {
            bind: Bind {
                addr: Addr::V4([10, 0, 0, *host]),
                prefix_len: *len,
                proto: Some(Proto::Tcp),
                port_start: *start,
                port_end: start + more,
            },
            id: BindId { table: *table, bind: index },
        }).collect();
        let same = |a: &Bind, b: &Bind| {
            let cut = |bind: &Bind| Bind { addr: bind.addr.masked(bind.prefix_len), ..*bind };
            cut(a) == cut(b)
        };
        let of = |id: BindId| remembers[usize::from(id.table)];
        let bind = |id: BindId| entries.iter().find(|entry| entry.id == id).unwrap().bind;
        let there = entries.iter().any(|a| {
            entries.iter().any(|b| same(&a.bind, &b.bind) && of(a.id) != of(b.id))
        });
        let found = shared(&mut entries.clone(), |a, b| remembers[usize::from(a)] != remembers[usize::from(b)]);
        prop_assert_eq!(found.is_some(), there);
        if let Some(found) = found {
            prop_assert!(found.first < found.second && of(found.first) != of(found.second));
            prop_assert!(same(&bind(found.first), &bind(found.second)));
        }
    }
}

#[test]
fn all_prefix_lengths_nested() {
    let entries: Vec<Entry> = named(
        (0..=128u8)
            .map(|prefix_len| Bind {
                addr: Addr::V6([0xff; 16]),
                prefix_len,
                proto: Some(Proto::Tcp),
                port_start: 80,
                port_end: 80,
            })
            .collect(),
    );
    let words = built(&entries);
    for bit in 0..128u32 {
        let dst = Addr::V6((u128::MAX ^ (1 << bit)).to_be_bytes());
        let found = Classifier::new(&words).lookup(dst, Proto::Tcp, 80);
        assert_eq!(found, Some(entries[127 - bit as usize].id), "bit {bit}");
    }
}

/// A later fragment whose ports are not known goes where its first one does, if only one table takes its protocol.
#[test]
fn a_narrower_bind_of_another_protocol_takes_no_fragment() {
    let all = Bind {
        addr: Addr::V4([90, 0, 0, 0]),
        prefix_len: 8,
        proto: None,
        port_start: 0,
        port_end: u16::MAX,
    };
    let tcp = Bind {
        addr: Addr::V4([90, 1, 2, 1]),
        prefix_len: 32,
        proto: Some(Proto::Tcp),
        port_start: 443,
        port_end: 443,
    };
    let entries = named(vec![all, tcp]);
    let words = built(&entries);
    let classifier = Classifier::new(&words);
    let dst = Addr::V4([90, 1, 2, 1]);
    let first = classifier.lookup(dst, Proto::Udp, 53);
    assert_eq!(first, Some(entries[0].id));
    assert_eq!(classifier.lookup_proto(dst, Proto::Udp), first);
    assert_eq!(
        classifier.lookup_proto(dst, Proto::Tcp),
        Some(entries[1].id)
    );
    // What no bind takes is where it always was.
    let words = built(&entries[1..]);
    let found = Classifier::new(&words).lookup_proto(dst, Proto::Udp);
    assert_eq!(found, Some(entries[1].id));
}

/// Two services of one VIP: each has the fragments of its own protocol.
#[test]
fn a_fragment_goes_to_its_protocol_of_one_address() {
    let dst = Addr::V4([90, 1, 2, 1]);
    let bind = |proto, port| Bind {
        addr: dst,
        prefix_len: 32,
        proto: Some(proto),
        port_start: port,
        port_end: port,
    };
    let entries = named(vec![bind(Proto::Tcp, 443), bind(Proto::Udp, 53)]);
    let words = built(&entries);
    let classifier = Classifier::new(&words);
    for (proto, entry) in [(Proto::Tcp, &entries[0]), (Proto::Udp, &entries[1])] {
        assert_eq!(classifier.lookup_proto(dst, proto), Some(entry.id));
    }
    assert_eq!(classifier.lookup_addr(dst), Some(entries[0].id));
}

#[test]
fn nothing_matches_nothing() {
    let words = built(&[]);
    for words in [&words[..], &[]] {
        let classifier = Classifier::new(words);
        assert_eq!(classifier.lookup(Addr::V4([1; 4]), Proto::Tcp, 80), None);
        assert_eq!(classifier.lookup_addr(Addr::V6([1; 16])), None);
    }
}

#[test]
fn bad_binds_are_named() {
    let good = Bind {
        addr: Addr::V4([1, 1, 1, 1]),
        prefix_len: 32,
        proto: Some(Proto::Tcp),
        port_start: 80,
        port_end: 81,
    };
    let id = BindId { table: 3, bind: 4 };
    for bind in [
        Bind {
            prefix_len: 33,
            ..good
        },
        Bind {
            port_end: 79,
            ..good
        },
        Bind {
            proto: None,
            ..good
        },
    ] {
        let mut entries = [Entry { bind, id }];
        let mut words = vec![0; words_needed(&entries)];
        assert_eq!(build(&mut entries, &mut words), Err(BuildError::Bind(id)));
    }
    let mut entries = [Entry { bind: good, id }];
    assert_eq!(build(&mut entries, &mut [0; 20]), Err(BuildError::Space));
}

/// Found by fuzzing: a mask that is none, whose low bits are 0, led back to the same slot 2^31 times.
#[test]
fn a_mask_that_is_none_does_not_keep_a_packet() {
    let mut words = vec![7; 64];
    // Both families: slots at 16, the mask, one prefix length, which stands at 8.
    words[..8].copy_from_slice(&[16, 1 << 31, 8, 1, 16, 1 << 31, 8, 1]);
    words[8] = 16;
    let started = std::time::Instant::now();
    for last in 0..16 {
        let classifier = Classifier::new(&words);
        let v4 = Addr::V4([10, last, 0, 1]);
        assert_eq!(classifier.lookup(v4, Proto::Tcp, 80), None);
        let mut v6 = [0; 16];
        v6[1] = last;
        assert_eq!(classifier.lookup(Addr::V6(v6), Proto::Tcp, 80), None);
    }
    assert!(started.elapsed().as_secs() < 2);
}
