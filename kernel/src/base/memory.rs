// SPDX-License-Identifier: GPL-2.0

//! How much memory there is.

use crate::bindings;

/// Bytes that could be had without swapping.
pub fn available() -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::glb_memory_available() }
}
