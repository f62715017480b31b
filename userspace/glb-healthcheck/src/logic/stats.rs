// SPDX-License-Identifier: GPL-2.0

//! The counters of the engine.

use super::probe::Kind;
use glb_daemon::histogram::{Histogram, OF_CHECKS};

/// Results of one kind of check.
#[derive(Debug, Clone)]
pub(crate) struct KindStats {
    pub(crate) good: u64,
    pub(crate) bad: u64,
    pub(crate) unable: u64,
    pub(crate) latency: Histogram,
}

/// Counters since the start.
#[derive(Debug)]
pub(crate) struct Stats {
    /// By the order of [`Kind::ALL`].
    pub(crate) kinds: Vec<KindStats>,
    /// Checks left out because the target's last one still ran.
    pub(crate) overruns: u64,
    pub(crate) target_changes: u64,
    pub(crate) backend_changes: u64,
    pub(crate) plans: u64,
}

impl Stats {
    pub(super) fn new() -> Self {
        let kind = KindStats {
            good: 0,
            bad: 0,
            unable: 0,
            latency: Histogram::new(OF_CHECKS),
        };
        Self {
            kinds: vec![kind; Kind::ALL.len()],
            overruns: 0,
            target_changes: 0,
            backend_changes: 0,
            plans: 0,
        }
    }
}
