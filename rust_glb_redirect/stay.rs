// SPDX-License-Identifier: GPL-2.0

//! Why a packet stays here: what the kernel's socket tables answer to the question that its bytes leave.
//!
//! Sockets are looked for on every device that the packet's payload could arrive on, as there may be several, or none.

#![forbid(unsafe_code)]

use crate::seen::seen;
use crate::state::State;
use glb_core::packet::flow::{Flow, FlowAt};
use glb_core::redirect::{Inspected, Question, Verdict};
use glb_kernel::front::hook::Hook;
use glb_kernel::net::Net;
use glb_kernel::packet::skb::Skb;
use glb_kernel::sockets::decap::Device;
use glb_kernel::sockets::tcp::{answers_cookie, has_listener, is_established, is_open};
use glb_kernel::sockets::udp::is_connected;

/// Whether the packet's connection has a socket here.
#[inline]
pub(crate) fn is_established_here(
    state: &State,
    hook: &Hook<'_>,
    skb: &Skb<'_>,
    inspected: &Inspected,
) -> bool {
    let devices = state.devices();
    is_established_on(
        hook,
        skb,
        inspected,
        devices.all_of_tunnel(hook.family, inspected.gue.inner),
    )
}

/// The same, where the device that most likely takes the packet was asked before. Nearly always there is no other.
#[inline]
pub(crate) fn is_established_on_others(
    state: &State,
    hook: &Hook<'_>,
    skb: &Skb<'_>,
    inspected: &Inspected,
) -> bool {
    let devices = state.devices();
    is_established_on(
        hook,
        skb,
        inspected,
        devices.others_of_tunnel(hook.family, inspected.gue.inner),
    )
}

#[inline]
fn is_established_on(
    hook: &Hook<'_>,
    skb: &Skb<'_>,
    inspected: &Inspected,
    mut devices: impl Iterator<Item = Device>,
) -> bool {
    let Question::Connection { flow, .. } = &inspected.question else {
        return false;
    };
    let Ok(flow) = flow.read(seen(hook, skb).view) else {
        return false;
    };
    devices.any(|device| is_established(hook.net, &flow, device))
}

/// Why the packet, whose connection has no socket here, stays nevertheless; `None` if it is to be passed on.
#[inline]
pub(crate) fn reason_to_stay(
    state: &State,
    hook: &Hook<'_>,
    skb: &mut Skb<'_>,
    inspected: &Inspected,
) -> Option<Verdict> {
    match &inspected.question {
        Question::Connection {
            flow,
            may_be_cookie,
            ..
        } => (*may_be_cookie && answers_cookie_here(state, hook, skb, inspected, flow))
            .then_some(Verdict::AcceptedSynCookie),
        Question::Opening { flow, .. } => {
            // A listener is there nearly always. A SYN may also be a repeated one.
            let expected = is_here(state, hook, skb, (inspected, flow), has_listener)
                || is_here(state, hook, skb, (inspected, flow), is_open);
            expected.then_some(Verdict::AcceptedSyn)
        }
        Question::Datagram { flow, .. } => {
            is_here(state, hook, skb, (inspected, flow), is_connected)
                .then_some(Verdict::AcceptedUdpConnected)
        }
        Question::LaterFragment { fragment, .. } => {
            let forwarded = inspected
                .inner_addrs(seen(hook, skb).view)
                .is_ok_and(|addrs| state.was_forwarded(&addrs, *fragment));
            (!forwarded).then_some(Verdict::AcceptedFragment)
        }
    }
}

/// Whether a socket of some kind has the packet's flow, on whatever device its payload would arrive.
#[inline(never)]
fn is_here(
    state: &State,
    hook: &Hook<'_>,
    skb: &Skb<'_>,
    (inspected, flow): (&Inspected, &FlowAt),
    has_socket: impl Fn(&Net, &Flow<'_>, Device) -> bool,
) -> bool {
    let Ok(flow) = flow.read(seen(hook, skb).view) else {
        return false;
    };
    let devices = state.devices();
    devices
        .all_of_tunnel(hook.family, inspected.gue.inner)
        .any(|device| has_socket(hook.net, &flow, device))
}

/// Whether the packet ends a handshake that was answered with a SYN cookie here.
#[inline]
fn answers_cookie_here(
    state: &State,
    hook: &Hook<'_>,
    skb: &mut Skb<'_>,
    inspected: &Inspected,
    flow: &FlowAt,
) -> bool {
    let devices = state.devices();
    devices
        .all_of_tunnel(hook.family, inspected.gue.inner)
        .any(|device| answers_cookie(hook.net, skb, flow, device))
}
