// SPDX-License-Identifier: GPL-2.0

//! The counters of a namespace.

#![forbid(unsafe_code)]

use glb_core::redirect::Verdict;
use glb_kernel::base::counters::Counters;
use kernel::prelude::*;
use kernel::seq_file::SeqFile;
use kernel::seq_print;

/// Position of the counter of all packets, behind those of the verdicts.
const TOTAL: usize = Verdict::COUNT;
/// Position of the counter of bytes passed on.
const FORWARDED_BYTES: usize = Verdict::COUNT + 1;

/// The counters of a namespace.
pub(crate) struct Stats(Counters<{ Verdict::COUNT + 2 }>);

impl Stats {
    /// All zero.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Counters::new()?))
    }

    /// Counts a packet.
    #[inline]
    pub(crate) fn count(&self, verdict: Verdict) {
        self.0.count::<TOTAL>(verdict.index());
    }

    /// Counts the bytes of a packet that is passed on.
    #[inline]
    pub(crate) fn count_forwarded(&self, bytes: usize) {
        self.0.add::<FORWARDED_BYTES>(bytes as u64);
    }

    /// A counter by its place in the file that has them all.
    pub(crate) fn counter(&self, place: usize) -> Option<(&'static str, u64)> {
        let (name, index) = match place.checked_sub(1) {
            None => (Verdict::TOTAL, TOTAL),
            Some(Verdict::COUNT) => (Verdict::FORWARDED_BYTES, FORWARDED_BYTES),
            Some(place) => {
                let verdict = Verdict::ALL.get(place)?;
                (verdict.counter(), verdict.index())
            }
        };
        Some((name, self.0.sum(index)))
    }

    /// Writes all packets, and these verdicts.
    pub(crate) fn show(&self, file: &SeqFile, verdicts: &[Verdict]) {
        seq_print!(file, "{}: {}\n", Verdict::TOTAL, self.0.sum(TOTAL));
        for verdict in verdicts {
            seq_print!(
                file,
                "{}: {}\n",
                verdict.counter(),
                self.0.sum(verdict.index())
            );
        }
    }

    /// Writes the bytes that were passed on.
    pub(crate) fn show_forwarded_bytes(&self, file: &SeqFile) {
        let bytes = self.0.sum(FORWARDED_BYTES);
        seq_print!(file, "{}: {bytes}\n", Verdict::FORWARDED_BYTES);
    }
}
