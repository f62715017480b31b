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
use glb_core::director::{Leave, Tunnel, Verdict};
use glb_core::packet::addr::Addr;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::out::path::Fit;
use glb_kernel::packet::skb::Skb;
use refuse::refuse;
use tally::Tally;
use way::{Manner, Way};

/// What the director has of its own on a packet's way.
#[derive(Clone, Copy)]
struct Own<'p> {
    stats: Tally<'p>,
    config: &'p Config,
}

impl Own<'_> {
    /// The source of its packets to this address, if the operator names one.
    fn source(self, to: Addr) -> Option<Addr> {
        match to {
            Addr::V4(_) => self.config.source_v4.map(Addr::V4),
            Addr::V6(_) => self.config.source_v6.map(Addr::V6),
        }
    }
}

/// Sends the packet to its first hop, by the forward of its table.
///
/// Deployed fleets have GLB's tables alone, which leave in GUE: their way is compiled for itself, where all that depends on the
/// forward is known, and no backend counts (docs/decisions/0008). All services share another, for each [`Leave`].
#[inline]
pub(crate) fn send<'a>(
    stats: &Stats,
    hook: &Hook<'_>,
    config: &Config,
    skb: Skb<'a>,
    plan: &Plan<'_, '_>,
) -> Outcome<'a> {
    if plan.table.is_service() {
        return of_service(stats, hook, config, skb, plan);
    }
    let own = Own {
        stats: stats.into(),
        config,
    };
    tunnel::send(Tunnel::Gue, own, hook, skb, plan)
}

/// The same for a service, whose backends count.
#[inline(never)]
fn of_service<'a>(
    stats: &Stats,
    hook: &Hook<'_>,
    config: &Config,
    skb: Skb<'a>,
    plan: &Plan<'_, '_>,
) -> Outcome<'a> {
    let meter = plan.table.meter(plan.hops.backend());
    let own = Own {
        stats: Tally::of(stats, meter),
        config,
    };
    match plan.forward().leave() {
        Leave::Tunnel(tunnel) => tunnel::send(tunnel, own, hook, skb, plan),
        Leave::Rewrite(edit) => rewrite::send(edit, own, hook, skb, plan),
        Leave::Mark(offset) => mark::send(offset, own.stats, skb, plan),
    }
}

/// Sends the packet as it is, if it fits. All of it is in line and in registers (docs/decisions/0008).
#[inline(always)]
fn dispatch<'a, M: Manner>(way: Way<'_, M>, skb: Skb<'a>) -> Outcome<'a> {
    match way.path.fits(&skb, way.manner.added()) {
        Fit::Whole => {}
        fit => return uncommon::handle(way, skb, fit),
    }
    match M::send(way, skb, way.manner.packet().len) {
        Ok(true) => way.stats.count(way.manner.verdict()),
        Ok(false) => way.stats.count(Verdict::DroppedNoRoute),
        Err((skb, verdict)) => return refuse(way.stats, skb, verdict),
    }
    Outcome::Stolen
}
