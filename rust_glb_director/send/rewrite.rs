// SPDX-License-Identifier: GPL-2.0

//! Packets that leave with nothing in front, to another destination.

#![forbid(unsafe_code)]

use super::in_place::{find, flow, InPlace};
use super::refuse::refuse;
use super::way::Way;
use super::{dispatch, Own};
use crate::tables::world::Plan;
use glb_core::director::rewrite::{Change, Edit};
use glb_core::director::{Candidate, Verdict};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::Addrs;
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::out::path::Path;
use glb_kernel::packet::skb::Skb;

/// Sends the packet to its first hop, changed as `edit` says.
#[inline(never)]
pub(super) fn send<'a>(
    edit: Edit,
    own: Own<'_>,
    hook: &Hook<'_>,
    mut skb: Skb<'a>,
    plan: &Plan<'_, '_>,
) -> Outcome<'a> {
    let spot = match find(&mut skb, hook.family, plan.packet.len, (edit, None)) {
        Ok(spot) => spot,
        Err(verdict) => return refuse(own.stats, skb, verdict),
    };
    // The next routers see this one; without ECN, which no route depends on.
    let tos = edit.tos(spot.tos()) & !3;
    let Some(path) = path((edit, tos), own, hook, &skb, plan) else {
        return refuse(own.stats, skb, Verdict::DroppedNoRoute);
    };
    let way = Way {
        stats: own.stats,
        hook,
        config: own.config,
        path: &path,
        manner: InPlace {
            packet: &plan.packet,
            verdict: plan.verdict,
            change: Change::toward(plan.hops.first().addr, edit),
            spot: Some(spot),
            whole: None,
        },
    };
    dispatch(way, skb)
}

/// The route to the first hop. What is remembered is the route from this machine, which holds for clients' packets as long as
/// nothing selects by source, and for packets with one TOS.
#[inline(always)]
fn path(
    (edit, tos): (Edit, u8),
    own: Own<'_>,
    hook: &Hook<'_>,
    skb: &Skb<'_>,
    plan: &Plan<'_, '_>,
) -> Option<Path> {
    let first = plan.hops.first();
    if Path::counts_source(hook) {
        return look_up((edit, tos), None, hook, skb, plan);
    }
    let kept = match tos == first.tos {
        true => Path::kept(&first.route, skb, first.addr),
        false => None,
    };
    kept.or_else(|| look_up((edit, tos), Some(own), hook, skb, plan))
}

/// Looks up the route of the packet that leaves, with the port that it gets: as that of this machine's own packets where `own` is given, or of this client's.
#[cold]
fn look_up(
    (edit, tos): (Edit, u8),
    own: Option<Own<'_>>,
    hook: &Hook<'_>,
    skb: &Skb<'_>,
    plan: &Plan<'_, '_>,
) -> Option<Path> {
    let first = plan.hops.first();
    let packet = Candidate {
        key: FlowKey {
            dst_port: edit.port(plan.packet.key.dst_port),
            ..plan.packet.key
        },
        ..plan.packet
    };
    let flow = flow(&packet, tos, first.tos);
    if let Some(own) = own {
        let source = own.source(first.addr);
        return Path::find(hook, &first.route, skb, flow, (first.addr, source));
    }
    // An ICMP error comes from a router on the way, not from the client.
    let family = hook.family;
    let client = match Addrs::read(View::new(skb.linear(), skb.len()), 0, family) {
        Ok(Addrs::V4 { src, .. }) => Addr::V4(src),
        Ok(Addrs::V6 { src, .. }) => Addr::V6(src),
        Err(_) => return None,
    };
    Path::between(hook, skb, flow, first.addr, Some(client))
}
