// SPDX-License-Identifier: GPL-2.0

//! The way of a client's packet to its first hop: route, fit, headers, wire.

#![forbid(unsafe_code)]

pub(crate) mod refuse;
mod uncommon;

use crate::config::Config;
use crate::stats::Stats;
use crate::tables::world::Plan;
use glb_core::director::{flow_label, source_port, Forward, Params, Shape, Verdict};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::{tos, Family};
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::out::encap::{prepare, Header};
use glb_kernel::out::path::{Fit, Flow, Path};
use glb_kernel::packet::skb::Skb;
use refuse::refuse;

/// A packet's way, and what it is known by on it.
#[derive(Clone, Copy)]
struct Way<'p, 's> {
    stats: &'p Stats,
    hook: &'p Hook<'p>,
    config: &'p Config,
    plan: &'p Plan<'p, 's>,
    path: &'p Path,
    forward: Forward,
    header: Header,
    /// TOS or traffic class of the client's packet.
    tos: u8,
}

/// Sends the packet to its first hop, by the forward of its table.
///
/// Deployed fleets have GUE alone: its way is compiled for itself, where all that depends on the forward is known
/// (docs/decisions/0008). The others share one.
#[inline]
pub(crate) fn send<'a>(
    stats: &Stats,
    hook: &Hook<'_>,
    config: &Config,
    skb: Skb<'a>,
    plan: &Plan<'_, '_>,
) -> Outcome<'a> {
    match plan.forward() {
        Forward::Gue => send_by(Forward::Gue, (stats, config), hook, skb, plan),
        other => send_by_other(other, (stats, config), hook, skb, plan),
    }
}

#[inline(never)]
fn send_by_other<'a>(
    forward: Forward,
    own: (&Stats, &Config),
    hook: &Hook<'_>,
    skb: Skb<'a>,
    plan: &Plan<'_, '_>,
) -> Outcome<'a> {
    send_by(forward, own, hook, skb, plan)
}

#[inline(always)]
fn send_by<'a>(
    forward: Forward,
    (stats, config): (&Stats, &Config),
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
    let layout = forward.layout(&Shape {
        outer,
        inner,
        others: plan.hops.others(),
        udp_checksum: config.udp_checksum,
    });
    let tos = if layout.inherits {
        // The first bytes have been read, so they are there.
        tos(View::new(skb.linear(), skb.len()), inner).unwrap_or_default()
    } else {
        0
    };
    let flow = (layout.proto, dscp(tos));
    let path = match flow {
        (_, 0) => Path::kept(&first.route, &skb, first.addr),
        // What is remembered is the route of packets without a DSCP.
        _ => None,
    };
    let Some(path) = path.or_else(|| look_up(hook, config, &skb, plan, flow)) else {
        return refuse(stats, skb, Verdict::DroppedNoRoute);
    };
    let way = Way {
        stats,
        hook,
        config,
        plan,
        path: &path,
        forward,
        header: Header {
            layout,
            outer,
            inner,
        },
        tos,
    };
    match path.fits(&skb, layout.len) {
        Fit::Whole => way.whole(skb),
        fit => uncommon::handle(way, skb, fit),
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
    config: &Config,
    skb: &Skb<'_>,
    plan: &Plan<'_, '_>,
    (proto, dscp): (u8, u8),
) -> Option<Path> {
    let first = plan.hops.first();
    let source = match first.addr {
        Addr::V4(_) => config.source_v4.map(Addr::V4),
        Addr::V6(_) => config.source_v6.map(Addr::V6),
    };
    let ports = (source_port(plan.hash, plan.packet.hint), config.udp_port);
    let flow = Flow::tunnel(proto, ports, dscp);
    Path::find(hook, &first.route, skb, flow, (first.addr, source))
}

impl Way<'_, '_> {
    /// Sends what fits. There is one caller, so that all of it is in line and in registers (docs/decisions/0008).
    #[inline(always)]
    fn whole<'a>(self, skb: Skb<'a>) -> Outcome<'a> {
        let len = self.plan.packet.len;
        let prepared = match prepare(skb, self.path, len, self.header) {
            Ok(prepared) => prepared,
            Err(skb) => return refuse(self.stats, skb, Verdict::DroppedNoMemory),
        };
        let sent = prepared.send(self.hook.net, self.path, self.mac(), |out| {
            self.write(out, len)
        });
        self.count(sent, len);
        if sent == Some(true) {
            self.stats.count(self.plan.verdict);
        } else {
            self.stats.count(Verdict::DroppedNoRoute);
        }
        Outcome::Stolen
    }

    /// The link address that all packets go to, if the operator wants one.
    #[inline(always)]
    fn mac(&self) -> Option<&[u8; 6]> {
        self.config.gateway_mac.as_ref()
    }

    /// Counts the bytes of a packet of `len` bytes, if it was sent.
    #[inline(always)]
    fn count(self, sent: Option<bool>, len: usize) {
        if sent == Some(true) {
            self.stats
                .count_bytes(self.header.layout.len.wrapping_add(len));
        }
    }

    /// Writes the header in front of a packet of `len` bytes.
    #[inline(always)]
    fn write(self, out: &mut [u8], len: usize) -> Option<()> {
        let (hash, hint) = (self.plan.hash, self.plan.packet.hint);
        let params = Params {
            src: self.path.source(),
            dst: self.plan.hops.first().addr,
            src_port: source_port(hash, hint),
            dst_port: self.config.udp_port,
            flow_label: flow_label(hash, hint),
            tos: self.tos,
            inner: self.header.inner,
            inner_len: len,
        };
        self.forward.write(&params, &self.plan.hops, out)
    }
}
