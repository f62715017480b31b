// SPDX-License-Identifier: GPL-2.0

//! Packets that leave with nothing in front, to another destination.

#![forbid(unsafe_code)]

use super::in_place::{find, flow, InPlace};
use super::refuse::refuse;
use super::way::Journey;
use super::{dispatch, Own};
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
    match find(&mut skb, hook.family, plan.packet.len, (edit, None)) {
        Ok(spot) => along((edit, spot), own, hook, skb, plan),
        Err(verdict) => refuse(own.stats, skb, verdict),
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
    let view = View::new(skb.linear(), skb.len()).limit(plan.packet.len);
    match Spot::find_common(view, hook.family, edit) {
        Some(spot) => along((edit, spot), own, hook, skb, plan),
        None => {
            // Put together anew, so that it is in memory here only.
            let plan = Plan { ..plan };
            uncommon(edit, (own, hook), skb, plan)
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

/// The same where it is known what changes in the packet.
#[inline(always)]
fn along<'a>(
    (edit, spot): (Edit, Spot),
    own: Own<'_>,
    hook: Hook<'_>,
    skb: Skb<'a>,
    plan: Plan<'_, '_>,
) -> Outcome<'a> {
    // The next routers see this one; without ECN, which no route depends on.
    let tos = edit.tos(spot.tos()) & !3;
    let first = plan.hops.first();
    // What is remembered is the route from this machine, which holds for clients' packets as long as nothing selects by source,
    // and for packets with one TOS.
    let to = match (hook.family, first.addr) {
        (Family::V4, Addr::V4(to)) => Addr::V4(to),
        (Family::V6, Addr::V6(to)) => Addr::V6(to),
        // Tables whose forward rewrites have backends of the family of their binds.
        _ => return refuse(own.stats, skb, Verdict::DroppedNoRoute),
    };
    let kept = match tos == first.tos {
        true => Path::kept_by_any(&hook, &first.route, &skb, to),
        false => None,
    };
    let manner = InPlace {
        packet: plan.packet,
        verdict: plan.verdict,
        change: Change::toward(to, edit),
        spot: Some(spot),
        whole: None,
    };
    match kept {
        Some(path) => dispatch(journey(manner, own, hook, path), skb),
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
        Some(path) => dispatch(
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
