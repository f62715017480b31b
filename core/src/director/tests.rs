// SPDX-License-Identifier: GPL-2.0

//! A known packet, and the director's rules (docs/counters.md, "Director") one by one.

use super::*;
use crate::director::classify::bind::Proto;
use crate::director::select::hash::{packet_hash, HashFields, PacketHash};
use crate::packet::addr::Addr;
use crate::packet::flow::FlowKey;
use crate::packet::ip::{Addrs, Family};
use crate::packet::view::View;
use crate::siphash::SipKey;
use std::vec;
use std::vec::Vec;

/// An IPv4 SYN from 10.11.12.13:45678 to 1.1.1.1:80.
const SYN: &str =
    "4500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000";
const SYN_TUNNELLED: &str = "45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn look(bytes: &[u8], family: Family) -> Result<Candidate, Stop> {
    inspect(View::whole(bytes), family)
}

#[test]
fn vector_of_the_deployed_directors() {
    let syn = hex(SYN);
    let seen = look(&syn, Family::V4).unwrap();
    assert_eq!(seen.kind, Kind::Flow(Proto::Tcp));
    let key = SipKey::new(&hex("12345678901234561234567890123456").try_into().unwrap());
    let hash = packet_hash(&key, HashFields::DEFAULT, &seen.key);
    assert_eq!(hash, PacketHash(0x0089_72f1_657a_5cbd));
    let params = Params {
        src_port: source_port(hash, seen.hint),
        inner_len: seen.len,
        ..params(Addr::V4([65; 4]), Addr::V4([3, 4, 5, 6]))
    };
    let mut out = vec![0xaa; header_len(Family::V4, 1)];
    let others = [Addr::V4([2, 3, 4, 5])];
    Tunnel::Gue.write(&params, &others[..], &mut out).unwrap();
    out.extend(&syn[..seen.len]);
    assert_eq!(out, hex(SYN_TUNNELLED));
}

/// Of an IPv4 packet of 40 bytes.
fn params(src: Addr, dst: Addr) -> Params {
    Params {
        src,
        dst,
        src_port: 1,
        dst_port: 19523,
        flow_label: 0xa_bcde,
        tos: 0x2e,
        inner: Family::V4,
        inner_len: 40,
    }
}

#[test]
fn padding_is_not_carried() {
    let mut frame = hex(SYN);
    frame.extend([0xee; 6]);
    assert_eq!(look(&frame, Family::V4).unwrap().len, 40);
}

#[test]
fn truncated_packets_are_left_alone() {
    let syn = hex(SYN);
    for len in 0..syn.len() {
        assert_eq!(
            look(&syn[..len], Family::V4),
            Err(Stop::Pass(Verdict::PassedUnknownFormat))
        );
    }
}

fn icmp4(icmp_type: u8, code: u8, embedded: &[u8]) -> Vec<u8> {
    let mut p = vec![
        0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 1, 1, 1, 1,
    ];
    p.extend([icmp_type, code, 0, 0, 0, 0, 5, 0xdc]);
    p.extend(embedded);
    let len = p.len() as u16;
    p[2..4].copy_from_slice(&len.to_be_bytes());
    summed(p)
}

/// The IPv4 packet, without options, with its header's checksum made anew.
fn summed(mut packet: Vec<u8>) -> Vec<u8> {
    packet[10..12].copy_from_slice(&[0, 0]);
    let check = crate::packet::checksum::of_header(packet[..20].try_into().unwrap());
    packet[10..12].copy_from_slice(&check);
    packet
}

