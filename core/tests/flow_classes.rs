// SPDX-License-Identifier: GPL-2.0

//! Compiled classes against a model: a list that is searched from top to bottom.

#[path = "shared/class_model.rs"]
mod class_model;

use glb_core::director::classify::bind::Proto;
use glb_core::director::classify::flow::{
    compile, Asked, ByteMatch, Class, Classes, CompileError, Header, Ports, Prefix, Protocols,
    MAX_CLASSES, MAX_ENCAPS, MAX_FIELDS, MAX_MATCHES, MAX_PREFIXES_EACH,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::Addrs;
use proptest::prelude::*;

/// A packet with bytes of its own.
#[derive(Debug, Clone)]
struct Packet {
    addrs: Addrs,
    transport: Option<Proto>,
    ports: (u16, u16),
    inner: Option<(u16, u16)>,
    bytes: Vec<u8>,
}

impl Packet {
    fn asked(&self) -> Asked<'_> {
        let header = |(sport, dport)| Header {
            sport,
            dport,
            bytes: &self.bytes,
        };
        Asked {
            addrs: self.addrs,
            transport: self.transport.map(|one| (one, header(self.ports))),
            inner: self.inner.map(header),
        }
    }
}

/// The place in the file of the class that has the packet.
fn model(classes: &[Class], asked: &Asked<'_>) -> Option<u32> {
    class_model::lookup(classes, asked).map(|place| u32::try_from(place).unwrap())
}

fn found(words: &[u32], asked: &Asked<'_>) -> Option<u32> {
    let classes = Classes::new(words).expect("words of compile");
    classes.lookup(asked).map(|found| found.class)
}

/// Addresses of few bits, so that prefixes nest and packets meet them.
fn addr(v6: bool, bits: u8) -> Addr {
    let byte = |bit: u8| if bits >> bit & 1 == 1 { 0xff } else { 0 };
    if v6 {
        let mut bytes = [0; 16];
        for (place, bit) in [(0, 0), (3, 1), (7, 2), (8, 3), (15, 4)] {
            bytes[place] = byte(bit);
        }
        Addr::V6(bytes)
    } else {
        Addr::V4([byte(0) & 0x81, byte(1), byte(2), byte(3) & 0x0f])
    }
}

fn prefix() -> impl Strategy<Value = Prefix> {
    let lens = prop_oneof![
        Just(0u8),
        Just(1),
        Just(8),
        Just(9),
        Just(24),
        Just(32),
        0u8..=128
    ];
    (any::<bool>(), 0u8..32, lens).prop_map(|(v6, bits, len)| {
        let addr = addr(v6, bits);
        Prefix {
            addr,
            len: len.min(addr.bits()),
        }
    })
}

const PORTS: [u16; 8] = [0, 1, 80, 255, 256, 9899, 65_534, 65_535];

fn ports() -> impl Strategy<Value = Ports> {
    (0..PORTS.len(), 0..PORTS.len()).prop_map(|(a, b)| Ports {
        first: PORTS[a.min(b)],
        last: PORTS[a.max(b)],
    })
}

fn byte_match() -> impl Strategy<Value = ByteMatch> {
    let fields = prop_oneof![
        Just((4u8, 1u8, 0x02u32)),
        Just((4, 1, 0xff)),
        Just((4, 2, 0xff00)),
        Just((4, 4, 1)),
    ];
    (0..3usize, fields, any::<u32>()).prop_map(|(transport, (offset, len, mask), value)| {
        ByteMatch {
            transport: Proto::ALL[transport],
            offset,
            len,
            mask,
            value: value & mask & 0x0303_0303,
        }
    })
}

fn few<T: std::fmt::Debug>(
    one: impl Strategy<Value = T>,
    most: usize,
) -> impl Strategy<Value = Vec<T>> {
    proptest::collection::vec(one, 0..=most)
}

