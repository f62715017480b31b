// SPDX-License-Identifier: GPL-2.0

//! Network namespaces, what a module keeps in each, and the order in which it goes.
//!
//! ```text
//! Registrations  entries      whatever calls the module: netlink families, targets, files       goes first
//!                PerNet       the watch of devices, then each namespace's Area:
//!                  doors      hooks that let packets in: shut by `pre_exit`, or when the set-up fails
//!                             (grace period of the kernel)
//!                  files      what shows the state
//!                  state      what packets and requests use                                     goes last
//! ```
//!
//! The order is that of the code here, and no module can have another one: entries are made from the proof that the
//! states are registered, and doors have no place but their namespace's area.
//!
//! C header: `include/net/net_namespace.h`

pub mod device;
mod doors;
pub mod named;
mod watch;

use crate::base::rcu::Reader;
use crate::bindings;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::sync::atomic::{AtomicU32, Ordering};
use kernel::prelude::*;
use kernel::types::Opaque;
use watch::Watch;

pub(crate) use doors::sealed;
pub use doors::{Door, Doors, Either, OpenDoors};
pub use watch::{Change, NetDevice, News, Rtnl};

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

    /// What lets packets in to that state.
    pub fn doors<T: NetState>(&self, _registered: Registered<T>) -> &Doors<T::Door> {
        // SAFETY: As in `state`.
        unsafe { (*area::<T>(self.as_ptr())).doors.assume_init_ref() }
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
    /// What lets packets in. All are closed before the state goes.
    type Door: Door;

    /// What shows the state to others, such as files below /proc. It goes before the state does.
    type Files: Send + Sync;

    /// Sets a namespace up. Process context, may sleep.
    fn new(net: &Net) -> Result<Self>;

    /// Shows the state, which is in its place by now.
    fn show(net: &Net) -> Result<Self::Files>;

    /// A device of the namespace came, went, or changed. Where devices of a namespace change before there is a state, or
    /// after it, nobody hears of them. The RTNL lock is held.
    fn device_changed(&self, news: &News<'_, Self>);
}

/// The module's part of a namespace. The kernel allocates it, all zero, before it calls `init`; that is a valid value.
struct Area<T: NetState> {
    /// 1 while there is a state.
    ready: AtomicU32,
    doors: MaybeUninit<Doors<T::Door>>,
    files: MaybeUninit<T::Files>,
    state: MaybeUninit<T>,
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
/// It is handed out by [`Registrations`] and by callbacks that can only run while the registration stands.
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
    /// The states' registration must stand while the value is in use.
    #[inline]
    pub(crate) unsafe fn new() -> Self {
        Self(PhantomData)
    }
}

/// Written once, by the only registration of the module ([`PerNet::register`]).
static NET_ID: AtomicU32 = AtomicU32::new(0);
/// 1 while the module has a registration.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// All that a module registers: entries, through which it is called, and behind them the states that they use.
///
/// Entries go first, in whatever order, and the states only then; also where making them fails half-way.
pub struct Registrations<E, T: NetState> {
    entries: ManuallyDrop<E>,
    namespaces: ManuallyDrop<PerNet<T>>,
}

impl<E, T: NetState> Registrations<E, T> {
    /// Registers the states, and then what `entries` makes: from then on there are packets and requests.
    pub fn new(entries: impl FnOnce(Registered<T>) -> Result<E>) -> Result<Self> {
        let namespaces = PerNet::register()?;
        // An error drops what `entries` had made before it returns, and `namespaces` here.
        let entries = entries(Registered(PhantomData))?;
        Ok(Self {
            entries: ManuallyDrop::new(entries),
            namespaces: ManuallyDrop::new(namespaces),
        })
    }
}

impl<E, T: NetState> Drop for Registrations<E, T> {
    fn drop(&mut self) {
        // SAFETY: Each is dropped once, and not looked at afterwards.
        unsafe {
            ManuallyDrop::drop(&mut self.entries);
            ManuallyDrop::drop(&mut self.namespaces);
        }
    }
}

/// The registration of `T` in all namespaces, present and to come. A module can have one.
struct PerNet<T: NetState> {
    /// `None` only before the watch stands, and when it is gone.
    watch: Option<Watch<T>>,
    ops: Pin<KBox<Opaque<bindings::pernet_operations>>>,
    _state: PhantomData<T>,
}

// SAFETY: The operations are only touched by registration and removal.
unsafe impl<T: NetState> Send for PerNet<T> {}
// SAFETY: See above; there are no methods that change it through a shared reference.
unsafe impl<T: NetState> Sync for PerNet<T> {}

impl<T: NetState> PerNet<T> {
    /// Registers and sets up each namespace that exists.
    fn register() -> Result<Self> {
        if TAKEN.swap(1, Ordering::Relaxed) != 0 {
            return Err(EBUSY);
        }
        Self::register_taken().inspect_err(|_| TAKEN.store(0, Ordering::Relaxed))
    }

    fn register_taken() -> Result<Self> {
        let ops = bindings::pernet_operations {
            init: Some(init::<T>),
            pre_exit: Some(pre_exit::<T>),
            exit: Some(exit::<T>),
            id: NET_ID.as_ptr(),
            size: core::mem::size_of::<Area<T>>(),
            // SAFETY: All zero is a valid value of the remaining fields: no callbacks, an empty list.
            ..unsafe { core::mem::zeroed() }
        };
        let ops = KBox::pin(Opaque::new(ops), GFP_KERNEL)?;
        // SAFETY: `ops` is pinned and lives until `unregister_pernet_subsys` in `drop`.
        kernel::error::to_result(unsafe { bindings::register_pernet_subsys(ops.get()) })?;
        let mut this = Self {
            watch: None,
            ops,
            _state: PhantomData,
        };
        // An error drops `this`.
        this.watch = Some(Watch::new(Registered(PhantomData))?);
        Ok(this)
    }
}

impl<T: NetState> Drop for PerNet<T> {
    fn drop(&mut self) {
        // Nobody hears of devices any more when states go.
        self.watch = None;
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
    let doors = match Doors::new() {
        Ok(doors) => doors,
        Err(error) => return error.to_errno(),
    };
    const { assert!(core::mem::align_of::<Area<T>>() <= core::mem::align_of::<usize>()) };
    // SAFETY: The kernel allocated an area, with the alignment of a pointer at least (asserted above), for
    // this namespace before it called us. Nobody looks at the state before `show`, so it is written
    // whole; and where `show` fails, nobody looks at it any more, so it can go: no door was opened, as there are
    // no requests before this returns.
    unsafe {
        let area = area::<T>(net.as_ptr());
        (&raw mut (*area).state).cast::<T>().write(state);
        (&raw mut (*area).doors)
            .cast::<Doors<T::Door>>()
            .write(doors);
        match T::show(net) {
            Ok(files) => (&raw mut (*area).files).cast::<T::Files>().write(files),
            Err(error) => {
                (*area).doors.assume_init_drop();
                (*area).state.assume_init_drop();
                return error.to_errno();
            }
        }
        (*area).ready.store(1, Ordering::Release);
    }
    0
}

/// Shuts the doors, and has packets of other namespaces ask this one no more. The kernel waits for a grace period before it
/// calls `exit` of any part of it.
unsafe extern "C" fn pre_exit<T: NetState>(net: *mut bindings::net) {
    // SAFETY: The kernel passes the namespace, which is there until after `exit`.
    named::ended(unsafe { Net::from_ptr(net) });
    // SAFETY: `init::<T>` wrote the doors, and `exit::<T>` comes later.
    unsafe { (*area::<T>(net)).doors.assume_init_ref() }.shut();
}

unsafe extern "C" fn exit<T: NetState>(net: *mut bindings::net) {
    // SAFETY: `init::<T>` wrote all three, and the kernel calls this once for them, after `pre_exit` and after the last
    // device of the namespace is gone. The doors were shut, so no packet looks at the state; and once the files are gone
    // nobody else does.
    unsafe {
        let area = area::<T>(net);
        (*area).ready.store(0, Ordering::Relaxed);
        (*area).doors.assume_init_drop();
        (*area).files.assume_init_drop();
        (*area).state.assume_init_drop();
    }
}
