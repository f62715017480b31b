// SPDX-License-Identifier: GPL-2.0

//! Per-CPU counters: a CPU writes only its own cache lines, a reader adds them up.

use crate::bindings;
use core::ptr::NonNull;
use kernel::prelude::*;

/// `N` 64-bit counters on each CPU.
pub struct Counters<const N: usize> {
    /// INVARIANT: a per-CPU allocation of `N` 64-bit integers, owned by this object.
    percpu: NonNull<u64>,
}

// SAFETY: The object owns its per-CPU memory, which is not tied to a thread.
unsafe impl<const N: usize> Send for Counters<N> {}
// SAFETY: All access goes through per-CPU additions, which are atomic against the own CPU's interrupts,
// and through single loads.
unsafe impl<const N: usize> Sync for Counters<N> {}

impl<const N: usize> Counters<N> {
    /// All zero.
    pub fn new() -> Result<Self> {
        // SAFETY: May sleep; the caller is in process context (namespace set-up, loads of tables). The memory is zeroed.
        let percpu = unsafe { bindings::glb_counters_alloc(N) };
        Ok(Self {
            percpu: NonNull::new(percpu).ok_or(ENOMEM)?,
        })
    }

    /// Bytes that they take, on all CPUs together.
    pub fn bytes() -> u64 {
        // SAFETY: No requirements.
        unsafe { bindings::glb_counters_bytes(N) }
    }

    /// Adds one to counters `A` and `index`.
    #[inline]
    pub fn count<const A: usize>(&self, index: usize) {
        const { assert!(A < N) };
        if index < N {
            // SAFETY: `percpu` holds `N` counters, and both indexes are below `N`.
            unsafe { bindings::glb_counters_add2(self.percpu.as_ptr(), A, index) };
        }
    }

    /// Adds one to counter `index`, and `bytes` to counter `BYTES`.
    #[inline(always)]
    pub fn count_sent<const BYTES: usize>(&self, index: usize, bytes: u64) {
        const { assert!(BYTES < N) };
        if index < N {
            // SAFETY: `percpu` holds `N` counters, and both indexes are below `N`.
            unsafe { bindings::glb_counters_sent(self.percpu.as_ptr(), index, BYTES, bytes) };
        }
    }

    /// Adds one to counter `index`, and `value` to the next one, if there are both.
    #[inline]
    pub fn add_pair(&self, index: usize, value: u64) {
        let next = index.wrapping_add(1);
        if index < N && next < N {
            // SAFETY: `percpu` holds `N` counters, and both indexes are below `N`.
            unsafe { bindings::glb_counters_sent(self.percpu.as_ptr(), index, next, value) };
        }
    }

    /// As [`Self::count_sent`], and adds one to the first of `others` and `bytes` to the second.
    #[inline(always)]
    pub fn count_sent_with<const BYTES: usize, const M: usize>(
        &self,
        index: usize,
        bytes: u64,
        others: &Counters<M>,
    ) {
        const { assert!(BYTES < N && M >= 2) };
        if index < N {
            let (counters, others) = (self.percpu.as_ptr(), others.percpu.as_ptr());
            // SAFETY: `counters` holds `N` counters, both indexes are below `N`, and `others` holds two at least.
            unsafe { bindings::glb_counters_sent_with(counters, index, BYTES, bytes, others) };
        }
    }

    /// Adds `value` to counter `INDEX`.
    #[inline]
    pub fn add<const INDEX: usize>(&self, value: u64) {
        const { assert!(INDEX < N) };
        // SAFETY: `percpu` holds `N` counters, and `INDEX` is below `N`.
        unsafe { bindings::glb_counters_add(self.percpu.as_ptr(), INDEX, value) };
    }

    /// Adds one to counter `index`; nothing for an index that there is none of.
    #[inline]
    pub fn count_one(&self, index: usize) {
        self.add_at(index, 1);
    }

    /// Adds `value` to counter `index`, if there is one.
    #[inline]
    pub fn add_at(&self, index: usize, value: u64) {
        if index < N {
            // SAFETY: `percpu` holds `N` counters, and `index` is below `N`.
            unsafe { bindings::glb_counters_add(self.percpu.as_ptr(), index, value) };
        }
    }

    /// The sum of counter `index` over all CPUs; 0 for an index that there is none of.
    pub fn sum(&self, index: usize) -> u64 {
        if index >= N {
            return 0;
        }
        // SAFETY: `percpu` holds `N` counters, and `index` is below `N`.
        unsafe { bindings::glb_counters_sum(self.percpu.as_ptr(), index) }
    }
}

impl<const N: usize> Drop for Counters<N> {
    fn drop(&mut self) {
        // SAFETY: `percpu` holds `N` counters, came from the per-CPU allocator and is not used after this. The state of a
        // namespace ends in process context.
        unsafe { bindings::glb_counters_free(self.percpu.as_ptr(), N) };
    }
}
