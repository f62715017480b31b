// SPDX-License-Identifier: GPL-2.0

//! Where a packet is counted: by the director, and by the backend of a service.

#![forbid(unsafe_code)]

use crate::stats::Stats;
use crate::tables::counts::Meter;
use glb_core::director::Verdict;

/// Where a packet is counted.
#[derive(Clone, Copy)]
pub(crate) struct Tally<'p> {
    stats: &'p Stats,
    /// Of the backend, if the packet belongs to a service and its backend is known.
    meter: Option<&'p Meter>,
}

impl<'p> From<&'p Stats> for Tally<'p> {
    /// By the director alone. What is compiled for this asks for no backend.
    #[inline(always)]
    fn from(stats: &'p Stats) -> Self {
        Self { stats, meter: None }
    }
}

impl<'p> Tally<'p> {
    /// By the director and by a backend.
    #[inline]
    pub(super) fn of(stats: &'p Stats, meter: Option<&'p Meter>) -> Self {
        Self { stats, meter }
    }

    /// Counts the packet.
    #[inline(always)]
    pub(super) fn count(self, verdict: Verdict) {
        self.stats.count(verdict);
        if let Some(meter) = self.meter {
            meter.count(verdict);
        }
    }

    /// Counts the bytes of the packet, or of a part of it, that was sent.
    #[inline(always)]
    pub(super) fn count_bytes(self, bytes: usize) {
        self.stats.count_bytes(bytes);
        if let Some(meter) = self.meter {
            meter.count_bytes(bytes);
        }
    }

    /// Counts the bytes of the answer that was sent to its client. Of a backend what it is sent counts.
    pub(super) fn count_returned(self, bytes: usize) {
        self.stats.count_returned(bytes);
    }

    /// Whether one more client may be told that its packet is too big.
    pub(super) fn may_tell(self) -> bool {
        self.stats.may_tell()
    }

    /// Counts a client that was told.
    pub(super) fn count_told(self) {
        self.stats.count_told();
    }

    /// Counts a fragment that was sent.
    pub(super) fn count_fragment(self) {
        self.stats.count_fragment();
    }

    /// Counts a TCP packet that was cut into shorter ones.
    pub(super) fn count_segmented(self) {
        self.stats.count_segmented();
    }
}
