// SPDX-License-Identifier: GPL-2.0

//! A flow and its header in 15 words.
//!
//! ```text
//! 0      endpoint
//! 1      63..48 source port, 47..32 destination port, 31..24 protocol, 23..16 shape, 15..8 words of 4 bytes of options,
//!        7..0 flags of the Geneve header
//! 2      63..32 UDP ports, 31..0 VNI and the reserved byte
//! 3..14  inner addresses, outer addresses, options, one behind the other
//! ```
//!
//! Nothing is held as a fingerprint: what is found is what was put in, and who lists flows sees them.

use super::tuple::Tuple;
use crate::geneve::envelope::Envelope;
use crate::packet::ip::{Addrs, Family};

/// Words of an entry beside its meta word.
pub(super) const WORDS: usize = 15;

/// Bytes of addresses and options.
const BYTES: usize = 96;

/// Most bytes of options that are held: with IPv4 inside and outside. The load balancer sends 32.
pub const MAX_HELD_OPTIONS: usize = BYTES - 16;

const INNER_V6: u64 = 1 << 16;
const OUTER_V6: u64 = 1 << 17;
const CHECKSUM: u64 = 1 << 18;
/// What of word 1 belongs to the flow: ports, protocol, family.
const FLOW: u64 = 0xffff_ffff_ff00_0000 | INNER_V6;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];

/// The words of an entry.
pub(super) type Content = [u64; WORDS];

/// What a packet is compared with: the words of its flow, as it travels and the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    same: Side,
    opposite: Side,
}

/// Word 1 as far as it is the flow's, and the inner addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Side {
    flow: u64,
    addrs: [u64; 4],
}

/// How a packet and an entry belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The packet travels as those that came.
    Same,
    /// The packet is an answer.
    Opposite,
}

impl Key {
    #[inline]
    pub(super) fn new(tuple: &Tuple) -> Self {
        Self {
            same: Side::new(tuple),
            opposite: Side::new(&tuple.reversed()),
        }
    }

    /// Whether the entry is of this flow, and in which direction. Of a flow whose two ends are one, it is the same one.
    #[inline]
    pub(super) fn way(&self, content: &Content) -> Option<Way> {
        if self.same.is_of(content) {
            Some(Way::Same)
        } else if self.opposite.is_of(content) {
            Some(Way::Opposite)
        } else {
            None
        }
    }
}

impl Side {
    #[inline]
    fn new(tuple: &Tuple) -> Self {
        let ports = u64::from(tuple.src_port) << 48 | u64::from(tuple.dst_port) << 32;
        let flow = ports | u64::from(tuple.proto) << 24;
        match &tuple.addrs {
            Addrs::V4 { src, dst } => {
                let addrs =
                    u64::from(u32::from_be_bytes(*src)) << 32 | u64::from(u32::from_be_bytes(*dst));
                Self {
                    flow,
                    addrs: [addrs, 0, 0, 0],
                }
            }
            Addrs::V6 { src, dst } => {
                let ([s0, s1], [d0, d1]) = (halves(src), halves(dst));
                Self {
                    flow: flow | INNER_V6,
                    addrs: [s0, s1, d0, d1],
                }
            }
        }
    }

    #[inline]
    fn is_of(&self, content: &Content) -> bool {
        let [_, one, _, a0, a1, a2, a3, ..] = content;
        let [b0, b1, b2, b3] = &self.addrs;
        let is_v4 = self.flow & INNER_V6 == 0;
        one & FLOW == self.flow && a0 == b0 && (is_v4 || (a1 == b1 && a2 == b2 && a3 == b3))
    }
}

#[inline]
fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_be_bytes(*bytes);
    // The cast keeps the lower half.
    [(both >> 64) as u64, both as u64]
}

