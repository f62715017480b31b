// SPDX-License-Identifier: GPL-2.0

//! The processing of a client's packet, step by step.
//!
//! Most packets are alike ([`common`]). Their way is compiled for each family apart, all in one function, and all else is code
//! apart that takes what it needs by value: so the packet stays in registers (docs/decisions/0008).

#![forbid(unsafe_code)]

use super::headers::understand;
use super::service::{self, Door};
use crate::config::Config;
use crate::gateway::Device;
use crate::send::by_rows;
use crate::send::refuse::refuse;
use crate::state::State;
use crate::tables::set::{Table, TableSet};
use crate::tables::world::{Bound, Loaded};
use glb_core::director::classify::by_class::{class_of_common, Bytes};
use glb_core::director::{bind, bind_classed, common, inspect, Verdict, World};
use glb_core::packet::ip::Family;
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::front::netdev;
use glb_kernel::packet::skb::Skb;

/// The director's handler of incoming packets.
pub(crate) struct Ingress;

impl netdev::Ingress for Ingress {
    type State = State;
    type Device = Option<Device>;

    fn other_host(state: &State) {
        state.stats().count(Verdict::PassedOtherHost);
    }

    #[inline(always)]
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

#[inline(always)]
fn of_family<'a>(state: &State, hook: Hook<'_>, skb: Skb<'a>) -> Outcome<'a> {
    let config = state.config(hook.rcu);
    let tables = state.tables(hook.rcu);
    // With a second set of hash fields a header names the hops of two rows. Classes are asked before binds are.
    let tables = match (tables, config.alt_hash_fields) {
        (Some(tables), None) if !tables.has_classes() => tables,
        _ => return uncommon(state, hook, skb),
    };
    let Some(packet) = common(View::new(skb.linear(), skb.len()), hook.family) else {
        return uncommon(state, hook, skb);
    };
    let stats = state.stats();
    let learns = true;
    let world = Loaded {
        tables,
        stats,
        learns,
    };
    match bind(&world, config, packet) {
        Ok(bound) if bound.table.is_service() => {
            // Put together anew, so that it is in memory here only. The packet is read again where it is wanted.
            let door = Door {
                world: Loaded {
                    tables,
                    stats,
                    learns,
                },
                config,
                table: bound.table,
            };
            service::common(&door, hook, skb)
        }
        Ok(bound) => match bound.decide_by_rows(&world, config) {
            Ok(plan) => by_rows(stats, hook, config, skb, plan),
            Err(verdict) => refuse(stats, skb, verdict),
        },
        Err(verdict) => refuse(stats, skb, verdict),
    }
}

/// Another packet.
#[inline(never)]
fn uncommon<'a>(state: &State, hook: Hook<'_>, mut skb: Skb<'a>) -> Outcome<'a> {
    if let Some(tables) = state.tables(hook.rcu).filter(|tables| tables.has_classes()) {
        return classed(state, hook, skb, tables);
    }
    let config = state.config(hook.rcu);
    let stats = state.stats();
    let packet = match understand(&hook, &mut skb, inspect) {
        Ok(packet) => packet,
        Err(verdict) => return refuse(stats, skb, verdict),
    };
    let Some(tables) = state.tables(hook.rcu) else {
        return refuse(stats, skb, packet.unmatched());
    };
    let learns = true;
    let world = Loaded {
        tables,
        stats,
        learns,
    };
    match bind(&world, config, packet) {
        Ok(bound) => any(world, config, hook, skb, bound),
        Err(verdict) => refuse(stats, skb, verdict),
    }
}

/// A packet whose table is known, whatever it is.
#[inline(always)]
fn any<'a>(
    world: Loaded<'_>,
    config: &Config,
    hook: Hook<'_>,
    skb: Skb<'a>,
    Bound {
        packet,
        table,
        verdict,
    }: Bound<'_, '_>,
) -> Outcome<'a> {
    // Of the copy of the world that is here.
    let bound = Bound {
        packet,
        table,
        verdict,
    };
    if bound.table.is_service() {
        return service::any(world, config, hook, skb, bound);
    }
    match bound.decide(&world, config) {
        Ok(plan) => by_rows(world.stats, hook, config, skb, plan),
        Err(verdict) => refuse(world.stats, skb, verdict),
    }
}

/// A packet where there are classes. Most have one that is found by addresses and ports, and leads to a service.
#[inline(never)]
fn classed<'a>(state: &State, hook: Hook<'_>, skb: Skb<'a>, tables: &TableSet) -> Outcome<'a> {
    let config = state.config(hook.rcu);
    let stats = state.stats();
    let learns = true;
    let world = Loaded {
        tables,
        stats,
        learns,
    };
    if config.alt_hash_fields.is_none() {
        // For each family apart, as above.
        let table = match hook.family {
            Family::V4 => by_ports(world, &skb, Family::V4),
            Family::V6 => by_ports(world, &skb, Family::V6),
        };
        if let Some(table) = table {
            let door = Door {
                world,
                config,
                table,
            };
            return service::common(&door, hook, skb);
        }
    }
    closely(world, config, hook, skb)
}

/// The service of a common packet by its class, if none of its bytes matter.
#[inline(always)]
fn by_ports<'t>(world: Loaded<'t>, skb: &Skb<'_>, family: Family) -> Option<&'t Table> {
    let packet = common(View::new(skb.linear(), skb.len()), family)?;
    let found = class_of_common(world.tables.classes(), &packet)?;
    let table = world.tables.tables.get(usize::from(found.service))?;
    table.is_service().then_some(table)
}

/// Any packet where there are classes. One that is common, and of a service, goes on as such.
#[inline(never)]
fn closely<'a>(
    world: Loaded<'_>,
    config: &Config,
    hook: Hook<'_>,
    mut skb: Skb<'a>,
) -> Outcome<'a> {
    let stats = world.stats;
    let bound = understand(&hook, &mut skb, |view, family| {
        let (packet, is_common) = match common(view, family) {
            Some(packet) => (packet, config.alt_hash_fields.is_none()),
            None => (inspect(view, family)?, false),
        };
        let bytes = Bytes::read(view, family, &packet, world.classes())?;
        let bound = bind_classed(&world, config, packet, bytes);
        Ok(bound.map(|bound| (bound, is_common)))
    });
    match bound.and_then(|bound| bound) {
        Ok((bound, true)) if bound.table.is_service() => {
            let door = Door {
                world,
                config,
                table: bound.table,
            };
            service::common(&door, hook, skb)
        }
        Ok((bound, _)) => any(world, config, hook, skb, bound),
        Err(verdict) => refuse(stats, skb, verdict),
    }
}
