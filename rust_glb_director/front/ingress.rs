// SPDX-License-Identifier: GPL-2.0

//! The processing of a client's packet, step by step.

#![forbid(unsafe_code)]

use crate::gateway::Device;
use crate::send::refuse::refuse;
use crate::send::send;
use crate::state::State;
use crate::tables::world::Loaded;
use glb_core::director::{decide, inspect, Candidate, Stop, Verdict};
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::front::netdev;
use glb_kernel::packet::skb::Skb;

/// How often headers are made linear at most: IP and its extension headers, transport, embedded packet and
/// its extension headers. Each round gets further than the one before.
const MAX_PULLS: usize = 32;

/// The director's handler of incoming packets.
pub(crate) struct Ingress;

impl netdev::Ingress for Ingress {
    type State = State;
    type Device = Option<Device>;

    fn other_host(state: &State) {
        state.stats().count(Verdict::PassedOtherHost);
    }

    #[inline]
    fn handle<'a>(
        state: &State,
        _: &Option<Device>,
        hook: &Hook<'_>,
        mut skb: Skb<'a>,
    ) -> Outcome<'a> {
        let config = state.config(hook.rcu);
        let stats = state.stats();
        let learns = true;
        let world = state.tables(hook.rcu).map(|tables| Loaded {
            tables,
            stats,
            learns,
        });
        let plan = understand(hook, &mut skb).and_then(|packet| match &world {
            Some(world) => decide(world, config, packet),
            None => Err(packet.unmatched()),
        });
        match plan {
            Ok(plan) => send(stats, hook, config, skb, &plan),
            Err(verdict) => refuse(stats, skb, verdict),
        }
    }
}

/// Reads the headers, making them linear where the core asks for it.
#[inline]
fn understand(hook: &Hook<'_>, skb: &mut Skb<'_>) -> Result<Candidate, Verdict> {
    for _ in 0..MAX_PULLS {
        match inspect(View::new(skb.linear(), skb.len()), hook.family) {
            Ok(packet) => return Ok(packet),
            Err(Stop::Pass(verdict)) => return Err(verdict),
            Err(Stop::NeedLinear(len)) => {
                skb.pull(len).map_err(|_| Verdict::DroppedNoMemory)?;
            }
        }
    }
    Err(Verdict::PassedUnknownFormat)
}
