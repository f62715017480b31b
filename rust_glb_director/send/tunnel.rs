// SPDX-License-Identifier: GPL-2.0

//! Packets that leave with headers in front.

#![forbid(unsafe_code)]

use super::refuse::refuse;
use super::way::{Manner, Way};
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
    plan: &'p Plan<'p, 's>,
    tunnel: Tunnel,
    header: Header,
    /// TOS or traffic class of the client's packet.
    tos: u8,
}

/// Sends the packet to its first hop by this tunnel.
#[inline(always)]
pub(super) fn send<'a>(
    tunnel: Tunnel,
    own: Own<'_>,
    hook: &Hook<'_>,
    skb: Skb<'a>,
    plan: &Plan<'_, '_>,
) -> Outcome<'a> {
    let first = plan.hops.first();
    let outer = match first.addr {
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
    let tos = inherited(layout, &skb, inner);
    let flow = (layout.proto, dscp(tos));
    let path = match flow {
        (_, 0) => Path::kept(&first.route, &skb, first.addr),
        // What is remembered is the route of packets without a DSCP.
        _ => None,
    };
    let Some(path) = path.or_else(|| look_up(hook, own, &skb, plan, flow)) else {
        return refuse(own.stats, skb, Verdict::DroppedNoRoute);
    };
    let way = Way {
        stats: own.stats,
        hook,
        config: own.config,
        path: &path,
        manner: InFront {
            plan,
            tunnel,
            header: Header {
                layout,
                outer,
                inner,
            },
            tos,
        },
    };
    dispatch(way, skb)
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

/// The route to the first hop, where none is remembered that this packet may take.
#[cold]
fn look_up(
    hook: &Hook<'_>,
    own: Own<'_>,
    skb: &Skb<'_>,
    plan: &Plan<'_, '_>,
    (proto, dscp): (u8, u8),
) -> Option<Path> {
    let first = plan.hops.first();
    let ports = (
        source_port(plan.hash, plan.packet.hint),
        own.config.udp_port,
    );
    let flow = Flow::tunnel(proto, ports, dscp);
    let source = own.source(first.addr);
    Path::find(hook, &first.route, skb, flow, (first.addr, source))
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
        let prepared =
            prepare(skb, way.path, len, header).map_err(|skb| (skb, Verdict::DroppedNoMemory))?;
        let sent = prepared.send(way.hook.net, way.path, way.mac(), |out| {
            write(way, out, len)
        });
        if sent == Some(true) {
            let bytes = header.layout.len.wrapping_add(len);
            way.stats.count_bytes(bytes);
        }
        Ok(sent == Some(true))
    }
}

/// Writes the header in front of a packet of `len` bytes.
#[inline(always)]
fn write(way: Way<'_, InFront<'_, '_>>, out: &mut [u8], len: usize) -> Option<()> {
    let plan = way.manner.plan;
    let (hash, hint) = (plan.hash, plan.packet.hint);
    let params = Params {
        src: way.path.source(),
        dst: plan.hops.first().addr,
        src_port: source_port(hash, hint),
        dst_port: way.config.udp_port,
        flow_label: flow_label(hash, hint),
        tos: way.manner.tos,
        inner: way.manner.header.inner,
        inner_len: len,
    };
    way.manner.tunnel.write(&params, &plan.hops, out)
}
