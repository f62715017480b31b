// SPDX-License-Identifier: GPL-2.0

//! Packets that leave with headers in front.

#![forbid(unsafe_code)]

use super::refuse::refuse;
use super::way::{Journey, Manner, Way};
use super::{dispatch, Own};
use crate::tables::world::Plan;
use glb_core::director::{
    flow_label, source_port, Candidate, Layout, Params, Shape, Tunnel, Verdict,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::{tos, Family};
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::out::encap::{prepare, Header};
use glb_kernel::out::path::{Flow, Path};
use glb_kernel::packet::skb::Skb;

/// The headers that a tunnel puts in front of the packet.
#[derive(Clone, Copy)]
struct InFront<'p, 's> {
    plan: Plan<'p, 's>,
    tunnel: Tunnel,
    header: Header,
    /// The first hop.
    to: Addr,
    /// TOS or traffic class of the client's packet.
    tos: u8,
}

/// Sends the packet to its first hop by this tunnel. It is compiled for each family of the outer header apart.
#[inline(always)]
pub(super) fn send<'a>(
    tunnel: Tunnel,
    own: Own<'_>,
    hook: Hook<'_>,
    skb: Skb<'a>,
    plan: Plan<'_, '_>,
) -> Outcome<'a> {
    match plan.hops.first().addr {
        Addr::V4(to) => toward(Addr::V4(to), (tunnel, plan), own, hook, skb),
        Addr::V6(to) => toward(Addr::V6(to), (tunnel, plan), own, hook, skb),
    }
}

/// The same where the first hop is `to`.
#[inline(always)]
fn toward<'a>(
    to: Addr,
    (tunnel, plan): (Tunnel, Plan<'_, '_>),
    own: Own<'_>,
    hook: Hook<'_>,
    skb: Skb<'a>,
) -> Outcome<'a> {
    let outer = match to {
        Addr::V4(_) => Family::V4,
        Addr::V6(_) => Family::V6,
    };
    let inner = hook.family;
    let layout = tunnel.layout(&Shape {
        outer,
        inner,
        others: plan.hops.others(),
        udp_checksum: own.config.udp_checksum,
    });
    let front = InFront {
        plan,
        tunnel,
        header: Header {
            layout,
            outer,
            inner,
        },
        to,
        tos: inherited(layout, &skb, inner),
    };
    // What is remembered is the route of packets without a DSCP.
    let path = match dscp(front.tos) {
        0 => Path::kept(&front.plan.hops.first().route, &skb, front.to),
        _ => None,
    };
    match path {
        Some(path) => dispatch(journey(front, own, hook, path), skb),
        None => look_up(Unrouted { front, own, hook }, skb),
    }
}

#[inline(always)]
fn journey<'p, 's>(
    front: InFront<'p, 's>,
    own: Own<'p>,
    hook: Hook<'p>,
    path: Path,
) -> Journey<'p, InFront<'p, 's>> {
    Journey {
        stats: own.stats,
        hook,
        config: own.config,
        path,
        manner: front,
    }
}

/// TOS or traffic class of the client's packet, where the outer header has it.
#[inline(always)]
fn inherited(layout: Layout, skb: &Skb<'_>, inner: Family) -> u8 {
    if layout.inherits {
        // The first bytes have been read, so they are there.
        tos(View::new(skb.linear(), skb.len()), inner).unwrap_or_default()
    } else {
        0
    }
}

/// A TOS or traffic class without ECN (RFC 3168), which no route depends on.
#[inline(always)]
const fn dscp(tos: u8) -> u8 {
    tos & !3
}

/// A packet's way without a route.
struct Unrouted<'p, 's> {
    front: InFront<'p, 's>,
    own: Own<'p>,
    hook: Hook<'p>,
}

/// Looks up the route to the first hop, where none is remembered that this packet may take, and sends the packet.
#[cold]
#[inline(never)]
fn look_up<'a>(unrouted: Unrouted<'_, '_>, skb: Skb<'a>) -> Outcome<'a> {
    let Unrouted { front, own, hook } = unrouted;
    let plan = &front.plan;
    let ports = (
        source_port(plan.hash, plan.packet.hint),
        own.config.udp_port,
    );
    let flow = Flow::tunnel(front.header.layout.proto, ports, dscp(front.tos));
    let (route, source) = (&plan.hops.first().route, own.source(front.to));
    match Path::find(&hook, route, &skb, flow, (front.to, source)) {
        Some(path) => dispatch(journey(front, own, hook, path), skb),
        None => refuse(own.stats, skb, Verdict::DroppedNoRoute),
    }
}

impl Manner for InFront<'_, '_> {
    #[inline(always)]
    fn packet(&self) -> &Candidate {
        &self.plan.packet
    }

    #[inline(always)]
    fn verdict(self) -> Verdict {
        self.plan.verdict
    }

    #[inline(always)]
    fn added(self) -> usize {
        self.header.layout.len
    }

    #[inline(always)]
    fn of_part(self) -> Self {
        self
    }

    #[inline(always)]
    fn send<'a>(way: Way<'_, Self>, skb: Skb<'a>, len: usize) -> Result<bool, (Skb<'a>, Verdict)> {
        let header = way.manner.header;
        let mut prepared = match prepare(skb, way.path, len, header) {
            Ok(prepared) => prepared,
            Err(skb) => return Err((skb, Verdict::DroppedNoMemory)),
        };
        let is_written = write(way, prepared.header(), len).is_some();
        Ok(prepared.send(way.hook.net, way.path, way.mac(), is_written))
    }
}

/// Writes the header in front of a packet of `len` bytes.
#[inline(always)]
fn write(way: Way<'_, InFront<'_, '_>>, out: &mut [u8], len: usize) -> Option<()> {
    let plan = &way.manner.plan;
    let (hash, hint) = (plan.hash, plan.packet.hint);
    let params = Params {
        src: way.path.source(),
        dst: way.manner.to,
        src_port: source_port(hash, hint),
        dst_port: way.config.udp_port,
        flow_label: flow_label(hash, hint),
        tos: way.manner.tos,
        inner: way.manner.header.inner,
        inner_len: len,
    };
    way.manner.tunnel.write(&params, &plan.hops, out)
}
