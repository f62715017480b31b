// SPDX-License-Identifier: GPL-2.0

//! Packets by the ten thousand against a reader that was written a second time, from the RFCs alone: it copies what it reads,
//! and knows nothing of views, linear bytes or rounds.

use super::*;
use crate::packet::addr::Addr;
use crate::packet::ip::Family;
use crate::packet::view::View;
use proptest::collection::vec;
use proptest::prelude::*;
use std::vec::Vec;

/// What the model says of a packet: the name of the verdict, or identifiers, where the inner packet begins and how long it is.
#[derive(Debug, PartialEq)]
enum Said {
    No(&'static str),
    Inner([Vec<u8>; 3], usize, usize),
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

fn sum_is_right(bytes: &[u8]) -> bool {
    let mut sum: usize = bytes
        .chunks(2)
        .map(|pair| number(pair) << (8 * (2 - pair.len())))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

/// Where UDP begins, and which address has sent it; of IPv6 only packets without extension headers.
fn udp_of(packet: &[u8], v6: bool) -> Option<(usize, usize, Vec<u8>)> {
    if v6 {
        let header = packet.get(..40)?;
        let said = number(&header[4..6]);
        let end = if said == 0 { packet.len() } else { 40 + said };
        let source = header[8..24].to_vec();
        let nobody = source[0] == 0xff
            || number(&source[..8]) == 0 && {
                number(&source[8..12]) == 0
                    && (number(&source[12..]) < 2
                        && source[8..] == [0, 0, 0, 0, 0, 0, 0, source[15]])
                    || source[8..12] == [0, 0, 0xff, 0xff]
            };
        return (header[0] >> 4 == 6 && header[6] == 17 && !nobody).then_some((40, end, source));
    }
    let header = packet.get(..20)?;
    let len = usize::from(header[0] & 15) * 4;
    let said = number(&header[2..4]);
    let whole = number(&header[6..8]) & 0x3fff == 0;
    let source = header[12..16].to_vec();
    let nobody =
        [0, 127].contains(&source[0]) || (224..240).contains(&source[0]) || source == [255; 4];
    if header[0] >> 4 != 4 || len < 20 || (said != 0 && said < len) || !whole || header[9] != 17 {
        return None;
    }
    let all = packet.get(..len)?;
    let options = &all[20..];
    // Source routes are made by no generator below; bytes may become one by chance.
    if nobody || !sum_is_right(all) || options.iter().any(|byte| [131, 137].contains(byte)) {
        return None;
    }
    Some((len, if said == 0 { packet.len() } else { said }, source))
}

fn model(packet: &[u8], v6: bool, class: usize, port: usize, senders: &[(Vec<u8>, usize)]) -> Said {
    const NOT: Said = Said::No("passed_not_geneve_packets");
    const SHORT: Said = Said::No("dropped_truncated_packets");
    const OPTIONS: Said = Said::No("dropped_options_packets");
    const INNER: Said = Said::No("dropped_inner_packets");
    let Some((udp, end, source)) = udp_of(packet, v6) else {
        return NOT;
    };
    if packet.get(udp + 2..udp + 4).map(number) != Some(port) {
        return NOT;
    }
    let bits = |bytes: &[u8]| -> Vec<bool> {
        bytes
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| byte << bit & 0x80 != 0))
            .collect()
    };
    let matches = |(network, len): &(Vec<u8>, usize)| {
        network.len() == source.len() && bits(network)[..*len] == bits(&source)[..*len]
    };
    if !senders.is_empty() && !senders.iter().any(matches) {
        return Said::No("dropped_sender_packets");
    }
    // Lengths, from the outermost inwards.
    let Some(datagram) = packet.get(udp..end) else {
        return SHORT;
    };
    let Some(header) = datagram.get(..8) else {
        return SHORT;
    };
    let said = number(&header[4..6]);
    if said < 8 || said > datagram.len() {
        return SHORT;
    }
    let geneve = &datagram[8..said];
    let Some(base) = geneve.get(..8) else {
        return SHORT;
    };
    match (base[0] / 64, base[1] / 128, number(&base[2..4])) {
        (1.., _, _) => return Said::No("dropped_version_packets"),
        (_, 1, _) => return Said::No("dropped_control_packets"),
        (_, _, 0x0800 | 0x86dd) => {}
        _ => return Said::No("dropped_protocol_packets"),
    }
    let inner_at = 8 + usize::from(base[0] % 64) * 4;
    let (Some(mut options), Some(inner)) = (geneve.get(8..inner_at), geneve.get(inner_at..)) else {
        return SHORT;
    };
    let mut found = [None, None, None];
    while !options.is_empty() {
        let data = 4 * usize::from(options[3] % 32);
        if options.len() < 4 + data {
            return OPTIONS;
        }
        let value = options[4..4 + data].to_vec();
        match (number(&options[..2]) == class, options[2]) {
            (true, kind @ 1..=3) => {
                let place = usize::from(kind) - 1;
                if value.len() != [8, 8, 4][place] || found[place].is_some() {
                    return OPTIONS;
                }
                found[place] = Some(value);
            }
            (_, 128..) => return Said::No("dropped_critical_option_packets"),
            _ => {}
        }
        options = &options[4 + data..];
    }
    let [Some(a), Some(b), Some(c)] = found else {
        return Said::No("dropped_missing_option_packets");
    };
    let len = match (
        number(&base[2..4]),
        inner.first().map_or(0, |byte| byte >> 4),
    ) {
        (0x0800, 4) if inner.len() >= 20 => {
            let header = usize::from(inner[0] & 15) * 4;
            let said = number(&inner[2..4]);
            (header >= 20 && said >= header).then_some(said)
        }
        (0x86dd, 6) if inner.len() >= 40 => Some(40 + number(&inner[4..6])),
        _ => None,
    };
    match len {
        Some(len) if len <= inner.len() => Said::Inner([a, b, c], udp + 8 + inner_at, len),
        _ => INNER,
    }
}

fn option() -> impl Strategy<Value = Vec<u8>> {
    let class = prop_oneof![4 => Just(0x0108u16), 1 => Just(0x0167), 1 => any::<u16>()];
    let kind = prop_oneof![6 => 1u8..=4, 1 => any::<u8>()];
    let words = prop_oneof![3 => 1usize..=2, 1 => 0usize..8];
    (class, kind, words, 0u8..8, any::<[u8; 32]>()).prop_map(
        |(class, kind, words, reserved, data)| {
            let mut option = class.to_be_bytes().to_vec();
            option.extend([kind, reserved << 5 | words as u8]);
            option.extend(&data[..words * 4]);
            option
        },
    )
}

/// The three, in any order, or what else might come.
fn options() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let three = |order: [usize; 3]| {
        let of = |kind: usize| {
            let words = [2, 2, 1][kind];
            let mut option = std::vec![1, 8, kind as u8 + 1, words as u8];
            option.extend((0..words * 4).map(|n| (n * 7 + kind) as u8));
            option
        };
        order.map(of).to_vec()
    };
    let orders = prop::sample::select(std::vec![
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0]
    ]);
    let good = orders.prop_map(three);
    let more =
        (good.clone(), vec(option(), 0..3), 0usize..4).prop_map(|(mut options, others, at)| {
            for other in others {
                options.insert(at.min(options.len()), other);
            }
            options
        });
    prop_oneof![2 => good, 3 => more, 1 => vec(option(), 0..6)]
}

