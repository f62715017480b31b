// SPDX-License-Identifier: GPL-2.0

//! The way of a client's packet to its first hop: route, fit, what the forward does to it, wire.
//!
//! ```text
//! tunnel    headers in front
//! rewrite   another destination, in place
//! mark      up the stack, with a mark
//! back      another source, in place: an answer to its client
//! in_place  what these two have in common
//! uncommon  a packet that cannot go as it came, by either
//! way       what these have in common
//! tally     where a packet is counted
//! refuse    the end of a packet that is not sent
//! ```

#![forbid(unsafe_code)]

pub(crate) mod back;
mod in_place;
mod mark;
pub(crate) mod refuse;
mod rewrite;
mod tally;
mod tunnel;
mod uncommon;
mod way;

use crate::config::Config;
use crate::stats::Stats;
use crate::tables::world::Plan;
use glb_core::director::rewrite::Edit;
use glb_core::director::{Leave, MarkOffset, Tunnel, Verdict};
use glb_core::packet::addr::Addr;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::out::path::Fit;
use glb_kernel::packet::skb::Skb;
use refuse::refuse;
use tally::Tally;
use uncommon::Case;
use way::{Journey, Manner};

/// What the director has of its own on a packet's way.
#[derive(Clone, Copy)]
struct Own<'p> {
    stats: Tally<'p>,
    config: &'p Config,
}

impl<'p> Own<'p> {
    /// Of a packet of a service, whose backend counts.
    #[inline(always)]
    fn of_service(stats: &'p Stats, config: &'p Config, plan: &Plan<'p, '_>) -> Self {
        let meter = plan.table.meter(plan.hops.backend());
        Self {
            stats: Tally::of(stats, meter),
            config,
        }
    }

    /// The source of its packets to this address, if the operator names one.
    fn source(self, to: Addr) -> Option<Addr> {
        match to {
            Addr::V4(_) => self.config.source_v4.map(Addr::V4),
            Addr::V6(_) => self.config.source_v6.map(Addr::V6),
        }
    }
}

/// Sends the packet of a table with GLB's rows to its first hop.
///
/// Deployed fleets have such tables alone, which leave in GUE: their way is compiled for itself, where all that depends on the
/// forward is known, and no backend counts (docs/decisions/0008). All services share another.
#[inline(always)]
pub(crate) fn by_rows<'a>(
    stats: &Stats,
    hook: Hook<'_>,
    config: &Config,
    skb: Skb<'a>,
    plan: Plan<'_, '_>,
) -> Outcome<'a> {
    let own = Own {
        stats: stats.into(),
        config,
    };
    tunnel::send(Tunnel::Gue, own, hook, skb, plan)
}

/// Sends a common packet of a service by this tunnel. Its backends count.
#[inline(always)]
pub(crate) fn tunnelled<'a>(
    (tunnel, plan): (Tunnel, Plan<'_, '_>),
    stats: &Stats,
    hook: Hook<'_>,
    config: &Config,
    skb: Skb<'a>,
) -> Outcome<'a> {
    let own = Own::of_service(stats, config, &plan);
    tunnel::send(tunnel, own, hook, skb, plan)
}

/// The same, rewritten in place.
#[inline(always)]
pub(crate) fn rewritten<'a>(
    (edit, plan): (Edit, Plan<'_, '_>),
    stats: &Stats,
    hook: Hook<'_>,
    config: &Config,
    skb: Skb<'a>,
) -> Outcome<'a> {
    let own = Own::of_service(stats, config, &plan);
    rewrite::send_common(edit, own, hook, skb, plan)
}

/// Has a common packet of a service go on up the stack with this mark.
#[inline(always)]
pub(crate) fn marked<'a>(
    (offset, plan): (MarkOffset, Plan<'_, '_>),
    stats: &Stats,
    config: &Config,
    skb: Skb<'a>,
) -> Outcome<'a> {
    let own = Own::of_service(stats, config, &plan);
    mark::send(offset, own.stats, skb, &plan)
}

/// Sends any packet of a service, by its forward.
#[inline(always)]
pub(crate) fn of_service<'a>(
    stats: &Stats,
    hook: Hook<'_>,
    config: &Config,
    skb: Skb<'a>,
    plan: Plan<'_, '_>,
) -> Outcome<'a> {
    let own = Own::of_service(stats, config, &plan);
    match plan.forward().leave() {
        Leave::Tunnel(Tunnel::Gue) => any_in_gue(own, hook, skb, &plan),
        Leave::Tunnel(Tunnel::Gre) => any_in_gre(own, hook, skb, &plan),
        Leave::Tunnel(Tunnel::Ipip) => any_in_ip(own, hook, skb, &plan),
        Leave::Rewrite(edit) => any_rewritten(edit, own, hook, skb, &plan),
        Leave::Mark(offset) => mark::send(offset, own.stats, skb, &plan),
    }
}

// Each of them for itself, so that all that depends on the forward is known; and out of line, so that a packet has the stack of its
// own way only.

#[inline(never)]
fn any_in_gue<'a>(own: Own<'_>, hook: Hook<'_>, skb: Skb<'a>, plan: &Plan<'_, '_>) -> Outcome<'a> {
    tunnel::send(Tunnel::Gue, own, hook, skb, *plan)
}

#[inline(never)]
fn any_in_gre<'a>(own: Own<'_>, hook: Hook<'_>, skb: Skb<'a>, plan: &Plan<'_, '_>) -> Outcome<'a> {
    tunnel::send(Tunnel::Gre, own, hook, skb, *plan)
}

#[inline(never)]
fn any_in_ip<'a>(own: Own<'_>, hook: Hook<'_>, skb: Skb<'a>, plan: &Plan<'_, '_>) -> Outcome<'a> {
    tunnel::send(Tunnel::Ipip, own, hook, skb, *plan)
}

#[inline(never)]
fn any_rewritten<'a>(
    edit: Edit,
    own: Own<'_>,
    hook: Hook<'_>,
    skb: Skb<'a>,
    plan: &Plan<'_, '_>,
) -> Outcome<'a> {
    rewrite::send(edit, own, hook, skb, *plan)
}

/// Sends the packet as it is, if it fits. All of it is in line and in registers (docs/decisions/0008).
#[inline(always)]
fn dispatch<'a, M: Manner>(journey: Journey<'_, M>, skb: Skb<'a>) -> Outcome<'a> {
    match journey.path.fits(&skb, journey.manner.added()) {
        Fit::Whole => {}
        fit => return uncommon::handle(Case { journey, fit }, skb),
    }
    let way = journey.way();
    let len = way.manner.packet().len;
    match M::send(way, skb, len) {
        Ok(true) => way.count_sent(len),
        Ok(false) => way.stats.count(Verdict::DroppedNoRoute),
        Err((skb, verdict)) => return refuse(way.stats, skb, verdict),
    }
    Outcome::Stolen
}
