// SPDX-License-Identifier: GPL-2.0

//! The packets that a director gets nearly always, in few steps: whole IP without options or extension headers around TCP or
//! UDP, from an address that needs no closer look, with all that is looked at at hand.
//!
//! What is otherwise in any way is left to [`inspect()`](super::inspect()), which says the same of these packets too: a test
//! and a fuzz target hold both against each other. All that such a packet cannot be is known to the compiler where it is read,
//! so that what is decided on it needs no memory (docs/decisions/0008).

use super::{Candidate, Kind, TCP_FLAGS};
use crate::director::classify::bind::Proto;
use crate::packet::flow::FlowKey;
use crate::packet::ip::{proto, Addrs, Family, IPV4_LEN, IPV6_LEN};
use crate::packet::valid;
use crate::packet::view::View;

/// Bytes of a transport header that are looked at: up to the flags of TCP. A shorter datagram of UDP is not common.
const TRANSPORT_LEN: usize = TCP_FLAGS + 1;

const V4_HEAD: usize = IPV4_LEN + TRANSPORT_LEN;
const V6_HEAD: usize = IPV6_LEN + TRANSPORT_LEN;

/// Reads a common packet from its IP header on; `None` of another one.
#[inline(always)]
#[must_use]
pub fn common(view: View<'_>, family: Family) -> Option<Candidate> {
    match family {
        Family::V4 => v4(view),
        Family::V6 => v6(view),
    }
}

/// Reads once more a packet that [`common`] has read, of the same family, and that nobody has changed since: what it cannot be is
/// not asked again. Who is handed a packet reads it rather than fetch it from memory, where it would have been put for that.
#[inline(always)]
#[must_use]
pub fn again(view: View<'_>, family: Family) -> Option<Candidate> {
    match family {
        Family::V4 => {
            let head: &[u8; V4_HEAD] = view.linear().first_chunk()?;
            let (fixed, rest) = head.split_first_chunk::<12>()?;
            let (src, rest) = rest.split_first_chunk::<4>()?;
            let (dst, rest) = rest.split_first_chunk::<4>()?;
            let &[_, _, len_hi, len_lo, _, _, _, _, _, protocol, _, _] = fixed;
            let len = usize::from(u16::from_be_bytes([len_hi, len_lo]));
            let (src, dst) = (*src, *dst);
            transport(protocol, rest.first_chunk()?, Addrs::V4 { src, dst }, len)
        }
        Family::V6 => {
            let head: &[u8; V6_HEAD] = view.linear().first_chunk()?;
            let (fixed, rest) = head.split_first_chunk::<8>()?;
            let (src, rest) = rest.split_first_chunk::<16>()?;
            let (dst, rest) = rest.split_first_chunk::<16>()?;
            let &[_, _, _, _, len_hi, len_lo, protocol, _] = fixed;
            let len = usize::from(u16::from_be_bytes([len_hi, len_lo])).wrapping_add(IPV6_LEN);
            let (src, dst) = (*src, *dst);
            transport(protocol, rest.first_chunk()?, Addrs::V6 { src, dst }, len)
        }
    }
}

#[inline(always)]
fn v4(view: View<'_>) -> Option<Candidate> {
    let head: &[u8; V4_HEAD] = view.linear().first_chunk()?;
    // Word by word: what is read byte by byte is put together byte by byte.
    let (a, rest) = head.split_first_chunk::<4>()?;
    let (b, rest) = rest.split_first_chunk::<4>()?;
    let (c, rest) = rest.split_first_chunk::<4>()?;
    let (src, rest) = rest.split_first_chunk::<4>()?;
    let (dst, rest) = rest.split_first_chunk::<4>()?;
    let &[version_ihl, _, len_hi, len_lo] = a;
    let &[_, _, frag_hi, frag_lo] = b;
    let &[_, protocol, _, _] = c;
    let len = usize::from(u16::from_be_bytes([len_hi, len_lo]));
    let is_whole = u16::from_be_bytes([frag_hi, frag_lo]) & 0x3fff == 0;
    if version_ihl != 0x45 || !is_whole || len < V4_HEAD || len > view.len() {
        return None;
    }
    if !valid::is_common_v4(*src, [*a, *b, *c, *src, *dst]) {
        return None;
    }
    let (src, dst) = (*src, *dst);
    transport(protocol, rest.first_chunk()?, Addrs::V4 { src, dst }, len)
}

#[inline(always)]
fn v6(view: View<'_>) -> Option<Candidate> {
    let head: &[u8; V6_HEAD] = view.linear().first_chunk()?;
    let (fixed, rest) = head.split_first_chunk::<8>()?;
    let (src, rest) = rest.split_first_chunk::<16>()?;
    let (dst, rest) = rest.split_first_chunk::<16>()?;
    let &[version, _, _, _, len_hi, len_lo, protocol, _] = fixed;
    let len = usize::from(u16::from_be_bytes([len_hi, len_lo])).wrapping_add(IPV6_LEN);
    if version >> 4 != 6 || len < V6_HEAD || len > view.len() || !valid::is_common_v6(src) {
        return None;
    }
    let (src, dst) = (*src, *dst);
    transport(protocol, rest.first_chunk()?, Addrs::V6 { src, dst }, len)
}

