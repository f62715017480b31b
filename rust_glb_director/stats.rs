// SPDX-License-Identifier: GPL-2.0

//! Counters of a namespace, and what the packet path remembers: the ports of first fragments, and where their classes led.

#![forbid(unsafe_code)]

use crate::tables::counts::Meter;
use glb_core::director::Verdict;
use glb_core::limit::RateLimit;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::fragments::{self, FragmentTable};
use glb_core::packet::ip::{Addrs, Fragment};
use glb_kernel::base::counters::Counters;
use glb_kernel::base::slots::Slots;
use glb_kernel::base::{random, time};
use kernel::prelude::*;

/// Position of the counter of bytes sent, behind those of the verdicts.
const ENCAPSULATED_BYTES: usize = Verdict::COUNT;

/// Position of the counter of clients that were told what fits.
const TOO_BIG_SENT: usize = Verdict::COUNT + 1;
/// Position of the counter of fragments sent.
const FRAGMENTS_SENT: usize = Verdict::COUNT + 2;
/// Position of the counter of TCP packets that were cut.
const SEGMENTED: usize = Verdict::COUNT + 3;
/// Position of the counter of bytes sent to clients.
const RETURNED_BYTES: usize = Verdict::COUNT + 4;
const COUNTERS: usize = Verdict::COUNT + 5;

/// "Too big" messages of a namespace in a second, at most: as many as the kernel's `icmp_msgs_per_sec`.
const TOO_BIG_PER_SECOND: u32 = 1000;

/// What the packet path writes.
pub(crate) struct Stats {
    counters: Counters<COUNTERS>,
    fragments: FragmentTable<Slots>,
    /// Where classes of first fragments led, and which had none.
    services: FragmentTable<Slots>,
    too_big: RateLimit,
}

impl Stats {
    /// All zero.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            counters: Counters::new()?,
            fragments: FragmentTable::in_slots(&random::bytes(), Slots::new()?),
            services: FragmentTable::in_slots(&random::bytes(), Slots::new()?),
            too_big: RateLimit::new(TOO_BIG_PER_SECOND),
        })
    }

    /// Counts a packet.
    #[inline]
    pub(crate) fn count(&self, verdict: Verdict) {
        self.counters.count_one(verdict.index());
    }

    /// Counts a packet that was sent, and its bytes.
    #[inline(always)]
    pub(crate) fn count_sent(&self, verdict: Verdict, bytes: usize) {
        self.counters
            .count_sent::<ENCAPSULATED_BYTES>(verdict.index(), bytes as u64);
    }

    /// The same, and of the backend that it went to.
    #[inline(always)]
    pub(crate) fn count_sent_to(&self, meter: &Meter, verdict: Verdict, bytes: usize) {
        self.counters.count_sent_with::<ENCAPSULATED_BYTES, _>(
            verdict.index(),
            bytes as u64,
            meter.counters(),
        );
    }

    /// Counts the bytes of a packet that was sent.
    #[inline]
    pub(crate) fn count_bytes(&self, bytes: usize) {
        self.counters.add::<ENCAPSULATED_BYTES>(bytes as u64);
    }

    /// Counts the bytes of an answer that was sent to its client.
    #[inline]
    pub(crate) fn count_returned(&self, bytes: usize) {
        self.counters.add::<RETURNED_BYTES>(bytes as u64);
    }

    /// Whether one more client may be told that its packet is too big.
    pub(crate) fn may_tell(&self) -> bool {
        self.too_big.allow(time::milliseconds())
    }

    /// Counts a client that was told.
    pub(crate) fn count_told(&self) {
        self.counters.add::<TOO_BIG_SENT>(1);
    }

    /// Counts a fragment that was sent.
    pub(crate) fn count_fragment(&self) {
        self.counters.add::<FRAGMENTS_SENT>(1);
    }

    /// Counts a TCP packet that was cut into shorter ones.
    pub(crate) fn count_segmented(&self) {
        self.counters.add::<SEGMENTED>(1);
    }

    /// Every counter: its name and its value.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        const NAMES: [(&str, usize); COUNTERS] = {
            let mut names = [("", 0); COUNTERS];
            let mut at = 0;
            while at < Verdict::COUNT {
                names[at] = (Verdict::ALL[at].counter(), Verdict::ALL[at].index());
                at += 1;
            }
            names[ENCAPSULATED_BYTES] = (Verdict::ENCAPSULATED_BYTES, ENCAPSULATED_BYTES);
            names[TOO_BIG_SENT] = (Verdict::TOO_BIG_SENT, TOO_BIG_SENT);
            names[FRAGMENTS_SENT] = (Verdict::FRAGMENTS_SENT, FRAGMENTS_SENT);
            names[SEGMENTED] = (Verdict::SEGMENTED, SEGMENTED);
            names[RETURNED_BYTES] = (Verdict::RETURNED_BYTES, RETURNED_BYTES);
            names
        };
        let mut values = [0u64; COUNTERS];
        for (value, &(_, index)) in values.iter_mut().zip(NAMES.iter()) {
            *value = self.counters.sum(index);
        }
        // A packet has one verdict. So all packets are what the verdicts count, and need no counter of their own.
        let total = values
            .iter()
            .take(Verdict::COUNT)
            .fold(0u64, |sum, value| sum.wrapping_add(*value));
        let all = NAMES
            .iter()
            .zip(values)
            .map(|(&(name, _), value)| (name, value));
        Iterator::chain(core::iter::once((Verdict::TOTAL, total)), all)
    }

    /// Remembers the ports of a first fragment.
    pub(crate) fn record_fragment(&self, key: &FlowKey, fragment: Fragment) {
        self.fragments.record_ports(key, fragment, now());
    }

    /// The ports of the first fragment of this datagram, client's first, if they are remembered.
    pub(crate) fn ports_of_fragment(
        &self,
        addrs: &Addrs,
        fragment: Fragment,
    ) -> Option<(u16, u16)> {
        self.fragments.ports(addrs, fragment, now())
    }

    /// Remembers where the class of a first fragment led in the tables of this load, or that it had none.
    pub(crate) fn record_service(
        &self,
        addrs: &Addrs,
        fragment: Fragment,
        (load, service): (u32, u16),
    ) {
        let outcome = load << 16 | u32::from(service);
        self.services.record(addrs, fragment, outcome, now());
    }

    /// What was recorded of the first fragment of this datagram in the tables of this load, if it is remembered.
    pub(crate) fn service_of_fragment(
        &self,
        addrs: &Addrs,
        fragment: Fragment,
        load: u32,
    ) -> Option<u16> {
        let outcome = self.services.outcome(addrs, fragment, now())?;
        // The casts take the two halves.
        let is_of_load = (outcome >> 16) as u16 == load as u16;
        is_of_load.then_some(outcome as u16)
    }
}

/// The clock of the fragment table.
fn now() -> u8 {
    (time::milliseconds() / u64::from(fragments::TICK_MS)) as u8
}
