// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks for the SYN/ACKs that this machine sends. All packets go on, whatever becomes of their timestamps.
//!
//! Each packet that the namespace sends comes here. What is no SYN/ACK leaves again after a look at the state of its socket.

use super::ip::{Hooks, Place};
use crate::base::rcu::Reader;
use crate::bindings;
use crate::net::{sealed, Door, Net, NetState, Registered};
use crate::packet::skb::Skb;
use crate::sockets::syn_ack::SynAck;
use core::marker::PhantomData;
use glb_core::packet::ip::Family;
use kernel::prelude::*;

/// Before all others (`NF_IP_PRI_FIRST`, `NF_IP6_PRI_FIRST`), which see what the client will see.
const PRIORITY: i32 = i32::MIN;

/// A handler of SYN/ACKs.
pub trait SynAcks: Send + Sync + 'static {
    /// What the module keeps in a namespace.
    type State: NetState;

    /// Handles a packet, which goes on.
    fn handle(state: &Self::State, rcu: Reader<'_>, answer: SynAck<'_, '_>);
}

/// The hooks of one namespace.
pub struct Attachment<H: SynAcks> {
    _hooks: Hooks,
    _handler: PhantomData<H>,
}

impl<H: SynAcks> Door for Attachment<H> {}

impl<H: SynAcks> sealed::Open for Attachment<H> {
    type State = H::State;
    type Site<'s> = ();

    fn open(net: &Net, registered: Registered<H::State>, (): ()) -> Result<Self> {
        let place = Place {
            number: bindings::nf_inet_hooks_NF_INET_LOCAL_OUT,
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

unsafe extern "C" fn hook<H: SynAcks>(
    own: *mut kernel::ffi::c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> kernel::ffi::c_uint {
    // SAFETY: The kernel passes a valid buffer and state, with RCU held; the buffer is ours until we
    // return.
    let (is_v6, rcu, mut skb) = unsafe {
        (
            u32::from((*state).pf) == bindings::NFPROTO_IPV6,
            Reader::held(),
            Skb::from_ptr(skb),
        )
    };
    let family = if is_v6 { Family::V6 } else { Family::V4 };
    if let Some(answer) = SynAck::of(&mut skb, family) {
        // SAFETY: `open` put the namespace's state there.
        let own = unsafe { &*own.cast::<H::State>() };
        H::handle(own, rcu, answer);
    }
    bindings::NF_ACCEPT
}