fn inner() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let payload = vec(any::<u8>(), 0..40);
    (any::<bool>(), payload, 0usize..3).prop_map(|(v6, payload, more)| {
        let mut packet = if v6 {
            let mut header = std::vec![0x60, 0, 0, 0, 0, payload.len() as u8, 6, 64];
            header.resize(40, 9);
            header
        } else {
            let mut header = std::vec![0x45, 0, 0, 20 + payload.len() as u8, 0, 0, 0, 0, 64, 6];
            header.resize(20, 9);
            header
        };
        packet.extend(payload);
        packet.resize(packet.len() + [0, 0, 3][more], 0);
        (packet, v6)
    })
}

/// A packet, and whether it is IPv6 outside: right but for what its parts and a few changed bytes make wrong.
fn packets() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let changes = prop_oneof![3 => Just(Vec::new()), 1 => vec((any::<prop::sample::Index>(), any::<u8>()), 1..3)];
    let cut = prop_oneof![4 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    let flags = prop_oneof![6 => Just(0u8), 1 => any::<u8>()];
    let version = prop_oneof![9 => Just(0u8), 1 => 0u8..4];
    (
        any::<bool>(),
        options(),
        inner(),
        (flags, version),
        changes,
        cut,
    )
        .prop_map(
            |(outer_v6, options, (inner, inner_v6), (flags, version), changes, cut)| {
                let options = options.concat();
                let mut geneve = std::vec![version << 6 | (options.len() / 4) as u8, flags];
                geneve.extend(if inner_v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
                geneve.extend([0, 0, 1, 0]);
                geneve.extend(options);
                geneve.extend(inner);
                let len = geneve.len() + 8;
                let mut udp = std::vec![0xea, 0x60, 0x17, 0xc1];
                udp.extend((len as u16).to_be_bytes());
                udp.extend([0, 0]);
                udp.extend(geneve);
                let mut packet = if outer_v6 {
                    let mut header = std::vec![0x60, 0, 0, 0];
                    header.extend((len as u16).to_be_bytes());
                    header.extend([17, 64, 0xfd]);
                    header.resize(40, 1);
                    header
                } else {
                    let mut header = std::vec![0x45, 0];
                    header.extend((len as u16 + 20).to_be_bytes());
                    header.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 1, 10, 10, 1, 2, 20]);
                    header
                };
                packet.extend(udp);
                let header_changed = changes.iter().any(|(at, _)| at.index(packet.len()) < 20);
                for (at, value) in changes {
                    let at = at.index(packet.len());
                    packet[at] = value;
                }
                // Now and then a changed header keeps its old checksum.
                let keeps_it = header_changed && packet[10] % 4 == 0;
                if !outer_v6 && !keeps_it {
                    packet[10..12].fill(0);
                    let mut sum = packet[..20].chunks(2).map(number).sum::<usize>();
                    while sum > 0xffff {
                        sum = (sum & 0xffff) + (sum >> 16);
                    }
                    packet[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
                }
                if let Some(cut) = cut {
                    let len = cut.index(packet.len() + 1);
                    packet.truncate(len);
                }
                (packet, outer_v6)
            },
        )
}

