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

/// A handler of packets, for modules whose state is `S`.
pub struct Handler<S>(bindings::nf_hookfn, PhantomData<S>);

impl<S: NetState> Handler<S> {
    /// As a type.
    pub const fn of<I: Ingress<State = S>>() -> Self {
        Self(Some(hook::<I>), PhantomData)
    }
}

/// The closed family of a module's handlers: what its devices may be for.
pub trait Role: Copy + Send + Sync + 'static {
    /// What the module keeps in a namespace.
    type State: NetState;

    /// What handles the packets of such a device.
    fn handler(self) -> Handler<Self::State>;
}

/// A handler attached to a device. Dropping it detaches, which happens with the RTNL lock held: [`Door`]s of devices are
/// changed under it.
pub struct Attachment<R: Role> {
    ops: Pin<KBox<Opaque<bindings::nf_hook_ops>>>,
    /// INVARIANT: the namespace of the device, among whose doors this object is, so it outlives the object.
    net: *mut bindings::net,
    ifindex: i32,
    role: R,
}

// SAFETY: The pointers are only used under the RTNL lock.
unsafe impl<R: Role> Send for Attachment<R> {}
// SAFETY: As above.
unsafe impl<R: Role> Sync for Attachment<R> {}

impl<R: Role> Door for Attachment<R> {}

impl<R: Role> sealed::Open for Attachment<R> {
    type State = R::State;
    type Site<'s> = (&'s Rtnl, i32, R);

    /// Attaches to the device with this index. `ENODEV` if there is none.
    fn open(
        net: &Net,
        registered: Registered<R::State>,
        (_rtnl, ifindex, role): Self::Site<'_>,
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
            hook: role.handler().0,
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
            role,
        })
    }
}

impl<R: Role> Attachment<R> {
    /// Index of the device.
    pub fn ifindex(&self) -> i32 {
        self.ifindex
    }

    /// What the device is for.
    pub fn role(&self) -> R {
        self.role
    }
}

impl<R: Role> Drop for Attachment<R> {
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
