// SPDX-License-Identifier: GPL-2.0

//! The processing of a client's packet, step by step.

#![forbid(unsafe_code)]

use super::headers::understand;
use crate::send::refuse::refuse;
use crate::send::send;
use crate::state::State;
use crate::tables::world::Loaded;
use glb_core::director::{decide, inspect, Verdict};
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::front::netdev;
use glb_kernel::packet::skb::Skb;

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
        let learns = true;
        let world = state.tables(hook.rcu).map(|tables| Loaded {
            tables,
            stats,
            learns,
        });
        let plan = understand(hook, &mut skb, inspect).and_then(|packet| match &world {
            Some(world) => decide(world, config, packet),
            None => Err(packet.unmatched()),
        });
        match plan {
            Ok(plan) => send(stats, hook, config, skb, &plan),
            Err(verdict) => refuse(stats, skb, verdict),
        }
    }
}
