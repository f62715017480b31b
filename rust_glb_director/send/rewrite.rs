// SPDX-License-Identifier: GPL-2.0

//! Packets that leave with nothing in front, to another destination.

#![forbid(unsafe_code)]

use super::refuse::refuse;
use super::way::{Manner, Way};
use super::{dispatch, Own};
use crate::tables::world::Plan;
use glb_core::director::rewrite::{Edit, Spot, Unchanged};
use glb_core::director::{Candidate, Kind, Verdict};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::{proto, Addrs, Family};
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::out::path::{Flow, Path};
use glb_kernel::out::rewrite::writable;
use glb_kernel::packet::skb::Skb;

/// How often headers are made linear at most: those that stand in front of the transport header's checksum. Each round gets
/// further than the one before.
const MAX_PULLS: usize = 16;

/// What changes in a packet.
#[derive(Clone, Copy)]
struct InPlace {
    edit: Edit,
    /// Where it stands; `None` for a part of a packet, in which it has not been looked for.
    spot: Option<Spot>,
}

/// Sends the packet to its first hop, changed as `edit` says.
#[inline(never)]
pub(super) fn send<'a>(
    edit: Edit,
    own: Own<'_>,
    hook: &Hook<'_>,
    mut skb: Skb<'a>,
    plan: &Plan<'_, '_>,
) -> Outcome<'a> {
    let spot = match find(&mut skb, hook.family, plan.packet.len) {
        Ok(spot) => spot,
        Err(verdict) => return refuse(own.stats, skb, verdict),
    };
    // The next routers see this one, without ECN, which no route depends on.
    let tos = edit.dscp.over(0);
    let Some(path) = path(tos, own, hook, &skb, plan) else {
        return refuse(own.stats, skb, Verdict::DroppedNoRoute);
    };
    let way = Way {
        stats: own.stats,
        hook,
        config: own.config,
        plan,
        path: &path,
        manner: InPlace {
            edit,
            spot: Some(spot),
        },
    };
    dispatch(way, skb)
}

/// Where in a packet of `len` bytes that stands which changes. Headers are made linear as the core asks for them.
#[inline]
fn find(skb: &mut Skb<'_>, family: Family, len: usize) -> Result<Spot, Verdict> {
    for _ in 0..MAX_PULLS {
        match Spot::find(View::new(skb.linear(), skb.len()).limit(len), family) {
            Ok(spot) => return Ok(spot),
            Err(Unchanged::Ends(verdict)) => return Err(verdict),
            Err(Unchanged::NeedLinear(len)) => {
                skb.pull(len).map_err(|_| Verdict::DroppedNoMemory)?;
            }
        }
    }
    Err(Verdict::PassedUnknownFormat)
}

/// The route to the first hop. What is remembered is the route from this machine, which holds for clients' packets as long as
/// nothing selects by source.
#[inline(always)]
fn path(
    tos: u8,
    own: Own<'_>,
    hook: &Hook<'_>,
    skb: &Skb<'_>,
    plan: &Plan<'_, '_>,
) -> Option<Path> {
    let first = plan.hops.first();
    if Path::counts_source(hook) {
        return look_up(tos, None, hook, skb, plan);
    }
    Path::kept(&first.route, skb, first.addr).or_else(|| look_up(tos, Some(own), hook, skb, plan))
}

/// Looks the route up, as that of this machine's own packets where `own` is given, or of this client's.
#[cold]
fn look_up(
    tos: u8,
    own: Option<Own<'_>>,
    hook: &Hook<'_>,
    skb: &Skb<'_>,
    plan: &Plan<'_, '_>,
) -> Option<Path> {
    let first = plan.hops.first();
    let flow = flow(&plan.packet, tos);
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
    Path::between(hook, skb, flow, first.addr, client)
}

/// What the route of the client's packet depends on, beside its addresses.
fn flow(packet: &Candidate, tos: u8) -> Flow {
    let is_v6 = matches!(packet.key.addrs, Addrs::V6 { .. });
    let icmp = |v4: [u8; 2], v6: [u8; 2]| match is_v6 {
        false => Flow::passed_on(proto::ICMP, (0, u16::from_be_bytes(v4)), tos),
        true => Flow::passed_on(proto::ICMPV6, (0, u16::from_be_bytes(v6)), tos),
    };
    match packet.kind {
        Kind::Flow(proto) | Kind::LaterFragment(proto) => {
            let ports = (packet.key.src_port, packet.key.dst_port);
            Flow::passed_on(proto.number(), ports, tos)
        }
        Kind::Portless(number) => Flow::passed_on(number, (0, 0), tos),
        // "Fragmentation needed" and "packet too big".
        Kind::IcmpError(_) | Kind::PortlessIcmpError(_) => icmp([3, 4], [2, 0]),
        Kind::Echo => icmp([8, 0], [128, 0]),
    }
}

impl Manner for InPlace {
    #[inline(always)]
    fn added(self) -> usize {
        0
    }

    #[inline(always)]
    fn of_part(self) -> Self {
        Self { spot: None, ..self }
    }

    #[inline(always)]
    fn send<'a>(
        way: Way<'_, '_, Self>,
        mut skb: Skb<'a>,
        len: usize,
    ) -> Result<bool, (Skb<'a>, Verdict)> {
        let family = way.hook.family;
        let found = match way.manner.spot {
            Some(spot) => Ok(spot),
            None => find(&mut skb, family, len),
        };
        let spot = match found {
            Ok(spot) => spot,
            Err(verdict) => return Err((skb, verdict)),
        };
        let to = way.plan.hops.first().addr;
        let writable = writable(skb, way.path, len, (&spot, family))
            .map_err(|skb| (skb, Verdict::DroppedNoMemory))?;
        let sent = writable.send(way.hook.net, way.path, way.mac(), |head, sum| {
            spot.write(head, to, way.manner.edit, sum)
        });
        way.count(sent, len);
        Ok(sent == Some(true))
    }
}
