// SPDX-License-Identifier: GPL-2.0

//! Waiting for what must come.

use std::time::{Duration, Instant};

/// The end of every wait: so long, and after so many looks, which take a busy machine longer. What takes so long hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);
const LOOKS: u32 = 10_000;

/// Waits until there is a value.
pub(crate) fn wait<T>(what: &str, mut value: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    for look in 0.. {
        if let Some(value) = value() {
            return value;
        }
        assert!(
            look < LOOKS || start.elapsed() < LIMIT,
            "waited in vain for: {what}"
        );
        // Between two looks.
        std::thread::sleep(Duration::from_millis(10));
    }
    unreachable!("looks have no end")
}
