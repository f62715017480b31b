// SPDX-License-Identifier: GPL-2.0

//! Answers that leave for their clients, from the VIP and its port.
//!
//! Clients are many, so no route is remembered: each answer has its route looked up, as when the kernel forwards it. It leaves
//! without the hooks of the IP layer, so it takes neither forwarding nor connection tracking, and no check of sources stands
//! in its way, though the VIP may be an address of this machine.

#![forbid(unsafe_code)]

use super::in_place::{find, flow, InPlace};
use super::refuse::refuse;
use super::way::Way;
use super::{dispatch, Own};
use crate::config::Config;
use crate::stats::Stats;
use glb_core::director::reverse::Answer;
use glb_core::director::{Candidate, Verdict};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::{self, Addrs};
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::out::path::Path;
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
    let spot = match find(&mut skb, hook.family, answer.packet.len, (change.edit, None)) {
        Ok(spot) => spot,
        Err(verdict) => return refuse(own.stats, skb, verdict),
    };
    let way = Way {
        stats: own.stats,
        hook,
        config: own.config,
        path: &path,
        manner: InPlace {
            packet: &answer.packet,
            verdict: answer.verdict,
            change,
            spot: Some(spot),
            whole: None,
        },
    };
    dispatch(way, skb)
}

/// The route to the client: as of the packet that the VIP would send.
fn path(hook: &Hook<'_>, skb: &Skb<'_>, answer: &Answer) -> Option<Path> {
    let view = View::new(skb.linear(), skb.len());
    // Of an ICMP error, not that of the packet inside it.
    let client = match Addrs::read(view, 0, hook.family).ok()? {
        Addrs::V4 { dst, .. } => Addr::V4(dst),
        Addrs::V6 { dst, .. } => Addr::V6(dst),
    };
    let key = answer.packet.key;
    let packet = Candidate {
        key: FlowKey {
            src_port: answer.origin.change().edit.port(key.src_port),
            ..key
        },
        ..answer.packet
    };
    let tos = ip::tos(view, hook.family).ok()? & !3;
    let flow = flow(&packet, tos, tos);
    Path::between(hook, skb, flow, client, Some(answer.origin.vip))
}
