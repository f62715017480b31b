// SPDX-License-Identifier: GPL-2.0

//! Changed packets against packets that are made anew, with checksums that are summed anew.

use super::{Change, Edit, Spot, Unchanged};
use crate::director::Verdict;
use crate::packet::addr::Addr;
use crate::packet::checksum::UdpChecksum;
use crate::packet::dscp::Dscp;
use crate::packet::ip::{proto, Family};
use crate::packet::view::View;
use core::num::NonZeroU16;
use proptest::collection::vec;
use proptest::prelude::*;
use std::format;
use std::string::String;
use std::vec::Vec;

/// A packet in hexadecimal digits after it was sent to `to`; what stands in the way of it, if it cannot.
pub(in crate::director::forward) fn changed(packet: &str, edit: Edit, to: &str) -> String {
    let digits: Vec<char> = packet.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).expect("digits");
    let mut packet: Vec<u8> = digits.chunks(2).map(byte).collect();
    let to = match to.parse().expect("an address") {
        std::net::IpAddr::V4(to) => Addr::V4(to.octets()),
        std::net::IpAddr::V6(to) => Addr::V6(to.octets()),
    };
    match apply(&mut packet, edit, to, UdpChecksum::Complete) {
        Ok(()) => packet.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(why) => format!("{why:?}"),
    }
}

fn mark(dscp: u8) -> Edit {
    Edit::Mark(Dscp::new(dscp).expect("below 64"))
}

fn apply(packet: &mut [u8], edit: Edit, to: Addr, sum: UdpChecksum) -> Result<(), Unchanged> {
    let family = match packet[0] >> 4 {
        4 => Family::V4,
        _ => Family::V6,
    };
    let spot = Spot::find(View::whole(packet), family, edit)?;
    let head = &mut packet[..spot.len(family)];
    spot.write(head, &Change::toward(to, edit), sum)
        .expect("it fits");
    Ok(())
}

/// A client's packet, field by field.
#[derive(Debug, Clone)]
struct Model {
    src: Vec<u8>,
    dst: Vec<u8>,
    tos: u8,
    ttl: u8,
    /// TCP, UDP, or ICMP of the family.
    proto: u8,
    /// Of IPv4, in words; of IPv6, destination options in units of 8 bytes.
    options: usize,
    /// Offset in units of 8 bytes, and whether more fragments follow.
    fragment: Option<(u16, bool)>,
    /// What stands behind the transport header's checksum.
    data: Vec<u8>,
    /// What the checksum is off by.
    off: u16,
}

