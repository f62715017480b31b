// SPDX-License-Identifier: GPL-2.0

//! The processing of a backend's packet: an answer to a client goes to it from the VIP, all else passes.

#![forbid(unsafe_code)]

use super::headers::understand;
use crate::gateway::Device;
use crate::send::back;
use crate::send::refuse::refuse;
use crate::state::State;
use crate::tables::world::Loaded;
use glb_core::director::reverse::{reverse, reverse_common};
use glb_core::director::{common, inspect_answer, Verdict};
use glb_core::packet::ip::Family;
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::front::netdev;
use glb_kernel::packet::skb::Skb;

/// The handler of packets that come from backends.
pub(crate) struct Answers;

impl netdev::Ingress for Answers {
    type State = State;
    type Device = Option<Device>;

    fn other_host(state: &State) {
        state.stats().count(Verdict::PassedOtherHost);
    }

    fn handle<'a>(state: &State, _: &Option<Device>, hook: &Hook<'_>, skb: Skb<'a>) -> Outcome<'a> {
        let (net, rcu) = (hook.net, hook.rcu);
        match hook.family {
            Family::V4 => {
                let family = Family::V4;
                of_family(state, Hook { net, family, rcu }, skb)
            }
            Family::V6 => {
                let family = Family::V6;
                of_family(state, Hook { net, family, rcu }, skb)
            }
        }
    }
}

/// Most packets are alike, as clients' are ([`super::ingress`]).
#[inline(always)]
fn of_family<'a>(state: &State, hook: Hook<'_>, skb: Skb<'a>) -> Outcome<'a> {
    let stats = state.stats();
    let tables = state.tables(hook.rcu);
    // Without a table that translates nothing is an answer, whatever it is.
    let Some(tables) = tables.filter(|tables| tables.has_services()) else {
        return refuse(stats, skb, Verdict::PassedNoService);
    };
    let Some(packet) = common(View::new(skb.linear(), skb.len()), hook.family) else {
        return uncommon(state, hook, skb);
    };
    let config = state.config(hook.rcu);
    let learns = false;
    let world = Loaded {
        tables,
        stats,
        learns,
    };
    match reverse_common(&world, config, packet) {
        Ok(answer) => back::send_common(stats, hook, config, skb, answer),
        Err(verdict) => refuse(stats, skb, verdict),
    }
}

/// Another packet.
#[inline(never)]
fn uncommon<'a>(state: &State, hook: Hook<'_>, mut skb: Skb<'a>) -> Outcome<'a> {
    let stats = state.stats();
    let config = state.config(hook.rcu);
    let Some(tables) = state.tables(hook.rcu) else {
        return refuse(stats, skb, Verdict::PassedNoService);
    };
    let learns = false;
    let world = Loaded {
        tables,
        stats,
        learns,
    };
    let answer = understand(&hook, &mut skb, inspect_answer)
        .and_then(|packet| reverse(&world, config, packet));
    match answer {
        Ok(answer) => back::send(stats, &hook, config, skb, &answer),
        Err(verdict) => refuse(stats, skb, verdict),
    }
}
