// SPDX-License-Identifier: GPL-2.0

//! What becomes of a client's packet, step by step.

#![forbid(unsafe_code)]

use crate::config::Config;
use crate::hops::Hops;
use crate::netlink::notify_detached;
use crate::state::State;
pub(crate) use crate::stats::Stats;
use crate::tables::{Table, TableSet};
use glb_core::addr::Addr;
use glb_core::bind::Proto;
use glb_core::director::{header_len, inspect, source_port};
use glb_core::director::{Candidate, Kind, Stop, Tunnel, Verdict};
use glb_core::hash::{packet_hash, FlowKey, PacketHash};
use glb_core::ip::{Addrs, Family};
use glb_core::view::View;
use glb_kernel::encap::{prepare, Path, Prepared};
use glb_kernel::hook::{Hook, Outcome};
use glb_kernel::net::Net;
use glb_kernel::netdev::{self, Change, Rtnl};
use glb_kernel::skb::Skb;

mod too_long;

/// How often headers are made linear at most: IP and its extension headers, transport, embedded packet and
/// its extension headers. Each round gets further than the one before.
const MAX_PULLS: usize = 32;

/// The handler on one device.
pub(crate) type Attachment = netdev::Attachment<Ingress>;

/// The director's handler of incoming packets.
pub(crate) struct Ingress;

impl netdev::Ingress for Ingress {
    type State = State;

    #[inline]
    fn handle<'a>(state: &State, hook: &Hook<'_>, mut skb: Skb<'a>) -> Outcome<'a> {
        let config = state.config(hook.rcu);
        let stats = state.stats();
        let plan = understand(hook, &mut skb)
            .and_then(|packet| plan(stats, state.tables(hook.rcu), config, packet));
        match plan {
            Ok(plan) => send(stats, hook, config, skb, &plan),
            Err(verdict) => refuse(stats, skb, verdict),
        }
    }
}

impl netdev::Watcher for Ingress {
    type State = State;

    fn changed(state: &State, net: &Net, rtnl: &Rtnl, change: Change, ifindex: i32) {
        if change == Change::Gone && state.detach(rtnl, ifindex) {
            notify_detached(net, ifindex);
        }
    }
}

/// Where a packet goes.
struct Plan<'t> {
    packet: Candidate,
    hops: Hops<'t>,
    hash: PacketHash,
    /// The verdict if it gets there.
    verdict: Verdict,
}

/// Ends a packet's way here with `verdict`.
#[inline]
fn refuse<'a>(stats: &Stats, skb: Skb<'a>, verdict: Verdict) -> Outcome<'a> {
    stats.count(verdict);
    match verdict {
        Verdict::PassedUnknownFormat | Verdict::PassedNoMatchingBind | Verdict::PassedEcho => {
            Outcome::Accept(skb)
        }
        _ => Outcome::Drop(skb),
    }
}

/// Reads the headers, making them linear where the core asks for it.
#[inline]
fn understand(hook: &Hook<'_>, skb: &mut Skb<'_>) -> Result<Candidate, Verdict> {
    for _ in 0..MAX_PULLS {
        match inspect(View::new(skb.linear(), skb.len()), hook.family) {
            Ok(packet) => return Ok(packet),
            Err(Stop::Pass(verdict)) => return Err(verdict),
            Err(Stop::NeedLinear(len)) => {
                skb.pull(len).map_err(|_| Verdict::DroppedNoMemory)?;
            }
        }
    }
    Err(Verdict::PassedUnknownFormat)
}

/// Finds the packet's table, row and hops.
#[inline]
fn plan<'t>(
    stats: &Stats,
    tables: Option<&'t TableSet>,
    config: &Config,
    mut packet: Candidate,
) -> Result<Plan<'t>, Verdict> {
    let tables = tables.ok_or(Verdict::PassedNoMatchingBind)?;
    let (table, verdict) = classify(stats, tables, config, &mut packet)?;
    let hash = packet_hash(table.hash_key(), config.hash_fields, &packet.key);
    // A fleet that changes its hash fields names the hops of both.
    let alt = config
        .alt_hash_fields
        .map(|fields| packet_hash(table.hash_key(), fields, &packet.key).row());
    let hops = Hops::new(tables, table, hash.row(), alt).ok_or(Verdict::DroppedNoHop)?;
    Ok(Plan {
        packet,
        hops,
        hash,
        verdict,
    })
}

