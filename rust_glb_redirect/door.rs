// SPDX-License-Identifier: GPL-2.0

//! The second door: a netfilter hook of the namespace, for hosts without iptables.
//!
//! It is switched by the netlink family (`netlink.rs`), takes all packets to one UDP port, and gives the
//! same verdicts and counters as the target. A packet that passes both doors is counted twice.

#![forbid(unsafe_code)]

use crate::policy::Policy;
use crate::redirect::redirect;
use crate::seen::seen;
use crate::state::{DoorSettings, State};
use glb_core::redirect::{is_for_port, Stop};
use glb_kernel::base::rcu::Guard;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::front::local_in::{self, LocalIn};
use glb_kernel::net::{Either, Net, Registered};
use glb_kernel::packet::skb::Skb;
use kernel::prelude::*;

/// Pulls at most: IP header, extension headers, UDP header.
const MAX_PULLS: usize = 16;

/// The hooks of the door.
pub(crate) type Attachment = local_in::Attachment<Handler>;

/// Opens the door, or changes an open one, between two packets.
pub(crate) fn open(
    state: &State,
    net: &Net,
    registered: Registered<State>,
    settings: DoorSettings,
) -> Result {
    let settings = KBox::new(settings, GFP_KERNEL)?;
    // Held to the end, so that hooks and settings are of one request.
    let mut doors = net.doors(registered).lock();
    if !doors.iter().any(is_this) {
        // Hooks without settings let all packets pass, so the order does no harm.
        doors.open(net, registered, Either::First(()))?;
    }
    drop(state.door().replace(Some(settings)));
    Ok(())
}

/// Closes the door; false if it was closed.
pub(crate) fn close(state: &State, net: &Net, registered: Registered<State>) -> bool {
    let mut doors = net.doors(registered).lock();
    let was_open = doors.close(is_this);
    drop(state.door().replace(None));
    was_open
}

/// Whether it is this door. The other one of a namespace sets cookies.
fn is_this<B>(door: &Either<Attachment, B>) -> bool {
    matches!(door, Either::First(_))
}

/// Calls `with` with what an open door lets in, under RCU.
pub(crate) fn with_settings<R>(state: &State, with: impl FnOnce(Option<&DoorSettings>) -> R) -> R {
    let guard = Guard::new();
    with(state.door().get(&guard))
}

/// The handler of the hook.
pub(crate) struct Handler;

impl LocalIn for Handler {
    type State = State;

    fn handle<'a>(state: &State, hook: &Hook<'_>, mut skb: Skb<'a>) -> Outcome<'a> {
        let Some(settings) = state.door().get(hook.rcu) else {
            return Outcome::Accept(skb);
        };
        if is_ours(hook, &mut skb, settings.port) {
            redirect(state, hook, skb, Policy::Door(settings))
        } else {
            Outcome::Accept(skb)
        }
    }
}

#[inline]
fn is_ours(hook: &Hook<'_>, skb: &mut Skb<'_>, port: u16) -> bool {
    for _ in 0..MAX_PULLS {
        match is_for_port(&seen(hook, skb), port) {
            Ok(ours) => return ours,
            Err(Stop::NeedLinear(len)) if skb.pull(len).is_ok() => {}
            Err(_) => return false,
        }
    }
    false
}
