// SPDX-License-Identifier: GPL-2.0

//! The cookie: the timestamps of connections that begin here name this proxy.
//!
//! A netfilter hook of the namespace sees the SYN/ACKs that its sockets send. It gives each connection its offset once; from then on
//! the kernel adds and subtracts it by itself. So nothing is to be given back when the hook goes, and connections live on with what
//! they have. It is switched by the netlink family, and is off until then.
//!
//! Contexts: the hook runs under RCU, on all CPUs at once. It takes no lock, and allocates nothing but a private copy of a header
//! that is shared with a capture.

#![forbid(unsafe_code)]

use crate::state::{CookieSettings, State};
use glb_core::cookie::answer::{step, Outcome, Step};
use glb_kernel::base::rcu::{Guard, Reader};
use glb_kernel::base::time;
use glb_kernel::front::local_out::{self, SynAcks};
use glb_kernel::net::{Either, Net, Registered};
use glb_kernel::sockets::syn_ack::{Sender, SynAck};
use kernel::prelude::*;

/// The hooks that set cookies.
pub(crate) type Attachment = local_out::Attachment<Handler>;

/// Sets cookies from now on, or others than before.
pub(crate) fn open(
    state: &State,
    net: &Net,
    registered: Registered<State>,
    settings: CookieSettings,
) -> Result {
    let settings = KBox::new(settings, GFP_KERNEL)?;
    // Held to the end, so that hooks and settings are of one request.
    let mut doors = net.doors(registered).lock();
    if !doors.iter().any(is_this) {
        // Hooks without settings leave all packets alone, so the order does no harm.
        doors.open(net, registered, Either::Second(()))?;
    }
    drop(state.cookie().replace(Some(settings)));
    Ok(())
}

/// Sets no more cookies; false if none were set.
pub(crate) fn close(state: &State, net: &Net, registered: Registered<State>) -> bool {
    let mut doors = net.doors(registered).lock();
    let was_open = doors.close(is_this);
    drop(state.cookie().replace(None));
    was_open
}

/// Whether it is this door.
fn is_this<A>(door: &Either<A, Attachment>) -> bool {
    matches!(door, Either::Second(_))
}

/// Calls `with` with what cookies are made of, under RCU.
pub(crate) fn with_settings<R>(
    state: &State,
    with: impl FnOnce(Option<&CookieSettings>) -> R,
) -> R {
    let guard = Guard::new();
    with(state.cookie().get(&guard))
}

/// The handler of the hook.
pub(crate) struct Handler;

impl SynAcks for Handler {
    type State = State;

    fn handle(state: &State, rcu: Reader<'_>, answer: SynAck<'_, '_>) {
        let Some(settings) = state.cookie().get(rcu) else {
            return;
        };
        if let Some(outcome) = set(settings, answer) {
            state.stats().count_answer(outcome);
        }
    }
}

/// Sets the offset of a connection; `None` if it has it already.
fn set(settings: &CookieSettings, answer: SynAck<'_, '_>) -> Option<Outcome> {
    let Some(request) = answer.request() else {
        return Some(match answer.sender() {
            Sender::Connection => Outcome::FastOpen,
            Sender::Nobody | Sender::Request => Outcome::SynCookie,
        });
    };
    let (found, value) = answer.options();
    // What is to be added to the clock of the kernel, which is not the shared one.
    let offset = settings.cookie.offset(settings.id, &answer.flow()?);
    let want = offset.wrapping_add(time::real_ahead());
    match step(want, &request, &found, value) {
        Step::Leave => None,
        Step::Skip(outcome) => Some(outcome),
        Step::Shift(shift) => Some(match answer.shift(found.timestamps?, shift) {
            Ok(()) => Outcome::Set,
            Err(_) => Outcome::NoMemory,
        }),
    }
}
