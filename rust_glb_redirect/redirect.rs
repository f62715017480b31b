// SPDX-License-Identifier: GPL-2.0

//! The processing of a packet.

#![forbid(unsafe_code)]

use crate::elsewhere::kept_elsewhere;
use crate::policy::Policy;
use crate::seen::seen;
use crate::state::State;
use crate::stay::{is_established_here, is_established_on_others, reason_to_stay};
use glb_core::counter::Fate;
use glb_core::packet::gue::Hop;
use glb_core::redirect::{rewrite, step_by_step};
use glb_core::redirect::{Common, Inspected, Next, Opening, Options, Stop, Verdict};
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::out::route::{route, Unroutable};
use glb_kernel::packet::skb::Skb;
use glb_kernel::sockets::tcp::{is_established, listens};

/// How often headers are made linear at most: outer IP, UDP and GUE, hop, inner IP and its extension
/// headers, transport, embedded packet and its extension headers. Each round gets further than the one
/// before.
const MAX_PULLS: usize = 32;

/// Decides about a packet, whatever door it came through, and carries the verdict out.
///
/// This is the way of most packets: a common one that begins a connection, or whose connection is here.
pub(crate) fn redirect<'a>(
    state: &State,
    hook: &Hook<'_>,
    skb: Skb<'a>,
    policy: Policy<'_>,
) -> Outcome<'a> {
    if skb.is_udp_gso() {
        return finish(state, skb, Verdict::DroppedUdpGso);
    }
    let packet = seen(hook, &skb);
    let Some(common) = Common::read(&packet) else {
        return redirect_uncommon(state, hook, skb, policy);
    };
    if common.is_syn() {
        if policy.options().has(Options::SYN_LISTENER) {
            return common_opening(state, hook, skb, policy, common.opening());
        }
        return finish(state, skb, Verdict::AcceptedSyn);
    }
    let device = state.devices().of_tunnel(hook.family, common.inner());
    match common.flow(packet.view) {
        Some(flow) if is_established(hook.net, &flow, device) => {
            finish(state, skb, Verdict::AcceptedEstablished)
        }
        _ => common_elsewhere(state, hook, skb, policy, common),
    }
}

/// A common packet whose connection is not on the device that was asked for it. Its details are read here, so that others need
/// not carry them.
#[inline(never)]
fn common_elsewhere<'a>(
    state: &State,
    hook: &Hook<'_>,
    skb: Skb<'a>,
    policy: Policy<'_>,
    common: Common,
) -> Outcome<'a> {
    let inspected = common.inspected(hook.family);
    if is_established_on_others(state, hook, &skb, &inspected) {
        return finish(state, skb, Verdict::AcceptedEstablished);
    }
    second_chance(state, hook, skb, &inspected, policy)
}

/// A common packet that begins a connection, where listeners are asked for. As with an established connection, the device that most
/// likely takes the packet is asked first, and nearly always has the answer.
#[inline(never)]
fn common_opening<'a>(
    state: &State,
    hook: &Hook<'_>,
    skb: Skb<'a>,
    policy: Policy<'_>,
    opening: Opening,
) -> Outcome<'a> {
    let device = state.devices().of_tunnel(hook.family, opening.inner());
    match opening.flow(seen(hook, &skb).view) {
        Some(flow) if listens(hook.net, &flow, device) => finish(state, skb, Verdict::AcceptedSyn),
        _ => common_opening_elsewhere(state, hook, skb, policy, opening),
    }
}

/// A common packet that begins a connection, and that nobody certainly listens for on the device that was asked.
#[inline(never)]
fn common_opening_elsewhere<'a>(
    state: &State,
    hook: &Hook<'_>,
    skb: Skb<'a>,
    policy: Policy<'_>,
    opening: Opening,
) -> Outcome<'a> {
    match opening.inspected(&seen(hook, &skb)) {
        Some(inspected) => second_chance(state, hook, skb, &inspected, policy),
        // It was read from this very packet.
        None => finish(state, skb, Verdict::DroppedTruncated),
    }
}

