// SPDX-License-Identifier: GPL-2.0

//! Translated packets against packets that are made anew for the other address and port, there and back.

use super::{Change, Edit, End, Spot, Unchanged};
use crate::director::Verdict;
use crate::packet::addr::Addr;
use crate::packet::checksum::UdpChecksum;
use crate::packet::crc32c::tests::crc32c;
use crate::packet::ip::{proto, Family};
use crate::packet::view::View;
use core::num::NonZeroU16;
use proptest::collection::vec;
use proptest::prelude::*;
use std::vec::Vec;

/// One end of a flow.
#[derive(Debug, Clone, PartialEq)]
struct At {
    addr: Vec<u8>,
    port: u16,
}

/// A packet, field by field.
#[derive(Debug, Clone)]
struct Model {
    from: At,
    to: At,
    tos: u8,
    ttl: u8,
    /// TCP, UDP, SCTP.
    proto: u8,
    /// Of IPv4, in words; of IPv6, destination options in units of 8 bytes.
    options: usize,
    /// Offset in units of 8 bytes, and whether more fragments follow.
    fragment: Option<(u16, bool)>,
    data: Vec<u8>,
    /// Without a checksum, where there is a way to say so.
    unsummed: bool,
}

/// The sum of what is there, in 16-bit words, as RFC 1071 says it.
fn ones_sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for pair in parts.concat().chunks(2) {
        sum += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn pseudo(src: &[u8], dst: &[u8], proto: u8, len: usize) -> Vec<u8> {
    let mut bytes = [src, dst].concat();
    bytes.extend([0, proto]);
    bytes.extend((len as u16).to_be_bytes());
    bytes
}

/// An IP packet around a payload.
fn ip(model: &Model, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = (&model.from.addr, &model.to.addr);
    if src.len() == 4 {
        let words = 5 + model.options;
        let place = match model.fragment {
            Some((offset, more)) => offset | if more { 0x2000 } else { 0 },
            None => 0x4000,
        };
        let mut head = std::vec![0x40 | words as u8, model.tos];
        head.extend(((words * 4 + payload.len()) as u16).to_be_bytes());
        head.extend([0x12, 0x34]);
        head.extend(place.to_be_bytes());
        head.extend([model.ttl, protocol, 0, 0]);
        head.extend([&src[..], dst, &std::vec![1; model.options * 4]].concat());
        let check = !ones_sum(&[&head]);
        head[10..12].copy_from_slice(&check.to_be_bytes());
        return [head, payload.to_vec()].concat();
    }
    let (mut behind, mut next) = (Vec::new(), protocol);
    if model.fragment.is_some() {
        next = proto::FRAGMENT;
    }
    if model.options > 0 {
        let padding = model.options * 8 - 4;
        behind.extend([next, model.options as u8 - 1, 1, padding as u8]);
        behind.extend(std::vec![0; padding]);
        next = proto::DSTOPTS;
    }
    if let Some((offset, more)) = model.fragment {
        behind.extend([protocol, 0]);
        behind.extend((offset << 3 | u16::from(more)).to_be_bytes());
        behind.extend([9, 8, 7, 6]);
    }
    behind.extend(payload);
    let mut head = std::vec![0x60 | model.tos >> 4, model.tos << 4 | 0x0a, 0xbc, 0xde];
    head.extend((behind.len() as u16).to_be_bytes());
    head.extend([next, model.ttl]);
    [head, src.clone(), dst.clone(), behind].concat()
}

impl Model {
    /// Transport header and data.
    fn transport(&self, partial: bool) -> Vec<u8> {
        let mut bytes = [self.from.port.to_be_bytes(), self.to.port.to_be_bytes()].concat();
        let at = match self.proto {
            proto::TCP => {
                bytes.extend([0x55; 12]);
                16
            }
            proto::UDP => {
                bytes.extend((8 + self.data.len() as u16).to_be_bytes());
                6
            }
            _ => {
                bytes.extend([0x66; 4]);
                8
            }
        };
        bytes.extend(match self.proto {
            proto::SCTP => &[0_u8; 4][..],
            proto::TCP => &[0; 4],
            _ => &[0; 2],
        });
        bytes.extend(&self.data);
        if self.unsummed && self.proto != proto::TCP {
            return bytes;
        }
        if self.proto == proto::SCTP {
            let check = if partial { 0 } else { crc32c(&bytes) };
            bytes[at..at + 4].copy_from_slice(&check.to_le_bytes());
            return bytes;
        }
        let pseudo = pseudo(&self.from.addr, &self.to.addr, self.proto, bytes.len());
        let check = match (partial, !ones_sum(&[&pseudo, &bytes])) {
            (true, _) => ones_sum(&[&pseudo]),
            (false, 0) if self.proto == proto::UDP => 0xffff,
            (false, check) => check,
        };
        bytes[at..at + 2].copy_from_slice(&check.to_be_bytes());
        bytes
    }

    fn bytes(&self, partial: bool) -> Vec<u8> {
        let transport = match self.fragment {
            Some((1.., _)) => self.data.clone(),
            _ => self.transport(partial),
        };
        ip(self, self.proto, &transport)
    }

    /// As a router passes it on.
    fn passed(&self) -> Self {
        Self {
            ttl: self.ttl - 1,
            ..self.clone()
        }
    }

    /// An answer to it.
    fn answer(&self) -> Self {
        Self {
            from: self.to.clone(),
            to: self.from.clone(),
            ..self.clone()
        }
    }
}

/// An ICMP error about a packet, of which it has so many bytes.
fn error(outer: &Model, kind: [u8; 2], about: &Model, most: usize) -> Vec<u8> {
    let mut about = about.bytes(false);
    about.truncate(most);
    let v6 = outer.from.addr.len() == 16;
    let mut bytes = [&kind[..], &[0, 0, 0, 0, 5, 0], &about].concat();
    let covered = match v6 {
        true => pseudo(&outer.from.addr, &outer.to.addr, proto::ICMPV6, bytes.len()),
        false => Vec::new(),
    };
    let check = !ones_sum(&[&covered, &bytes]);
    bytes[2..4].copy_from_slice(&check.to_be_bytes());
    let protocol = if v6 { proto::ICMPV6 } else { proto::ICMP };
    ip(outer, protocol, &bytes)
}

fn addr(bytes: &[u8]) -> Addr {
    match bytes.try_into() {
        Ok(v4) => Addr::V4(v4),
        Err(_) => Addr::V6(bytes.try_into().expect("16 bytes")),
    }
}

fn apply(packet: &mut [u8], change: Change, sum: UdpChecksum) -> Result<(), Unchanged> {
    let family = match packet[0] >> 4 {
        4 => Family::V4,
        _ => Family::V6,
    };
    let spot = Spot::find(View::whole(packet), family, change.edit)?;
    let head = &mut packet[..spot.len(family)];
    spot.write(head, &change, sum).expect("it fits");
    Ok(())
}

fn change(end: End, to: &At) -> Change {
    Change {
        end,
        addr: addr(&to.addr),
        edit: Edit::Translate(NonZeroU16::new(to.port)),
    }
}

/// A packet of a client to a VIP, the backend, and a router.
fn models() -> impl Strategy<Value = (Model, At, At)> {
    let family = prop_oneof![Just(4_usize), Just(16)];
    family.prop_flat_map(|len| {
        let fragment = prop_oneof![
            4 => Just(None),
            1 => Just(Some((0, true))),
            1 => (1_u16..0x1fff, any::<bool>()).prop_map(Some),
        ];
        let at = move || {
            (vec(any::<u8>(), len), 1_u16..).prop_map(|(mut addr, port)| {
                // A link-local source stays on its link.
                if addr[0] == 0xfe {
                    addr[0] = 0xfd;
                }
                At { addr, port }
            })
        };
        let fields = (
            any::<u8>(),
            3_u8..,
            0_usize..4,
            vec(any::<u8>(), 0..200),
            any::<bool>(),
        );
        let proto = prop_oneof![Just(proto::TCP), Just(proto::UDP), Just(proto::SCTP)];
        let ends = (at(), at(), at(), at());
        (ends, fields, proto, fragment).prop_map(
            |(
                (from, to, backend, router),
                (tos, ttl, options, data, unsummed),
                proto,
                fragment,
            )| {
                let fragment =
                    fragment.filter(|part: &(u16, bool)| proto != proto::SCTP || part.0 > 0);
                let model = Model {
                    from,
                    to,
                    tos,
                    ttl,
                    proto,
                    options,
                    fragment,
                    data,
                    unsummed,
                };
                (model, backend, router)
            },
        )
    })
}

/// Of a later fragment, which has no ports.
fn of_part(model: &Model, to: &At) -> At {
    let port = match model.fragment {
        Some((1.., _)) => model.to.port,
        _ => to.port,
    };
    At { port, ..to.clone() }
}

const COMPLETE: UdpChecksum = UdpChecksum::Complete;

proptest! {
    /// What reaches the backend is what a client would have sent it; what comes back is what the VIP would have sent; and the
    /// way there, turned round, undoes it.
    #[test]
    fn there_and_back_again((model, backend, _) in models()) {
        let mut packet = model.bytes(false);
        apply(&mut packet, change(End::Destination, &backend), COMPLETE).expect("changed");
        let there = Model { to: of_part(&model, &backend), ..model.passed() };
        prop_assert_eq!(&packet, &there.bytes(false));

        let mut answer = there.answer().bytes(false);
        apply(&mut answer, change(End::Source, &model.to), COMPLETE).expect("changed");
        prop_assert_eq!(answer, model.passed().passed().answer().bytes(false));

        apply(&mut packet, change(End::Destination, &model.to), COMPLETE).expect("changed");
        prop_assert_eq!(packet, model.passed().passed().bytes(false));
    }

    /// Without another port the port stays.
    #[test]
    fn the_port_may_stay((model, backend, _) in models()) {
        let to = Change::toward(addr(&backend.addr), Edit::Translate(None));
        let mut packet = model.bytes(false);
        apply(&mut packet, to, COMPLETE).expect("changed");
        let there = Model { to: At { port: model.to.port, ..backend }, ..model.passed() };
        prop_assert_eq!(packet, there.bytes(false));
    }

    /// The sum of the pseudo header alone stays that: the port is in what is yet to be summed up.
    #[test]
    fn a_sum_that_is_to_be_completed((model, backend, _) in models()) {
        prop_assume!(!model.unsummed && model.fragment.is_none());
        let mut packet = model.bytes(true);
        apply(&mut packet, change(End::Destination, &backend), UdpChecksum::PseudoHeader).expect("changed");
        let there = Model { to: backend, ..model.passed() };
        prop_assert_eq!(packet, there.bytes(true));
    }

    /// An error about what the VIP sent is about what the backend sent; one about what the backend got is about what the VIP
    /// got, and comes from the VIP. However little of the packet it has.
    #[test]
    fn errors_both_ways((model, backend, router) in models(), kind in 0_usize..6, cut: prop::sample::Index) {
        let mut about = model.answer();
        about.fragment = about.fragment.filter(|(offset, _)| *offset == 0);
        let kinds = match model.from.addr.len() {
            4 => [[3, 4], [3, 1], [3, 3], [11, 0], [12, 0], [3, 13]],
            _ => [[2, 0], [1, 4], [1, 0], [3, 0], [4, 1], [4, 0]],
        };
        let least = about.bytes(false).len() - about.transport(false).len() + 8;
        let most = least + cut.index(about.bytes(false).len() - least + 1);
        // A part of a checksum is none, and stays as it is.
        let split = match model.proto { proto::TCP => 17..18, proto::SCTP => 9..12, _ => 0..0 };
        prop_assume!(!split.contains(&(most - least + 8)));
        let outer = Model { from: router, to: model.to.clone(), fragment: None, ..model.clone() };

        let mut packet = error(&outer, kinds[kind], &about, most);
        apply(&mut packet, change(End::Destination, &backend), COMPLETE).expect("changed");
        let got = Model { to: backend.clone(), ..outer.passed() };
        let sent = Model { from: backend.clone(), ..about.clone() };
        prop_assert_eq!(packet, error(&got, kinds[kind], &sent, most));

        // The other way round.
        let sent = Model { to: backend, ..about.answer() };
        let outer = outer.answer();
        let outer = Model { from: outer.to.clone(), to: model.from.clone(), ..outer };
        let mut packet = error(&outer, kinds[kind], &sent, most);
        apply(&mut packet, change(End::Source, &model.to), COMPLETE).expect("changed");
        let got = Model { from: model.to.clone(), ..outer.passed() };
        prop_assert_eq!(packet, error(&got, kinds[kind], &about.answer(), most));
    }

    /// A wrong checksum is as wrong as before.
    #[test]
    fn wrong_stays_wrong((model, backend, _) in models(), bit in 0_usize..16) {
        prop_assume!(!model.unsummed && model.fragment.is_none());
        let at = match model.proto { proto::TCP => 16, proto::UDP => 6, _ => 8 };
        let mut packet = model.bytes(false);
        let at = packet.len() - model.transport(false).len() + at + bit / 8;
        packet[at] ^= 1 << (bit % 8);
        let field = |packet: &[u8]| packet[at - bit / 8..][..2].to_vec();
        prop_assume!(field(&packet) != [0, 0] && field(&packet) != [0xff, 0xff]);
        apply(&mut packet, change(End::Destination, &backend), COMPLETE).expect("changed");
        let there = Model { to: backend, ..model.passed() }.bytes(false);
        prop_assert_ne!(field(&packet), field(&there));
    }
}

#[test]
fn what_is_not_translated() {
    let end = |last, port| At {
        addr: std::vec![10, 0, 0, last],
        port,
    };
    let model = Model {
        from: end(1, 4000),
        to: end(2, 80),
        tos: 0,
        ttl: 64,
        proto: proto::SCTP,
        options: 0,
        fragment: Some((0, true)),
        data: std::vec![1; 16],
        unsummed: false,
    };
    let backend = end(3, 8080);
    let mut packet = model.bytes(false);
    // The CRC covers what the other fragments have.
    assert_eq!(
        apply(&mut packet, change(End::Destination, &backend), COMPLETE),
        Err(Unchanged::Ends(Verdict::DroppedFragment))
    );
    assert_eq!(packet, model.bytes(false));
    // Unless it was cut here.
    let whole = 12 + 48;
    let data = std::vec![1; 48];
    let to = change(End::Destination, &backend);
    let unbroken = Model {
        fragment: None,
        data,
        ..model.clone()
    };
    let cut = |model: &Model| {
        let transport = model.transport(false);
        let head = Model {
            fragment: Some((0, true)),
            ..model.clone()
        };
        ip(&head, proto::SCTP, &transport[..28])
    };
    let mut first = cut(&unbroken);
    let spot = Spot::find_in(View::whole(&first), Family::V4, to.edit, Some(whole));
    let spot = spot.expect("its length is known");
    spot.write(&mut first, &to, COMPLETE).expect("it fits");
    let there = Model {
        to: backend.clone(),
        ..unbroken.passed()
    };
    assert_eq!(first, cut(&there));
    // Where the port stays, nothing that it covers changes.
    let to = Change::toward(addr(&backend.addr), Edit::Translate(None));
    apply(&mut packet, to, COMPLETE).expect("changed");
    assert_eq!(packet[28..32], model.bytes(false)[28..32]);
}
