// SPDX-License-Identifier: GPL-2.0

//! A rate limit that several CPUs share without a lock.

use core::sync::atomic::{AtomicU64, Ordering};

/// So many events in each second, all at once or spread.
pub struct RateLimit {
    per_second: u32,
    /// The second in the upper half, events of that second in the lower.
    now: AtomicU64,
}

impl RateLimit {
    /// Allows `per_second` events a second.
    pub const fn new(per_second: u32) -> Self {
        Self {
            per_second,
            now: AtomicU64::new(0),
        }
    }

    /// Whether one more event is allowed at this time. Two CPUs that ask at the same moment may both be
    /// refused, never both be allowed beyond the limit.
    pub fn allow(&self, milliseconds: u64) -> bool {
        // The second fits 32 bits for 136 years.
        let second = milliseconds / 1000 % (1 << 32);
        let seen = self.now.load(Ordering::Relaxed);
        let used = if seen >> 32 == second { seen as u32 } else { 0 };
        if used >= self.per_second {
            return false;
        }
        let next = second << 32 | u64::from(used.wrapping_add(1));
        self.now
            .compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_so_many_in_each_second() {
        let limit = RateLimit::new(3);
        let allowed = |at| (0..10).filter(|_| limit.allow(at)).count();
        assert_eq!(allowed(5_000), 3);
        assert_eq!(allowed(5_999), 0);
        assert_eq!(allowed(6_000), 3);
        assert_eq!(allowed(60_000), 3);
    }
}
