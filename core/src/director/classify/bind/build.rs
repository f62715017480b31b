// SPDX-License-Identifier: GPL-2.0

//! Building a classifier into words that the caller provides.
//!
//! A build sorts the binds by prefix length, and makes a node for each prefix, shortest first. So when a
//! prefix comes, all that could contain it stand already. For the binary search over lengths it leaves
//! markers at the shorter lengths where the search for it passes; each marker knows the longest prefix
//! that contains it.

use super::arena::{Arena, BuildError, Entry};
use super::layout::{
    first_slot_v4, first_slot_v6, words_of, Found, ALL_PORTS, FAMILY_HEADER, HEADER, MANY, NODE,
    NONE, PORTS, SLOT_V4, SLOT_V6,
};
use super::ports::{self, Scratch};
use super::Proto;
use crate::packet::addr::{mask_128, mask_32, Addr};
use crate::sort::sort;

/// How many words [`build`] needs for these binds; it uses fewer.
#[must_use]
pub fn words_needed(entries: &[Entry]) -> usize {
    let [v4, v6] = count(entries);
    let n = entries.len();
    HEADER
        .saturating_add(v4.words(SLOT_V4))
        .saturating_add(v6.words(SLOT_V6))
        .saturating_add(n.saturating_mul(NODE.wrapping_add(PORTS).wrapping_add(ports::WORDS_PER_BIND)))
        .saturating_add(Scratch::words(n))
}

/// Builds a classifier at the start of `words` and returns how many it has; the others are free again.
/// The entries are sorted on the way.
pub fn build(entries: &mut [Entry], words: &mut [u32]) -> Result<usize, BuildError> {
    for entry in entries.iter_mut() {
        let bind = &mut entry.bind;
        let fits = bind.prefix_len <= bind.addr.bits() && bind.has_fit_ports();
        if !fits || entry.id.table == u16::MAX {
            return Err(BuildError::Bind(entry.id));
        }
        bind.addr = bind.addr.masked(bind.prefix_len);
    }
    sort(entries, |a, b| order(a) < order(b));
    let scratch_words = Scratch::words(entries.len());
    let permanent = words
        .len()
        .checked_sub(scratch_words)
        .ok_or(BuildError::Space)?;
    let (words, scratch) = words
        .split_at_mut_checked(permanent)
        .ok_or(BuildError::Space)?;
    let mut arena = Arena::new(words);
    let mut scratch = Scratch::new(scratch, entries.len()).ok_or(BuildError::Space)?;
    let counts = count(entries);
    arena.take(HEADER)?;
    for (family, sizes) in (0u32..2).zip(&counts) {
        add_family(&mut arena, family, sizes)?;
    }
    let mut rest: &[Entry] = entries;
    while let Some(first) = rest.first() {
        let len = run_length(rest, |entry| prefix(entry) == prefix(first));
        let (group, behind) = rest.split_at_checked(len).ok_or(BuildError::Space)?;
        add_prefix(&mut arena, &mut scratch, group)?;
        rest = behind;
    }
    Ok(arena.used())
}

/// How many entries at the start are alike. (Those of libcore's searches that fit count with overflow
/// checks, which would be a panic path.)
fn run_length(entries: &[Entry], alike: impl Fn(&Entry) -> bool) -> usize {
    let mut len = 0_usize;
    for entry in entries {
        if !alike(entry) {
            break;
        }
        len = len.wrapping_add(1);
    }
    len
}

fn prefix(entry: &Entry) -> (u8, Addr) {
    (entry.bind.prefix_len, entry.bind.addr)
}

/// Groups prefixes, shortest first; in a prefix its protocols, before them what takes all; in a protocol the order of
/// preference.
fn order(entry: &Entry) -> (u8, Addr, Option<Proto>, u16, u32) {
    let bind = &entry.bind;
    let width = bind.port_end.wrapping_sub(bind.port_start);
    (
        bind.prefix_len,
        bind.addr,
        bind.proto,
        width,
        entry.id.to_word(),
    )
}

/// What one family needs.
#[derive(Default)]
struct Sizes {
    binds: usize,
    /// A bit for each length in use.
    lengths: [u64; 3],
}

impl Sizes {
    fn add(&mut self, len: u8) {
        self.binds = self.binds.saturating_add(1);
        if let Some(word) = self.lengths.get_mut(usize::from(len >> 6)) {
            *word |= 1u64.wrapping_shl(u32::from(len & 63));
        }
    }

    fn has(&self, len: u8) -> bool {
        let word = self.lengths.get(usize::from(len >> 6)).unwrap_or(&0);
        word.wrapping_shr(u32::from(len & 63)) & 1 == 1
    }