#[test]
fn what_the_stack_would_drop_is_left_to_it() {
    let passed = |packet: &[u8], family| match look(packet, family) {
        Err(Stop::Pass(verdict)) => Some(verdict),
        _ => None,
    };
    let syn = hex(SYN);
    // Every bit of the header counts, by the checksum.
    for bit in 0..160 {
        let mut broken = syn.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        assert!(passed(&broken, Family::V4).is_some(), "bit {bit}");
    }
    for (src, verdict) in [
        ([127, 0, 0, 1], Some(Verdict::PassedMartian)),
        ([224, 0, 0, 1], Some(Verdict::PassedMartian)),
        ([0, 0, 0, 0], Some(Verdict::PassedMartian)),
        ([255, 255, 255, 255], Some(Verdict::PassedMartian)),
        ([240, 1, 2, 3], None),
    ] {
        let mut from = syn.clone();
        from[12..16].copy_from_slice(&src);
        assert_eq!(passed(&summed(from), Family::V4), verdict, "{src:?}");
    }
    // Strict source route; and a record of the route, which asks for nothing.
    for (option, verdict) in [
        (137, Some(Verdict::PassedUnknownFormat)),
        (131, Some(Verdict::PassedUnknownFormat)),
        (7, None),
    ] {
        let mut with = syn[..20].to_vec();
        with.extend([option, 7, 4, 10, 0, 0, 1, 0]);
        with.extend(&syn[20..]);
        with[0] = 0x47;
        with[3] += 8;
        with[10..12].copy_from_slice(&[0, 0]);
        let check = crate::packet::checksum::Sum::default()
            .with(&with[..28])
            .checksum();
        with[10..12].copy_from_slice(&check.to_be_bytes());
        assert_eq!(passed(&with, Family::V4), verdict, "option {option}");
        with[10] ^= 1;
        let unknown = Some(Verdict::PassedUnknownFormat);
        assert_eq!(passed(&with, Family::V4), unknown, "option {option}");
    }
}

#[test]
fn ipv6_sources_and_routing_headers() {
    let packet = |src: &str, segments_left: u8| {
        let src: core::net::Ipv6Addr = src.parse().unwrap();
        let mut p = vec![0x60, 0, 0, 0, 0, 16, 43, 64];
        p.extend(src.octets());
        p.extend([0xfd; 16]);
        // Of type 2, one address would follow; here it is a header of 8 bytes.
        p.extend([17, 0, 4, segments_left, 0, 0, 0, 0]);
        p.extend([0xb2, 0x6e, 0, 80, 0, 8, 0, 0]);
        p
    };
    let verdict = |src, left| look(&packet(src, left), Family::V6).err();
    assert_eq!(verdict("fd00::1", 0), None);
    let unknown = Some(Stop::Pass(Verdict::PassedUnknownFormat));
    assert_eq!(verdict("fd00::1", 1), unknown);
    let martian = Some(Stop::Pass(Verdict::PassedMartian));
    for src in ["::", "::1", "::ffff:10.0.0.1", "ff02::1"] {
        assert_eq!(verdict(src, 0), martian, "{src}");
    }
    assert_eq!(verdict("::10.0.0.1", 0), None);
}

#[test]
fn icmp_errors_follow_their_flow() {
    // What the proxy sent: from the VIP's port 80 to the client's port 45678; 8 bytes behind its header.
    let mut sent = hex(SYN);
    sent[12..16].copy_from_slice(&[1, 1, 1, 1]);
    sent[16..20].copy_from_slice(&[10, 11, 12, 13]);
    sent[20..24].copy_from_slice(&[0, 80, 0xb2, 0x6e]);
    let seen = look(&icmp4(3, 4, &sent[..28]), Family::V4).unwrap();
    assert_eq!(seen.kind, Kind::IcmpError(Proto::Tcp));
    assert_eq!(seen.hint, 0xb26e);
    let flow = look(&hex(SYN), Family::V4).unwrap();
    assert_eq!(seen.key, flow.key);
    for (icmp_type, code) in [(0, 0), (4, 0), (5, 0), (13, 0)] {
        let other = look(&icmp4(icmp_type, code, &sent[..28]), Family::V4);
        assert_eq!(other, Err(Stop::Pass(Verdict::PassedUnknownFormat)));
    }
    // Which of the others are a table's business depends on its forward.
    for (icmp_type, code) in [(3, 3), (11, 0), (12, 0)] {
        let other = look(&icmp4(icmp_type, code, &sent[..28]), Family::V4).unwrap();
        assert_eq!(other.kind, Kind::IcmpFailure(Proto::Tcp));
        assert_eq!(other.key, flow.key);
    }
    // To another one than the sender of what is inside: "too long" is passed on as ever, and nothing else is.
    sent[15] = 2;
    let seen = look(&icmp4(3, 4, &sent[..28]), Family::V4).unwrap();
    assert_eq!(seen.kind, Kind::IcmpError(Proto::Tcp));
    let unknown = Err(Stop::Pass(Verdict::PassedUnknownFormat));
    assert_eq!(look(&icmp4(3, 3, &sent[..28]), Family::V4), unknown);
    let back = |message: Vec<u8>| inspect_answer(View::whole(&message), Family::V4);
    assert_eq!(back(icmp4(3, 4, &sent[..28])), unknown);
    sent[15] = 1;
    assert!(back(icmp4(3, 4, &sent[..28])).is_ok());
}

