// SPDX-License-Identifier: GPL-2.0

//! The clocks of packet paths: a coarse one, and the one that machines share.

use crate::bindings;

/// Lets other tasks run, if they wait. In process context, without anything held that must not sleep.
pub fn pause() {
    // SAFETY: The caller may sleep, as every function of process context expects of its caller; nothing else is required.
    unsafe { bindings::glb_pause() };
}

/// Whole seconds of [`milliseconds`].
#[inline]
pub fn seconds() -> u64 {
    // SAFETY: Reads a variable.
    unsafe { bindings::glb_seconds() }
}

/// Milliseconds since some moment, as coarse as the timer interrupt.
#[inline]
pub fn milliseconds() -> u64 {
    // SAFETY: Reads a variable.
    unsafe { bindings::glb_milliseconds() }
}

/// How many milliseconds the real time is ahead of the clock that TCP makes its timestamps of, modulo 2^32.
#[inline]
pub fn real_ahead() -> u32 {
    // SAFETY: Reads clocks.
    unsafe { bindings::glb_real_ahead() }
}
