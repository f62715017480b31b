// SPDX-License-Identifier: GPL-2.0

//! The way of a client's packet to its first hop: route, fit, headers, wire.

#![forbid(unsafe_code)]

use crate::config::Config;
use crate::ingress::{refuse, Plan};
use crate::stats::Stats;
use glb_core::addr::Addr;
use glb_core::director::{header_len, source_port, Tunnel, Verdict};
use glb_core::ip::Family;
use glb_kernel::encap::{prepare, Fit, Flow, Header, Path, Prepared};
use glb_kernel::hook::{Hook, Outcome};
use glb_kernel::skb::Skb;

mod uncommon;

/// A packet's way, and what it is known by on it.
#[derive(Clone, Copy)]
struct Way<'p> {
    stats: &'p Stats,
    hook: &'p Hook<'p>,
    config: &'p Config,
    plan: &'p Plan<'p>,
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
    plan: &Plan<'_>,
) -> Outcome<'a> {
    let first = plan.hops.first();
    let (outer, source) = match first.addr {
        Addr::V4(_) => (Family::V4, config.source_v4.map(Addr::V4)),
        Addr::V6(_) => (Family::V6, config.source_v6.map(Addr::V6)),
    };
    let flow = Flow::udp(source_port(plan.hash, plan.packet.hint), config.udp_port);
    let to = (first.addr, source);
    let Some(path) = Path::cached(hook, &first.route, &skb, flow, to) else {
        return refuse(stats, skb, Verdict::DroppedNoRoute);
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

impl Way<'_> {
    /// Sends what fits.
    #[inline(always)]
    fn whole<'a>(self, skb: Skb<'a>) -> Outcome<'a> {
        let len = self.plan.packet.len;
        match prepare(skb, self.path, len, self.header) {
            Ok(prepared) => {
                if self.transmit(prepared, len) {
                    self.stats.count(self.plan.verdict);
                } else {
                    self.stats.count(Verdict::DroppedNoRoute);
                }
                Outcome::Stolen
            }
            Err(skb) => refuse(self.stats, skb, Verdict::DroppedNoMemory),
        }
    }

    /// Writes the header in front of a packet of `len` bytes, and sends it; whether it went. It is gone in any case.
    #[inline(always)]
    fn transmit(self, prepared: Prepared<'_>, len: usize) -> bool {
        let (plan, config, inner) = (self.plan, self.config, self.hook.family);
        let mac = config.gateway_mac.as_ref();
        let sent = prepared.send(self.hook.net, self.path, mac, |out| {
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
        });
        if sent == Some(true) {
            self.stats.count_bytes(self.header.len.wrapping_add(len));
        }
        sent == Some(true)
    }
}
