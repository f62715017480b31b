// SPDX-License-Identifier: GPL-2.0

//! The look-up: longest prefix, then narrowest range of ports, then table order.
//!
//! The prefix is found by binary search over the prefix lengths in use, each step one probe of a hash
//! table (Waldvogel and others, 1997): one probe where all binds are /32, at most six for IPv4 and eight
//! for IPv6 whatever the number of binds. If the prefix has no bind for the port, the next shorter one is
//! asked, and so on.

use super::layout::{
    first_slot_v4, first_slot_v6, words_of, Found, FAMILY_HEADER, INTERVAL, MANY, MAP, NODE, NONE,
    PAGE, SLOT_V4, SLOT_V6, TOP,
};
use super::{BindId, Proto};
use crate::packet::addr::{mask_128, mask_32, Addr};

/// All binds of all tables, ready to be asked. See [`super::build()`] for how one is made.
///
/// Words that [`super::build()`] did not make give wrong answers, but neither a panic nor an endless loop.
#[derive(Debug, Clone, Copy)]
pub struct Classifier<'a> {
    words: &'a [u32],
}

impl<'a> Classifier<'a> {
    /// The classifier in these words; no words make one that matches nothing.
    #[inline]
    #[must_use]
    pub const fn new(words: &'a [u32]) -> Self {
        Self { words }
    }

    /// The bind that a packet to this address and port belongs to. Of SCTP only binds that name it are asked: what those for all
    /// protocols take has no ports ([`Self::lookup_all`]).
    #[inline(always)]
    #[must_use]
    pub fn lookup(self, dst: Addr, proto: Proto, port: u16) -> Option<BindId> {
        let found = self.longest_prefix(dst)?;
        // An interval in a slot is one of TCP or UDP, so SCTP equals neither.
        if u8::from(found.udp) == proto as u8 && within(found.ends, port) {
            return Some(BindId::from_word(found.bind));
        }
        self.lookup_from(found.node, proto, port)
    }

    /// The same among the binds of a prefix and of those around it.
    #[inline(never)]
    fn lookup_from(self, node: u32, proto: Proto, port: u16) -> Option<BindId> {
        let mut at = node;
        if proto == Proto::Sctp {
            return self.lookup_sctp(at, port);
        }
        loop {
            let &[parent, all, tcp_at, tcp_count, udp_at, udp_count, ..]: &[u32; NODE] =
                self.array(at)?;
            let found = match proto {
                Proto::Tcp => self.port(tcp_at, tcp_count, port),
                Proto::Udp | Proto::Sctp => self.port(udp_at, udp_count, port),
            };
            if found.is_some() {
                return found;
            }
            if all != NONE {
                return Some(BindId::from_word(all));
            }
            // Shorter prefixes stand before longer ones, which bounds the walk. 0 is no node.
            if parent == 0 || parent >= at {
                return None;
            }
            at = parent;
        }
    }

    /// The bind of SCTP of this port, from the node `at` on. One for all protocols of a longer prefix comes first.
    #[cold]
    #[inline(never)]
    fn lookup_sctp(self, mut at: u32, port: u16) -> Option<BindId> {
        loop {
            let &[parent, all, _, _, _, _, sctp_at, sctp_count, ..]: &[u32; NODE] =
                self.array(at)?;
            let found = self.port(sctp_at, sctp_count, port);
            if found.is_some() {
                return found;
            }
            if all != NONE || parent == 0 || parent >= at {
                return None;
            }
            at = parent;
        }
    }

    /// The bind that a packet of a protocol without ports belongs to: the one for all protocols of the longest prefix that has
    /// one.
    #[inline]
    #[must_use]
    pub fn lookup_all(self, dst: Addr) -> Option<BindId> {
        let mut at = self.longest_prefix(dst)?.node;
        loop {
            let &[parent, all]: &[u32; 2] = self.array(at)?;
            if all != NONE {
                return Some(BindId::from_word(all));
            }
            if parent == 0 || parent >= at {
                return None;
            }
            at = parent;
        }
    }