fn class() -> impl Strategy<Value = Class> {
    let addrs = (few(prefix(), 3), few(prefix(), 2));
    let ports = (few(ports(), 2), few(ports(), 1));
    let encap = proptest::option::of(prop_oneof![Just(9899u16), Just(80)]);
    (-2i32..3, 0u8..8, addrs, ports, few(byte_match(), 2), encap).prop_map(
        |(priority, protocols, (dst, src), (dport, sport), matches, udp_encap)| Class {
            priority,
            service: 7,
            protocols: Protocols::from_bits(protocols).unwrap(),
            dst,
            src,
            dport,
            sport,
            matches,
            udp_encap,
        },
    )
}

fn packet() -> impl Strategy<Value = Packet> {
    let port = || (0..PORTS.len()).prop_map(|index| PORTS[index]);
    let bytes = proptest::collection::vec(0u8..4, 3..12);
    let transport = prop_oneof![
        Just(None),
        Just(Some(Proto::Tcp)),
        Just(Some(Proto::Udp)),
        Just(Some(Proto::Sctp)),
    ];
    let inner = proptest::option::of((port(), port()));
    let addrs = (any::<bool>(), 0u8..32, 0u8..32);
    (addrs, transport, (port(), port()), inner, bytes).prop_map(
        |((v6, src, dst), transport, ports, inner, bytes)| Packet {
            addrs: match (addr(v6, src), addr(v6, dst)) {
                (Addr::V4(src), Addr::V4(dst)) => Addrs::V4 { src, dst },
                (Addr::V6(src), Addr::V6(dst)) => Addrs::V6 { src, dst },
                _ => unreachable!("of one family"),
            },
            transport,
            ports,
            inner,
            bytes,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn as_a_list_from_top_to_bottom(
        classes in few(class(), 12),
        packets in proptest::collection::vec(packet(), 40),
    ) {
        let words = compile(&classes).unwrap();
        for packet in &packets {
            let asked = packet.asked();
            prop_assert_eq!(found(&words, &asked), model(&classes, &asked), "{:?}", packet);
            let Some((proto, header)) = asked.transport else {
                continue;
            };
            let built = Classes::new(&words).unwrap();
            let may = class_model::may_take(&classes, &packet.addrs, proto);
            prop_assert_eq!(built.may_take(&packet.addrs, proto), may, "{:?}", packet);
            // What a class looks at is read.
            let (len, has_inner) = built.reads(proto, header.dport);
            for class in &classes {
                let takes = |proto| class.protocols.is_any() || class.protocols.has(proto);
                for one in class.matches.iter().filter(|one| one.transport == proto) {
                    prop_assert!(!takes(proto) || one.offset + one.len <= len, "{:?}", one);
                }
                let in_udp = proto == Proto::Udp && class.udp_encap == Some(header.dport);
                prop_assert!(!in_udp || !takes(Proto::Sctp) || has_inner, "{:?}", class);
            }
        }
        let built = Classes::new(&words).unwrap();
        prop_assert_eq!(built.astray(8), None);
        prop_assert_eq!(built.astray(7), (!classes.is_empty()).then_some(0));
        // Each class has one rank, those of higher priority first.
        let ranks: Vec<u32> = (0..built.len()).map(|rank| built.by_rank(rank).unwrap().class).collect();
        let mut expected: Vec<u32> = (0..).take(classes.len()).collect();
        expected.sort_by_key(|place| (-classes[*place as usize].priority, *place));
        prop_assert_eq!(ranks, expected);
    }

    /// Words of nobody: a look-up ends.
    #[test]
    fn other_words_do_no_harm(
        classes in few(class(), 5),
        changes in few((any::<prop::sample::Index>(), any::<u32>()), 20),
        packets in proptest::collection::vec(packet(), 10),
    ) {
        let mut words = compile(&classes).unwrap();
        for (at, word) in changes {
            if !words.is_empty() {
                let at = at.index(words.len());
                words[at] = word;
            }
        }
        if let Some(classes) = Classes::new(&words) {
            for packet in &packets {
                let _ = classes.lookup(&packet.asked());
                for proto in Proto::ALL {
                    let _ = classes.may_take(&packet.addrs, proto);
                    let (len, _) = classes.reads(proto, packet.ports.1);
                    prop_assert!(len <= proto.least_header());
                }
            }
            for rank in [0, 1, 2, 4_000, 1 << 16, u32::MAX - 1, u32::MAX] {
                let _ = classes.by_rank(rank);
            }
            let astray = classes.astray(8);
            prop_assert!(astray.is_none_or(|rank| rank < classes.len()));
        }
    }
}

/// Many classes, so that maps have more words than one, and sets have holes.
#[test]
fn thousands_of_classes() {
    let class = |i: u32| {
        let [_, _, c, d] = i.to_be_bytes();
        let dst = Prefix {
            addr: Addr::V4([10, 0, c, d]),
            len: 32,
        };
        let everywhere = i % 97 == 96;
        Class {
            // In bands, with ties.
            priority: i32::try_from(i / 1_000).unwrap(),
            service: 1,
            protocols: Protocols::ANY.with(if i % 3 == 0 { Proto::Sctp } else { Proto::Tcp }),
            dst: if everywhere { Vec::new() } else { vec![dst] },
            src: if i % 5 == 0 {
                vec![Prefix {
                    addr: Addr::V4([192, 168, 0, d & 1]),
                    len: 32,
                }]
            } else {
                Vec::new()
            },
            dport: vec![Ports {
                first: (i % 7) as u16 * 100,
                last: (i % 7) as u16 * 100 + if everywhere { 3 } else { 250 },
            }],
            ..Class::default()
        }
    };
    let classes: Vec<Class> = (0..9_000).map(class).collect();
    let words = compile(&classes).unwrap();
    let mut hits = 0;
    for i in (0..9_100u32).step_by(13) {
        let [_, _, c, d] = i.to_be_bytes();
        for (port, src, transport) in [
            (i % 7 * 100, 0, Proto::Tcp),
            (i % 900, 1, Proto::Tcp),
            (i % 7 * 100 + 200, 1, Proto::Sctp),
        ] {
            let packet = Packet {
                addrs: Addrs::V4 {
                    src: [192, 168, 0, src],
                    dst: [10, 0, c, d],
                },
                transport: Some(transport),
                ports: (1024, u16::try_from(port).unwrap()),
                inner: None,
                bytes: Vec::new(),
            };
            let expected = model(&classes, &packet.asked());
            hits += usize::from(expected.is_some());
            assert_eq!(found(&words, &packet.asked()), expected, "{packet:?}");
        }
    }
    assert!(hits > 500, "{hits}");
}

/// Prefixes longer than a page of addresses and than half an IPv6 address, and more different sets than a word has bits.
#[test]
fn deep_prefixes_and_many_sets() {
    let v4 = |d: u8| Addr::V4([10, 0, 7, d]);
    let v6 = |d: u8| {
        let mut bytes = [0xfd; 16];
        (bytes[7], bytes[8], bytes[15]) = (3, d & 1, d);
        Addr::V6(bytes)
    };
    // Half of them are whole addresses.
    let shorter = |i: u32| (i % 14).saturating_sub(7);
    let prefix = |addr: Addr, i: u32| Prefix {
        addr,
        // To some bits of a page, and into the first half of IPv6.
        len: addr.bits() - shorter(i) as u8 * if addr.bits() == 32 { 1 } else { 12 },
    };
    let class = |i: u32| {
        let d = i as u8;
        Class {
            priority: -(shorter(i) as i32),
            service: 7,
            dst: vec![prefix(v4(d), i), prefix(v6(d), i)],
            src: match i % 3 {
                0 => Vec::new(),
                _ => vec![prefix(v4(d & 3), i / 7), prefix(v6(d & 3), i / 7)],
            },
            ..Class::default()
        }
    };
    let classes: Vec<Class> = (0..200).map(class).collect();
    let words = compile(&classes).unwrap();
    let mut places = std::collections::BTreeSet::new();
    for (dst, src) in (0..=255u8).flat_map(|dst| (0..5u8).map(move |src| (dst, src))) {
        let addrs = |(dst, src)| match (dst, src) {
            (Addr::V4(dst), Addr::V4(src)) => Addrs::V4 { src, dst },
            (Addr::V6(dst), Addr::V6(src)) => Addrs::V6 { src, dst },
            _ => unreachable!("of one family"),
        };
        for both in [(v4(dst), v4(src)), (v6(dst), v6(src))] {
            let packet = Packet {
                addrs: addrs(both),
                transport: None,
                ports: (0, 0),
                inner: None,
                bytes: Vec::new(),
            };
            let expected = model(&classes, &packet.asked());
            assert_eq!(found(&words, &packet.asked()), expected, "{packet:?}");
            places.insert(expected);
        }
    }
    assert!(places.len() > 64, "{}", places.len());
}

#[test]
fn a_class_says_where_it_leads() {
    let of = |priority, service| Class {
        priority,
        service,
        ..Class::default()
    };
    let words = compile(&[of(1, 3), of(2, 4), of(2, 5)]).unwrap();
    let classes = Classes::new(&words).unwrap();
    assert_eq!(classes.len(), 3);
    let by_rank = |rank| {
        classes
            .by_rank(rank)
            .map(|found| (found.class, found.service))
    };
    assert_eq!(by_rank(0), Some((1, 4)));
    assert_eq!(by_rank(1), Some((2, 5)));
    assert_eq!(by_rank(2), Some((0, 3)));
    assert_eq!(by_rank(3), None);
    assert!(Classes::new(&[]).unwrap().is_empty());
    assert!(Classes::new(&words[1..]).is_none());
}

#[test]
fn limits_are_errors() {
    let one = Class::default;
    assert_eq!(
        compile(&vec![one(); MAX_CLASSES + 1]),
        Err(CompileError::Classes(MAX_CLASSES + 1))
    );
    let prefix = |i: u32, len| Prefix {
        addr: Addr::V4(i.to_be_bytes()),
        len,
    };
    let many = |from: u32, count: u32| (from..from + count).map(|i| prefix(i, 32)).collect();
    let src = |src| Class { src, ..one() };
    assert_eq!(
        compile(&[one(), src(many(0, MAX_PREFIXES_EACH as u32 + 1))]),
        Err(CompileError::Prefixes(1))
    );
    assert_eq!(
        compile(&[src(vec![prefix(0, 33)])]),
        Err(CompileError::Prefixes(0))
    );
    let all: Vec<Class> = (0..263).map(|i| src(many(i * 1_000, 1_000))).collect();
    assert_eq!(compile(&all), Err(CompileError::AllPrefixes));
    let bad_ports = Class {
        sport: vec![Ports { first: 2, last: 1 }],
        ..one()
    };
    assert_eq!(compile(&[bad_ports]), Err(CompileError::Ports(0)));
    let at = |offset| ByteMatch {
        transport: Proto::Tcp,
        offset,
        len: 1,
        mask: 255,
        value: 0,
    };
    let matches = |matches| Class { matches, ..one() };
    assert_eq!(
        compile(&[matches(vec![at(0); MAX_MATCHES + 1])]),
        Err(CompileError::Matches(0))
    );
    let fields: Vec<Class> = (0..=MAX_FIELDS as u8)
        .map(|i| matches(vec![at(i)]))
        .collect();
    assert_eq!(compile(&fields), Err(CompileError::Fields(Proto::Tcp)));
    let encap = |port| Class {
        udp_encap: Some(port),
        ..one()
    };
    let encaps: Vec<Class> = (0..=MAX_ENCAPS as u16).map(encap).collect();
    assert_eq!(compile(&encaps), Err(CompileError::Encaps));
    // Nearly every port has a set of its own, of half of all classes, in both directions: a hundred thousand times a kilobyte.
    let scattered = |i: u32, factor: u32| -> Vec<Ports> {
        (0..8u32)
            .map(|k| {
                let first = (i * 8 + k).wrapping_mul(factor) as u16;
                Ports {
                    first,
                    last: first.saturating_add(6_000),
                }
            })
            .collect()
    };
    let overlapping: Vec<Class> = (0..10_000u32)
        .map(|i| Class {
            protocols: Protocols::ANY.with(Proto::ALL[i as usize % 2]),
            dport: scattered(i, 40_503),
            sport: scattered(i, 30_011),
            ..one()
        })
        .collect();
    assert_eq!(compile(&overlapping).err(), Some(CompileError::Words));
}
