// SPDX-License-Identifier: GPL-2.0

//! When a changed table is published: one publication at a time, and no more often than the director should reload.

use std::time::{Duration, Instant};

/// A publication that failed is tried again, but not at once, even where the interval is shorter.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Lets publications through.
#[derive(Debug)]
pub(crate) struct Gate {
    /// From one start to the next, at least.
    interval: Duration,
    running: bool,
    failed: bool,
    started: Option<Instant>,
}

impl Gate {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            running: false,
            failed: false,
            started: None,
        }
    }

    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// From when on the next publication may start; nothing while one runs.
    pub(crate) fn opens(&self, now: Instant) -> Option<Instant> {
        if self.running {
            return None;
        }
        let pause = if self.failed {
            self.interval.max(RETRY_AFTER)
        } else {
            self.interval
        };
        Some(self.started.map_or(now, |started| started + pause))
    }

    /// A publication starts.
    pub(crate) fn start(&mut self, now: Instant) {
        debug_assert!(!self.running, "two publications at a time");
        self.running = true;
        self.started = Some(now);
    }

    /// The publication has ended.
    pub(crate) fn finish(&mut self, failed: bool) {
        self.running = false;
        self.failed = failed;
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running
    }
}
