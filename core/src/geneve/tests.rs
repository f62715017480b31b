// SPDX-License-Identifier: GPL-2.0

//! Known packets, and the rules one by one.

use super::*;
use crate::counter::Fate;
use crate::packet::addr::Addr;
use crate::packet::ip::Family;
use crate::packet::view::View;
use std::vec;
use std::vec::Vec;

/// Name, what becomes of it, our verdict, packet.
const VECTORS: &str = include_str!("../../../tests/vectors/geneve.tsv");

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn family(bytes: &[u8]) -> Family {
    match bytes[0] >> 4 {
        6 => Family::V6,
        _ => Family::V4,
    }
}

fn packet(bytes: &[u8]) -> Packet<'_> {
    Packet {
        view: View::whole(bytes),
        outer: family(bytes),
    }
}

fn look(bytes: &[u8]) -> Result<Opened, Stop> {
    inspect(&packet(bytes), &Settings::DEFAULT)
}

fn verdict(bytes: &[u8]) -> Verdict {
    match look(bytes) {
        Ok(_) => Verdict::Accepted,
        Err(Stop::Decided(verdict)) => verdict,
        Err(Stop::NeedLinear(_)) => panic!("all is at hand"),
    }
}

fn vector(name: &str) -> Vec<u8> {
    let mut lines = VECTORS.lines().map(|line| line.split('\t'));
    let mut line = lines.find(|line| line.clone().next() == Some(name));
    hex(line.as_mut().unwrap().nth(3).unwrap())
}

/// Changes the packet at some offset, and corrects the outer IPv4 header's checksum.
fn with(mut bytes: Vec<u8>, at: usize, value: &[u8]) -> Vec<u8> {
    bytes[at..at + value.len()].copy_from_slice(value);
    corrected(bytes)
}

fn corrected(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[10..12].fill(0);
    let len = usize::from(bytes[0] & 15) * 4;
    let mut sum: u32 = (bytes[..len].chunks(2))
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum();
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    bytes[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    bytes
}

/// The same packet with other outer lengths: of so many bytes.
fn of_len(mut bytes: Vec<u8>, len: usize) -> Vec<u8> {
    bytes.resize(len, 0);
    bytes[24..26].copy_from_slice(&(len as u16 - 20).to_be_bytes());
    with(bytes, 2, &(len as u16).to_be_bytes())
}

const UDP: usize = 20;
const GENEVE: usize = 28;
const OPTIONS: usize = 36;
const INNER: usize = 68;

#[test]
fn vectors() {
    let mut count = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[name, becomes, expected, bytes] = &fields[..] else {
            panic!("{line}");
        };
        let bytes = hex(bytes);
        let mut settings = Settings::DEFAULT;
        if becomes.ends_with("when a list is set") {
            assert_eq!(verdict(&bytes), Verdict::Accepted, "{name}");
            let network = Addr::V4([10, 1, 1, 0]);
            settings.senders.allow(network, 24).unwrap();
        }
        let seen = inspect(&packet(&bytes), &settings);
        let verdict = match seen {
            Ok(_) => Verdict::Accepted,
            Err(Stop::Decided(verdict)) => verdict,
            Err(stop) => panic!("{name}: {stop:?}"),
        };
        assert_eq!(verdict.counter(), expected, "{name}");
        let fate = match becomes.split([' ', ',']).next() {
            Some("accept") => (Fate::Pass, true),
            Some("drop") => (Fate::Drop, false),
            Some("not") => (Fate::Pass, false),
            _ => panic!("{line}"),
        };
        assert_eq!((verdict.fate(), seen.is_ok()), fate, "{name}");
        if let Ok(opened) = seen {
            assert_eq!(opened.inner_at, 68, "{name}");
            assert_eq!(opened.inner_at + opened.inner_len, bytes.len(), "{name}");
            let ids = Ids {
                endpoint: 0x2b8e_e1d4_db0c_51c4,
                attachment: 0,
                cookie: 0xdead_beef,
            };
            assert_eq!((opened.ids, opened.inner), (ids, Family::V4), "{name}");
            assert!(is_checksum_right(&packet(&bytes), &opened), "{name}");
        }
        count += 1;
    }
    assert_eq!(count, 13);
}

/// What goes back is what came: only the addresses are exchanged, and what the director's headers have too (identification 0, do
/// not fragment, TTL 64).
#[test]
fn the_way_back() {
    for name in ["in v4 SYN", "opts in another order"] {
        let bytes = vector(name);
        let opened = look(&bytes).unwrap();
        let envelope = Envelope::of(&packet(&bytes), &opened).unwrap();
        let inner = &bytes[opened.inner_at..];
        let mut out = vec![0xaa; envelope.len()];
        let letter = Letter {
            len: inner.len(),
            tos: 0,
        };
        envelope.write_back(&letter, &mut out).unwrap();
        let mut expected = bytes[..68].to_vec();
        expected[12..16].copy_from_slice(&bytes[16..20]);
        expected[16..20].copy_from_slice(&bytes[12..16]);
        let expected = with(expected, 6, &[0x40]);
        assert_eq!(out, expected, "{name}");
        assert_eq!(envelope.write_back(&letter, &mut out[..67]), None);
        // The load balancer reads it as its own kind of packet.
        out.extend(inner);
        let back = look(&out).unwrap();
        assert_eq!((back.ids, back.inner_at), (opened.ids, 68));
        assert_eq!(back.outer, opened.outer.reversed());
    }
}

