// SPDX-License-Identifier: GPL-2.0

//! The coarse clock of packet paths.

use crate::bindings;

/// Milliseconds since some moment, as coarse as the timer interrupt.
#[inline]
pub fn milliseconds() -> u64 {
    // SAFETY: Reads a variable.
    unsafe { bindings::glb_milliseconds() }
}
