// SPDX-License-Identifier: GPL-2.0

//! The kernel's random numbers.

use crate::bindings;

/// Bytes that nobody can guess.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // SAFETY: Writes exactly `N` bytes.
    unsafe { bindings::glb_random(bytes.as_mut_ptr().cast(), N) };
    bytes
}
