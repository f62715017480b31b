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
    inspect(&Packet {
        view: View::whole(bytes),
        outer,
    })
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
    let slowly = step_by_step(view, outer);
    assert_eq!(inspect(&packet), slowly, "{bytes:02x?}");
    // What is asked of a common packet before it is looked at in full.
    let Some(common) = Common::read(&packet) else {
        return;
    };
    assert_eq!(
        common.is_syn(),
        slowly == Err(Stop::Decided(Verdict::AcceptedSyn))
    );
    if let Ok(inspected) = slowly {
        let Question::Connection { flow, .. } = inspected.question else {
            panic!("{bytes:02x?}");
        };
        assert_eq!(common.inner(), inspected.gue.inner);
        assert_eq!(common.flow(view), flow.read(view).ok(), "{bytes:02x?}");
    }
}

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
                tcp: 60,
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
            match inspect(&Packet {
                view: View::new(&bytes[..have], bytes.len()),
                outer: Family::V4,
            }) {
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