    fn num_lengths(&self) -> usize {
        self.lengths.iter().fold(0usize, |sum, word| {
            sum.wrapping_add(word.count_ones() as usize)
        })
    }

    /// A prefix stands in as many slots as the binary search has steps, at most.
    fn num_slots(&self) -> usize {
        let steps = usize::BITS.wrapping_sub(self.num_lengths().leading_zeros());
        self.binds
            .saturating_mul(steps as usize)
            .saturating_mul(2)
            .checked_next_power_of_two()
            .unwrap_or(usize::MAX)
    }

    fn words(&self, slot: usize) -> usize {
        self.num_slots()
            .saturating_mul(slot)
            .saturating_add(self.num_lengths())
    }
}

fn count(entries: &[Entry]) -> [Sizes; 2] {
    let (mut v4, mut v6) = (Sizes::default(), Sizes::default());
    for entry in entries {
        match entry.bind.addr {
            Addr::V4(_) => v4.add(entry.bind.prefix_len),
            Addr::V6(_) => v6.add(entry.bind.prefix_len),
        }
    }
    [v4, v6]
}

fn add_family(arena: &mut Arena<'_>, family: u32, sizes: &Sizes) -> Result<(), BuildError> {
    let slot = if family == 0 { SLOT_V4 } else { SLOT_V6 };
    let num_slots = sizes.num_slots();
    let lengths = arena.take(sizes.num_lengths())?;
    let mut at = lengths;
    for len in (0..=128u8).filter(|len| sizes.has(*len)) {
        arena.set(at, [u32::from(len)])?;
        at = at.wrapping_add(1);
    }
    let slots = arena.take(num_slots.checked_mul(slot).ok_or(BuildError::Space)?)?;
    let mask = u32::try_from(num_slots.wrapping_sub(1)).map_err(|_| BuildError::Space)?;
    arena.set(
        family.wrapping_mul(FAMILY_HEADER as u32),
        [slots, mask, lengths, at.wrapping_sub(lengths)],
    )
}

/// Adds the node of one prefix, and what leads to it.
fn add_prefix(
    arena: &mut Arena<'_>,
    scratch: &mut Scratch<'_>,
    group: &[Entry],
) -> Result<(), BuildError> {
    let Some(first) = group.first() else {
        return Ok(());
    };
    let addr = first.bind.addr;
    let slots = Slots::of(arena, addr)?;
    let own = slots.index_of(arena, first.bind.prefix_len)?;
    let parent = slots.cover(arena, addr, own)?;
    let first_id = group.iter().map(|entry| entry.id.to_word()).min();
    let node = arena.take(NODE)?;
    let split = run_length(group, |entry| entry.bind.proto.is_none());
    let (all, ported) = group.split_at_checked(split).ok_or(BuildError::Space)?;
    let all = all.first().map_or(NONE, |entry| entry.id.to_word());
    let portless = match all {
        NONE => first_id.unwrap_or(0),
        all => all,
    };
    let split = run_length(ported, |entry| entry.bind.proto == Some(Proto::Tcp));
    let (tcp, others) = ported.split_at_checked(split).ok_or(BuildError::Space)?;
    let split = run_length(others, |entry| entry.bind.proto == Some(Proto::Udp));
    let (udp, sctp) = others.split_at_checked(split).ok_or(BuildError::Space)?;
    let (tcp_at, tcp_count) = ports::add(arena, scratch, tcp)?;
    let (udp_at, udp_count) = ports::add(arena, scratch, udp)?;
    let mut sctp_ports = 0;
    if !sctp.is_empty() {
        sctp_ports = arena.take(PORTS)?;
        let (at, count) = ports::add(arena, scratch, sctp)?;
        arena.set(sctp_ports, [at, count])?;
    }
    arena.set(
        node,
        [
            parent, portless, tcp_at, tcp_count, udp_at, udp_count, all, sctp_ports,
        ],
    )?;
    // The slot itself answers for the first interval of ports; for all of TCP where nothing narrower is there.
    let mut found = Found::node(node);
    if all != NONE && tcp_count == 0 {
        (found.ends, found.bind) = (ALL_PORTS, all);
    }
    for (at, count, proto) in [
        (udp_at, udp_count, Proto::Udp),
        (tcp_at, tcp_count, Proto::Tcp),
    ] {
        if count != 0 && count != MANY {
            let [ends, bind] = arena.get(at)?;
            found = Found {
                node,
                udp: proto == Proto::Udp,
                ends,
                bind,
            };
        }
    }
    // The way of the binary search to this prefix.
    let (mut low, mut high) = (0u32, slots.num_lengths);
    while low < high {
        let middle = low.wrapping_add(high.wrapping_sub(low) / 2);
        if middle < own {
            if slots.find(arena, addr, middle)?.1.is_none() {
                let cover = slots.cover(arena, addr, middle)?;
                slots.insert(arena, addr, middle, Found::node(cover))?;
            }
            low = middle.wrapping_add(1);
        } else if middle == own {
            return slots.insert(arena, addr, middle, found);
        } else {
            high = middle;
        }
    }
    Err(BuildError::Space)
}

