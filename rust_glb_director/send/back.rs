// SPDX-License-Identifier: GPL-2.0

//! Answers that leave for their clients, from the VIP and its port.
//!
//! Clients are many, so no route is remembered: each answer has its route looked up, as when the kernel forwards it. It leaves
//! without the hooks of the IP layer, so it takes neither forwarding nor connection tracking, and no check of sources stands
//! in its way, though the VIP may be an address of this machine.

#![forbid(unsafe_code)]

use super::in_place::{self, find, flow, InCommon, InPlace};
use super::refuse::refuse;
use super::way::Journey;
use super::Own;
use crate::config::Config;
use crate::stats::Stats;
use glb_core::director::reverse::Answer;
use glb_core::director::{Candidate, Verdict};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::{self, Addrs};
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::out::path::{Flow, Path};
use glb_kernel::packet::skb::Skb;

/// Sends an answer to its client. One to this machine itself, such as to a health check of the backend's own address, is left
/// to the stack as it is.
pub(crate) fn send<'a>(
    stats: &Stats,
    hook: &Hook<'_>,
    config: &Config,
    mut skb: Skb<'a>,
    answer: &Answer,
) -> Outcome<'a> {
    let own = Own {
        stats: stats.into(),
        config,
    };
    let Some(path) = path(hook, &skb, answer) else {
        return refuse(own.stats, skb, Verdict::DroppedNoRoute);
    };
    if path.is_here() {
        return refuse(own.stats, skb, Verdict::PassedAnswerHere);
    }
    let change = answer.origin.change();
    let spot = match find(
        &mut skb,
        hook.family,
        answer.packet.len,
        (change.edit, None),
    ) {
        Ok(spot) => spot,
        Err(verdict) => return refuse(own.stats, skb, verdict),
    };
    let journey = Journey {
        stats: own.stats,
        hook: *hook,
        config: own.config,
        path,
        manner: InPlace {
            packet: answer.packet,
            verdict: answer.verdict,
            change,
            spot: Some(spot),
            whole: None,
        },
    };
    super::dispatch(journey, skb)
}

/// The same of a common packet, in registers (docs/decisions/0008).
#[inline(always)]
pub(crate) fn send_common<'a>(
    stats: &Stats,
    hook: Hook<'_>,
    config: &Config,
    skb: Skb<'a>,
    answer: Answer,
) -> Outcome<'a> {
    let change = answer.origin.change();
    let Some(spot) = InCommon::spot(&skb, hook.family, &answer.packet, change.edit) else {
        // Put together anew, so that it is in memory here only.
        let answer = Answer { ..answer };
        return uncommon(stats, hook, config, skb, answer);
    };
    let own = Own {
        stats: stats.into(),
        config,
    };
    let client = match answer.packet.key.addrs {
        Addrs::V4 { dst, .. } => Addr::V4(dst),
        Addrs::V6 { dst, .. } => Addr::V6(dst),
    };
    let flow = leaving(&answer, spot.tos() & !3);
    let Some(path) = Path::between(&hook, &skb, flow, client, Some(answer.origin.vip)) else {
        return refuse(own.stats, skb, Verdict::DroppedNoRoute);
    };
    if path.is_here() {
        return refuse(own.stats, skb, Verdict::PassedAnswerHere);
    }
    let manner = InCommon {
        packet: answer.packet,
        verdict: answer.verdict,
        change,
        spot,
    };
    in_place::dispatch(own, hook, path, manner, skb)
}

/// A common packet in which what changes is not found in few steps.
#[cold]
#[inline(never)]
fn uncommon<'a>(
    stats: &Stats,
    hook: Hook<'_>,
    config: &Config,
    skb: Skb<'a>,
    answer: Answer,
) -> Outcome<'a> {
    send(stats, &hook, config, skb, &answer)
}

/// What the route of the packet depends on that leaves, with this TOS.
#[inline(always)]
fn leaving(answer: &Answer, tos: u8) -> Flow {
    let key = answer.packet.key;
    let packet = Candidate {
        key: FlowKey {
            src_port: answer.origin.change().edit.port(key.src_port),
            ..key
        },
        ..answer.packet
    };
    flow(&packet, tos, tos)
}

/// The route to the client: as of the packet that the VIP would send.
fn path(hook: &Hook<'_>, skb: &Skb<'_>, answer: &Answer) -> Option<Path> {
    let view = View::new(skb.linear(), skb.len());
    // Of an ICMP error, not that of the packet inside it.
    let client = match Addrs::read(view, 0, hook.family).ok()? {
        Addrs::V4 { dst, .. } => Addr::V4(dst),
        Addrs::V6 { dst, .. } => Addr::V6(dst),
    };
    let tos = ip::tos(view, hook.family).ok()? & !3;
    let flow = leaving(answer, tos);
    Path::between(hook, skb, flow, client, Some(answer.origin.vip))
}