/// The words of a flow and its header, unless there are more options than an entry holds.
#[inline]
pub(super) fn pack(tuple: &Tuple, endpoint: u64, envelope: &Envelope<'_>) -> Option<Content> {
    let Side { flow, addrs } = Side::new(tuple);
    let inner = match tuple.addrs {
        Addrs::V4 { .. } => 8,
        Addrs::V6 { .. } => 32,
    };
    let mut bytes = [0; BYTES];
    let (place, rest) = bytes.split_at_mut_checked(inner)?;
    for (to, word) in place.chunks_exact_mut(8).zip(addrs) {
        *to.first_chunk_mut()? = word.to_be_bytes();
    }
    let (rest, outer_v6) = match &envelope.outer {
        Addrs::V4 { src, dst } => (put(put(rest, src)?, dst)?, 0),
        Addrs::V6 { src, dst } => (put(put(rest, src)?, dst)?, OUTER_V6),
    };
    put(rest, envelope.options)?;
    let [_, flags, _, _, vni @ ..] = envelope.base;
    let checksum = if envelope.has_checksum { CHECKSUM } else { 0 };
    // At most 20 words of 4 bytes.
    let words = (envelope.options.len() as u64 >> 2) << 8;
    let udp = u64::from(u32::from_be_bytes(envelope.ports)) << 32;
    let mut content = [0; WORDS];
    let [first, second, third, others @ ..] = &mut content;
    *first = endpoint;
    *second = flow | outer_v6 | checksum | words | u64::from(flags);
    *third = udp | u64::from(u32::from_be_bytes(vni));
    for (to, from) in others.iter_mut().zip(bytes.chunks_exact(8)) {
        *to = u64::from_be_bytes(*from.first_chunk()?);
    }
    Some(content)
}

/// Puts bytes at the start of a place; answers the rest of it.
#[inline]
fn put<'o>(place: &'o mut [u8], bytes: &[u8]) -> Option<&'o mut [u8]> {
    let (to, rest) = place.split_at_mut_checked(bytes.len())?;
    for (to, from) in to.iter_mut().zip(bytes) {
        *to = *from;
    }
    Some(rest)
}

/// The endpoint of an entry.
#[inline]
pub(super) const fn endpoint(content: &Content) -> u64 {
    let [endpoint, ..] = content;
    *endpoint
}

/// A flow and its header, as they were found in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The endpoint.
    pub endpoint: u64,
    /// The flow, in the direction of the packets that came.
    pub tuple: Tuple,
    outer: Addrs,
    ports: [u8; 4],
    has_checksum: bool,
    base: [u8; 8],
    options: [u8; MAX_HELD_OPTIONS],
    options_len: usize,
}

impl Held {
    /// The header.
    #[inline]
    #[must_use]
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope {
            outer: self.outer,
            ports: self.ports,
            has_checksum: self.has_checksum,
            base: self.base,
            options: self.options.get(..self.options_len).unwrap_or_default(),
        }
    }

    /// What the words say. None: no entry has such words.
    #[inline]
    pub(super) fn unpack(content: &Content) -> Option<Self> {
        let [endpoint, second, third, others @ ..] = content;
        let mut bytes = [0; BYTES];
        for (to, word) in bytes.chunks_exact_mut(8).zip(others) {
            *to.first_chunk_mut()? = word.to_be_bytes();
        }
        let inner = family(second & INNER_V6);
        let (addrs, rest) = addresses(&bytes, inner)?;
        let (outer, rest) = addresses(rest, family(second & OUTER_V6))?;
        // The casts below keep the bits of one field each.
        let options_len = usize::from((second >> 8) as u8) << 2;
        let mut options = [0; MAX_HELD_OPTIONS];
        put(&mut options, rest.get(..options_len)?)?;
        let [p0, p1] = match inner {
            Family::V4 => ETHERTYPE_IPV4,
            Family::V6 => ETHERTYPE_IPV6,
        };
        let [v0, v1, v2, v3] = (*third as u32).to_be_bytes();
        let len = (second >> 8) as u8;
        Some(Self {
            endpoint: *endpoint,
            tuple: Tuple {
                addrs,
                proto: (second >> 24) as u8,
                src_port: (second >> 48) as u16,
                dst_port: (second >> 32) as u16,
            },
            outer,
            ports: ((third >> 32) as u32).to_be_bytes(),
            has_checksum: second & CHECKSUM != 0,
            base: [len, *second as u8, p0, p1, v0, v1, v2, v3],
            options,
            options_len,
        })
    }
}

const fn family(v6: u64) -> Family {
    match v6 {
        0 => Family::V4,
        _ => Family::V6,
    }
}

