// SPDX-License-Identifier: GPL-2.0

//! Network namespaces and what a module keeps in each.
//!
//! C header: `include/net/net_namespace.h`

use crate::bindings;
use crate::rcu::Reader;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use kernel::prelude::*;
use kernel::types::Opaque;

/// A network namespace (`struct net`).
#[repr(transparent)]
pub struct Net(Opaque<bindings::net>);

// SAFETY: `struct net` is used from all CPUs; the wrappers only read it or pass it on to functions that
// do their own locking.
unsafe impl Sync for Net {}

impl Net {
    /// # Safety
    ///
    /// `net` must be a valid namespace for `'a`.
    #[inline]
    pub(crate) unsafe fn from_ptr<'a>(net: *mut bindings::net) -> &'a Self {
        // SAFETY: `Net` is a transparent wrapper, and the caller vouches for the life time.
        unsafe { &*net.cast() }
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut bindings::net {
        self.0.get()
    }

    /// What the module keeps in this namespace.
    #[inline]
    pub fn state<T: NetState>(&self, _registered: Registered<T>) -> &T {
        // SAFETY: `Registered` proves that the registration of `T` exists, so `NET_ID` is its id, the
        // area of each live namespace was initialised by `init::<T>` before there were files, and stays
        // until `exit::<T>`, which runs when no packet and no file of the namespace is left.
        unsafe { (*area::<T>(self.as_ptr())).state.assume_init_ref() }
    }

    /// The same in a packet hook, which is under RCU anyway.
    #[inline]
    pub fn state_in_hook<T: NetState>(&self, _registered: Registered<T>, _rcu: Reader<'_>) -> &T {
        // SAFETY: As in `state`, and RCU is held.
        unsafe {
            let id = NET_ID.load(Ordering::Relaxed);
            let area = bindings::glb_net_generic_rcu(self.as_ptr(), id).cast::<Area<T>>();
            (*area).state.assume_init_ref()
        }
    }

    /// The same for somebody who may come before the namespace is set up, or while it is torn down: `None` then. News of
    /// devices may, as other parts of the kernel set up their own part of a namespace before this one or after it.
    pub fn state_if_ready<T: NetState>(&self, _registered: Registered<T>) -> Option<&T> {
        // SAFETY: `Registered` proves that the registration of `T` exists, so the area has this type. It is null until the
        // kernel has allocated it, and then all zero, which is a valid value.
        let area = unsafe { area::<T>(self.as_ptr()).as_ref() }?;
        if area.ready.load(Ordering::Acquire) == 0 {
            return None;
        }
        // SAFETY: It was written before `ready` was set.
        Some(unsafe { area.state.assume_init_ref() })
    }
}

/// What a module keeps in each namespace.
pub trait NetState: Sized + Send + Sync + 'static {
    /// What shows the state to others, such as files below /proc. It goes before the state does.
    type Files: Send + Sync;

    /// Sets a namespace up. Process context, may sleep.
    fn new(net: &Net) -> Result<Self>;

    /// Shows the state, which is in its place by now.
    fn show(net: &Net) -> Result<Self::Files>;
}

/// The module's part of a namespace. The kernel allocates it, all zero, before it calls `init`; that is a valid value.
struct Area<T: NetState> {
    /// 1 while there is a state.
    ready: AtomicU32,
    state: MaybeUninit<T>,
    files: MaybeUninit<T::Files>,
}

/// # Safety
///
/// The registration of `T` must exist, or be under way or on its way out.
#[inline]
unsafe fn area<T: NetState>(net: *mut bindings::net) -> *mut Area<T> {
    // SAFETY: By the requirement `NET_ID` is the id of `T`'s registration, whose areas have this type.
    unsafe { bindings::glb_net_generic(net, NET_ID.load(Ordering::Relaxed)).cast() }
}

/// Proof that the state `T` is registered.
///
/// It is handed out by [`PerNet`] and by callbacks that can only run while the registration stands.
pub struct Registered<T>(PhantomData<T>);

impl<T> Clone for Registered<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Registered<T> {}

