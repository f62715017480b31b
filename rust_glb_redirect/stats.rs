// SPDX-License-Identifier: GPL-2.0

//! What the module keeps in a namespace: counters, the files that show them, and the fates of fragments.

#![forbid(unsafe_code)]

use crate::door::Door;
use glb_core::fragments::{self, FragmentTable};
use glb_core::ip::{Addrs, Fragment};
use glb_core::redirect::Verdict;
use glb_kernel::counters::Counters;
use glb_kernel::net::{Net, NetState};
use glb_kernel::{proc, random, time};
use kernel::prelude::*;
use kernel::seq_file::SeqFile;
use kernel::seq_print;

/// Position of the counter of all packets, behind those of the verdicts.
const TOTAL: usize = Verdict::COUNT;
/// Position of the counter of bytes passed on.
const FORWARDED_BYTES: usize = Verdict::COUNT + 1;

/// What the module keeps in a namespace.
pub(crate) struct State {
    counters: Counters<{ Verdict::COUNT + 2 }>,
    fragments: FragmentTable,
    door: Door,
}

impl NetState for State {
    type Files = proc::PerNetFile<All>;

    fn new(_net: &Net) -> Result<Self> {
        Ok(Self {
            counters: Counters::new()?,
            fragments: FragmentTable::new(&random::bytes()),
            door: Door::new()?,
        })
    }

    fn show(net: &Net) -> Result<Self::Files> {
        proc::PerNetFile::new(net)
    }
}

impl State {
    /// Counts a packet.
    #[inline]
    pub(crate) fn count(&self, verdict: Verdict) {
        self.counters.count::<TOTAL>(verdict.index());
    }

    /// Counts the bytes of a packet that is passed on.
    #[inline]
    pub(crate) fn count_forwarded(&self, bytes: usize) {
        self.counters.add::<FORWARDED_BYTES>(bytes as u64);
    }

    /// Remembers whether the first fragment of a datagram was passed on.
    pub(crate) fn record_fragment(&self, addrs: &Addrs, fragment: Fragment, forwarded: bool) {
        self.fragments
            .record(addrs, fragment, u32::from(forwarded), now());
    }

    /// Whether the first fragment of this datagram is known to have been passed on.
    pub(crate) fn was_forwarded(&self, addrs: &Addrs, fragment: Fragment) -> bool {
        self.fragments.outcome(addrs, fragment, now()) == Some(u32::from(true))
    }

    /// The door that is no rule.
    #[inline]
    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    /// A counter by its place in [`All`].
    pub(crate) fn counter(&self, place: usize) -> Option<(&'static str, u64)> {
        let (name, index) = match place.checked_sub(1) {
            None => (Verdict::TOTAL, TOTAL),
            Some(Verdict::COUNT) => (Verdict::FORWARDED_BYTES, FORWARDED_BYTES),
            Some(place) => {
                let verdict = Verdict::ALL.get(place)?;
                (verdict.counter(), verdict.index())
            }
        };
        Some((name, self.counters.sum(index)))
    }

    fn show(&self, file: &SeqFile, verdicts: &[Verdict]) {
        seq_print!(file, "{}: {}\n", Verdict::TOTAL, self.counters.sum(TOTAL));
        for verdict in verdicts {
            seq_print!(
                file,
                "{}: {}\n",
                verdict.counter(),
                self.counters.sum(verdict.index())
            );
        }
    }
}

/// The clock of the fragment table.
fn now() -> u8 {
    (time::milliseconds() / u64::from(fragments::TICK_MS)) as u8
}

/// `/proc/net/glb_redirect`: every counter of the namespace.
pub(crate) struct All;

impl proc::Show for All {
    type State = State;
    const NAME: &'static CStr = c"glb_redirect";

    fn show(state: &State, file: &SeqFile) {
        state.show(file, Verdict::ALL);
        seq_print!(
            file,
            "{}: {}\n",
            Verdict::FORWARDED_BYTES,
            state.counters.sum(FORWARDED_BYTES)
        );
    }
}

/// `/proc/glb_redirect_stats`: the counters, names and order of the deployed module, for the scripts that
/// read it. The deployed module counts all namespaces together; here it is the reader's.
pub(crate) struct Deployed;

impl proc::Show for Deployed {
    type State = State;
    const NAME: &'static CStr = c"glb_redirect_stats";

    fn show(state: &State, file: &SeqFile) {
        state.show(
            file,
            Verdict::ALL.get(..Verdict::DEPLOYED).unwrap_or_default(),
        );
    }
}