/// The sum of what is there, in 16-bit words, as RFC 1071 says it.
fn ones_sum(parts: &[&[u8]]) -> u16 {
    let all = parts.concat();
    let mut sum = 0_u64;
    for pair in all.chunks(2) {
        sum += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

impl Model {
    fn is_v6(&self) -> bool {
        self.src.len() == 16
    }

    fn pseudo(&self, len: usize) -> Vec<u8> {
        let mut bytes = [&self.src[..], &self.dst].concat();
        bytes.extend([0, self.proto]);
        bytes.extend((len as u16).to_be_bytes());
        bytes
    }

    /// Transport header and data. The checksum is right, or, `partial`, the sum of the pseudo header.
    fn transport(&self, partial: bool) -> Vec<u8> {
        if self.fragment.is_some_and(|(offset, _)| offset > 0) {
            return self.data.clone();
        }
        let (mut bytes, at) = match self.proto {
            proto::TCP => (std::vec![0x11; 16], 16),
            proto::UDP => (std::vec![0x22; 6], 6),
            // An echo request, of either family.
            _ => (std::vec![if self.is_v6() { 128 } else { 8 }, 0], 2),
        };
        bytes.extend([0, 0]);
        bytes.extend(&self.data);
        let pseudo = match self.proto {
            proto::ICMP => Vec::new(),
            _ => self.pseudo(bytes.len()),
        };
        let check = if partial {
            ones_sum(&[&pseudo])
        } else {
            // A computed 0 is sent as all ones, where 0 says that there is no checksum.
            match !ones_sum(&[&pseudo, &bytes]) {
                0 if self.proto == proto::UDP => 0xffff,
                check => check,
            }
        };
        bytes[at..at + 2].copy_from_slice(&check.wrapping_add(self.off).to_be_bytes());
        bytes
    }

    fn bytes(&self, partial: bool) -> Vec<u8> {
        let transport = self.transport(partial);
        if self.is_v6() {
            return self.bytes_v6(&transport);
        }
        let words = 5 + self.options;
        let len = (words * 4 + transport.len()) as u16;
        let place = match self.fragment {
            Some((offset, more)) => offset | if more { 0x2000 } else { 0 },
            None => 0x4000,
        };
        let mut head = std::vec![0x40 | words as u8, self.tos];
        head.extend(len.to_be_bytes());
        head.extend([0x12, 0x34]);
        head.extend(place.to_be_bytes());
        head.extend([self.ttl, self.proto, 0, 0]);
        head.extend(&self.src);
        head.extend(&self.dst);
        head.extend(std::vec![1; self.options * 4]);
        let check = !ones_sum(&[&head]);
        head[10..12].copy_from_slice(&check.to_be_bytes());
        [head, transport].concat()
    }

    fn bytes_v6(&self, transport: &[u8]) -> Vec<u8> {
        let mut behind = Vec::new();
        let mut next = proto::FRAGMENT;
        if self.fragment.is_none() {
            next = self.proto;
        }
        if self.options > 0 {
            let padding = self.options * 8 - 4;
            behind.extend([next, self.options as u8 - 1, 1, padding as u8]);
            behind.extend(std::vec![0; padding]);
            next = proto::DSTOPTS;
        }
        if let Some((offset, more)) = self.fragment {
            behind.extend([self.proto, 0]);
            behind.extend((offset << 3 | u16::from(more)).to_be_bytes());
            behind.extend([9, 8, 7, 6]);
        }
        behind.extend(transport);
        let mut head = std::vec![0x60 | self.tos >> 4, self.tos << 4 | 0x0a, 0xbc, 0xde];
        head.extend((behind.len() as u16).to_be_bytes());
        head.extend([next, self.ttl]);
        head.extend(&self.src);
        head.extend(&self.dst);
        [head, behind].concat()
    }

    /// The same packet, changed.
    fn sent(&self, dscp: u8, to: &[u8]) -> Self {
        Self {
            dst: to.to_vec(),
            tos: dscp << 2 | self.tos & 3,
            ttl: self.ttl - 1,
            ..self.clone()
        }
    }
}

fn models() -> impl Strategy<Value = (Model, Vec<u8>)> {
    let family = prop_oneof![Just(4_usize), Just(16)];
    family.prop_flat_map(|len| {
        let icmp = if len == 4 { proto::ICMP } else { proto::ICMPV6 };
        let fragment = prop_oneof![
            3 => Just(None),
            1 => Just(Some((0, true))),
            1 => (1_u16..0x1fff, any::<bool>()).prop_map(Some),
        ];
        let addr = || vec(any::<u8>(), len);
        let fields = (any::<u8>(), 2_u8.., 0_usize..4, vec(any::<u8>(), 0..80));
        let proto = prop_oneof![Just(proto::TCP), Just(proto::UDP), Just(icmp)];
        (addr(), addr(), addr(), fields, proto, fragment).prop_map(
            |(mut src, dst, to, (tos, ttl, options, data), proto, fragment)| {
                // A link-local source stays on its link.
                if src[0] == 0xfe {
                    src[0] = 0xfd;
                }
                let model = Model {
                    src,
                    dst,
                    tos,
                    ttl,
                    proto,
                    options,
                    fragment,
                    data,
                    off: 0,
                };
                (model, to)
            },
        )
    })
}

/// Those whose checksum covers the addresses.
fn with_pseudo_header() -> impl Strategy<Value = (Model, Vec<u8>)> {
    models().prop_map(|(mut model, to)| {
        if model.proto == proto::ICMP {
            model.proto = proto::TCP;
        }
        (model, to)
    })
}

fn addr(bytes: &[u8]) -> Addr {
    match bytes.try_into() {
        Ok(v4) => Addr::V4(v4),
        Err(_) => Addr::V6(bytes.try_into().expect("16 bytes")),
    }
}

proptest! {
    /// Final checksums are those that a sum over all bytes gives, and nothing else changes.
    #[test]
    fn as_if_made_anew((model, to) in models(), dscp in 0_u8..64) {
        let edit = mark(dscp);
        let mut packet = model.bytes(false);
        apply(&mut packet, edit, addr(&to), UdpChecksum::Complete).expect("changed");
        prop_assert_eq!(packet, model.sent(dscp, &to).bytes(false));
    }

    /// The sum of the pseudo header alone stays that.
    #[test]
    fn a_sum_that_is_to_be_completed((model, to) in with_pseudo_header(), dscp in 0_u8..64) {
        let edit = mark(dscp);
        let mut packet = model.bytes(true);
        apply(&mut packet, edit, addr(&to), UdpChecksum::PseudoHeader).expect("changed");
        prop_assert_eq!(packet, model.sent(dscp, &to).bytes(true));
    }

    /// A wrong checksum is as wrong as before: nobody downstream takes a broken packet for a good one.
    #[test]
    fn wrong_stays_wrong((mut model, to) in with_pseudo_header(), off in 1_u16..0xfffe) {
        model.off = off;
        let whole = model.fragment.is_none_or(|(offset, _)| offset == 0);
        let mut packet = model.bytes(false);
        let at = packet.len() - model.transport(false).len();
        let edit = mark(1);
        let field = |packet: &[u8]| {
            let at = at + match model.proto { proto::TCP => 16, proto::UDP => 6, _ => 2 };
            u16::from_be_bytes([packet[at], packet[at + 1]])
        };
        // 0 says of UDP that there is none.
        prop_assume!(!whole || model.proto != proto::UDP || field(&packet) != 0);
        apply(&mut packet, edit, addr(&to), UdpChecksum::Complete).expect("changed");
        if whole {
            let sent = model.sent(1, &to);
            let sum = ones_sum(&[&sent.pseudo(packet.len() - at), &packet[at..]]);
            prop_assert!(!matches!(sum, 0 | 0xffff), "{sum:04x}");
        }
    }

    /// No packet is half changed, and none makes a panic.
    #[test]
    fn any_bytes(mut packet in vec(any::<u8>(), 0..120), v6 in any::<bool>(), cut in 0_usize..120) {
        let family = if v6 { Family::V6 } else { Family::V4 };
        if let Some(first) = packet.first_mut() {
            *first = *first & 0x0f | if v6 { 0x60 } else { 0x40 };
        }
        let linear = packet[..cut.min(packet.len())].to_vec();
        for edit in [mark(9), Edit::Translate(None), Edit::Translate(NonZeroU16::new(9))] {
            let Ok(spot) = Spot::find(View::new(&linear, packet.len()), family, edit) else {
                continue;
            };
            prop_assert!(spot.len(family) <= linear.len());
            let before = packet.clone();
            let (to, other) = match v6 {
                true => (Addr::V6([7; 16]), Addr::V4([7; 4])),
                false => (Addr::V4([7; 4]), Addr::V6([7; 16])),
            };
            let short = &mut packet[..spot.len(family) - 1];
            prop_assert_eq!(spot.write(short, &Change::toward(to, edit), UdpChecksum::Complete), None);
            prop_assert_eq!(spot.write(&mut packet, &Change::toward(other, edit), UdpChecksum::Complete), None);
            prop_assert_eq!(&before, &packet);
            // One that is changed keeps its length, and does not panic.
            let mut whole = packet.clone();
            prop_assert!(spot.write(&mut whole, &Change::toward(to, edit), UdpChecksum::Complete).is_some());
        }
    }
}

fn small(proto: u8) -> Model {
    Model {
        src: [10, 0, 0, 1].to_vec(),
        dst: [9, 9, 9, 9].to_vec(),
        tos: 0,
        ttl: 64,
        proto,
        options: 0,
        fragment: None,
        data: [0; 4].to_vec(),
        off: 0,
    }
}

#[test]
fn no_udp_checksum_stays_none() {
    for to in [&[1, 2, 3, 4][..], &[5; 16]] {
        let mut model = small(proto::UDP);
        if to.len() == 16 {
            (model.src, model.dst) = ([2; 16].to_vec(), [3; 16].to_vec());
        }
        let mut packet = model.bytes(false);
        let at = packet.len() - model.data.len() - 2;
        packet[at..at + 2].fill(0);
        let edit = mark(2);
        apply(&mut packet, edit, addr(to), UdpChecksum::Complete).expect("changed");
        assert_eq!(packet[at..at + 2], [0, 0]);
    }
}

/// What a checksum comes to is chosen by the data: so that it is 0, and goes out as all ones, for UDP alone.
#[test]
fn a_checksum_that_comes_to_0() {
    let to = [1, 2, 3, 4];
    let mut model = small(proto::UDP);
    let check = !ones_sum(&[&model.transport(false)[..6], &model.sent(2, &to).pseudo(12)]);
    model.data = [&check.to_be_bytes()[..], &[0, 0]].concat();
    let mut packet = model.bytes(false);
    let edit = mark(2);
    apply(&mut packet, edit, addr(&to), UdpChecksum::Complete).expect("changed");
    assert_eq!(packet[26..28], [0xff, 0xff]);
    assert_eq!(packet, model.sent(2, &to).bytes(false));
}

#[test]
fn what_is_not_changed() {
    let find = |model: &Model, drop: usize| {
        let bytes = model.bytes(false);
        let family = if model.is_v6() {
            Family::V6
        } else {
            Family::V4
        };
        Spot::find(
            View::new(&bytes[..bytes.len() - drop], bytes.len()),
            family,
            mark(2),
        )
        .err()
    };
    let mut model = small(proto::TCP);
    assert_eq!(find(&model, 0), None);
    // The checksum is not at hand.
    assert_eq!(find(&model, 5), Some(Unchanged::NeedLinear(38)));
    for ttl in [0, 1] {
        model.ttl = ttl;
        let ends = Unchanged::Ends(Verdict::PassedTtl);
        assert_eq!(find(&model, 0), Some(ends));
        let v6 = Model {
            src: [2; 16].to_vec(),
            dst: [3; 16].to_vec(),
            ..model.clone()
        };
        assert_eq!(find(&v6, 0), Some(ends));
    }
    // From an address that has a meaning on one link only; the last one has a meaning everywhere.
    model.ttl = 64;
    for (first, ends) in [
        ([0xfe, 0x80], Some(Unchanged::Ends(Verdict::PassedMartian))),
        ([0xfe, 0xbf], Some(Unchanged::Ends(Verdict::PassedMartian))),
        ([0xfe, 0xc0], None),
    ] {
        let mut src = [1; 16].to_vec();
        src[..2].copy_from_slice(&first);
        let v6 = Model {
            src,
            dst: [3; 16].to_vec(),
            ..model.clone()
        };
        assert_eq!(find(&v6, 0), ends);
    }
    // A TCP header of 8 bytes: whole, and in a first fragment.
    let head = "4500001c00004000400600000a00000109090909001600500000000000000000";
    let fragment = "4500001c00002000400600000a00000109090909001600500000000000000000";
    let edit = mark(2);
    let at_end = |packet: &str| changed(&packet[..56], edit, "1.2.3.4");
    assert_eq!(at_end(head), "Ends(PassedUnknownFormat)");
    assert_eq!(at_end(fragment), "Ends(DroppedFragment)");
}