/// A packet of any other kind, read header after header. Headers are made linear as the core asks for them.
#[inline(never)]
fn redirect_uncommon<'a>(
    state: &State,
    hook: &Hook<'_>,
    mut skb: Skb<'a>,
    policy: Policy<'_>,
) -> Outcome<'a> {
    for _ in 0..MAX_PULLS {
        let packet = seen(hook, &skb);
        match &step_by_step(packet.view, packet.outer, policy.options()) {
            Ok(inspected) if is_established_here(state, hook, &skb, inspected) => {
                record_fragment(state, hook, &skb, inspected, false);
                return finish(state, skb, Verdict::AcceptedEstablished);
            }
            Ok(inspected) => return second_chance(state, hook, skb, inspected, policy),
            Err(Stop::Decided(verdict)) => return finish(state, skb, *verdict),
            Err(Stop::NeedLinear(len)) => {
                if skb.pull(*len).is_err() {
                    return finish(state, skb, Verdict::DroppedNoMemory);
                }
            }
        }
    }
    finish(state, skb, Verdict::DroppedInner)
}

/// Ends a packet's way here with `verdict`.
#[inline]
fn finish<'a>(state: &State, skb: Skb<'a>, verdict: Verdict) -> Outcome<'a> {
    state.stats().count(verdict);
    match verdict.fate() {
        Fate::Drop => Outcome::Drop(skb),
        Fate::Pass | Fate::Mark | Fate::Send => Outcome::Accept(skb),
    }
}

/// Keeps the packet if it belongs here for another reason, and passes it on if not.
#[inline(never)]
fn second_chance<'a>(
    state: &State,
    hook: &Hook<'_>,
    mut skb: Skb<'a>,
    inspected: &Inspected,
    policy: Policy<'_>,
) -> Outcome<'a> {
    let kept = reason_to_stay(state, hook, &mut skb, inspected)
        .or_else(|| kept_elsewhere(state, hook, &mut skb, &inspected.question, policy));
    let next = match kept {
        Some(verdict) => Next::Stay(verdict),
        None => policy.next_hop(&seen(hook, &skb), inspected),
    };
    let forwarded = matches!(next, Next::Forward(_));
    record_fragment(state, hook, &skb, inspected, forwarded);
    match next {
        Next::Stay(verdict) => finish(state, skb, verdict),
        Next::Forward(hop) => forward(state, hook, skb, inspected, hop),
    }
}

/// Remembers whether a packet that is the first fragment of a datagram was passed on, for the later ones.
#[inline]
fn record_fragment(
    state: &State,
    hook: &Hook<'_>,
    skb: &Skb<'_>,
    inspected: &Inspected,
    forwarded: bool,
) {
    let Some(fragment) = inspected.question.first_fragment() else {
        return;
    };
    if let Ok(addrs) = inspected.inner_addrs(seen(hook, skb).view) {
        state.record_fragment(&addrs, fragment, forwarded);
    }
}

/// Passes the packet on to `hop`.
#[inline]
fn forward<'a>(
    state: &State,
    hook: &Hook<'_>,
    mut skb: Skb<'a>,
    inspected: &Inspected,
    hop: Hop,
) -> Outcome<'a> {
    // The next hop would see the old destination as the source.
    if !skb.is_unicast(hook.family) {
        return finish(state, skb, Verdict::DroppedOuter);
    }
    let bytes = skb.len();
    let udp_checksum = skb.udp_checksum(inspected.udp_offset);
    let rewritten = skb
        .writable(inspected.gue.inner_offset)
        .ok()
        .and_then(|head| rewrite(head, inspected, hop, udp_checksum));
    if rewritten.is_none() {
        return finish(state, skb, Verdict::DroppedNoMemory);
    }
    match route(hook.net, state.routes(), skb, hook.family) {
        Ok(routed) => {
            state.stats().count(inspected.question.passed_on());
            state.stats().count_forwarded(bytes);
            routed.send(hook.net);
            Outcome::Stolen
        }
        Err((skb, Unroutable::NoRoute)) => finish(state, skb, Verdict::DroppedNoRoute),
        Err((skb, Unroutable::TooBig)) => finish(state, skb, Verdict::DroppedTooBig),
    }
}
