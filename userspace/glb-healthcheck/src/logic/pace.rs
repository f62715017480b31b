// SPDX-License-Identifier: GPL-2.0

//! When targets are checked: evenly spread over the interval, for any number of targets.
//!
//! Each target has a phase, its position in the interval. Phases are the fractions of the multiples of the golden
//! ratio, which are evenly spread for any number of them. A new target gets a position between the others, and
//! no other target moves.

use std::time::{Duration, Instant};

/// A new target is checked for the first time within this time, though its interval be longer.
pub(crate) const FIRST_WITHIN: Duration = Duration::from_secs(2);

/// A place in the interval, as a fraction of 2^64.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phase(u64);

impl Phase {
    fn of(self, span: Duration) -> Duration {
        let nanos = (span.as_nanos() * u128::from(self.0)) >> 64;
        // The configuration bounds intervals to a day.
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Gives out phases.
#[derive(Debug, Default)]
pub(crate) struct Phases(u64);

impl Phases {
    /// The next phase.
    pub(crate) fn next(&mut self) -> Phase {
        /// 2^64 divided by the golden ratio.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = self.0.wrapping_add(STEP);
        Phase(self.0)
    }
}

/// When a target is checked next.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    next: Instant,
    /// The check after `next`, which brings the target to its place in the interval.
    then: Instant,
}

impl Pace {
    /// For a target that is new at `now`.
    pub(crate) fn new(now: Instant, phase: Phase, interval: Duration) -> Self {
        let next = now + phase.of(interval.min(FIRST_WITHIN));
        let mut then = now + phase.of(interval);
        while then < next + interval / 2 {
            then += interval;
        }
        Self {
            interval,
            next,
            then,
        }
    }

    /// When the next check is due.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Goes on to the check after this one. Checks that were missed (the machine slept, say) are left out
    /// instead of being made up for.
    pub(crate) fn advance(&mut self, now: Instant) {
        let missed = now.saturating_duration_since(self.then).as_nanos() / self.interval.as_nanos();
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        self.next = self.then + self.interval * missed;
        self.then = self.next + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The first check comes soon, the second within half and one and a half intervals of it, and from
        /// there on they are one interval apart.
        #[test]
        fn distances(before in 0u64..5000, interval_ms in 1u64..100_000) {
            let mut phases = Phases(before.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let interval = Duration::from_millis(interval_ms);
            let start = Instant::now();
            let mut pace = Pace::new(start, phases.next(), interval);
            let mut times = vec![pace.next()];
            for _ in 0..4 {
                pace.advance(pace.next());
                times.push(pace.next());
            }
            prop_assert!(times[0] - start < interval.min(FIRST_WITHIN));
            let second = times[1] - times[0];
            prop_assert!(second >= interval / 2 && second < interval * 3 / 2, "{second:?}");
            for pair in times[1..].windows(2) {
                prop_assert_eq!(pair[1] - pair[0], interval);
            }
        }

        /// Any number of targets is spread: in each tenth of the interval about a tenth of the checks.
        #[test]
        fn spread(count in 20usize..1500, interval_ms in 100u64..60_000) {
            let interval = Duration::from_millis(interval_ms);
            let start = Instant::now();
            let mut phases = Phases::default();
            let mut tenths = [0usize; 10];
            for _ in 0..count {
                let mut pace = Pace::new(start, phases.next(), interval);
                pace.advance(pace.next());
                let place = (pace.next() - start).as_nanos() % interval.as_nanos();
                tenths[(place * 10 / interval.as_nanos()) as usize] += 1;
            }
            for tenth in tenths {
                prop_assert!(tenth.abs_diff(count / 10) <= 4, "{tenths:?}");
            }
        }
    }

    #[test]
    fn missed_checks_are_left_out() {
        let start = Instant::now();
        let interval = Duration::from_secs(1);
        let mut pace = Pace::new(start, Phase(0), interval);
        let late = start + Duration::from_millis(10_400);
        pace.advance(late);
        // One check late, and then in step again.
        assert!(pace.next() <= late && late - pace.next() < interval);
        pace.advance(late);
        assert_eq!(pace.next(), start + Duration::from_secs(11));
    }
}
