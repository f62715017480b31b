// SPDX-License-Identifier: GPL-2.0

//! Ingress hooks of network devices.
//!
//! C headers: `include/linux/netdevice.h`, `include/linux/netfilter.h`
//!
//! All changes are made under the RTNL lock, which [`Rtnl`] stands for: attaching, detaching, and the
//! notification that a device goes, which the kernel delivers with the lock held.

use crate::bindings;
use crate::hook::{Hook, Outcome};
use crate::net::{Net, NetState, Registered};
use crate::rcu::Reader;
use crate::skb::Skb;
use core::marker::PhantomData;
use glb_core::ip::Family;
use kernel::prelude::*;
use kernel::types::{NotThreadSafe, Opaque};

/// A handler of the IP packets that come in from a device. Others go on untouched.
pub trait Ingress: 'static {
    /// What the module keeps in a namespace.
    type State: NetState;

    /// Handles a packet, whose data starts at the IP header.
    fn handle<'a>(state: &Self::State, hook: &Hook<'_>, skb: Skb<'a>) -> Outcome<'a>;
}

/// Somebody who hears of devices.
pub trait Watcher: 'static {
    /// What the module keeps in a namespace.
    type State: NetState;

    /// A device of the namespace came, went, has another name or another master. Where devices of a namespace change
    /// before there is a state, or after it, nobody hears of them.
    fn changed(state: &Self::State, net: &Net, rtnl: &Rtnl, change: Change, ifindex: i32);
}

/// What happened to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It goes, and can not be found by its name any more: what is attached to it must be detached now.
    Gone,
    /// It came, or has another name or another master.
    Other,
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

/// A handler attached to a device. Dropping it detaches, which must happen with the RTNL lock held.
pub struct Attachment<I: Ingress> {
    ops: Pin<KBox<Opaque<bindings::nf_hook_ops>>>,
    /// INVARIANT: the namespace of the device; the attachment is part of its state.
    net: *mut bindings::net,
    ifindex: i32,
    _handler: PhantomData<I>,
}

// SAFETY: The pointers are only used under the RTNL lock.
unsafe impl<I: Ingress> Send for Attachment<I> {}
// SAFETY: As above.
unsafe impl<I: Ingress> Sync for Attachment<I> {}

impl<I: Ingress> Attachment<I> {
    /// Attaches to the device `ifindex` of `net`. `ENODEV` if there is none.
    pub fn new(
        net: &Net,
        _rtnl: &Rtnl,
        ifindex: i32,
        registered: Registered<I::State>,
    ) -> Result<Self> {
        // SAFETY: The RTNL lock is held, so the device stays while this function runs.
        let dev = unsafe { bindings::__dev_get_by_index(net.as_ptr(), ifindex) };
        if dev.is_null() {
            return Err(ENODEV);
        }
        let ops = bindings::nf_hook_ops {
            hook: Some(hook::<I>),
            dev,
            // Saves each packet the way from the namespace to its state.
            priv_: core::ptr::from_ref(net.state(registered)).cast_mut().cast(),
            pf: bindings::NFPROTO_NETDEV as u8,
            hooknum: bindings::nf_dev_hooks_NF_NETDEV_INGRESS,
            priority: 0,
            // SAFETY: All zero is a valid value of the other fields.
            ..unsafe { core::mem::zeroed() }
        };
        let ops = KBox::pin(Opaque::new(ops), GFP_KERNEL)?;
        // SAFETY: The operations are pinned and live until `drop` has removed them and waited.
        kernel::error::to_result(unsafe {
            bindings::nf_register_net_hook(net.as_ptr(), ops.get())
        })?;
        Ok(Self {
            ops,
            net: net.as_ptr(),
            ifindex,
            _handler: PhantomData,
        })
    }

    /// Index of the device.
    pub fn ifindex(&self) -> i32 {
        self.ifindex
    }
}

