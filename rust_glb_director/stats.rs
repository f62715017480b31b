// SPDX-License-Identifier: GPL-2.0

//! Counters of a namespace, and what the packet path remembers: the ports of first fragments.

#![forbid(unsafe_code)]

use glb_core::director::Verdict;
use glb_core::limit::RateLimit;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::fragments::{self, FragmentTable};
use glb_core::packet::ip::{Addrs, Fragment};
use glb_kernel::base::counters::Counters;
use glb_kernel::base::{random, time};
use kernel::prelude::*;

/// Position of the counter of all packets, behind those of the verdicts.
const TOTAL: usize = Verdict::COUNT;
/// Position of the counter of bytes sent.
const ENCAPSULATED_BYTES: usize = Verdict::COUNT + 1;

/// Position of the counter of clients that were told what fits.
const TOO_BIG_SENT: usize = Verdict::COUNT + 2;
/// Position of the counter of fragments sent.
const FRAGMENTS_SENT: usize = Verdict::COUNT + 3;
/// Position of the counter of TCP packets that were cut.
const SEGMENTED: usize = Verdict::COUNT + 4;
/// Position of the counter of bytes sent to clients.
const RETURNED_BYTES: usize = Verdict::COUNT + 5;
const COUNTERS: usize = Verdict::COUNT + 6;

/// "Too big" messages of a namespace in a second, at most: as many as the kernel's `icmp_msgs_per_sec`.
const TOO_BIG_PER_SECOND: u32 = 1000;

/// What the packet path writes.
pub(crate) struct Stats {
    counters: Counters<COUNTERS>,
    fragments: FragmentTable,
    too_big: RateLimit,
}

impl Stats {
    /// All zero.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            counters: Counters::new()?,
            fragments: FragmentTable::new(&random::bytes()),
            too_big: RateLimit::new(TOO_BIG_PER_SECOND),
        })
    }

    /// Counts a packet.
    #[inline]
    pub(crate) fn count(&self, verdict: Verdict) {
        self.counters.count::<TOTAL>(verdict.index());
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
            let mut names = [(Verdict::TOTAL, TOTAL); COUNTERS];
            let mut at = 0;
            while at < Verdict::COUNT {
                names[at + 1] = (Verdict::ALL[at].counter(), Verdict::ALL[at].index());
                at += 1;
            }
            names[Verdict::COUNT + 1] = (Verdict::ENCAPSULATED_BYTES, ENCAPSULATED_BYTES);
            names[Verdict::COUNT + 2] = (Verdict::TOO_BIG_SENT, TOO_BIG_SENT);
            names[Verdict::COUNT + 3] = (Verdict::FRAGMENTS_SENT, FRAGMENTS_SENT);
            names[Verdict::COUNT + 4] = (Verdict::SEGMENTED, SEGMENTED);
            names[Verdict::COUNT + 5] = (Verdict::RETURNED_BYTES, RETURNED_BYTES);
            names
        };
        NAMES
            .iter()
            .map(|&(name, index)| (name, self.counters.sum(index)))
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
}

/// The clock of the fragment table.
fn now() -> u8 {
    (time::milliseconds() / u64::from(fragments::TICK_MS)) as u8
}
