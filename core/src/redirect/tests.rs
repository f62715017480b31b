// SPDX-License-Identifier: GPL-2.0

//! Known packets, and the rules of docs/proxy.md, "What decides", one by one.

use super::*;
use crate::packet::checksum::UdpChecksum;
use crate::packet::flow::FlowAt;
use crate::packet::gue::Hop;
use crate::packet::ip::Family;
use crate::packet::view::View;
use std::vec;
use std::vec::Vec;

/// An unknown ACK arriving at 3.4.5.6 with the next hop 2.3.4.5, from the IP header on.
const ACK_IN: &str = "45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050102000c4fc0000";
const ACK_OUT: &str = "450000500000400040112c8c0304050602030405eed34c43003c00000204000000000101020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050102000c4fc0000";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn look(bytes: &[u8], outer: Family) -> Result<Inspected, Stop> {
    look_with(bytes, outer, Options::NONE)
}

fn look_with(bytes: &[u8], outer: Family, options: Options) -> Result<Inspected, Stop> {
    let view = View::whole(bytes);
    inspect(&Packet { view, outer }, options)
}

fn seen(bytes: &[u8]) -> Packet<'_> {
    Packet {
        view: View::whole(bytes),
        outer: Family::V4,
    }
}

fn any_hop(bytes: &[u8], inspected: &Inspected) -> Next {
    next_hop(
        &seen(bytes),
        inspected,
        None::<core::iter::Empty<Prefix<'_>>>,
    )
}

fn decided<T>(verdict: Verdict) -> Result<T, Stop> {
    Err(Stop::Decided(verdict))
}

/// Every byte of a packet of each pair of families takes every value, and every length: the short way and the long way say
/// the same.
#[test]
fn both_ways_of_reading_agree() {
    let v4 = hex(ACK_IN)[40..].to_vec();
    let mut v6 =
        hex("600000000014064000000000000000000000000000000001000000000000000000000000000000fe");
    v6.extend(&v4[20..]);
    let mut common = 0;
    for outer in [Family::V4, Family::V6] {
        for (protocol, inner) in [(4, &v4), (41, &v6)] {
            for hops in [0, 1, 2, 7] {
                let bytes = tunnelled(outer, protocol, inner, hops);
                common += usize::from(look(&bytes, outer).is_ok());
                for at in 0..bytes.len() {
                    for value in 0..=255 {
                        let mut changed = bytes.clone();
                        changed[at] = value;
                        agree(&changed, changed.len(), outer);
                    }
                    agree(&bytes[..at], at, outer);
                    agree(&bytes[..at], bytes.len(), outer);
                }
                agree(&[bytes, vec![0; 9]].concat(), usize::MAX, outer);
            }
        }
    }
    assert_eq!(common, 16);
}

fn agree(bytes: &[u8], len: usize, outer: Family) {
    let view = View::new(bytes, len.max(bytes.len()));
    let packet = Packet { view, outer };
    let slowly = step_by_step(view, outer, Options::NONE);
    assert_eq!(inspect(&packet, Options::NONE), slowly, "{bytes:02x?}");
    let asked = step_by_step(view, outer, ALL);
    assert_eq!(inspect(&packet, ALL), asked, "{bytes:02x?}");
    // Options decide about SYNs and UDP, and about nothing else.
    if slowly != asked {
        let &Ok(Inspected { question, .. }) = &asked else {
            panic!("{bytes:02x?}: {asked:?}");
        };
        match (slowly, question.passed_on()) {
            (Err(Stop::Decided(Verdict::AcceptedSyn)), Verdict::ForwardedSyn) => {}
            (Err(Stop::Decided(Verdict::AcceptedUdp)), Verdict::ForwardedUdp) => {}
            other => panic!("{bytes:02x?}: {other:?}"),
        }
    }
    // What is asked of a common packet before it is looked at in full.
    let Some(common) = Common::read(&packet) else {
        return;
    };
    assert_eq!(
        common.is_syn(),
        slowly == Err(Stop::Decided(Verdict::AcceptedSyn))
    );
    if let Ok(inspected) = asked {
        let (Question::Connection { flow, .. } | Question::Opening { flow, .. }) =
            inspected.question
        else {
            panic!("{bytes:02x?}");
        };
        assert_eq!(common.inner(), inspected.gue.inner);
        assert_eq!(common.flow(view), flow.read(view).ok(), "{bytes:02x?}");
    }
}