impl<T: NetState> Registered<T> {
    /// # Safety
    ///
    /// A [`PerNet<T>`] must exist while the value is in use.
    #[inline]
    pub(crate) unsafe fn new() -> Self {
        Self(PhantomData)
    }
}

/// Written once, by the only registration of the module ([`PerNet::register`]).
static NET_ID: AtomicU32 = AtomicU32::new(0);
/// 1 while the module has a registration.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// The registration of `T` in all namespaces, present and to come. A module can have one.
pub struct PerNet<T: NetState> {
    ops: Pin<KBox<Opaque<bindings::pernet_operations>>>,
    _state: PhantomData<T>,
}

// SAFETY: The operations are only touched by registration and removal.
unsafe impl<T: NetState> Send for PerNet<T> {}
// SAFETY: See above; there are no methods that change it through a shared reference.
unsafe impl<T: NetState> Sync for PerNet<T> {}

impl<T: NetState> PerNet<T> {
    /// Registers and sets up each namespace that exists.
    pub fn register() -> Result<Self> {
        if TAKEN.swap(1, Ordering::Relaxed) != 0 {
            return Err(EBUSY);
        }
        Self::register_taken().inspect_err(|_| TAKEN.store(0, Ordering::Relaxed))
    }

    fn register_taken() -> Result<Self> {
        let ops = bindings::pernet_operations {
            init: Some(init::<T>),
            exit: Some(exit::<T>),
            id: NET_ID.as_ptr(),
            size: core::mem::size_of::<Area<T>>(),
            // SAFETY: All zero is a valid value of the remaining fields: no callbacks, an empty list.
            ..unsafe { core::mem::zeroed() }
        };
        let ops = KBox::pin(Opaque::new(ops), GFP_KERNEL)?;
        // SAFETY: `ops` is pinned and lives until `unregister_pernet_subsys` in `drop`.
        kernel::error::to_result(unsafe { bindings::register_pernet_subsys(ops.get()) })?;
        Ok(Self {
            ops,
            _state: PhantomData,
        })
    }

    /// Proof of the registration. The caller drops what it makes of it before `self`; module structures
    /// list their fields in that order.
    pub fn registered(&self) -> Registered<T> {
        Registered(PhantomData)
    }
}

impl<T: NetState> Drop for PerNet<T> {
    fn drop(&mut self) {
        // SAFETY: `ops` was registered by `register` and is removed once.
        unsafe { bindings::unregister_pernet_subsys(self.ops.get()) };
        TAKEN.store(0, Ordering::Relaxed);
    }
}

unsafe extern "C" fn init<T: NetState>(net: *mut bindings::net) -> kernel::ffi::c_int {
    // SAFETY: The kernel passes a live namespace.
    let net = unsafe { Net::from_ptr(net) };
    let state = match T::new(net) {
        Ok(state) => state,
        Err(error) => return error.to_errno(),
    };
    const { assert!(core::mem::align_of::<Area<T>>() <= core::mem::align_of::<usize>()) };
    // SAFETY: The kernel allocated an area, with the alignment of a pointer at least (asserted above), for
    // this namespace before it called us. Nobody looks at the state before `show`, so it is written
    // whole; and where `show` fails, nobody looks at it any more, so it can go.
    unsafe {
        let area = area::<T>(net.as_ptr());
        (&raw mut (*area).state).cast::<T>().write(state);
        match T::show(net) {
            Ok(files) => (&raw mut (*area).files).cast::<T::Files>().write(files),
            Err(error) => {
                (&raw mut (*area).state).cast::<T>().drop_in_place();
                return error.to_errno();
            }
        }
        (*area).ready.store(1, Ordering::Release);
    }
    0
}

unsafe extern "C" fn exit<T: NetState>(net: *mut bindings::net) {
    // SAFETY: `init::<T>` wrote both, and the kernel calls this once for them, after the last device of
    // the namespace is gone. Once the files are gone nobody looks at the state.
    unsafe {
        let area = area::<T>(net);
        (*area).ready.store(0, Ordering::Relaxed);
        (&raw mut (*area).files).cast::<T::Files>().drop_in_place();
        (&raw mut (*area).state).cast::<T>().drop_in_place();
    }
}