fn senders() -> impl Strategy<Value = Vec<(Vec<u8>, usize)>> {
    let v4 = (Just(std::vec![10u8, 1, 1, 11]), 0usize..=32);
    let mut six = std::vec![0xfdu8];
    six.resize(16, 1);
    let v6 = (Just(six), 0usize..=128);
    prop_oneof![3 => Just(Vec::new()), 1 => vec(prop_oneof![v4, v6], 1..4)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30_000, ..ProptestConfig::default() })]

    #[test]
    fn the_model_says_the_same(
        (packet, v6) in packets(),
        class in prop_oneof![9 => Just(0x0108u16), 1 => Just(0x0167)],
        port in prop_oneof![9 => Just(6081u16), 1 => Just(6082)],
        senders in senders(),
        linear in any::<prop::sample::Index>(),
    ) {
        let mut settings = Settings { class, port, senders: Senders::ANY };
        for (network, bits) in &senders {
            let address = match <[u8; 4]>::try_from(&network[..]) {
                Ok(v4) => Addr::V4(v4),
                Err(_) => Addr::V6(network[..].try_into().unwrap()),
            };
            settings.senders.allow(address, *bits as u8).unwrap();
        }
        let outer = if v6 { Family::V6 } else { Family::V4 };
        // Extension headers are another test's.
        prop_assume!(!(v6 && packet.len() >= 40 && [0, 43, 44, 51, 60].contains(&packet[6])));
        let look = |linear| inspect(&Packet { view: View::new(&packet[..linear], packet.len()), outer }, &settings);
        let whole = look(packet.len());
        let said = match whole {
            Ok(opened) => {
                prop_assert_eq!(opened.inner == Family::V6, packet[opened.inner_at] >> 4 == 6);
                let ids = [
                    opened.ids.endpoint.to_be_bytes().to_vec(),
                    opened.ids.attachment.to_be_bytes().to_vec(),
                    opened.ids.cookie.to_be_bytes().to_vec(),
                ];
                Said::Inner(ids, opened.inner_at, opened.inner_len)
            }
            Err(Stop::Decided(verdict)) => Said::No(verdict.counter()),
            Err(Stop::NeedLinear(_)) => panic!("all is at hand"),
        };
        prop_assert_eq!(said, model(&packet, v6, class.into(), port.into(), &senders));
        // However little of it is linear, the same becomes of it, and more is asked for only where there is more.
        let mut linear = linear.index(packet.len() + 1);
        let pieced = loop {
            match look(linear) {
                Err(Stop::NeedLinear(more)) => {
                    prop_assert!(more > linear && more <= packet.len());
                    linear = more;
                }
                other => break other,
            }
        };
        prop_assert_eq!(pieced, whole);
        if let Ok(opened) = whole {
            the_envelope_comes_back(&packet, outer, &opened)?;
        }
    }
}

/// The header of the way back, read again.
fn the_envelope_comes_back(
    bytes: &[u8],
    outer: Family,
    opened: &Opened,
) -> Result<(), TestCaseError> {
    let packet = Packet {
        view: View::whole(bytes),
        outer,
    };
    let envelope = Envelope::of(&packet, opened).unwrap();
    let inner = &bytes[opened.inner_at..][..opened.inner_len];
    let mut out = std::vec![0xee; envelope.len()];
    let letter = Letter {
        len: inner.len(),
        tos: 3,
    };
    prop_assert_eq!(envelope.write_back(&letter, &mut out), Some(()));
    envelope.fill_checksum(&mut out, inner).unwrap();
    out.extend(inner);
    let class = Settings {
        class: u16::from_be_bytes([1, 8]),
        ..Settings::DEFAULT
    };
    let port = u16::from_be_bytes([envelope.ports[2], envelope.ports[3]]);
    let packet = Packet {
        view: View::whole(&out),
        outer,
    };
    let settings = [class.class, 0x0167].map(|class| Settings {
        class,
        port,
        ..Settings::DEFAULT
    });
    let Some(back) = settings.iter().find_map(|one| inspect(&packet, one).ok()) else {
        // Our own address may be one that no sender can have.
        return Ok(());
    };
    prop_assert_eq!(back.ids, opened.ids);
    prop_assert_eq!(back.outer, opened.outer.reversed());
    prop_assert!(is_checksum_right(&packet, &back));
    let again = Envelope::of(&packet, &back).unwrap();
    prop_assert!(again.has_checksum);
    prop_assert_eq!(
        (again.ports, again.base, again.options),
        (envelope.ports, envelope.base, envelope.options)
    );
    prop_assert_eq!(&out[back.inner_at..], inner);
    Ok(())
}