#[test]
fn echo_requests_are_told_apart_by_the_identification() {
    let seen = look(&icmp4(8, 0, &[]), Family::V4).unwrap();
    assert_eq!((seen.kind, seen.hint), (Kind::Echo, 0x1234));
    let mut p = vec![0x60, 0x0f, 0xbe, 0xef, 0, 8, 58, 64];
    p.extend([1; 16]);
    p.extend([2; 16]);
    p.extend([128, 0, 0, 0, 0, 1, 0, 1]);
    let seen = look(&p, Family::V6).unwrap();
    assert_eq!((seen.kind, seen.hint), (Kind::Echo, 0xbeef));
    let addrs = Addrs::V6 {
        src: [1; 16],
        dst: [2; 16],
    };
    assert_eq!(
        seen.key,
        FlowKey {
            addrs,
            src_port: 0,
            dst_port: 0
        }
    );
}

#[test]
fn protocols_without_ports_are_whole_flows_by_their_addresses() {
    let with = |number: u8, fragment: [u8; 2]| {
        let mut p = hex(SYN);
        p[9] = number;
        p[6..8].copy_from_slice(&fragment);
        look(&summed(p), Family::V4)
    };
    let whole = with(50, [0, 0]).unwrap();
    assert_eq!(whole.kind, Kind::Portless(50));
    assert_eq!(
        (whole.key.src_port, whole.key.dst_port, whole.hint),
        (0, 0, 0)
    );
    assert_eq!(whole.turn(), Turn::Amid);
    for fragment in [[0x20, 0], [0, 5]] {
        let part = with(50, fragment).unwrap();
        assert_eq!((part.kind, part.key), (whole.kind, whole.key));
    }
    // In IPv4 an authentication header is a protocol; ICMPv6 is none of its.
    assert_eq!(with(51, [0, 0]).unwrap().kind, Kind::Portless(51));
    let unknown = Err(Stop::Pass(Verdict::PassedUnknownFormat));
    assert_eq!(with(58, [0, 0]), unknown);
    // A martian, or a wrong sum, is left as with any protocol.
    let mut p = hex(SYN);
    p[9] = 50;
    p[12] = 127;
    assert_eq!(
        look(&summed(p), Family::V4),
        Err(Stop::Pass(Verdict::PassedMartian))
    );

    let six = |next: u8, payload: &[u8]| {
        let mut p = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, 64];
        p.extend([0xfd; 16]);
        p.extend([0xfe; 16]);
        p.extend(payload);
        look(&p, Family::V6)
    };
    assert_eq!(six(50, &[0; 8]).unwrap().kind, Kind::Portless(50));
    // Behind an authentication header stands what it protects.
    let behind = [17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 6, 0, 8, 0, 0];
    assert_eq!(six(51, &behind).unwrap().kind, Kind::Flow(Proto::Udp));
    // The rest of a chain of headers is not at hand in a later fragment.
    assert_eq!(six(44, &[60, 0, 0, 8, 0, 0, 0, 1, 0, 0]), unknown);
    assert_eq!(
        six(44, &[50, 0, 0, 8, 0, 0, 0, 1, 0, 0]).unwrap().kind,
        Kind::Portless(50)
    );
    assert_eq!(six(1, &[8; 8]), unknown);
    // Neighbour discovery is this machine's.
    assert_eq!(six(58, &[135, 0, 0, 0, 0, 0, 0, 0]), unknown);
}