/// Source and destination at the start of bytes, and the rest of these.
#[inline]
fn addresses(bytes: &[u8], family: Family) -> Option<(Addrs, &[u8])> {
    match family {
        Family::V4 => {
            let (src, rest) = bytes.split_first_chunk()?;
            let (dst, rest) = rest.split_first_chunk()?;
            let (src, dst) = (*src, *dst);
            Some((Addrs::V4 { src, dst }, rest))
        }
        Family::V6 => {
            let (src, rest) = bytes.split_first_chunk()?;
            let (dst, rest) = rest.split_first_chunk()?;
            let (src, dst) = (*src, *dst);
            Some((Addrs::V6 { src, dst }, rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addrs() -> impl Strategy<Value = Addrs> {
        prop_oneof![
            any::<([u8; 4], [u8; 4])>().prop_map(|(src, dst)| Addrs::V4 { src, dst }),
            any::<([u8; 16], [u8; 16])>().prop_map(|(src, dst)| Addrs::V6 { src, dst }),
        ]
    }

    fn tuples() -> impl Strategy<Value = Tuple> {
        (addrs(), any::<(u8, u16, u16)>()).prop_map(|(addrs, (proto, src_port, dst_port))| Tuple {
            addrs,
            proto,
            src_port,
            dst_port,
        })
    }

    const fn len(addrs: &Addrs) -> usize {
        match addrs {
            Addrs::V4 { .. } => 8,
            Addrs::V6 { .. } => 32,
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            tuple in tuples(), endpoint: u64, outer in addrs(), ports: [u8; 4], has_checksum: bool,
            flags: u8, vni: [u8; 4], words in 0usize..=63, data in any::<[u8; 32]>(),
        ) {
            let options: std::vec::Vec<u8> = data.iter().cycle().take(words * 4).copied().collect();
            let protocol = match tuple.addrs {
                Addrs::V4 { .. } => [0x08, 0x00],
                Addrs::V6 { .. } => [0x86, 0xdd],
            };
            let base = [&[words as u8, flags][..], &protocol, &vni].concat().try_into().unwrap();
            let envelope = Envelope { outer, ports, has_checksum, base, options: &options };
            let room = 96 - len(&tuple.addrs) - len(&outer);
            let packed = pack(&tuple, endpoint, &envelope);
            prop_assert_eq!(packed.is_some(), words * 4 <= room);
            let Some(content) = packed else { return Ok(()) };
            let held = Held::unpack(&content).unwrap();
            prop_assert_eq!((held.endpoint, held.tuple), (endpoint, tuple));
            prop_assert_eq!(held.envelope(), envelope);
            prop_assert_eq!(super::endpoint(&content), endpoint);
            prop_assert_eq!(Key::new(&tuple).way(&content), Some(Way::Same));
            let reversed = tuple.reversed();
            if reversed != tuple {
                prop_assert_eq!(Key::new(&reversed).way(&content), Some(Way::Opposite));
            }
        }

        #[test]
        fn one_field_that_differs_is_another_flow(tuple in tuples(), other in tuples(), field in 0usize..5) {
            let base = [8, 0, 8, 0, 0, 0, 0, 0];
            let outer = Addrs::V4 { src: [1; 4], dst: [2; 4] };
            let envelope = Envelope { outer, ports: [0; 4], has_checksum: false, base, options: &[7; 32] };
            let content = pack(&tuple, 1, &envelope).unwrap();
            let mut changed = tuple;
            match field {
                0 => changed.addrs = other.addrs,
                1 => changed.proto = other.proto,
                2 => changed.src_port = other.src_port,
                3 => changed.dst_port = other.dst_port,
                _ => changed = other,
            }
            let way = if changed == tuple {
                Some(Way::Same)
            } else if changed == tuple.reversed() {
                Some(Way::Opposite)
            } else {
                None
            };
            prop_assert_eq!(Key::new(&changed).way(&content), way);
        }
    }

    /// AWS's options fit whatever the families are.
    #[test]
    fn options_of_32_bytes_fit_with_ipv6_inside_and_outside() {
        let addrs = Addrs::V6 {
            src: [1; 16],
            dst: [2; 16],
        };
        let tuple = Tuple {
            addrs,
            proto: 6,
            src_port: 1,
            dst_port: 2,
        };
        let envelope = Envelope {
            outer: addrs,
            ports: [1; 4],
            has_checksum: true,
            base: [8, 0, 0x86, 0xdd, 0, 0, 0, 0],
            options: &[9; 32],
        };
        assert!(pack(&tuple, 1, &envelope).is_some());
    }
}
