// SPDX-License-Identifier: GPL-2.0

//! The way of a client's packet to its first hop: route, fit, headers, wire.

#![forbid(unsafe_code)]

use crate::config::Config;
use crate::refuse::refuse;
use crate::stats::Stats;
use crate::world::Plan;
use glb_core::addr::Addr;
use glb_core::director::{header_len, source_port, Tunnel, Verdict};
use glb_core::ip::Family;
use glb_kernel::encap::{prepare, Fit, Flow, Header, Path};
use glb_kernel::hook::{Hook, Outcome};
use glb_kernel::skb::Skb;

mod uncommon;

/// A packet's way, and what it is known by on it.
#[derive(Clone, Copy)]
struct Way<'p, 's> {
    stats: &'p Stats,
    hook: &'p Hook<'p>,
    config: &'p Config,
    plan: &'p Plan<'p, 's>,
    path: &'p Path,
    header: Header,
}

/// Tunnels the packet to its first hop.
#[inline]
pub(crate) fn send<'a>(
    stats: &Stats,
    hook: &Hook<'_>,
    config: &Config,
    skb: Skb<'a>,
    plan: &Plan<'_, '_>,
) -> Outcome<'a> {
    let first = plan.hops.first();
    let Some(path) =
        Path::kept(&first.route, &skb, first.addr).or_else(|| look_up(hook, config, &skb, plan))
    else {
        return refuse(stats, skb, Verdict::DroppedNoRoute);
    };
    let outer = match first.addr {
        Addr::V4(_) => Family::V4,
        Addr::V6(_) => Family::V6,
    };
    let way = Way {
        stats,
        hook,
        config,
        plan,
        path: &path,
        header: Header {
            len: header_len(outer, plan.hops.others()),
            outer,
            inner: hook.family,
            checksum: config.udp_checksum,
        },
    };
    match path.fits(&skb, way.header.len) {
        Fit::Whole => way.whole(skb),
        fit => uncommon::handle(way, skb, fit),
    }
}

/// The route to the first hop, where none is remembered that this packet may take.
#[cold]
fn look_up(hook: &Hook<'_>, config: &Config, skb: &Skb<'_>, plan: &Plan<'_, '_>) -> Option<Path> {
    let first = plan.hops.first();
    let source = match first.addr {
        Addr::V4(_) => config.source_v4.map(Addr::V4),
        Addr::V6(_) => config.source_v6.map(Addr::V6),
    };
    let flow = Flow::udp(source_port(plan.hash, plan.packet.hint), config.udp_port);
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
            self.stats.count_bytes(self.header.len.wrapping_add(len));
        }
    }

    /// Writes the header in front of a packet of `len` bytes.
    #[inline(always)]
    fn write(self, out: &mut [u8], len: usize) -> Option<()> {
        let (plan, config, inner) = (self.plan, self.config, self.hook.family);
        let src_port = source_port(plan.hash, plan.packet.hint);
        match (plan.hops.first().addr, self.path.source()) {
            (Addr::V4(dst), Addr::V4(src)) => Tunnel {
                src,
                dst,
                src_port,
                dst_port: config.udp_port,
                inner,
                inner_len: len,
            }
            .write(out, plan.hops.others_v4()),
            (Addr::V6(dst), Addr::V6(src)) => Tunnel {
                src,
                dst,
                src_port,
                dst_port: config.udp_port,
                inner,
                inner_len: len,
            }
            .write(out, plan.hops.others_v6()),
            _ => None,
        }
    }
}