#[test]
fn icmp_errors_about_protocols_without_ports_follow_them() {
    let mut sent = hex(SYN);
    sent[9] = 47;
    let flow = look(&summed(sent.clone()), Family::V4).unwrap();
    sent[12..16].copy_from_slice(&[1, 1, 1, 1]);
    sent[16..20].copy_from_slice(&[10, 11, 12, 13]);
    let seen = look(&icmp4(3, 4, &sent[..28]), Family::V4).unwrap();
    assert_eq!(
        (seen.kind, seen.key),
        (Kind::PortlessIcmpError(47), flow.key)
    );
    // About another ICMP message it is as before.
    sent[9] = 1;
    let other = look(&icmp4(3, 4, &sent[..28]), Family::V4);
    assert_eq!(other, Err(Stop::Pass(Verdict::PassedUnknownFormat)));
}

#[test]
fn sctp_has_ports_that_a_bind_may_name() {
    let with = |fragment: [u8; 2], len: usize| {
        let mut p = hex(SYN)[..len].to_vec();
        (p[3], p[9]) = (len as u8, 132);
        p[6..8].copy_from_slice(&fragment);
        look(&summed(p), Family::V4).unwrap()
    };
    let whole = with([0, 0], 40);
    assert_eq!(whole.kind, Kind::Flow(Proto::Sctp));
    assert_eq!((whole.key.src_port, whole.key.dst_port), (45678, 80));
    assert_eq!(whole.hint, 45678);
    assert_eq!(with([0, 5], 40).kind, Kind::LaterFragment(Proto::Sctp));
    // One that ends before them, and all of it where no bind does, are as of any protocol.
    let short = with([0, 0], 23);
    assert_eq!(short.kind, Kind::Portless(132));
    for one in [whole, with([0, 5], 40), short] {
        let other = one.without_ports();
        assert_eq!((other.kind, other.hint), (Kind::Portless(132), 0));
        assert_eq!((other.key, other.len), (short.key, one.len));
        assert_eq!(other.fragment, one.fragment);
        assert_eq!(one.unmatched(), Verdict::PassedUnknownFormat);
    }
    let tcp = look(&hex(SYN), Family::V4).unwrap();
    assert_eq!(tcp.without_ports(), tcp);

    // An error has ports and verification tag, or less.
    let mut sent = hex(SYN);
    sent[9] = 132;
    sent[12..16].copy_from_slice(&[1, 1, 1, 1]);
    sent[16..20].copy_from_slice(&[10, 11, 12, 13]);
    sent[20..24].copy_from_slice(&[0, 80, 0xb2, 0x6e]);
    let error = |kind, code, len| look(&icmp4(kind, code, &sent[..len]), Family::V4);
    let seen = error(3, 4, 28).unwrap();
    assert_eq!(
        (seen.kind, seen.key),
        (Kind::IcmpError(Proto::Sctp), whole.key)
    );
    assert_eq!(seen.without_ports().kind, Kind::PortlessIcmpError(132));
    assert_eq!(error(3, 4, 23).unwrap(), {
        let seen = error(3, 4, 28).unwrap().without_ports();
        Candidate { len: 51, ..seen }
    });
    let seen = error(3, 3, 28).unwrap();
    assert_eq!(seen.kind, Kind::IcmpFailure(Proto::Sctp));
    let unknown = Err(Stop::Pass(Verdict::PassedUnknownFormat));
    assert_eq!(error(3, 3, 23), unknown);
}

