// SPDX-License-Identifier: GPL-2.0

//! A packet as the core looks at it.

#![forbid(unsafe_code)]

use glb_core::packet::view::View;
use glb_core::redirect::Packet;
use glb_kernel::front::hook::Hook;
use glb_kernel::packet::skb::Skb;

/// What is linear of a packet, from its outer IP header on.
#[inline]
pub(crate) fn seen<'s>(hook: &Hook<'_>, skb: &'s Skb<'_>) -> Packet<'s> {
    Packet {
        view: View::new(skb.linear(), skb.len()),
        outer: hook.family,
    }
}
