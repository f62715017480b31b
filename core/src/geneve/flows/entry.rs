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
use crate::geneve::envelope::{Envelope, Front, Letter, FIXED_LEN};
use crate::packet::ip::{Addrs, IPV4_LEN, IPV6_LEN};

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
            Addrs::V4 { src, dst } => Self {
                flow,
                addrs: [both(src, dst), 0, 0, 0],
            },
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

/// Two addresses of IPv4.
#[inline]
fn both(src: &[u8; 4], dst: &[u8; 4]) -> u64 {
    u64::from(u32::from_be_bytes(*src)) << 32 | u64::from(u32::from_be_bytes(*dst))
}

/// An address of IPv6.
#[inline]
pub(super) fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_be_bytes(*bytes);
    // The cast keeps the lower half.
    [(both >> 64) as u64, both as u64]
}

/// The words of a flow and its header, unless there are more options than an entry holds.
#[inline]
pub(super) fn pack(tuple: &Tuple, endpoint: u64, envelope: &Envelope<'_>) -> Option<Content> {
    let Side { flow, .. } = Side::new(tuple);
    let outer_v6 = match envelope.outer {
        Addrs::V4 { .. } => 0,
        Addrs::V6 { .. } => OUTER_V6,
    };
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
    let rest = put_addrs(put_addrs(others, &tuple.addrs)?, &envelope.outer)?;
    put_options(rest, envelope.options)?;
    Some(content)
}

/// Puts source and destination at the start of a place; answers the rest of it.
#[inline]
fn put_addrs<'w>(place: &'w mut [u64], addrs: &Addrs) -> Option<&'w mut [u64]> {
    match addrs {
        Addrs::V4 { src, dst } => {
            let (word, rest) = place.split_first_mut()?;
            *word = both(src, dst);
            Some(rest)
        }
        Addrs::V6 { src, dst } => {
            let (words, rest) = place.split_first_chunk_mut::<4>()?;
            let ([s0, s1], [d0, d1]) = (halves(src), halves(dst));
            *words = [s0, s1, d0, d1];
            Some(rest)
        }
    }
}

/// Puts options, which are words of 4 bytes, at the start of a place.
#[inline]
fn put_options(place: &mut [u64], mut options: &[u8]) -> Option<()> {
    let mut places = place.iter_mut();
    while let Some((word, rest)) = options.split_first_chunk::<8>() {
        *places.next()? = u64::from_be_bytes(*word);
        options = rest;
    }
    if let Some((half, _)) = options.split_first_chunk::<4>() {
        *places.next()? = u64::from(u32::from_be_bytes(*half)) << 32;
    }
    Some(())
}

/// The endpoint of an entry.
#[inline]
pub(super) const fn endpoint(content: &Content) -> u64 {
    let [endpoint, ..] = content;
    *endpoint
}

/// A flow and its header, as they were found in the cache. What of it is asked for is read out of the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    content: Content,
}

impl Held {
    #[inline]
    pub(super) const fn new(content: Content) -> Self {
        Self { content }
    }

    /// The endpoint.
    #[inline]
    #[must_use]
    pub const fn endpoint(&self) -> u64 {
        endpoint(&self.content)
    }

    #[inline]
    const fn second(&self) -> u64 {
        let [_, second, ..] = self.content;
        second
    }

    /// The words of the inner addresses, of the outer ones, and of the options and behind. None: no entry has such words.
    #[inline]
    fn parts(&self) -> Option<(&[u64], &[u64], &[u64])> {
        let [_, _, _, others @ ..] = &self.content;
        let (inner, rest) = others.split_at_checked(words_of(self.second() & INNER_V6))?;
        let (outer, rest) = rest.split_at_checked(words_of(self.second() & OUTER_V6))?;
        Some((inner, outer, rest))
    }

    /// Source and destination of the outer packet, as it came.
    #[inline]
    #[must_use]
    pub fn outer(&self) -> Option<Addrs> {
        let (_, outer, _) = self.parts()?;
        addresses(outer)
    }

    /// Both UDP ports.
    #[inline]
    #[must_use]
    pub const fn ports(&self) -> [u8; 4] {
        let [_, _, third, ..] = self.content;
        // The cast is exact.
        ((third >> 32) as u32).to_be_bytes()
    }

    /// Whether there is a UDP checksum.
    #[inline]
    #[must_use]
    pub const fn has_checksum(&self) -> bool {
        self.second() & CHECKSUM != 0
    }

    #[inline]
    const fn options_len(&self) -> usize {
        // The cast keeps the bits of the field.
        ((self.second() >> 8) as u8 as usize) << 2
    }

    /// The Geneve header in front of the options.
    #[inline]
    const fn base(&self) -> [u8; 8] {
        let [_, second, third, ..] = self.content;
        let [p0, p1] = match second & INNER_V6 {
            0 => ETHERTYPE_IPV4,
            _ => ETHERTYPE_IPV6,
        };
        // The casts keep the bits of one field each.
        let [v0, v1, v2, v3] = (third as u32).to_be_bytes();
        [(second >> 8) as u8, second as u8, p0, p1, v0, v1, v2, v3]
    }

