// SPDX-License-Identifier: GPL-2.0

//! A mutex that can be part of a namespace's state.

use kernel::prelude::*;
use kernel::sync::{lock, new_mutex};

/// A value behind a lock; process context only.
///
/// All share one lock class: whoever holds one may not take another.
pub struct Mutex<T>(Pin<KBox<kernel::sync::Mutex<T>>>);

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub fn new(value: T) -> Result<Self> {
        Ok(Self(KBox::pin_init(
            new_mutex!(value, "glb"),
            GFP_KERNEL_ACCOUNT,
        )?))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        self.0.lock()
    }
}

/// The lock is held as long as this exists.
pub type Guard<'a, T> = lock::Guard<'a, T, lock::mutex::MutexBackend>;
