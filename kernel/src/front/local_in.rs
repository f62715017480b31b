// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks for packets to this machine, without a rule in a table.

use super::ip::{Hooks, Place};
use crate::base::rcu::Reader;
use crate::bindings;
use crate::front::hook::{Hook, Outcome};
use crate::net::{sealed, Door, Net, NetState, Registered};
use crate::packet::skb::Skb;
use core::marker::PhantomData;
use glb_core::packet::ip::Family;
use kernel::prelude::*;

/// Behind the filter tables of iptables and nftables (0), so that what they drop is not seen, and before the
/// security table (50).
const PRIORITY: i32 = 10;

/// A handler of the IPv4 and IPv6 packets that are for this machine.
pub trait LocalIn: Send + Sync + 'static {
    /// What the module keeps in a namespace.
    type State: NetState;

    /// Handles a packet, whose data starts at the IP header.
    fn handle<'a>(state: &Self::State, hook: &Hook<'_>, skb: Skb<'a>) -> Outcome<'a>;
}

/// The hooks of one namespace.
pub struct Attachment<H: LocalIn> {
    _hooks: Hooks,
    _handler: PhantomData<H>,
}

impl<H: LocalIn> Door for Attachment<H> {}

impl<H: LocalIn> sealed::Open for Attachment<H> {
    type State = H::State;
    type Site<'s> = ();

    fn open(net: &Net, registered: Registered<H::State>, (): ()) -> Result<Self> {
        let place = Place {
            number: bindings::nf_inet_hooks_NF_INET_LOCAL_IN,
            priority: PRIORITY,
            function: Some(hook::<H>),
        };
        let own = core::ptr::from_ref(net.state(registered)).cast_mut();
        // SAFETY: `hook` expects the namespace's state, which does not move. The attachment is among the namespace's doors,
        // which are shut before the state goes, and its end waits for all packets.
        let hooks = unsafe { Hooks::register(net, own.cast(), &place) }?;
        Ok(Self {
            _hooks: hooks,
            _handler: PhantomData,
        })
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
    // SAFETY: `open` put the namespace's state there.
    let own = unsafe { &*own.cast::<H::State>() };
    match H::handle(own, &Hook { net, family, rcu }, skb) {
        Outcome::Accept(_) => bindings::NF_ACCEPT,
        Outcome::Drop(_) => bindings::NF_DROP,
        Outcome::Stolen | Outcome::Lost => bindings::NF_STOLEN,
    }
}