/// Finds the packet's table, and the verdict that it gets if it reaches a hop.
#[inline]
fn classify<'t>(
    stats: &Stats,
    tables: &'t TableSet,
    config: &Config,
    packet: &mut Candidate,
) -> Result<(&'t Table, Verdict), Verdict> {
    let bound = match packet.key.addrs {
        Addrs::V4 { dst, .. } => Addr::V4(dst),
        Addrs::V6 { dst, .. } => Addr::V6(dst),
    };
    let by_port = |proto: Proto, key: &FlowKey| {
        tables
            .classify(bound, proto, key.dst_port)
            .ok_or(Verdict::PassedNoMatchingBind)
    };
    match packet.kind {
        Kind::Flow(proto) => {
            let table = by_port(proto, &packet.key)?;
            if let Some(fragment) = packet.fragment {
                stats.record_fragment(&packet.key, fragment);
            }
            Ok((table, Verdict::Encapsulated))
        }
        Kind::IcmpError(proto) => {
            Ok((by_port(proto, &packet.key)?, Verdict::EncapsulatedIcmpError))
        }
        Kind::Echo => {
            let table = tables
                .classify_addr(bound)
                .ok_or(Verdict::PassedNoMatchingBind)?;
            if config.forward_icmp_ping_responses {
                Ok((table, Verdict::EncapsulatedEcho))
            } else {
                Err(Verdict::PassedEcho)
            }
        }
        Kind::LaterFragment(proto) => {
            let known = packet
                .fragment
                .and_then(|fragment| stats.ports_of_fragment(&packet.key.addrs, fragment));
            if let Some((src_port, dst_port)) = known {
                // With the ports of the first fragment it takes the first fragment's way exactly.
                (packet.key.src_port, packet.key.dst_port) = (src_port, dst_port);
                packet.hint = src_port;
                return Ok((by_port(proto, &packet.key)?, Verdict::EncapsulatedFragment));
            }
            let table = tables
                .classify_addr(bound)
                .ok_or(Verdict::PassedNoMatchingBind)?;
            if config.hash_fields.needs_ports() {
                Err(Verdict::DroppedFragment)
            } else {
                Ok((table, Verdict::EncapsulatedFragment))
            }
        }
    }
}

/// Tunnels the packet to its first hop.
#[inline]
fn send<'a>(
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
    let Some(path) = Path::cached(hook, &first.route, first.addr, source) else {
        return refuse(stats, skb, Verdict::DroppedNoRoute);
    };
    let header = header_len(outer, plan.hops.others());
    if !path.fits(&skb, header) {
        return too_long::handle(stats, hook, config, skb, plan, &path, header);
    }
    send_whole(stats, hook, config, skb, plan, &path, outer, header)
}

/// Sends what fits.
#[inline]
#[expect(clippy::too_many_arguments, reason = "each is found on the way here")]
fn send_whole<'a>(
    stats: &Stats,
    hook: &Hook<'_>,
    config: &Config,
    skb: Skb<'a>,
    plan: &Plan<'_>,
    path: &Path,
    outer: Family,
    header: usize,
) -> Outcome<'a> {
    let len = plan.packet.len;
    let checksum = config.udp_checksum;
    let prepared = match prepare(skb, path, hook.family, len, outer, header, checksum) {
        Ok(prepared) => prepared,
        Err(skb) => return refuse(stats, skb, Verdict::DroppedNoMemory),
    };
    if transmit(hook, config, plan, path, prepared, len) {
        stats.count(plan.verdict);
        stats.count_bytes(header.wrapping_add(len));
    } else {
        stats.count(Verdict::DroppedNoRoute);
    }
    Outcome::Stolen
}

/// Writes the header in front of a packet of `len` bytes, and sends it; whether it went. It is gone in any case.
#[inline]
fn transmit(
    hook: &Hook<'_>,
    config: &Config,
    plan: &Plan<'_>,
    path: &Path,
    prepared: Prepared<'_>,
    len: usize,
) -> bool {
    let sent = prepared.send(hook.net, path, config.gateway_mac.as_ref(), |out| {
        let src_port = source_port(plan.hash, plan.packet.hint);
        match (plan.hops.first().addr, path.source()) {
            (Addr::V4(dst), Addr::V4(src)) => Tunnel {
                src,
                dst,
                src_port,
                dst_port: config.udp_port,
                inner: hook.family,
                inner_len: len,
            }
            .write(out, plan.hops.others_v4()),
            (Addr::V6(dst), Addr::V6(src)) => Tunnel {
                src,
                dst,
                src_port,
                dst_port: config.udp_port,
                inner: hook.family,
                inner_len: len,
            }
            .write(out, plan.hops.others_v6()),
            _ => None,
        }
    });
    sent == Some(true)
}
