// SPDX-License-Identifier: GPL-2.0

//! How much memory there is, and the end of much of it.

use crate::bindings;
use kernel::prelude::*;

/// Bytes that could be had without swapping.
pub fn available() -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::glb_memory_available() }
}

/// Frees the memory of a vector, whose values need no end, in a worker of the kernel: to free gigabytes takes long. May sleep.
pub fn free_later<T>(vec: KVVec<T>) {
    const { assert!(!core::mem::needs_drop::<T>() && core::mem::size_of::<T>() != 0) };
    let (ptr, _, capacity) = vec.into_raw_parts();
    if capacity != 0 {
        // SAFETY: The memory is that of the vector, from `kvmalloc`, and nobody has it any more.
        unsafe { bindings::glb_free_later(ptr.cast()) };
    }
}