/// All options that the bytes matter to.
const ALL: Options = Options::SYN_LISTENER.with(Options::UDP, true);

/// A tunnel packet without its addresses.
fn tunnelled(outer: Family, protocol: u8, inner: &[u8], hops: u8) -> Vec<u8> {
    let (header_len, hop_len, kind) = match outer {
        Family::V4 => (20, 4, 0),
        Family::V6 => (40, 16, 1),
    };
    let list = usize::from(hops) * hop_len;
    let udp_len = (16 + list + inner.len()) as u16;
    let mut bytes = vec![0; header_len];
    if outer == Family::V4 {
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&(udp_len + 20).to_be_bytes());
        bytes[9] = 17;
    } else {
        bytes[0] = 0x60;
        bytes[4..6].copy_from_slice(&udp_len.to_be_bytes());
        bytes[6] = 17;
    }
    bytes.extend([0x80, 0, 0x4c, 0x43]);
    bytes.extend(udp_len.to_be_bytes());
    bytes.extend([0, 0, 1 + (list / 4) as u8, protocol, 0, 0, 0, kind, 0, hops]);
    bytes.extend(vec![9; list]);
    bytes.extend(inner);
    bytes
}

#[test]
fn vector_of_the_deployed_module() {
    let mut bytes = hex(ACK_IN);
    let packet = look(&bytes, Family::V4).unwrap();
    assert!(matches!(
        packet.question,
        Question::Connection {
            flow: FlowAt {
                ip: 40,
                transport: 60,
                from_proxy: false,
                ..
            },
            may_be_cookie: true,
            ..
        }
    ));
    let Next::Forward(hop) = any_hop(&bytes, &packet) else {
        panic!("must be passed on")
    };
    assert_eq!(hop, Hop::V4([2, 3, 4, 5]));
    rewrite(&mut bytes, &packet, hop, UdpChecksum::Complete).unwrap();
    assert_eq!(bytes, hex(ACK_OUT));
    // The list is used up now.
    let packet = look(&bytes, Family::V4).unwrap();
    assert_eq!(
        any_hop(&bytes, &packet),
        Next::Stay(Verdict::AcceptedLastResort)
    );
}

#[test]
fn every_split_asks_for_more_and_ends_the_same() {
    let bytes = hex(ACK_IN);
    let want = look(&bytes, Family::V4);
    for linear in 0..=bytes.len() {
        let mut have = linear;
        for _ in 0..16 {
            let packet = Packet {
                view: View::new(&bytes[..have], bytes.len()),
                outer: Family::V4,
            };
            match inspect(&packet, Options::NONE) {
                Err(Stop::NeedLinear(n)) => {
                    assert!(n > have && n <= bytes.len());
                    have = n;
                }
                other => {
                    assert_eq!(other, want);
                    have = usize::MAX;
                    break;
                }
            }
        }
        assert_eq!(have, usize::MAX, "no end from {linear}");
    }
}

#[test]
fn syn_stays_and_truncation_is_dropped() {
    let mut bytes = hex(ACK_IN);
    bytes[73] = 0x02;
    assert_eq!(look(&bytes, Family::V4), decided(Verdict::AcceptedSyn));
    for len in 0..bytes.len() {
        let short = look(&bytes[..len], Family::V4);
        assert!(
            matches!(
                short,
                Err(Stop::Decided(
                    Verdict::DroppedTruncated | Verdict::DroppedOuter
                ))
            ),
            "{len}: {short:?}"
        );
    }
}

