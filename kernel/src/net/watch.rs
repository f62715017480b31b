// SPDX-License-Identifier: GPL-2.0

//! News about the devices of a namespace, and the lock that they are told under.
//!
//! C header: `include/linux/netdevice.h`

use super::{Net, NetState, Registered};
use crate::bindings;
use core::marker::PhantomData;
use kernel::prelude::*;
use kernel::types::{NotThreadSafe, Opaque};

/// What happened to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It goes, and cannot be found by its name any more: what is attached to it must be detached now.
    Gone,
    /// It came, went up or down, or has other parameters, another name or another master.
    Other,
}

/// News about a device of a namespace.
pub struct News<'a, T: NetState> {
    /// The namespace.
    pub net: &'a Net,
    /// Its state is registered.
    pub registered: Registered<T>,
    /// The lock is held while the news is told.
    pub rtnl: &'a Rtnl,
    /// What happened.
    pub change: Change,
    /// The device.
    pub device: NetDevice<'a>,
}

/// A device that there is news about.
pub struct NetDevice<'a> {
    /// INVARIANT: a device, valid as long as the RTNL lock is held, which is longer than `'a`.
    ptr: *mut bindings::net_device,
    _rtnl: PhantomData<&'a Rtnl>,
}

impl NetDevice<'_> {
    /// Its index.
    pub fn ifindex(&self) -> i32 {
        // SAFETY: By the invariant.
        unsafe { bindings::glb_dev_ifindex(self.ptr) }
    }

    /// Whether a tunnel's payload may arrive on it, or it is a routing domain (VRF) that such a device can be in.
    pub fn concerns_decap(&self) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::glb_decap_concerns(self.ptr) }
    }
}

/// The RTNL lock, held.
pub struct Rtnl {
    owned: bool,
    _not_send: NotThreadSafe,
}

impl Rtnl {
    /// Takes the lock. May sleep.
    pub fn lock() -> Self {
        // SAFETY: Process context; the lock is given back when the value is dropped.
        unsafe { bindings::rtnl_lock() };
        Self {
            owned: true,
            _not_send: NotThreadSafe,
        }
    }
}

impl Drop for Rtnl {
    fn drop(&mut self) {
        if self.owned {
            // SAFETY: Taken by `lock`.
            unsafe { bindings::rtnl_unlock() };
        }
    }
}

/// The registration for news about devices, which [`NetState::device_changed`] hears. It comes after the states'
/// registration, and goes before it.
pub(crate) struct Watch<T: NetState> {
    block: Pin<KBox<Opaque<bindings::notifier_block>>>,
    _state: PhantomData<T>,
}

// SAFETY: The block is only touched by the notifier chain, under its lock.
unsafe impl<T: NetState> Send for Watch<T> {}
// SAFETY: As above.
unsafe impl<T: NetState> Sync for Watch<T> {}

impl<T: NetState> Watch<T> {
    /// Starts watching.
    pub(crate) fn new(_registered: Registered<T>) -> Result<Self> {
        let block = bindings::notifier_block {
            notifier_call: Some(notify::<T>),
            // SAFETY: All zero is a valid value of the other fields.
            ..unsafe { core::mem::zeroed() }
        };
        let block = KBox::pin(Opaque::new(block), GFP_KERNEL)?;
        // SAFETY: The block is pinned and lives until `drop`.
        kernel::error::to_result(unsafe { bindings::register_netdevice_notifier(block.get()) })?;
        Ok(Self {
            block,
            _state: PhantomData,
        })
    }
}

impl<T: NetState> Drop for Watch<T> {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`. Removal replays NETDEV_UNREGISTER for each device, so every
        // attachment is gone afterwards.
        unsafe { bindings::unregister_netdevice_notifier(self.block.get()) };
    }
}

unsafe extern "C" fn notify<T: NetState>(
    _: *mut bindings::notifier_block,
    event: kernel::ffi::c_ulong,
    info: *mut kernel::ffi::c_void,
) -> kernel::ffi::c_int {
    let change = match event as u32 {
        bindings::netdev_cmd_NETDEV_UNREGISTER => Change::Gone,
        bindings::netdev_cmd_NETDEV_REGISTER
        | bindings::netdev_cmd_NETDEV_UP
        | bindings::netdev_cmd_NETDEV_DOWN
        | bindings::netdev_cmd_NETDEV_CHANGE
        | bindings::netdev_cmd_NETDEV_CHANGENAME
        | bindings::netdev_cmd_NETDEV_CHANGEUPPER => Change::Other,
        _ => return 0,
    };
    // SAFETY: The kernel passes the device, valid during the call.
    let (net, dev) = unsafe {
        let dev = (*info.cast::<bindings::netdev_notifier_info>()).dev;
        (Net::from_ptr(bindings::glb_dev_net(dev)), dev)
    };
    // SAFETY: The watch stands, and the states' registration outlives it.
    let registered = unsafe { Registered::<T>::new() };
    if let Some(state) = net.state_if_ready(registered) {
        let rtnl = Rtnl {
            owned: false,
            _not_send: NotThreadSafe,
        };
        state.device_changed(&News {
            net,
            registered,
            rtnl: &rtnl,
            change,
            // INVARIANT: the kernel passes the device with the lock held, until the call returns.
            device: NetDevice {
                ptr: dev,
                _rtnl: PhantomData,
            },
        });
    }
    0
}
