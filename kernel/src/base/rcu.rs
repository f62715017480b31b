// SPDX-License-Identifier: GPL-2.0

//! A pointer that packets read under RCU while another is published.
//!
//! C header: `include/linux/rcupdate.h`

use crate::bindings;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};
use kernel::prelude::*;

pub use kernel::sync::rcu::Guard;

/// Proof that RCU is read-locked as long as `'a`: by a [`Guard`], or by the kernel around a packet hook.
#[derive(Clone, Copy)]
pub struct Reader<'a>(PhantomData<&'a Guard>);

impl<'a> From<&'a Guard> for Reader<'a> {
    #[inline]
    fn from(_: &'a Guard) -> Self {
        Self(PhantomData)
    }
}

impl Reader<'_> {
    /// # Safety
    ///
    /// The caller must be in an RCU read-side critical section that does not end while the value is in use.
    #[inline]
    pub(crate) unsafe fn held() -> Self {
        Self(PhantomData)
    }
}

/// A value that is never changed but replaced as a whole.
pub struct Rcu<T: Send + Sync> {
    /// INVARIANT: null, or a value that is owned by this object and stays for a grace period after it was
    /// replaced.
    ptr: AtomicPtr<T>,
    _owns: PhantomData<KBox<T>>,
}

impl<T: Send + Sync> Rcu<T> {
    /// Nothing yet.
    pub const fn empty() -> Self {
        Self {
            ptr: AtomicPtr::new(core::ptr::null_mut()),
            _owns: PhantomData,
        }
    }

    /// The value of now; it stays as long as RCU is locked.
    #[inline]
    pub fn get<'a>(&'a self, _locked: impl Into<Reader<'a>>) -> Option<&'a T> {
        // SAFETY: By the invariant the value is there or null. It was complete before it was published
        // (release and acquire), and whoever replaces it waits for all readers before freeing it.
        unsafe { self.ptr.load(Ordering::Acquire).as_ref() }
    }

    /// Publishes `new` in place of what was there. The old value is freed when what this returns is
    /// dropped, which waits for all readers: it sleeps, so not under a [`Guard`].
    pub fn replace(&self, new: Option<KBox<T>>) -> Retired<T> {
        let new = new.map_or(core::ptr::null_mut(), KBox::into_raw);
        let old = self.ptr.swap(new, Ordering::AcqRel);
        // INVARIANT: the old value is not reachable any more.
        Retired(NonNull::new(old))
    }
}

impl<T: Send + Sync> Drop for Rcu<T> {
    fn drop(&mut self) {
        if let Some(value) = NonNull::new(*self.ptr.get_mut()) {
            // SAFETY: The value came from a box and is owned by this object. Nobody borrows from it, as a
            // reader would borrow from `self`.
            drop(unsafe { KBox::from_raw(value.as_ptr()) });
        }
    }
}

/// A value that was replaced; readers may still look at it.
#[must_use = "dropping it waits for a grace period"]
pub struct Retired<T>(Option<NonNull<T>>);

// SAFETY: As a box of `T`.
unsafe impl<T: Send> Send for Retired<T> {}

impl<T> Drop for Retired<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0 {
            // SAFETY: No additional requirements; the caller may sleep.
            unsafe { bindings::synchronize_rcu() };
            // SAFETY: The value came from a box, is reachable for nobody, and all readers that found it
            // before are done.
            drop(unsafe { KBox::from_raw(value.as_ptr()) });
        }
    }
}