#[test]
fn a_syn_is_asked_about_where_listeners_are() {
    let mut bytes = hex(ACK_IN);
    bytes[73] = 0x02;
    let options = Options::SYN_LISTENER;
    let packet = look_with(&bytes, Family::V4, options).unwrap();
    let Question::Opening { flow, fragment } = packet.question else {
        panic!("{packet:?}");
    };
    assert_eq!((flow.ip, flow.transport, fragment), (40, 60, None));
    assert_eq!(packet.question.passed_on(), Verdict::ForwardedSyn);
    assert_eq!(
        any_hop(&bytes, &packet),
        Next::Forward(Hop::V4([2, 3, 4, 5]))
    );
    bytes[34] = 1;
    let packet = look_with(&bytes, Family::V4, options).unwrap();
    assert_eq!(
        any_hop(&bytes, &packet),
        Next::Stay(Verdict::AcceptedLastResort)
    );
    // Its first fragment, which the later ones follow.
    bytes[46] = 0x20;
    let packet = look_with(&bytes, Family::V4, options).unwrap();
    let first = packet.question.first_fragment().unwrap();
    assert_eq!(first.offset, 0);
    // What is no SYN is asked about as ever.
    assert_eq!(
        look_with(&hex(ACK_IN), Family::V4, options),
        look(&hex(ACK_IN), Family::V4)
    );
}

#[test]
fn udp_is_asked_about_where_it_is_asked_for() {
    let mut bytes = hex(ACK_IN);
    bytes[49] = 17;
    let udp = |bytes: &[u8]| look_with(bytes, Family::V4, Options::UDP).map(|p| p.question);
    let Ok(question @ Question::Datagram { flow, fragment }) = udp(&bytes) else {
        panic!("{:?}", udp(&bytes));
    };
    assert_eq!((flow.ip, flow.transport, fragment), (40, 60, None));
    assert_eq!(question.passed_on(), Verdict::ForwardedUdp);
    // At the end of the list it may be for a socket that is not connected.
    let mut last = bytes.clone();
    last[34] = 1;
    let packet = look_with(&last, Family::V4, Options::UDP).unwrap();
    assert_eq!(any_hop(&last, &packet), Next::Stay(Verdict::AcceptedUdp));
    assert_eq!(
        look_with(&bytes, Family::V4, Options::SYN_LISTENER),
        decided(Verdict::AcceptedUdp)
    );
    // A later fragment has no ports, and is counted as UDP.
    bytes[47] = 1;
    let question = udp(&bytes).unwrap();
    assert_eq!(question.passed_on(), Verdict::ForwardedUdp);
    assert!(question.first_fragment().is_none());
    assert!(matches!(
        question,
        Question::LaterFragment { fragment, udp: true } if fragment.offset == 1
    ));
    // The ports must be there.
    bytes[47] = 0;
    bytes[43] = 27;
    assert_eq!(udp(&bytes), decided(Verdict::DroppedTruncated));
}

#[test]
fn icmp_about_udp_follows_its_flow_where_udp_is_asked_for() {
    // The tunnel of the vector around "fragmentation needed" about a datagram of 11.12.13.14 to 1.1.1.1.
    let inner = "4500003800000000400100000101010a0b0c0d0e0304000000000500\
                 4500002400000000401100000b0c0d0e0101010100500401001000000000000000000000";
    let mut bytes = hex(ACK_IN)[..40].to_vec();
    let inner = hex(inner);
    bytes.extend(&inner);
    bytes[3] = bytes.len() as u8;
    bytes[25] = bytes.len() as u8 - 20;
    bytes[43] = inner.len() as u8;
    assert_eq!(look(&bytes, Family::V4), decided(Verdict::AcceptedIcmp));
    let packet = look_with(&bytes, Family::V4, Options::UDP).unwrap();
    let Question::Datagram { flow, .. } = packet.question else {
        panic!("{packet:?}");
    };
    let crate::packet::flow::Flow::V4(ends) = flow.read(View::whole(&bytes)).unwrap() else {
        panic!("IPv4");
    };
    assert_eq!((ends.client, ends.client_port), (&[1, 1, 1, 1], 1025));
    assert_eq!((ends.vip, ends.vip_port), (&[11, 12, 13, 14], 80));
}

#[test]
fn gue_that_is_not_ours_is_dropped() {
    // (offset, value): version, control, hlen, flags, private data type, hop count.
    for (offset, value) in [
        (28, 0x42),
        (28, 0x22),
        (28, 0x01),
        (28, 0x03),
        (30, 1),
        (31, 1),
        (32, 1),
        (33, 1),
        (35, 2),
        (35, 0),
    ] {
        let mut bytes = hex(ACK_IN);
        bytes[offset] = value;
        assert_eq!(
            look(&bytes, Family::V4),
            Err(Stop::Decided(Verdict::DroppedGue)),
            "{offset} {value}"
        );
    }
    let mut bytes = hex(ACK_IN);
    bytes[29] = 47;
    assert_eq!(
        look(&bytes, Family::V4),
        Err(Stop::Decided(Verdict::DroppedInner))
    );
}

