// SPDX-License-Identifier: GPL-2.0

//! What became of the first fragment of a datagram, for the fragments that follow it.
//!
//! Only the first fragment has ports. A small table of fixed size remembers what was decided about it
//! under a keyed hash of addresses and identification. It is written without a lock: an entry is one 64-bit word,
//! and a newer datagram in the same slot replaces the older one, which then counts as unknown. What
//! that costs is a retransmission, never a wrong delivery of a whole datagram.

use super::flow::FlowKey;
use super::ip::{Addrs, Fragment};
use crate::siphash::SipKey;
use core::sync::atomic::{AtomicU64, Ordering};

/// Slots; datagrams whose fragments are on the way at the same time, at most.
pub const SLOTS: usize = 256;

/// How long an outcome is remembered, in ticks of [`TICK_MS`]. Fragments of a datagram leave their sender
/// back to back, so it is reordering on the way that this must cover.
const LIFETIME_TICKS: u8 = 25;

/// Milliseconds of a tick.
pub const TICK_MS: u32 = 40;

/// Outcomes of first fragments, each a number of 32 bits. They are in `S`: 2 KiB, which a kernel's stack has no room for.
pub struct FragmentTable<S = [AtomicU64; SLOTS]> {
    key: SipKey,
    slots: S,
}

impl FragmentTable {
    /// An empty table. `key` must be secret: who knows it can aim at slots.
    pub const fn new(key: &[u8; 16]) -> Self {
        Self::in_slots(key, [const { AtomicU64::new(0) }; SLOTS])
    }
}

impl<S> FragmentTable<S> {
    /// The same with these slots, which are [`SLOTS`] and all zero. What has no slot is not remembered.
    pub const fn in_slots(key: &[u8; 16], slots: S) -> Self {
        Self {
            key: SipKey::new(key),
            slots,
        }
    }
}

impl<S: AsRef<[AtomicU64]>> FragmentTable<S> {
    /// Remembers the outcome of a first fragment. `now` counts ticks of [`TICK_MS`] and may wrap.
    pub fn record(&self, addrs: &Addrs, fragment: Fragment, outcome: u32, now: u8) {
        let (slot, tag) = self.place(addrs, fragment);
        if let Some(slot) = slot {
            let entry = tag | u64::from(now) << 32 | u64::from(outcome);
            slot.store(entry, Ordering::Relaxed);
        }
    }

    /// The outcome of the first fragment of this datagram, if it is remembered.
    pub fn outcome(&self, addrs: &Addrs, fragment: Fragment, now: u8) -> Option<u32> {
        let (slot, tag) = self.place(addrs, fragment);
        let entry = slot?.load(Ordering::Relaxed);
        let age = now.wrapping_sub((entry >> 32) as u8);
        (entry & TAG == tag && age <= LIFETIME_TICKS).then_some(entry as u32)
    }

    /// Remembers the ports of a first fragment.
    pub fn record_ports(&self, key: &FlowKey, fragment: Fragment, now: u8) {
        let ports = u32::from(key.src_port) << 16 | u32::from(key.dst_port);
        self.record(&key.addrs, fragment, ports, now);
    }

    /// The ports of the first fragment of this datagram, client's first, if they are remembered.
    pub fn ports(&self, addrs: &Addrs, fragment: Fragment, now: u8) -> Option<(u16, u16)> {
        let ports = self.outcome(addrs, fragment, now)?;
        Some(((ports >> 16) as u16, ports as u16))
    }

    fn place(&self, addrs: &Addrs, fragment: Fragment) -> (Option<&AtomicU64>, u64) {
        let [i0, i1, i2, i3] = fragment.id.to_be_bytes();
        let hash = match *addrs {
            Addrs::V4 {
                src: [s0, s1, s2, s3],
                dst: [d0, d1, d2, d3],
            } => self
                .key
                .hash(&[s0, s1, s2, s3, d0, d1, d2, d3, i0, i1, i2, i3]),
            Addrs::V6 { src, dst } => {
                let mut message = [0; 36];
                let parts = src.iter().chain(&dst).chain([&i0, &i1, &i2, &i3]);
                for (to, from) in message.iter_mut().zip(parts) {
                    *to = *from;
                }
                self.key.hash(&message)
            }
        };
        // The lowest bit of the tag is set, so that an empty slot matches nothing.
        let tag = hash & TAG | 1 << 40;
        (self.slots.as_ref().get(hash as usize % SLOTS), tag)
    }
}

/// The bits of an entry that tell datagrams of one slot apart.
const TAG: u64 = 0xffff_ff00_0000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    const A: Addrs = Addrs::V4 {
        src: [10, 0, 0, 1],
        dst: [10, 0, 0, 2],
    };
    const B: Addrs = Addrs::V6 {
        src: [1; 16],
        dst: [2; 16],
    };

    fn id(id: u32) -> Fragment {
        Fragment { id, offset: 0 }
    }

    #[test]
    fn remembers_for_a_while() {
        let table = FragmentTable::new(&[7; 16]);
        for addrs in [A, B] {
            assert_eq!(table.outcome(&addrs, id(1), 0), None);
            table.record(&addrs, id(1), 0xbeef, 250);
            assert_eq!(table.outcome(&addrs, id(1), 250), Some(0xbeef));
            // The clock wraps.
            let later = 250_u8.wrapping_add(LIFETIME_TICKS);
            assert_eq!(table.outcome(&addrs, id(1), later), Some(0xbeef));
            assert_eq!(table.outcome(&addrs, id(1), later + 1), None);
            assert_eq!(table.outcome(&addrs, id(2), 250), None);
            assert_eq!(table.outcome(&addrs.reversed(), id(1), 250), None);
        }
    }

    #[test]
    fn a_later_offset_finds_the_first() {
        let table = FragmentTable::new(&[9; 16]);
        table.record(&A, id(5), 1, 0);
        let later = Fragment { id: 5, offset: 185 };
        assert_eq!(table.outcome(&A, later, 3), Some(1));
    }

    #[test]
    fn a_full_table_forgets_but_never_lies() {
        let table = FragmentTable::new(&[1; 16]);
        for n in 0..10_000 {
            table.record(&A, id(n), n, 0);
        }
        let known = (0..10_000)
            .filter_map(|n| table.outcome(&A, id(n), 0).map(|outcome| (n, outcome)))
            .inspect(|&(n, outcome)| assert_eq!(outcome, n))
            .count();
        assert!((SLOTS / 2..=SLOTS).contains(&known), "{known}");
    }
}