    /// The bind that a packet of this protocol belongs to whose port is not known: of the longest prefix which takes the protocol
    /// at all the one for all protocols, or the first of this one. Where none does it is what [`Self::lookup_addr`] says.
    #[must_use]
    pub fn lookup_proto(self, dst: Addr, proto: Proto) -> Option<BindId> {
        let longest = self.longest_prefix(dst)?.node;
        let mut at = longest;
        loop {
            let &[parent, all, .., tcp, udp, sctp]: &[u32; NODE] = self.array(at)?;
            let first = match proto {
                Proto::Tcp => tcp,
                Proto::Udp => udp,
                Proto::Sctp => sctp,
            };
            if let Some(id) = one_of(all, first) {
                return Some(id);
            }
            if parent == 0 || parent >= at {
                return self.of_addr(longest);
            }
            at = parent;
        }
    }

    /// The bind of the longest prefix that has this address, whatever its protocol and port: the one for all protocols, or the
    /// first. It answers echo requests.
    #[inline]
    #[must_use]
    pub fn lookup_addr(self, dst: Addr) -> Option<BindId> {
        self.of_addr(self.longest_prefix(dst)?.node)
    }

    #[inline]
    fn of_addr(self, node: u32) -> Option<BindId> {
        let &[_, all, .., tcp, udp, sctp]: &[u32; NODE] = self.array(node)?;
        one_of(all, tcp.min(udp).min(sctp))
    }

    #[inline(always)]
    fn array<const N: usize>(self, at: u32) -> Option<&'a [u32; N]> {
        self.words.get(at as usize..)?.first_chunk()
    }

    /// The node of the longest prefix in use that has this address.
    #[inline(always)]
    fn longest_prefix(self, dst: Addr) -> Option<Found> {
        // Compiled for each family apart, so that nothing is kept for the other one.
        let found = match dst {
            Addr::V4(bytes) => {
                let slot = self.search(0, u32::from_be_bytes(bytes))?;
                Found::from_v4(slot).2
            }
            Addr::V6(bytes) => {
                let slot = self.search(FAMILY_HEADER as u32, u128::from_be_bytes(bytes))?;
                Found::from_v6(slot).2
            }
        };
        (found.node != 0).then_some(found)
    }

    /// The slot of the longest prefix, by binary search over the prefix lengths of a family, whose header is at `header`.
    #[inline(always)]
    fn search<const SLOT: usize>(
        self,
        header: u32,
        addr: impl Prefix<SLOT>,
    ) -> Option<&'a [u32; SLOT]> {
        let &[slots, mask, lengths, count]: &[u32; FAMILY_HEADER] = self.array(header)?;
        let mut lengths = self.words.get(lengths as usize..)?.get(..count as usize)?;
        let mut best = None;
        while let Some((shorter, [middle, longer @ ..])) =
            lengths.split_at_checked(lengths.len() / 2)
        {
            // The cast is exact: a prefix has at most 128 bits.
            lengths = match self.probe((slots, mask), addr, *middle as u8) {
                // What stands at a length knows the longest prefix up to there, so the last one found is the best.
                found @ Some(_) => {
                    best = found;
                    longer
                }
                None => shorter,
            };
        }
        best
    }

    /// How many slots may be looked at: a mask that is none of [`super::build()`]'s may be any number.
    #[inline(always)]
    fn slots(self, mask: u32) -> u32 {
        // The cast may cut, which makes it fewer.
        mask.min(self.words.len() as u32)
    }

    /// The slot of this address's prefix of `len` bits.
    #[inline(always)]
    fn probe<const SLOT: usize>(
        self,
        (slots, mask): (u32, u32),
        addr: impl Prefix<SLOT>,
        len: u8,
    ) -> Option<&'a [u32; SLOT]> {
        let tag = u32::from(len).wrapping_add(1);
        let prefix = addr.masked(len);
        let mut number = prefix.first_slot(len, mask);
        let mut left = self.slots(mask);
        loop {
            let slot = self.array(slots.wrapping_add(number.wrapping_mul(SLOT as u32)))?;
            let (is_prefix, of_tag) = prefix.seen_in(slot);
            if is_prefix && of_tag == tag {
                return Some(slot);
            }
            if of_tag == 0 || left == 0 {
                return None;
            }
            left = left.wrapping_sub(1);
            number = number.wrapping_add(1) & mask;
        }
    }

    /// The bind of a port among those of one prefix and protocol.
    #[inline(always)]
    fn port(self, at: u32, count: u32, port: u16) -> Option<BindId> {
        if count == MANY {
            return self.port_of_many(at, port);
        }
        let len = (count as usize).wrapping_mul(INTERVAL);
        let mut intervals = self.words.get(at as usize..)?.get(..len)?;
        while let Some((&[ends, bind], rest)) = intervals.split_first_chunk::<INTERVAL>() {
            if within(ends, port) {
                return Some(BindId::from_word(bind));
            }
            intervals = rest;
        }
        None
    }

    fn port_of_many(self, at: u32, port: u16) -> Option<BindId> {
        let [high, low] = port.to_be_bytes();
        let top: &[u32; TOP] = self.array(at)?;
        let &[_, _, _, _, _, _, _, _, _, _, pages, binds]: &[u32; TOP + 2] = self.array(at)?;
        // Port 0 is always a change, so that there is a page at or before each port.
        let page = rank(top, high)?.wrapping_sub(1);
        let page = pages.wrapping_add(page.wrapping_mul(PAGE as u32));
        let &[ref map @ .., first_bind, page_high]: &[u32; PAGE] = self.array(page)?;
        // A page before the port's own ends with the change that is still in force.
        let low = if page_high == u32::from(high) {
            low
        } else {
            255
        };
        let change = first_bind.wrapping_add(rank(map, low)?).wrapping_sub(1);
        let &[bind]: &[u32; 1] = self.array(binds.wrapping_add(change))?;
        (bind != NONE).then(|| BindId::from_word(bind))
    }
}