#[test]
fn inner_protocols() {
    for (protocol, want) in [
        (17, decided(Verdict::AcceptedUdp)),
        (1, decided(Verdict::AcceptedIcmp)),
        (58, Err(Stop::Decided(Verdict::DroppedInnerProtocol))),
        (47, Err(Stop::Decided(Verdict::DroppedInnerProtocol))),
    ] {
        let mut bytes = hex(ACK_IN);
        bytes[49] = protocol;
        assert_eq!(
            look(&bytes, Family::V4).map(|p| p.question),
            want,
            "{protocol}"
        );
    }
}

#[test]
fn next_hop_rules() {
    let mut bytes = hex(ACK_IN);
    let packet = look(&bytes, Family::V4).unwrap();
    let net = |a, b, bits, ipv6| {
        let mut address = [0; 16];
        address[..2].copy_from_slice(&[a, b]);
        (address, bits, ipv6)
    };
    let allow = |list: &[([u8; 16], u8, bool)]| {
        next_hop(
            &seen(&bytes),
            &packet,
            Some(list.iter().map(|(address, bits, ipv6)| Prefix {
                address,
                bits: *bits,
                ipv6: *ipv6,
            })),
        )
    };
    let forward = Next::Forward(Hop::V4([2, 3, 4, 5]));
    let refuse = Next::Stay(Verdict::DroppedHopNotAllowed);
    assert_eq!(allow(&[]), refuse);
    assert_eq!(allow(&[net(2, 0, 8, false)]), forward);
    assert_eq!(allow(&[net(2, 3, 16, false)]), forward);
    assert_eq!(allow(&[net(2, 2, 16, false)]), refuse);
    assert_eq!(allow(&[net(2, 2, 15, false)]), forward);
    assert_eq!(allow(&[net(0, 0, 0, false)]), forward);
    assert_eq!(allow(&[net(0, 0, 0, true)]), refuse);
    assert_eq!(
        allow(&[net(9, 9, 32, false), net(2, 3, 16, false)]),
        forward
    );

    bytes[36..40].copy_from_slice(&[3, 4, 5, 6]);
    assert_eq!(
        any_hop(&bytes, &packet),
        Next::Stay(Verdict::ForwardedToSelf)
    );
}

#[test]
fn rewrite_of_a_short_head_changes_nothing() {
    let bytes = hex(ACK_IN);
    let packet = look(&bytes, Family::V4).unwrap();
    let mut head = bytes[..34].to_vec();
    assert_eq!(
        rewrite(
            &mut head,
            &packet,
            Hop::V4([2, 3, 4, 5]),
            UdpChecksum::Complete
        ),
        None
    );
    assert_eq!(head, bytes[..34]);
    let mut whole = bytes.clone();
    assert_eq!(
        rewrite(&mut whole, &packet, Hop::V6([0; 16]), UdpChecksum::Complete),
        None
    );
    assert_eq!(whole, bytes);
}

#[test]
fn packets_to_a_port() {
    let bytes = hex(ACK_IN);
    let to = |bytes: &[u8], port| {
        is_for_port(
            &Packet {
                view: View::whole(bytes),
                outer: Family::V4,
            },
            port,
        )
    };
    assert_eq!(to(&bytes, 19523), Ok(true));
    assert_eq!(to(&bytes, 19524), Ok(false));
    assert_eq!(to(&bytes[..22], 19523), Ok(false));
    for (offset, value) in [(9, 6), (6, 0x20), (0, 0x65)] {
        let mut other = bytes.clone();
        other[offset] = value;
        assert_eq!(to(&other, 19523), Ok(false));
    }
    let packet = Packet {
        view: View::new(&bytes[..20], bytes.len()),
        outer: Family::V4,
    };
    assert_eq!(is_for_port(&packet, 19523), Err(Stop::NeedLinear(24)));
}