/// The hash table of one family while it is filled.
#[derive(Clone, Copy)]
struct Slots {
    at: u32,
    mask: u32,
    lengths: u32,
    num_lengths: u32,
}

impl Slots {
    fn of(arena: &Arena<'_>, addr: Addr) -> Result<Self, BuildError> {
        let header = match addr {
            Addr::V4(_) => 0,
            Addr::V6(_) => FAMILY_HEADER as u32,
        };
        let [at, mask, lengths, num_lengths] = arena.get(header)?;
        Ok(Self {
            at,
            mask,
            lengths,
            num_lengths,
        })
    }

    fn length(&self, arena: &Arena<'_>, index: u32) -> Result<u8, BuildError> {
        let [len] = arena.get(self.lengths.wrapping_add(index))?;
        u8::try_from(len).map_err(|_| BuildError::Space)
    }

    fn index_of(&self, arena: &Arena<'_>, len: u8) -> Result<u32, BuildError> {
        for index in 0..self.num_lengths {
            if self.length(arena, index)? == len {
                return Ok(index);
            }
        }
        Err(BuildError::Space)
    }

    /// The place of this address, cut to the length with this index, and the node that stands there.
    fn find(
        &self,
        arena: &Arena<'_>,
        addr: Addr,
        index: u32,
    ) -> Result<(u32, Option<u32>), BuildError> {
        let len = self.length(arena, index)?;
        let tag = u32::from(len).wrapping_add(1);
        let (mut slot, size) = match addr {
            Addr::V4(bytes) => (
                first_slot_v4(u32::from_be_bytes(bytes) & mask_32(len), len, self.mask),
                SLOT_V4,
            ),
            Addr::V6(bytes) => (
                first_slot_v6(u128::from_be_bytes(bytes) & mask_128(len), len, self.mask),
                SLOT_V6,
            ),
        };
        for _ in 0..=self.mask {
            let at = self.at.wrapping_add(slot.wrapping_mul(size as u32));
            let (same, of_tag, node) = match addr.masked(len) {
                Addr::V4(bytes) => {
                    let slot = arena.get::<SLOT_V4>(at)?;
                    let (prefix, tag, found) = Found::from_v4(&slot);
                    (prefix == u32::from_be_bytes(bytes), tag, found.node)
                }
                Addr::V6(bytes) => {
                    let slot = arena.get::<SLOT_V6>(at)?;
                    let (prefix, tag, found) = Found::from_v6(&slot);
                    (prefix == words_of(bytes), tag, found.node)
                }
            };
            if of_tag == 0 {
                return Ok((at, None));
            }
            if same && of_tag == tag {
                return Ok((at, Some(node)));
            }
            slot = slot.wrapping_add(1) & self.mask;
        }
        Err(BuildError::Space)
    }

    fn insert(
        &self,
        arena: &mut Arena<'_>,
        addr: Addr,
        index: u32,
        found: Found,
    ) -> Result<(), BuildError> {
        let len = self.length(arena, index)?;
        let tag = u32::from(len).wrapping_add(1);
        let (at, _) = self.find(arena, addr, index)?;
        match addr.masked(len) {
            Addr::V4(bytes) => {
                let slot = found.to_v4(u32::from_be_bytes(bytes), tag);
                arena.set(at, slot.ok_or(BuildError::Space)?)
            }
            Addr::V6(bytes) => {
                let slot = found.to_v6(words_of(bytes), tag);
                arena.set(at, slot.ok_or(BuildError::Space)?)
            }
        }
    }

    /// The node of the longest prefix, shorter than the length with this index, that has this address;
    /// 0 if there is none.
    fn cover(&self, arena: &Arena<'_>, addr: Addr, index: u32) -> Result<u32, BuildError> {
        for shorter in (0..index).rev() {
            // Whatever stands there, prefix or marker, knows the longest prefix up to it.
            if let (_, Some(node)) = self.find(arena, addr, shorter)? {
                return Ok(node);
            }
        }
        Ok(0)
    }
}
