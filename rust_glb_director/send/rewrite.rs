// SPDX-License-Identifier: GPL-2.0

//! Packets that leave with nothing in front, to another destination.

#![forbid(unsafe_code)]

use super::in_place::{self, find, flow, InCommon, InPlace};
use super::refuse::refuse;
use super::way::Journey;
use super::Own;
use crate::tables::set::NextHop;
use crate::tables::world::Plan;
use glb_core::director::rewrite::{Change, Edit, Spot};
use glb_core::director::{Candidate, Verdict};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::{Addrs, Family};
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::out::path::Path;
use glb_kernel::packet::skb::Skb;

/// Sends the packet to its first hop, changed as `edit` says. It is compiled for each family apart.
#[inline(always)]
pub(super) fn send<'a>(
    edit: Edit,
    own: Own<'_>,
    hook: Hook<'_>,
    mut skb: Skb<'a>,
    plan: Plan<'_, '_>,
) -> Outcome<'a> {
    let spot = match find(&mut skb, hook.family, plan.packet.len, (edit, None)) {
        Ok(spot) => spot,
        Err(verdict) => return refuse(own.stats, skb, verdict),
    };
    let Some((to, tos)) = toward(edit, spot, hook.family, plan.hops.first()) else {
        return refuse(own.stats, skb, Verdict::DroppedNoRoute);
    };
    let first = plan.hops.first();
    let manner = InPlace {
        packet: plan.packet,
        verdict: plan.verdict,
        change: Change::toward(to, edit),
        spot: Some(spot),
        whole: None,
    };
    match kept(hook, first, &skb, (to, tos)) {
        Some(path) => super::dispatch(journey(manner, own, hook, path), skb),
        None => {
            let unrouted = Unrouted {
                tos,
                own,
                hook,
                first,
                manner,
            };
            look_up(unrouted, skb)
        }
    }
}

/// The same of a common packet: all that such a packet cannot be is known to the compiler.
#[inline(always)]
pub(super) fn send_common<'a>(
    edit: Edit,
    own: Own<'_>,
    hook: Hook<'_>,
    skb: Skb<'a>,
    plan: Plan<'_, '_>,
) -> Outcome<'a> {
    let Some(spot) = InCommon::spot(&skb, hook.family, &plan.packet, edit) else {
        // Put together anew, so that it is in memory here only.
        let plan = Plan { ..plan };
        return uncommon(edit, (own, hook), skb, plan);
    };
    let Some((to, tos)) = toward(edit, spot, hook.family, plan.hops.first()) else {
        return refuse(own.stats, skb, Verdict::DroppedNoRoute);
    };
    let first = plan.hops.first();
    let manner = InCommon {
        packet: plan.packet,
        verdict: plan.verdict,
        change: Change::toward(to, edit),
        spot,
    };
    match kept(hook, first, &skb, (to, tos)) {
        Some(path) => in_place::dispatch(own, hook, path, manner, skb),
        None => {
            let manner = manner.any();
            let unrouted = Unrouted {
                tos,
                own,
                hook,
                first,
                manner,
            };
            look_up(unrouted, skb)
        }
    }
}

/// A common packet in which what changes is not found in few steps, as one whose time to live ends here.
#[cold]
#[inline(never)]
fn uncommon<'a>(
    edit: Edit,
    (own, hook): (Own<'_>, Hook<'_>),
    skb: Skb<'a>,
    plan: Plan<'_, '_>,
) -> Outcome<'a> {
    send(edit, own, hook, skb, plan)
}

/// The first hop, and the TOS that the next routers see, without ECN, which no route depends on. Tables whose forward rewrites have
/// backends of the family of their binds.
#[inline(always)]
fn toward(edit: Edit, spot: Spot, family: Family, first: &NextHop) -> Option<(Addr, u8)> {
    let to = match (family, first.addr) {
        (Family::V4, Addr::V4(to)) => Addr::V4(to),
        (Family::V6, Addr::V6(to)) => Addr::V6(to),
        _ => return None,
    };
    Some((to, edit.tos(spot.tos()) & !3))
}

/// The route that is remembered: from this machine, which holds for clients' packets as long as nothing selects by source, and for
/// packets with one TOS.
#[inline(always)]
fn kept(hook: Hook<'_>, first: &NextHop, skb: &Skb<'_>, (to, tos): (Addr, u8)) -> Option<Path> {
    match tos == first.tos {
        true => Path::kept_by_any(&hook, &first.route, skb, to),
        false => None,
    }
}

#[inline(always)]
fn journey<'p>(manner: InPlace, own: Own<'p>, hook: Hook<'p>, path: Path) -> Journey<'p, InPlace> {
    Journey {
        stats: own.stats,
        hook,
        config: own.config,
        path,
        manner,
    }
}

/// A packet's way without a route.
struct Unrouted<'p> {
    tos: u8,
    own: Own<'p>,
    hook: Hook<'p>,
    first: &'p NextHop,
    manner: InPlace,
}

/// Looks up the route of the packet that leaves, with the port that it gets: as that of this machine's own packets, or of this
/// client's; and sends the packet.
#[cold]
#[inline(never)]
fn look_up<'a>(unrouted: Unrouted<'_>, skb: Skb<'a>) -> Outcome<'a> {
    match unrouted.path(&skb) {
        Some(path) => super::dispatch(
            journey(unrouted.manner, unrouted.own, unrouted.hook, path),
            skb,
        ),
        None => refuse(unrouted.own.stats, skb, Verdict::DroppedNoRoute),
    }
}

impl Unrouted<'_> {
    fn path(&self, skb: &Skb<'_>) -> Option<Path> {
        let Self {
            tos,
            own,
            hook,
            first,
            manner,
            ..
        } = self;
        let InPlace { packet, change, .. } = manner;
        let packet = Candidate {
            key: FlowKey {
                dst_port: change.edit.port(packet.key.dst_port),
                ..packet.key
            },
            ..*packet
        };
        let flow = flow(&packet, *tos, first.tos);
        if !Path::counts_source(hook) {
            let source = own.source(first.addr);
            return Path::find(hook, &first.route, skb, flow, (first.addr, source));
        }
        // An ICMP error comes from a router on the way, not from the client.
        let view = View::new(skb.linear(), skb.len());
        let client = match Addrs::read(view, 0, hook.family) {
            Ok(Addrs::V4 { src, .. }) => Addr::V4(src),
            Ok(Addrs::V6 { src, .. }) => Addr::V6(src),
            Err(_) => return None,
        };
        Path::between(hook, skb, flow, first.addr, Some(client))
    }
}
