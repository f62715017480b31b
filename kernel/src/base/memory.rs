// SPDX-License-Identifier: GPL-2.0

//! How much memory there is, and the end of much of it.

use crate::bindings;
use kernel::prelude::*;

/// Bytes that could be had without swapping.
pub fn available() -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::glb_memory_available() }
}

/// The worker that frees what takes long to free. A module that uses it keeps this object, which waits for the worker where the
/// module goes.
pub struct Freeing(());

impl Freeing {
    /// There is one for each module: `init` makes it first and drops it last.
    pub fn new() -> Self {
        Self(())
    }
}

impl Default for Freeing {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Freeing {
    fn drop(&mut self) {
        wait_for_freed();
    }
}

/// Frees the memory of a vector, whose values need no end, in the module's worker: to free gigabytes takes long. Neither sleeps nor
/// takes memory. See [`Freeing`].
pub fn free_later<T>(vec: KVVec<T>) {
    const {
        // The worker has a link in it.
        assert!(!core::mem::needs_drop::<T>());
        assert!(core::mem::size_of::<T>() >= core::mem::size_of::<usize>());
        assert!(core::mem::align_of::<T>() >= core::mem::align_of::<usize>());
    }
    let (ptr, _, capacity) = vec.into_raw_parts();
    if capacity != 0 {
        // SAFETY: The memory is that of the vector, from `kvmalloc`, with room for a pointer, and nobody has it any more.
        unsafe { bindings::glb_free_later(ptr.cast()) };
    }
}

/// Returns when all of [`free_later`] is free, and nobody is charged for it any more. May sleep.
pub fn wait_for_freed() {
    // SAFETY: Process context.
    unsafe { bindings::glb_free_wait() };
}