impl<I: Ingress> Drop for Attachment<I> {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`, with the device still there: `Change::Gone` is told before it
        // goes. After the grace period no packet is in the handler and nobody reads the operations.
        unsafe {
            bindings::nf_unregister_net_hook(self.net, self.ops.get());
            bindings::synchronize_net();
        }
    }
}

unsafe extern "C" fn hook<I: Ingress>(
    own: *mut kernel::ffi::c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> kernel::ffi::c_uint {
    // SAFETY: The kernel passes a valid buffer and state, with RCU held; the buffer is ours until we
    // return.
    let (net, protocol, rcu, skb) = unsafe {
        (
            Net::from_ptr((*state).net),
            bindings::glb_skb_protocol(skb),
            Reader::held(),
            Skb::from_ptr(skb),
        )
    };
    let family = match protocol {
        0x0800 => Family::V4,
        0x86dd => Family::V6,
        _ => return bindings::NF_ACCEPT,
    };
    // SAFETY: `Attachment::new` put the namespace's state there. The attachment is part of that state, which
    // does not move, and the attachment's end waits for all packets.
    let own = unsafe { &*own.cast::<I::State>() };
    match I::handle(own, &Hook { net, family, rcu }, skb) {
        Outcome::Accept(_) => bindings::NF_ACCEPT,
        Outcome::Drop(_) => bindings::NF_DROP,
        Outcome::Stolen => bindings::NF_STOLEN,
    }
}

/// The registration for news about devices. It comes after the state's, and goes before it.
pub struct Watch<W: Watcher> {
    block: Pin<KBox<Opaque<bindings::notifier_block>>>,
    _watcher: PhantomData<W>,
}

// SAFETY: The block is only touched by the notifier chain, under its lock.
unsafe impl<W: Watcher> Send for Watch<W> {}
// SAFETY: As above.
unsafe impl<W: Watcher> Sync for Watch<W> {}

impl<W: Watcher> Watch<W> {
    /// Starts watching.
    pub fn new(_registered: Registered<W::State>) -> Result<Self> {
        let block = bindings::notifier_block {
            notifier_call: Some(notify::<W>),
            // SAFETY: All zero is a valid value of the other fields.
            ..unsafe { core::mem::zeroed() }
        };
        let block = KBox::pin(Opaque::new(block), GFP_KERNEL)?;
        // SAFETY: The block is pinned and lives until `drop`.
        kernel::error::to_result(unsafe { bindings::register_netdevice_notifier(block.get()) })?;
        Ok(Self {
            block,
            _watcher: PhantomData,
        })
    }
}

impl<W: Watcher> Drop for Watch<W> {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`. Removal replays NETDEV_UNREGISTER for each device, so every
        // attachment is gone afterwards.
        unsafe { bindings::unregister_netdevice_notifier(self.block.get()) };
    }
}

unsafe extern "C" fn notify<W: Watcher>(
    _: *mut bindings::notifier_block,
    event: kernel::ffi::c_ulong,
    info: *mut kernel::ffi::c_void,
) -> kernel::ffi::c_int {
    let change = match event as u32 {
        bindings::netdev_cmd_NETDEV_UNREGISTER => Change::Gone,
        bindings::netdev_cmd_NETDEV_REGISTER
        | bindings::netdev_cmd_NETDEV_CHANGENAME
        | bindings::netdev_cmd_NETDEV_CHANGEUPPER => Change::Other,
        _ => return 0,
    };
    // SAFETY: The kernel passes the device, valid during the call.
    let (net, ifindex) = unsafe {
        let dev = (*info.cast::<bindings::netdev_notifier_info>()).dev;
        (
            Net::from_ptr(bindings::glb_dev_net(dev)),
            bindings::glb_dev_ifindex(dev),
        )
    };
    // SAFETY: The watch stands, and the state's registration outlives it.
    let registered = unsafe { Registered::<W::State>::new() };
    if let Some(state) = net.state_if_ready(registered) {
        let rtnl = Rtnl {
            owned: false,
            _not_send: NotThreadSafe,
        };
        W::changed(state, net, &rtnl, change, ifindex);
    }
    0
}