#[inline(always)]
fn transport(
    protocol: u8,
    header: &[u8; TRANSPORT_LEN],
    addrs: Addrs,
    len: usize,
) -> Option<Candidate> {
    let proto = match protocol {
        proto::TCP => Proto::Tcp,
        proto::UDP => Proto::Udp,
        _ => return None,
    };
    let &[s0, s1, d0, d1, .., flags] = header;
    let src_port = u16::from_be_bytes([s0, s1]);
    Some(Candidate {
        kind: Kind::Flow(proto),
        key: FlowKey {
            addrs,
            src_port,
            dst_port: u16::from_be_bytes([d0, d1]),
        },
        hint: src_port,
        len,
        fragment: None,
        flags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::director::{inspect, inspect_answer};
    use crate::packet::checksum;
    use std::vec::Vec;

    /// A packet of this family and protocol, with a header of 20 bytes behind IP and 3 bytes of padding of the frame.
    fn packet(family: Family, protocol: u8) -> Vec<u8> {
        let mut packet = match family {
            Family::V4 => {
                let mut ip = [
                    0x45, 0, 0, 40, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0, 10, 11, 12, 13, 1, 1,
                    1, 1,
                ];
                let check = checksum::of_header(&ip);
                ip[10..12].copy_from_slice(&check);
                ip.to_vec()
            }
            Family::V6 => {
                let mut ip = std::vec![0x60, 0, 0, 0, 0, 20, protocol, 64];
                ip.extend([0x20; 16]);
                ip.extend([1; 16]);
                ip
            }
        };
        packet.extend([
            0xb2, 0x6e, 0, 80, 0, 0, 0, 7, 0, 0, 0, 8, 0x50, 2, 0x20, 0, 0, 0, 0, 0,
        ]);
        packet.extend([0xee; 3]);
        packet
    }

    /// Whether it is common; if it is, both readings agree.
    fn is_common(packet: &[u8], linear: usize, family: Family) -> bool {
        let view = View::new(&packet[..linear], packet.len());
        let seen = common(view, family);
        if let Some(candidate) = seen {
            assert_eq!(inspect(view, family), Ok(candidate), "{packet:02x?}");
            assert_eq!(inspect_answer(view, family), Ok(candidate), "{packet:02x?}");
            assert_eq!(again(view, family), seen, "{packet:02x?}");
        }
        seen.is_some()
    }

    #[test]
    fn a_common_packet_is_read_as_any() {
        for family in [Family::V4, Family::V6] {
            for protocol in [6, 17] {
                let plain = packet(family, protocol);
                assert!(is_common(&plain, plain.len(), family));
                for linear in 0..plain.len() {
                    let head = plain.len() - 3 - 20 + TRANSPORT_LEN;
                    assert_eq!(is_common(&plain, linear, family), linear >= head);
                }
                let mut count = 0;
                for at in 0..plain.len() {
                    for value in 0..=u8::MAX {
                        let mut changed = plain.clone();
                        changed[at] = value;
                        count += u32::from(is_common(&changed, changed.len(), family));
                        if family == Family::V4 && at < IPV4_LEN {
                            // The same with the right checksum.
                            changed[10..12].copy_from_slice(&[0, 0]);
                            let check = checksum::of_header(changed.first_chunk().unwrap());
                            changed[10..12].copy_from_slice(&check);
                            count += u32::from(is_common(&changed, changed.len(), family));
                        }
                    }
                }
                assert!(count > 5_000, "{count}");
            }
        }
    }

    #[test]
    fn what_others_look_at() {
        let v4 = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut packet = packet(Family::V4, 6);
            change(&mut packet);
            packet[10..12].copy_from_slice(&[0, 0]);
            let check = checksum::of_header(packet.first_chunk().unwrap());
            packet[10..12].copy_from_slice(&check);
            is_common(&packet, packet.len(), Family::V4)
        };
        assert!(v4(&|_| {}));
        for (at, value) in [
            (0, 0x46),
            (0, 0x55),
            (6, 0x20),
            (7, 1),
            (3, 33),
            (3, 44),
            (9, 1),
            (12, 127),
            (12, 0),
            (12, 224),
            (12, 255),
        ] {
            assert!(!v4(&|packet| packet[at] = value), "{at} {value}");
        }
        let v6 = |at: usize, values: &[u8]| {
            let mut packet = packet(Family::V6, 17);
            packet[at..at + values.len()].copy_from_slice(values);
            is_common(&packet, packet.len(), Family::V6)
        };
        assert!(v6(0, &[0x61]));
        for (at, values) in [
            (0, &[0x40][..]),
            (5, &[13]),
            (5, &[24]),
            (6, &[44]),
            (8, &[0xff]),
            (8, &[0; 8]),
        ] {
            assert!(!v6(at, values), "{at} {values:?}");
        }
    }
}
