// SPDX-License-Identifier: GPL-2.0

//! The counters of a namespace.

#![forbid(unsafe_code)]

use glb_core::cookie::answer::Outcome;
use glb_core::redirect::Verdict;
use glb_kernel::base::counters::Counters;
use kernel::prelude::*;
use kernel::seq_file::SeqFile;
use kernel::seq_print;

/// Position of the counter of all packets, behind those of the verdicts.
const TOTAL: usize = Verdict::COUNT;
/// Position of the counter of bytes passed on.
const FORWARDED_BYTES: usize = Verdict::COUNT + 1;
/// Position of the counter of namespaces that packets asked, and that had ended.
const ENDED_NETNS: usize = Verdict::COUNT + 2;

/// Position of the counters of SYN/ACKs, of which each outcome has one.
const ANSWERS: usize = Verdict::COUNT + 3;

/// The counters that count something else than packets of one verdict, or SYN/ACKs.
const OTHERS: [(&str, usize); 2] = [
    (Verdict::FORWARDED_BYTES, FORWARDED_BYTES),
    (Verdict::ENDED_NETNS, ENDED_NETNS),
];

/// The counters of a namespace.
pub(crate) struct Stats(Counters<{ Verdict::COUNT + 3 + Outcome::COUNT }>);

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

    /// Counts a namespace that a packet asked, and that had ended.
    pub(crate) fn count_ended_netns(&self) {
        self.0.add::<ENDED_NETNS>(1);
    }

    /// Counts a SYN/ACK.
    pub(crate) fn count_answer(&self, outcome: Outcome) {
        self.0.count_one(ANSWERS.wrapping_add(outcome.index()));
    }

    /// Every counter with its name, in the order of the file that has them all.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let verdicts = Verdict::ALL
            .iter()
            .map(|verdict| (verdict.counter(), verdict.index()));
        let counters = Iterator::chain(core::iter::once((Verdict::TOTAL, TOTAL)), verdicts);
        let counters = Iterator::chain(counters, others());
        counters.map(|(name, index)| (name, self.0.sum(index)))
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

    /// Writes the counters that are of no verdict.
    pub(crate) fn show_others(&self, file: &SeqFile) {
        for (name, index) in others() {
            seq_print!(file, "{name}: {}\n", self.0.sum(index));
        }
    }
}

/// The counters that are of no verdict, with their positions.
fn others() -> impl Iterator<Item = (&'static str, usize)> {
    let answers = Outcome::ALL
        .iter()
        .map(|outcome| (outcome.counter(), ANSWERS.wrapping_add(outcome.index())));
    Iterator::chain(OTHERS.into_iter(), answers)
}