    #[inline]
    fn front(&self) -> Option<Front> {
        Some(Front {
            outer: self.outer()?,
            ports: self.ports(),
            base: self.base(),
            options_len: self.options_len(),
        })
    }

    /// The length of the header.
    #[inline]
    #[must_use]
    pub fn header_len(&self) -> usize {
        let ip_len = match self.second() & OUTER_V6 {
            0 => IPV4_LEN,
            _ => IPV6_LEN,
        };
        ip_len
            .wrapping_add(FIXED_LEN)
            .wrapping_add(self.options_len())
    }

    /// Writes the header of the way back at `out`, as [`Envelope::write_back`] does.
    #[inline]
    #[must_use]
    pub fn write_back(&self, letter: &Letter, out: &mut [u8]) -> Option<()> {
        let (_, _, words) = self.parts()?;
        let mut words = words.iter();
        let mut places = self.front()?.write_back(letter, out)?.chunks_exact_mut(8);
        for to in places.by_ref() {
            *to.first_chunk_mut()? = words.next()?.to_be_bytes();
        }
        if let Some(to) = places.into_remainder().first_chunk_mut::<4>() {
            let [a, b, c, d, ..] = words.next()?.to_be_bytes();
            *to = [a, b, c, d];
        }
        Some(())
    }

    /// All of it.
    #[must_use]
    pub fn unpack(&self) -> Option<Unpacked> {
        let (inner, _, words) = self.parts()?;
        let mut options = [0; MAX_HELD_OPTIONS];
        for (to, word) in options.chunks_exact_mut(8).zip(words) {
            *to.first_chunk_mut()? = word.to_be_bytes();
        }
        let second = self.second();
        Some(Unpacked {
            endpoint: self.endpoint(),
            // The casts keep the bits of one field each.
            tuple: Tuple {
                addrs: addresses(inner)?,
                proto: (second >> 24) as u8,
                src_port: (second >> 48) as u16,
                dst_port: (second >> 32) as u16,
            },
            front: self.front()?,
            has_checksum: self.has_checksum(),
            options,
        })
    }
}

/// A flow and its header, to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpacked {
    /// The endpoint.
    pub endpoint: u64,
    /// The flow, in the direction of the packets that came.
    pub tuple: Tuple,
    front: Front,
    has_checksum: bool,
    options: [u8; MAX_HELD_OPTIONS],
}

impl Unpacked {
    /// The header.
    #[must_use]
    pub fn envelope(&self) -> Envelope<'_> {
        let Front {
            outer,
            ports,
            base,
            options_len,
        } = self.front;
        Envelope {
            outer,
            ports,
            has_checksum: self.has_checksum,
            base,
            options: self.options.get(..options_len).unwrap_or_default(),
        }
    }
}

/// Words of both addresses.
#[inline]
const fn words_of(v6: u64) -> usize {
    match v6 {
        0 => 1,
        _ => 4,
    }
}

/// Source and destination, of their words.
#[inline]
fn addresses(words: &[u64]) -> Option<Addrs> {
    match *words {
        [both] => {
            let [s0, s1, s2, s3, d0, d1, d2, d3] = both.to_be_bytes();
            Some(Addrs::V4 {
                src: [s0, s1, s2, s3],
                dst: [d0, d1, d2, d3],
            })
        }
        [s0, s1, d0, d1] => Some(Addrs::V6 {
            src: whole(s0, s1),
            dst: whole(d0, d1),
        }),
        _ => None,
    }
}

#[inline]
const fn whole(high: u64, low: u64) -> [u8; 16] {
    ((high as u128) << 64 | low as u128).to_be_bytes()
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
            let held = Held::new(content);
            let unpacked = held.unpack().unwrap();
            prop_assert_eq!((unpacked.endpoint, unpacked.tuple), (endpoint, tuple));
            prop_assert_eq!(unpacked.envelope(), envelope);
            prop_assert_eq!((held.endpoint(), held.outer()), (endpoint, Some(outer)));
            prop_assert_eq!((held.ports(), held.has_checksum()), (ports, has_checksum));
            prop_assert_eq!(held.header_len(), envelope.len());
            // Both ways of writing it are one.
            let letter = Letter { len: 1000, tos: 0xb8 };
            let (mut ours, mut theirs) = (std::vec![1; envelope.len()], std::vec![2; envelope.len()]);
            prop_assert_eq!(held.write_back(&letter, &mut ours), Some(()));
            prop_assert_eq!(envelope.write_back(&letter, &mut theirs), Some(()));
            prop_assert_eq!(ours, theirs);
            let mut short = std::vec![0; envelope.len() - 1];
            prop_assert_eq!(held.write_back(&letter, &mut short), None);
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
