// SPDX-License-Identifier: GPL-2.0

//! Connections that no socket of the namespace has, and that belong to this machine all the same: programs in other namespaces
//! have them, or the connection tracking, which sends their packets on to another address.

#![forbid(unsafe_code)]

use crate::policy::Policy;
use crate::seen::seen;
use crate::state::State;
use glb_core::packet::flow::{Flow, FlowAt};
use glb_core::packet::ip::proto;
use glb_core::redirect::{Question, Verdict};
use glb_kernel::front::hook::Hook;
use glb_kernel::net::Net;
use glb_kernel::packet::skb::Skb;
use glb_kernel::sockets::decap::Device;
use glb_kernel::sockets::elsewhere::Elsewhere;
use glb_kernel::sockets::tcp::{answers_cookie, has_listener, is_established, is_open};
use glb_kernel::sockets::udp::is_connected;

/// Why a packet stays that nobody in the namespace has asked for; `None` if nobody else has, or is not asked.
#[inline]
pub(crate) fn kept_elsewhere(
    state: &State,
    hook: &Hook<'_>,
    skb: &mut Skb<'_>,
    question: &Question,
    policy: Policy<'_>,
) -> Option<Verdict> {
    ask(state, hook, skb, question, policy.elsewhere()?)
}

#[inline(never)]
fn ask(
    state: &State,
    hook: &Hook<'_>,
    skb: &mut Skb<'_>,
    question: &Question,
    elsewhere: &Elsewhere,
) -> Option<Verdict> {
    let (at, there) = match question {
        Question::Connection { flow, .. } | Question::Datagram { flow, .. } => {
            (flow, Verdict::AcceptedNetns)
        }
        // A SYN that is expected is counted as one, wherever the program is.
        Question::Opening { flow, .. } => (flow, Verdict::AcceptedSyn),
        Question::LaterFragment { .. } => return None,
    };
    let has_it = |net: Option<&Net>| match net {
        Some(net) => has_socket(net, hook, skb, question, at),
        None => {
            state.stats().count_ended_netns();
            false
        }
    };
    let namespaces = elsewhere.namespaces();
    if namespaces.is_some_and(|namespaces| namespaces.asked(hook.rcu).any(has_it)) {
        return Some(there);
    }
    let protocol = match question {
        Question::Connection { .. } => proto::TCP,
        Question::Datagram { .. } => proto::UDP,
        // It knows SYNs that nobody has answered, and none that is new.
        _ => return None,
    };
    let flow = at.read(seen(hook, skb).view).ok()?;
    let conntrack = elsewhere.conntrack()?;
    let expected = conntrack.expects(&flow, protocol, hook.rcu);
    expected.then_some(Verdict::AcceptedConntrack)
}

/// Whether a socket of another namespace is what the question asks for. On what device the packet would come there is not known,
/// so sockets that are bound to one do not count.
fn has_socket(
    net: &Net,
    hook: &Hook<'_>,
    skb: &mut Skb<'_>,
    question: &Question,
    at: &FlowAt,
) -> bool {
    let Ok(flow) = at.read(seen(hook, skb).view) else {
        return false;
    };
    let found = |has: fn(&Net, &Flow<'_>, Device) -> bool| has(net, &flow, Device::NONE);
    match *question {
        Question::Connection { may_be_cookie, .. } => {
            found(is_established) || (may_be_cookie && answers_cookie(net, skb, at, Device::NONE))
        }
        Question::Opening { .. } => found(has_listener) || found(is_open),
        Question::Datagram { .. } => found(is_connected),
        Question::LaterFragment { .. } => false,
    }
}
