// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks for packets to this machine, without a rule in a table.
//!
//! C header: `include/linux/netfilter.h`

use crate::base::rcu::Reader;
use crate::bindings;
use crate::front::hook::{Hook, Outcome};
use crate::net::{sealed, Door, Net, NetState, Registered};
use crate::packet::skb::Skb;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use glb_core::packet::ip::Family;
use kernel::prelude::*;

/// Behind the filter tables of iptables and nftables (0), so that what they drop is not seen, and before the
/// security table (50).
const PRIORITY: i32 = 10;

/// A handler of the IPv4 and IPv6 packets that are for this machine.
pub trait LocalIn: 'static {
    /// What the module keeps in a namespace.
    type State: NetState;

    /// Handles a packet, whose data starts at the IP header.
    fn handle<'a>(state: &Self::State, hook: &Hook<'_>, skb: Skb<'a>) -> Outcome<'a>;
}

/// The hooks of one namespace.
pub struct Attachment<H: LocalIn> {
    ops: Pin<KBox<Ops>>,
    /// INVARIANT: the namespace among whose doors this object is, so it outlives the object.
    net: *mut bindings::net,
    _handler: PhantomData<H>,
}

const HOOKS: usize = 2;

struct Ops(UnsafeCell<[bindings::nf_hook_ops; HOOKS]>);

// SAFETY: The operations are only touched by netfilter, under its own lock.
unsafe impl<H: LocalIn> Send for Attachment<H> {}
// SAFETY: As above.
unsafe impl<H: LocalIn> Sync for Attachment<H> {}

impl<H: LocalIn> Door for Attachment<H> {}

impl<H: LocalIn> sealed::Open for Attachment<H> {
    type State = H::State;
    type Site<'s> = ();

    fn open(net: &Net, registered: Registered<H::State>, (): ()) -> Result<Self> {
        let own = core::ptr::from_ref(net.state(registered)).cast_mut();
        let ops = |family| bindings::nf_hook_ops {
            hook: Some(hook::<H>),
            // Saves each packet the way from the namespace to its state.
            priv_: own.cast(),
            pf: family as u8,
            hooknum: bindings::nf_inet_hooks_NF_INET_LOCAL_IN,
            priority: PRIORITY,
            // SAFETY: All zero is a valid value of the other fields.
            ..unsafe { core::mem::zeroed() }
        };
        let ops = KBox::pin(
            Ops(UnsafeCell::new([
                ops(bindings::NFPROTO_IPV4),
                ops(bindings::NFPROTO_IPV6),
            ])),
            GFP_KERNEL,
        )?;
        // SAFETY: The operations are pinned and live until `drop` has removed them and waited.
        let error = unsafe {
            bindings::nf_register_net_hooks(net.as_ptr(), ops.0.get().cast(), HOOKS as u32)
        };
        if error != 0 {
            // The first one may have been registered, and removed again because of the second: packets may be in it.
            // SAFETY: No requirements in process context.
            unsafe { bindings::synchronize_net() };
        }
        kernel::error::to_result(error)?;
        Ok(Self {
            ops,
            net: net.as_ptr(),
            _handler: PhantomData,
        })
    }
}

impl<H: LocalIn> Drop for Attachment<H> {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`. After the grace period no packet is in the handler and nobody reads
        // the operations.
        unsafe {
            bindings::nf_unregister_net_hooks(self.net, self.ops.0.get().cast(), HOOKS as u32);
            bindings::synchronize_net();
        }
    }
}

unsafe extern "C" fn hook<H: LocalIn>(
    own: *mut kernel::ffi::c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> kernel::ffi::c_uint {
    // SAFETY: The kernel passes a valid buffer and state, with RCU held; the buffer is ours until we
    // return.
    let (net, is_v6, rcu, skb) = unsafe {
        (
            Net::from_ptr((*state).net),
            u32::from((*state).pf) == bindings::NFPROTO_IPV6,
            Reader::held(),
            Skb::from_ptr(skb),
        )
    };
    let family = if is_v6 { Family::V6 } else { Family::V4 };
    // SAFETY: `open` put the namespace's state there, which does not move. The attachment is among the namespace's doors,
    // which are shut before the state goes, and its end waits for all packets.
    let own = unsafe { &*own.cast::<H::State>() };
    match H::handle(own, &Hook { net, family, rcu }, skb) {
        Outcome::Accept(_) => bindings::NF_ACCEPT,
        Outcome::Drop(_) => bindings::NF_DROP,
        Outcome::Stolen | Outcome::Lost => bindings::NF_STOLEN,
    }
}
