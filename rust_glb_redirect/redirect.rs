// SPDX-License-Identifier: GPL-2.0

//! What becomes of a packet.

#![forbid(unsafe_code)]

use crate::stats::State;
use glb_core::gue::Hop;
use glb_core::redirect::{inspect, next_hop, rewrite};
use glb_core::redirect::{Inspected, Next, Packet, Prefix, Question, Stop, Verdict};
use glb_core::view::View;
use glb_kernel::hook::{Hook, Outcome};
use glb_kernel::route::{route, Unroutable};
use glb_kernel::skb::Skb;
use glb_kernel::socket::{answers_cookie, is_established, Device};

/// How often headers are made linear at most: outer IP, UDP and GUE, hop, inner IP and its extension
/// headers, transport, embedded packet and its extension headers. Each round gets further than the one
/// before.
const MAX_PULLS: usize = 32;

/// Decides about a packet, whatever door it came through, and carries the verdict out. `allowed` are the
/// prefixes that hops must come from; `None` allows any.
#[inline]
pub(crate) fn redirect<'a, 'p>(
    state: &State,
    hook: &Hook<'_>,
    mut skb: Skb<'a>,
    allowed: Option<impl Iterator<Item = Prefix<'p>>>,
) -> Outcome<'a> {
    let (packet, verdict) = match understand(hook, &mut skb) {
        Ok(packet) => (packet, is_here(state, hook, &mut skb, &packet)),
        Err(verdict) => {
            state.count(verdict);
            return Outcome::Drop(skb);
        }
    };
    let next = match verdict {
        Some(verdict) => Next::Stay(verdict),
        None => next_hop(&packet, allowed),
    };
    if let Question::Connection {
        flow,
        fragment: Some(fragment),
        ..
    } = packet.question
    {
        state.record_fragment(&flow.addrs, fragment, matches!(next, Next::Forward(_)));
    }
    match next {
        Next::Stay(verdict @ Verdict::DroppedHopNotAllowed) => {
            state.count(verdict);
            Outcome::Drop(skb)
        }
        Next::Stay(verdict) => {
            state.count(verdict);
            Outcome::Accept(skb)
        }
        Next::Forward(hop) => forward(state, hook, skb, &packet, hop),
    }
}

/// Reads the headers, making them linear where the core asks for it.
#[inline]
fn understand(hook: &Hook<'_>, skb: &mut Skb<'_>) -> Result<Inspected, Verdict> {
    for _ in 0..MAX_PULLS {
        let packet = Packet {
            view: View::new(skb.linear(), skb.len()),
            outer: hook.family,
        };
        match inspect(&packet) {
            Ok(_) if skb.is_udp_gso() => return Err(Verdict::DroppedUdpGso),
            Ok(inspected) => return Ok(inspected),
            Err(Stop::Drop(verdict)) => return Err(verdict),
            Err(Stop::NeedLinear(len)) => {
                skb.pull(len).map_err(|_| Verdict::DroppedNoMemory)?;
            }
        }
    }
    Err(Verdict::DroppedInner)
}

/// Asks whether the packet stays here; the verdict says why.
#[inline]
fn is_here(
    state: &State,
    hook: &Hook<'_>,
    skb: &mut Skb<'_>,
    packet: &Inspected,
) -> Option<Verdict> {
    match packet.question {
        Question::Accept(verdict) => Some(verdict),
        Question::LaterFragment { addrs, fragment } => {
            (!state.was_forwarded(&addrs, fragment)).then_some(Verdict::AcceptedFragment)
        }
        Question::Connection { flow, cookie, .. } => {
            let device = Device::of_tunnel(hook.net, hook.family, packet.gue.inner)?;
            if is_established(hook.net, &flow, device) {
                return Some(Verdict::AcceptedEstablished);
            }
            answers_cookie(hook.net, skb, &flow, device, cookie?)
                .then_some(Verdict::AcceptedSynCookie)
        }
    }
}

/// Passes the packet on to `hop`.
#[inline]
fn forward<'a>(
    state: &State,
    hook: &Hook<'_>,
    mut skb: Skb<'a>,
    packet: &Inspected,
    hop: Hop,
) -> Outcome<'a> {
    let bytes = skb.len();
    let udp_checksum = skb.udp_checksum(packet.udp_offset);
    let rewritten = skb
        .writable(packet.gue.inner_offset)
        .ok()
        .and_then(|head| rewrite(head, packet, hop, udp_checksum));
    if rewritten.is_none() {
        state.count(Verdict::DroppedNoMemory);
        return Outcome::Drop(skb);
    }
    match route(hook.net, skb, hook.family) {
        Ok(routed) => {
            state.count(Verdict::ForwardedToAlternate);
            state.count_forwarded(bytes);
            routed.send(hook.net);
            Outcome::Stolen
        }
        Err((skb, Unroutable::NoRoute)) => {
            state.count(Verdict::DroppedNoRoute);
            Outcome::Drop(skb)
        }
        Err((skb, Unroutable::TooBig)) => {
            state.count(Verdict::DroppedTooBig);
            Outcome::Drop(skb)
        }
    }
}