#[test]
fn the_way_back_over_ipv6_with_a_checksum() {
    let v4 = vector("in v4 SYN");
    let mut bytes = hex("6000000000581140");
    bytes.extend([0x11; 16]);
    bytes.extend([0x22; 16]);
    bytes.extend(&v4[UDP..]);
    // An odd length, and a checksum of the receiver's own.
    let inner = 40 + INNER - UDP;
    bytes[inner + 3] += 1;
    bytes[45] += 1;
    bytes[5] += 1;
    bytes.push(7);
    let opened = look(&bytes).unwrap();
    assert_eq!(opened.inner_len, 41);
    let envelope = Envelope::of(&packet(&bytes), &opened).unwrap();
    assert!(!envelope.has_checksum);
    let mut out = vec![0; envelope.len()];
    let letter = Letter { len: 41, tos: 0xb9 };
    envelope.write_back(&letter, &mut out).unwrap();
    envelope.fill_checksum(&mut out, &bytes[inner..]).unwrap();
    assert_eq!(out[..8], hex("6b90000000591140"));
    assert_eq!(
        (&out[8..24], &out[24..40]),
        (&[0x22; 16][..], &[0x11; 16][..])
    );
    out.extend(&bytes[inner..]);
    let back = look(&out).unwrap();
    assert!(is_checksum_right(&packet(&out), &back));
    assert!(Envelope::of(&packet(&out), &back).unwrap().has_checksum);
    for at in (0..out.len()).filter(|at| !(46..48).contains(at)) {
        // What the checksum covers: the addresses, and all of the datagram.
        let mut wrong = out.clone();
        wrong[at] ^= 1;
        if let Ok(opened) = look(&wrong) {
            let right = is_checksum_right(&packet(&wrong), &opened);
            assert_eq!(right, at < 8, "{at}");
        }
    }
}

#[test]
fn other_ports_fragments_and_protocols_are_left_alone() {
    let good = vector("in v4 SYN");
    for (at, value) in [
        (UDP + 2, &[0x17, 0xc2][..]),
        (9, &[6]),
        (6, &[0x20]),
        (7, &[1]),
        (12, &[127]),
        (12, &[224]),
        (0, &[0x55]),
        (0, &[0x44]),
    ] {
        let bytes = with(good.clone(), at, value);
        assert_eq!(verdict(&bytes), Verdict::PassedNotGeneve, "{at} {value:?}");
    }
    // A wrong header checksum: the stack drops and counts it.
    let mut wrong = good.clone();
    wrong[11] ^= 1;
    assert_eq!(verdict(&wrong), Verdict::PassedNotGeneve);
    for len in 0..24 {
        assert_eq!(verdict(&good[..len.max(1)]), Verdict::PassedNotGeneve);
    }
    // With options in the IP header.
    let mut options = good[..20].to_vec();
    options[0] = 0x46;
    options[3] += 4;
    options.extend([1, 1, 1, 0]);
    options.extend(&good[20..]);
    let options = corrected(options);
    assert_eq!(look(&options).map(|opened| opened.inner_at), Ok(72));
    let routed = with(options, 20, &[131, 4, 4, 0]);
    assert_eq!(verdict(&routed), Verdict::PassedNotGeneve);
    // Another port that the operator has set.
    let moved = with(good, UDP + 2, &[0x17, 0xc2]);
    let port = Settings {
        port: 0x17c2,
        ..Settings::DEFAULT
    };
    assert!(inspect(&packet(&moved), &port).is_ok());
}

#[test]
fn the_other_class() {
    let mut bytes = vector("in v4 SYN");
    for at in [OPTIONS, OPTIONS + 12, OPTIONS + 24] {
        bytes[at + 1] = 0x67;
    }
    assert_eq!(verdict(&bytes), Verdict::DroppedMissingOption);
    let class = Settings {
        class: 0x0167,
        ..Settings::DEFAULT
    };
    assert!(inspect(&packet(&bytes), &class).is_ok());
}