/// From a client's side about a reply of the VIP, from a backend's about a request to it; never the other way round.
#[test]
fn icmp_errors_about_echoes() {
    let mut sent = hex(SYN)[..28].to_vec();
    sent[9] = 1;
    sent[12..16].copy_from_slice(&[1, 1, 1, 1]);
    sent[16..20].copy_from_slice(&[10, 11, 12, 13]);
    let unknown = Err(Stop::Pass(Verdict::PassedUnknownFormat));
    for (icmp_type, of_client, of_backend) in [(0, true, false), (8, false, true), (13, false, false)]
    {
        sent[20..24].copy_from_slice(&[icmp_type, 0, 0, 0]);
        for (kind, code) in [(3, 4), (3, 3), (11, 0)] {
            let packet = icmp4(kind, code, &sent);
            for (got, is_known) in [
                (look(&packet, Family::V4), of_client),
                (inspect_answer(View::whole(&packet), Family::V4), of_backend),
            ] {
                if !is_known {
                    assert_eq!(got, unknown);
                    continue;
                }
                let got = got.unwrap();
                assert_eq!(got.kind, Kind::EchoIcmpError);
                let echo = look(&icmp4(8, 0, &[]), Family::V4).unwrap();
                let Addrs::V4 { dst, .. } = echo.key.addrs else {
                    unreachable!("of IPv4")
                };
                let client = [10, 11, 12, 13];
                assert_eq!(got.key.addrs, Addrs::V4 { src: client, dst });
                assert_eq!((got.key.src_port, got.key.dst_port), (0, 0));
                assert_eq!(got.unmatched(), Verdict::PassedUnknownFormat);
            }
            // Too little of it, a later fragment of it, and one that is not told its sender.
            assert_eq!(look(&icmp4(kind, code, &sent[..23]), Family::V4), unknown);
            let mut other = sent.clone();
            other[7] = 5;
            assert_eq!(look(&icmp4(kind, code, &other), Family::V4), unknown);
            let mut other = sent.clone();
            other[15] = 9;
            assert_eq!(look(&icmp4(kind, code, &other), Family::V4), unknown);
        }
    }
}

#[test]
fn later_fragments_have_no_ports() {
    let mut p = hex(SYN);
    p[6..8].copy_from_slice(&[0, 5]);
    let seen = look(&summed(p), Family::V4).unwrap();
    assert_eq!(seen.kind, Kind::LaterFragment(Proto::Tcp));
    assert_eq!((seen.key.src_port, seen.key.dst_port), (0, 0));
    assert!(seen.fragment.is_some());
}

#[test]
fn the_hops_must_fit() {
    let write = |addr: Addr, others: usize, len: usize| {
        let mut out = [0; 256];
        let hops = vec![addr; others];
        let written = Tunnel::Gue.write(&params(addr, addr), &hops[..], &mut out[..len]);
        written.map(|()| out)
    };
    let addr = Addr::V4([9; 4]);
    for n in 0..=30_u8 {
        let len = header_len(Family::V4, n);
        assert_eq!(len, 36 + 4 * usize::from(n));
        assert!(write(addr, n.into(), len).is_some());
        assert!(write(addr, n.into(), len + 1).is_none());
    }
    assert!(write(addr, 31, header_len(Family::V4, 31)).is_none());
    let addr = Addr::V6([9; 16]);
    for n in 0..=7_u8 {
        let len = header_len(Family::V6, n);
        let out = write(addr, n.into(), len).unwrap();
        let view = View::whole(&out[..len]);
        let seen = crate::packet::gue::parse(view, 48, Family::V6).unwrap();
        assert_eq!(seen.inner_offset, len);
    }
    assert!(write(addr, 8, header_len(Family::V6, 8)).is_none());
}

#[test]
fn a_forward_has_a_number_and_a_name() {
    for &forward in ForwardKind::ALL {
        assert_eq!(ForwardKind::from_number(forward.number()), Some(forward));
        assert_eq!(ForwardKind::from_name(forward.name()), Some(forward));
    }
    assert_eq!(Forward::default(), Forward::Gue);
    assert_eq!(Forward::default().kind(), ForwardKind::default());
    assert_eq!(ForwardKind::Gre.plain(), Some(Forward::Gre));
    assert_eq!(ForwardKind::L3dsr.plain(), None);
    // Files and modules have the numbers: they stay.
    let numbers = ["gue", "gre", "ipip", "l3dsr", "nat"].map(ForwardKind::from_name);
    let numbers = numbers.map(|kind| kind.map(ForwardKind::number));
    assert_eq!(numbers, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!(ForwardKind::from_number(255), None);
    assert_eq!(ForwardKind::from_name(""), None);
}
