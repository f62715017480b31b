// SPDX-License-Identifier: GPL-2.0

//! Ingress hooks of network devices.
//!
//! C headers: `include/linux/netdevice.h`, `include/linux/netfilter.h`
//!
//! All changes are made under the RTNL lock, which [`Rtnl`] stands for: attaching, detaching, and the
//! notification that a device goes ([`crate::net::News`]), which the kernel delivers with the lock held.

use crate::base::rcu::Reader;
use crate::bindings;
use crate::front::hook::{Hook, Outcome};
use crate::net::{sealed, Door, Net, NetState, Registered, Rtnl};
use crate::packet::skb::Skb;
use core::marker::PhantomData;
use glb_core::packet::ip::Family;
use kernel::prelude::*;
use kernel::types::Opaque;

/// `pkt_type` of a frame for this machine (`include/uapi/linux/if_packet.h`).
const PACKET_HOST: u32 = 0;

/// A handler of the IP packets that come in from a device. Others go on untouched.
pub trait Ingress: 'static {
    /// What the module keeps in a namespace.
    type State: NetState;

    /// Counts an IP packet in a frame that is not for this machine alone; it goes on untouched.
    fn other_host(state: &Self::State);

    /// Handles a packet, whose data starts at the IP header.
    fn handle<'a>(state: &Self::State, hook: &Hook<'_>, skb: Skb<'a>) -> Outcome<'a>;
}

/// A handler attached to a device. Dropping it detaches, which happens with the RTNL lock held: [`Door`]s of devices are
/// changed under it.
pub struct Attachment<I: Ingress> {
    ops: Pin<KBox<Opaque<bindings::nf_hook_ops>>>,
    /// INVARIANT: the namespace of the device, among whose doors this object is, so it outlives the object.
    net: *mut bindings::net,
    ifindex: i32,
    _handler: PhantomData<I>,
}

// SAFETY: The pointers are only used under the RTNL lock.
unsafe impl<I: Ingress> Send for Attachment<I> {}
// SAFETY: As above.
unsafe impl<I: Ingress> Sync for Attachment<I> {}

impl<I: Ingress> Door for Attachment<I> {}

impl<I: Ingress> sealed::Open for Attachment<I> {
    type State = I::State;
    type Site<'s> = (&'s Rtnl, i32);

    /// Attaches to the device with this index. `ENODEV` if there is none.
    fn open(
        net: &Net,
        registered: Registered<I::State>,
        (_rtnl, ifindex): Self::Site<'_>,
    ) -> Result<Self> {
        // SAFETY: The RTNL lock is held, so the device stays while this function runs.
        let dev = unsafe { bindings::__dev_get_by_index(net.as_ptr(), ifindex) };
        if dev.is_null() {
            return Err(ENODEV);
        }
        // What a device merged for this machine alone (LRO) cannot be cut again for others.
        // SAFETY: The RTNL lock is held, and the device is there.
        unsafe { bindings::dev_disable_lro(dev) };
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
}

impl<I: Ingress> Attachment<I> {
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
    let (net, link, rcu, skb) = unsafe {
        (
            Net::from_ptr((*state).net),
            bindings::glb_skb_link(skb),
            Reader::held(),
            Skb::from_ptr(skb),
        )
    };
    let family = match link & 0xffff {
        0x0800 => Family::V4,
        0x86dd => Family::V6,
        _ => return bindings::NF_ACCEPT,
    };
    // SAFETY: `open` put the namespace's state there, which does not move. The attachment is among the namespace's doors,
    // which are shut before the state goes, and its end waits for all packets.
    let own = unsafe { &*own.cast::<I::State>() };
    // Of the frames that a promiscuous device takes in, only those for this machine are a director's.
    if link >> 16 != PACKET_HOST {
        I::other_host(own);
        return bindings::NF_ACCEPT;
    }
    match I::handle(own, &Hook { net, family, rcu }, skb) {
        Outcome::Accept(_) => bindings::NF_ACCEPT,
        Outcome::Drop(_) => bindings::NF_DROP,
        Outcome::Stolen => bindings::NF_STOLEN,
    }
}
