// SPDX-License-Identifier: GPL-2.0

//! The counters of packets at devices with the role geneve: of those that come in, and of those that leave. Packets of either
//! kind are the sum of their verdicts.

#![forbid(unsafe_code)]

use glb_core::geneve::{back, Verdict};
use glb_kernel::base::counters::Counters;
use kernel::prelude::*;

/// Positions of the counters of all packets, behind those of the verdicts.
const CAME: usize = Verdict::COUNT;
const LEFT: usize = back::Verdict::COUNT;

/// What packets count.
pub(crate) struct Stats {
    came: Counters<{ CAME + 1 }>,
    left: Counters<{ LEFT + 1 }>,
}

impl Stats {
    /// All zero.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            came: Counters::new()?,
            left: Counters::new()?,
        })
    }

    /// Counts a packet that came in.
    #[inline]
    pub(crate) fn came(&self, verdict: Verdict) {
        self.came.count::<CAME>(verdict.index());
    }

    /// Counts a packet that leaves.
    #[inline]
    pub(crate) fn left(&self, verdict: back::Verdict) {
        self.left.count::<LEFT>(verdict.index());
    }

    /// Those of packets that came in, each with its name.
    pub(crate) fn of_coming(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        const NAMES: [(&str, usize); CAME + 1] = {
            let mut names = [(Verdict::TOTAL, CAME); CAME + 1];
            let mut at = 0;
            while at < CAME {
                names[at + 1] = (Verdict::ALL[at].counter(), Verdict::ALL[at].index());
                at += 1;
            }
            names
        };
        NAMES
            .iter()
            .map(|&(name, index)| (name, self.came.sum(index)))
    }

    /// Those of packets that leave, each with its name.
    pub(crate) fn of_leaving(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        const NAMES: [(&str, usize); LEFT + 1] = {
            let mut names = [(back::Verdict::TOTAL, LEFT); LEFT + 1];
            let mut at = 0;
            while at < LEFT {
                let verdict = back::Verdict::ALL[at];
                names[at + 1] = (verdict.counter(), verdict.index());
                at += 1;
            }
            names
        };
        NAMES
            .iter()
            .map(|&(name, index)| (name, self.left.sum(index)))
    }
}
