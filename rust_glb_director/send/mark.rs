// SPDX-License-Identifier: GPL-2.0

//! The way of a packet that gets a mark: up the stack, whose rules and routes lead it on. It stays as it came; nothing is looked
//! up, and no length is too much here.

#![forbid(unsafe_code)]

use super::tally::Tally;
use crate::tables::world::Plan;
use glb_core::director::{MarkOffset, Verdict};
use glb_kernel::front::hook::Outcome;
use glb_kernel::packet::skb::Skb;

/// Marks the packet for its backend, whatever mark it had.
pub(super) fn send<'a>(
    offset: MarkOffset,
    stats: Tally<'_>,
    mut skb: Skb<'a>,
    plan: &Plan<'_, '_>,
) -> Outcome<'a> {
    let backend = plan.hops.backend();
    let found = plan.table.backends.get(usize::from(backend));
    // The plan's hop is one of them.
    let identifier = found.map_or(backend, |one| one.identifier);
    skb.set_mark(offset.mark(identifier));
    stats.count(Verdict::Marked);
    stats.count_bytes(plan.packet.len);
    Outcome::Accept(skb)
}
