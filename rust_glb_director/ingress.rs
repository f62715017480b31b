// SPDX-License-Identifier: GPL-2.0

//! What becomes of a client's packet, step by step.

#![forbid(unsafe_code)]

use crate::config::Config;
use crate::hops::Hops;
use crate::send::send;
use crate::state::State;
use crate::stats::Stats;
use crate::tables::{Table, TableSet};
use glb_core::addr::Addr;
use glb_core::bind::Proto;
use glb_core::counter::Fate;
use glb_core::director::{inspect, Candidate, Kind, Stop, Verdict};
use glb_core::hash::{packet_hash, FlowKey, PacketHash};
use glb_core::ip::Addrs;
use glb_core::view::View;
use glb_kernel::hook::{Hook, Outcome};
use glb_kernel::netdev;
use glb_kernel::skb::Skb;

/// How often headers are made linear at most: IP and its extension headers, transport, embedded packet and
/// its extension headers. Each round gets further than the one before.
const MAX_PULLS: usize = 32;

/// The director's handler of incoming packets.
pub(crate) struct Ingress;

impl netdev::Ingress for Ingress {
    type State = State;

    fn other_host(state: &State) {
        state.stats().count(Verdict::PassedOtherHost);
    }

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

/// Where a packet goes.
pub(crate) struct Plan<'t> {
    pub(crate) packet: Candidate,
    pub(crate) hops: Hops<'t>,
    pub(crate) hash: PacketHash,
    /// The verdict if it gets there.
    pub(crate) verdict: Verdict,
}

/// Ends a packet's way here with `verdict`.
#[inline]
pub(crate) fn refuse<'a>(stats: &Stats, skb: Skb<'a>, verdict: Verdict) -> Outcome<'a> {
    stats.count(verdict);
    match verdict.fate() {
        Fate::Pass => Outcome::Accept(skb),
        Fate::Send | Fate::Drop => Outcome::Drop(skb),
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
