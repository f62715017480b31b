// SPDX-License-Identifier: GPL-2.0

//! What all packet hooks have in common.

use crate::base::rcu::Reader;
use crate::net::Net;
use crate::packet::skb::Skb;
use glb_core::packet::ip::Family;

/// Where a packet is. Small enough to be handed on by value, in registers.
#[derive(Clone, Copy)]
pub struct Hook<'a> {
    /// The namespace.
    pub net: &'a Net,
    /// Family of the packet, the outer one of a tunnel.
    pub family: Family,
    /// Hooks run under RCU.
    pub rcu: Reader<'a>,
}

/// What a hook does with a packet.
pub enum Outcome<'a> {
    /// The packet goes on: to the next rule of a chain, or to the next hook.
    Accept(Skb<'a>),
    /// The packet is dropped.
    Drop(Skb<'a>),
    /// The packet was sent on.
    Stolen,
    /// The packet was to be sent on, and was lost on its way: it is gone, and its sender hears of it where the hook can say so.
    Lost,
}
