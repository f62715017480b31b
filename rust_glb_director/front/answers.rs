// SPDX-License-Identifier: GPL-2.0

//! The processing of a backend's packet: an answer to a client goes to it from the VIP, all else passes.

#![forbid(unsafe_code)]

use super::headers::understand;
use crate::send::back;
use crate::send::refuse::refuse;
use crate::state::State;
use crate::tables::world::Loaded;
use glb_core::director::reverse::reverse;
use glb_core::director::{inspect_answer, Verdict};
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::front::netdev;
use glb_kernel::packet::skb::Skb;

/// The handler of packets that come from backends.
pub(crate) struct Answers;

impl netdev::Ingress for Answers {
    type State = State;

    fn other_host(state: &State) {
        state.stats().count(Verdict::PassedOtherHost);
    }

    fn handle<'a>(state: &State, hook: &Hook<'_>, mut skb: Skb<'a>) -> Outcome<'a> {
        let stats = state.stats();
        let tables = state.tables(hook.rcu);
        // Without a table that translates nothing is an answer, whatever it is.
        let Some(tables) = tables.filter(|tables| tables.has_services()) else {
            return refuse(stats, skb, Verdict::PassedNoService);
        };
        let learns = false;
        let world = Loaded {
            tables,
            stats,
            learns,
        };
        let config = state.config(hook.rcu);
        let answer = understand(hook, &mut skb, inspect_answer)
            .and_then(|packet| reverse(&world, config, packet));
        match answer {
            Ok(answer) => back::send(stats, hook, config, skb, &answer),
            Err(verdict) => refuse(stats, skb, verdict),
        }
    }
}