/// An address or its prefix, as it is searched for. No closure is: it would not be in line where several places search.
trait Prefix<const SLOT: usize>: Copy {
    /// Its first bits.
    fn masked(self, len: u8) -> Self;

    /// Where its slot is, or one of those before it.
    fn first_slot(self, len: u8, mask: u32) -> u32;

    /// Whether the slot is of this prefix, if it is of its length; and the length of the slot's plus one.
    fn seen_in(self, slot: &[u32; SLOT]) -> (bool, u32);
}

impl Prefix<SLOT_V4> for u32 {
    #[inline(always)]
    fn masked(self, len: u8) -> Self {
        self & mask_32(len)
    }

    #[inline(always)]
    fn first_slot(self, len: u8, mask: u32) -> u32 {
        first_slot_v4(self, len, mask)
    }

    #[inline(always)]
    fn seen_in(self, slot: &[u32; SLOT_V4]) -> (bool, u32) {
        let (prefix, tag, _) = Found::from_v4(slot);
        (prefix == self, tag)
    }
}

impl Prefix<SLOT_V6> for u128 {
    #[inline(always)]
    fn masked(self, len: u8) -> Self {
        self & mask_128(len)
    }

    #[inline(always)]
    fn first_slot(self, len: u8, mask: u32) -> u32 {
        first_slot_v6(self, len, mask)
    }

    #[inline(always)]
    fn seen_in(self, slot: &[u32; SLOT_V6]) -> (bool, u32) {
        let (prefix, tag, _) = Found::from_v6(slot);
        (prefix == words_of(self.to_be_bytes()), tag)
    }
}

/// The bind for all protocols, or the first one, if either is there.
#[inline]
fn one_of(all: u32, first: u32) -> Option<BindId> {
    let id = if all == NONE { first } else { all };
    (id != NONE).then(|| BindId::from_word(id))
}

/// Whether an interval, given by its ends, has the port.
#[inline(always)]
fn within(ends: u32, port: u16) -> bool {
    // The casts take the two halves.
    let (first, last) = ((ends >> 16) as u16, ends as u16);
    first <= port && port <= last
}

/// How many bits are set up to and including `bit`.
#[inline(always)]
fn rank(map: &[u32; TOP], bit: u8) -> Option<u32> {
    let word = bit >> 5;
    let bits = map.get(usize::from(word))?;
    let counts = map.get(MAP.wrapping_add(usize::from(word >> 2)))?;
    let before = counts.wrapping_shr(u32::from(word & 3) << 3) & 0xff;
    let up_to_bit = u32::MAX.wrapping_shr(31 ^ u32::from(bit & 31));
    Some(before.wrapping_add((bits & up_to_bit).count_ones()))
}
