// SPDX-License-Identifier: GPL-2.0

//! Memory for the slots of a [`FragmentTable`](glb_core::packet::fragments::FragmentTable), which are too many for a stack.

use super::vec::Append;
use core::sync::atomic::AtomicU64;
use glb_core::packet::fragments::SLOTS;
use kernel::prelude::*;

/// Slots of outcomes, all zero at first.
pub struct Slots(KVec<AtomicU64>);

impl Slots {
    /// Process context, may sleep.
    pub fn new() -> Result<Self> {
        let mut slots = KVec::with_capacity(SLOTS, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..SLOTS {
            slots.append(AtomicU64::new(0), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self(slots))
    }
}

impl AsRef<[AtomicU64]> for Slots {
    #[inline]
    fn as_ref(&self) -> &[AtomicU64] {
        &self.0
    }
}
