// SPDX-License-Identifier: GPL-2.0

//! The look-up: longest prefix, then narrowest range of ports, then table order.
//!
//! The prefix is found by binary search over the prefix lengths in use, each step one probe of a hash
//! table (Waldvogel and others, 1997): one probe where all binds are /32, at most six for IPv4 and eight
//! for IPv6 whatever the number of binds. If the prefix has no bind for the port, the next shorter one is
//! asked, and so on.

use super::layout::{
    first_slot_v4, first_slot_v6, words_of, Found, FAMILY_HEADER, INTERVAL, MANY, MAP, NODE, NONE,
    PAGE, PORTS, SLOT_V4, SLOT_V6, TOP,
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
    #[inline]
    #[must_use]
    pub fn lookup(self, dst: Addr, proto: Proto, port: u16) -> Option<BindId> {
        let found = self.longest_prefix(dst)?;
        // An interval in a slot is one of TCP or UDP, so SCTP equals neither.
        if u8::from(found.udp) == proto as u8 && within(found.ends, port) {
            return Some(BindId::from_word(found.bind));
        }
        let mut at = found.node;
        if proto == Proto::Sctp {
            return self.lookup_sctp(at, port);
        }
        loop {
            let &[parent, _, tcp_at, tcp_count, udp_at, udp_count, all, _]: &[u32; NODE] =
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
            let &[parent, _, _, _, _, _, all, ports]: &[u32; NODE] = self.array(at)?;
            if ports != 0 {
                let &[first, count]: &[u32; PORTS] = self.array(ports)?;
                let found = self.port(first, count, port);
                if found.is_some() {
                    return found;
                }
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
            let &[parent, _, _, _, _, _, all, _]: &[u32; NODE] = self.array(at)?;
            if all != NONE {
                return Some(BindId::from_word(all));
            }
            if parent == 0 || parent >= at {
                return None;
            }
            at = parent;
        }
    }

    /// The bind of the longest prefix that has this address, whatever its protocol and port: the one for all protocols, or the
    /// first. It answers echo requests.
    #[inline]
    #[must_use]
    pub fn lookup_addr(self, dst: Addr) -> Option<BindId> {
        let &[_, first]: &[u32; 2] = self.array(self.longest_prefix(dst)?.node)?;
        Some(BindId::from_word(first))
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
                let addr = u32::from_be_bytes(bytes);
                let slot = self.search(0, |slots, mask, len| {
                    self.probe_v4(slots, mask, addr & mask_32(len), len)
                })?;
                Found::from_v4(slot).2
            }
            Addr::V6(bytes) => {
                let addr = u128::from_be_bytes(bytes);
                let slot = self.search(FAMILY_HEADER as u32, |slots, mask, len| {
                    self.probe_v6(slots, mask, addr & mask_128(len), len)
                })?;
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
        probe: impl Fn(u32, u32, u8) -> Option<&'a [u32; SLOT]>,
    ) -> Option<&'a [u32; SLOT]> {
        let &[slots, mask, lengths, count]: &[u32; FAMILY_HEADER] = self.array(header)?;
        let mut lengths = self.words.get(lengths as usize..)?.get(..count as usize)?;
        let mut best = None;
        while let Some((shorter, [middle, longer @ ..])) =
            lengths.split_at_checked(lengths.len() / 2)
        {
            // The cast is exact: a prefix has at most 128 bits.
            lengths = match probe(slots, mask, *middle as u8) {
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

    #[inline(always)]
    fn probe_v4(self, slots: u32, mask: u32, prefix: u32, len: u8) -> Option<&'a [u32; SLOT_V4]> {
        let tag = u32::from(len).wrapping_add(1);
        let mut number = first_slot_v4(prefix, len, mask);
        let mut left = self.slots(mask);
        loop {
            let slot = self.array(slots.wrapping_add(number.wrapping_mul(SLOT_V4 as u32)))?;
            let (of_prefix, of_tag, _) = Found::from_v4(slot);
            if of_prefix == prefix && of_tag == tag {
                return Some(slot);
            }
            if of_tag == 0 || left == 0 {
                return None;
            }
            left = left.wrapping_sub(1);
            number = number.wrapping_add(1) & mask;
        }
    }

    #[inline(always)]
    fn probe_v6(self, slots: u32, mask: u32, prefix: u128, len: u8) -> Option<&'a [u32; SLOT_V6]> {
        let tag = u32::from(len).wrapping_add(1);
        let prefix_words = words_of(prefix.to_be_bytes());
        let mut number = first_slot_v6(prefix, len, mask);
        let mut left = self.slots(mask);
        loop {
            let slot = self.array(slots.wrapping_add(number.wrapping_mul(SLOT_V6 as u32)))?;
            let (of_prefix, of_tag, _) = Found::from_v6(slot);
            if of_tag == tag && of_prefix == prefix_words {
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