#[test]
fn what_a_receiver_ignores() {
    let good = vector("in v4 SYN");
    let opened = look(&good).unwrap();
    for (at, value) in [
        // The C bit without a critical option, reserved bits, VNI, reserved byte.
        (GENEVE + 1, &[0x40][..]),
        (GENEVE + 1, &[0x3f]),
        (GENEVE + 4, &[1, 2, 3]),
        (GENEVE + 7, &[0xff]),
        // Any source port.
        (UDP, &[0, 0]),
        // TTL and TOS.
        (8, &[0]),
        (1, &[0xff]),
    ] {
        let bytes = with(good.clone(), at, value);
        assert_eq!(look(&bytes), Ok(opened), "{at}");
        let back = Envelope::of(&packet(&bytes), &opened).unwrap();
        assert_eq!(back.base[..], bytes[GENEVE..OPTIONS]);
    }
}

#[test]
fn critical_options_are_dropped_with_and_without_the_c_bit() {
    let bytes = vector("C bit set, critical TLV unknown");
    assert_eq!(verdict(&bytes), Verdict::DroppedCriticalOption);
    let without = with(bytes, GENEVE + 1, &[0]);
    assert_eq!(verdict(&without), Verdict::DroppedCriticalOption);
    // The same option without its highest bit is of no interest, and kept.
    let harmless = with(without, INNER + 2, &[4]);
    let opened = look(&harmless).unwrap();
    assert_eq!(opened.inner_at, 76);
    let envelope = Envelope::of(&packet(&harmless), &opened).unwrap();
    assert_eq!(envelope.options, &harmless[OPTIONS..76]);
}

#[test]
fn lengths() {
    let good = vector("in v4 SYN");
    // Padding of the frame is no part of the packet.
    let padded = [good.clone(), vec![0; 9]].concat();
    assert_eq!(look(&padded), look(&good));
    // Nor is what the outer headers count and the inner one does not.
    let longer = of_len(good.clone(), good.len() + 5);
    assert_eq!(look(&longer).map(|opened| opened.inner_len), Ok(40));
    for len in 28..good.len() {
        let expected = match len {
            ..68 => Verdict::DroppedTruncated,
            _ => Verdict::DroppedInner,
        };
        assert_eq!(verdict(&of_len(good.clone(), len)), expected, "{len}");
        // Cut off, with headers that still name all of it.
        assert_eq!(verdict(&good[..len]), Verdict::DroppedTruncated, "{len}");
    }
    for udp_len in [0u16, 7, 89, 0xffff] {
        let bytes = with(good.clone(), UDP + 4, &udp_len.to_be_bytes());
        assert_eq!(verdict(&bytes), Verdict::DroppedTruncated, "{udp_len}");
    }
}

#[test]
fn what_is_inside() {
    let good = vector("in v4 SYN");
    for (at, value) in [
        (INNER, &[0x65][..]),
        (INNER, &[0x44]),
        (INNER + 2, &[0, 0]),
        (INNER + 2, &[0, 19]),
        (INNER + 2, &[0, 41]),
        (GENEVE + 2, &[0x86, 0xdd]),
    ] {
        let bytes = with(good.clone(), at, value);
        assert_eq!(verdict(&bytes), Verdict::DroppedInner, "{at} {value:?}");
    }
    let six = vector("ethertype 0x0800 over an inner IPv6");
    let six = with(six, GENEVE + 2, &[0x86, 0xdd]);
    let opened = look(&six).unwrap();
    assert_eq!((opened.inner, opened.inner_len), (Family::V6, 60));
    // An IPv6 header alone: its payload has length 0.
    let alone = with(of_len(six.clone(), INNER + 40), INNER + 4, &[0, 0]);
    assert_eq!(look(&alone).map(|opened| opened.inner_len), Ok(40));
    assert_eq!(verdict(&with(six, INNER + 5, &[21])), Verdict::DroppedInner);
}

/// An aggregate of more than 64 KiB, as GRO makes it, says no length.
#[test]
fn large_aggregates() {
    let mut bytes = vector("in v4 SYN");
    bytes.resize(70_000, 0);
    let big = with(with(bytes, 2, &[0, 0]), INNER + 2, &[0, 0]);
    let opened = look(&big).unwrap();
    assert_eq!(opened.inner_len, 70_000 - 68);
    let envelope = Envelope::of(&packet(&big), &opened).unwrap();
    let mut out = vec![0; envelope.len()];
    let len = opened.inner_len;
    let letter = Letter { len, tos: 0 };
    envelope.write_back(&letter, &mut out).unwrap();
    assert_eq!((&out[2..4], &out[24..26]), (&[0, 0][..], &[0, 0][..]));
}

#[test]
fn senders_are_checked_before_anything_that_they_wrote() {
    let mut settings = Settings::DEFAULT;
    let network = Addr::V4([10, 1, 1, 10]);
    settings.senders.allow(network, 32).unwrap();
    let good = vector("in v4 SYN");
    assert!(inspect(&packet(&good), &settings).is_ok());
    for name in ["version 1", "sender not in the list"] {
        let other = with(vector(name), 12, &[10, 1, 1, 11]);
        let seen = inspect(&packet(&other), &settings);
        assert_eq!(seen, Err(Stop::Decided(Verdict::DroppedSender)), "{name}");
    }
}
