// SPDX-License-Identifier: GPL-2.0

//! `stats-get`, `backend-stats-get`, `status-get`: counters, and what is in use.

#![forbid(unsafe_code)]

use super::TABLE_SIZE;
use crate::front::devices::num_attached;
use crate::netlink::{Family, Request};
use crate::state::State;
use glb_core::netlink::glb::{counter, operation, stats, status};
use glb_kernel::base::rcu;
use glb_kernel::genl::{Command, Cursor, Dump, Message, Spec};
use kernel::prelude::*;

/// `stats-get`
pub(in crate::netlink) struct StatsGet;

impl Command for StatsGet {
    type Family = Family;
    const SPEC: Spec = operation::STATS_GET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        request.reply(TABLE_SIZE, |message| {
            for (name, value) in state.stats().all() {
                message.counter(stats::COUNTER, [counter::NAME, counter::VALUE], name, value)?;
            }
            Ok(())
        })
    }
}

impl Dump for StatsGet {
    type Family = Family;
    const SPEC: Spec = operation::STATS_GET;

    fn generation(state: &State) -> u32 {
        state.generation()
    }

    fn next(
        state: &State,
        _: &Request<'_>,
        [index, _]: &mut Cursor,
        message: &mut Message<'_>,
    ) -> Result<bool> {
        let rcu = rcu::Guard::new();
        let Some(set) = state.tables(&rcu) else {
            return Ok(false);
        };
        while let Some(table) = set.tables.get(*index) {
            let at = *index;
            *index = index.wrapping_add(1);
            let Some(counts) = &table.counts else {
                continue;
            };
            // The cast is exact: the number of tables is bounded.
            message.u32(stats::TABLE, at as u32)?;
            message.text(stats::NAME, &table.name)?;
            let form = [counter::NAME, counter::VALUE];
            if let Some(flows) = &table.flows {
                for (name, value) in flows.counts() {
                    message.counter(stats::COUNTER, form, name, value)?;
                }
            }
            let (name, value) = counts.no_hop();
            message.counter(stats::COUNTER, form, name, value)?;
            return Ok(true);
        }
        Ok(false)
    }
}

/// `backend-stats-get`
pub(in crate::netlink) struct BackendStatsGet;

impl Dump for BackendStatsGet {
    type Family = Family;
    const SPEC: Spec = operation::BACKEND_STATS_GET;

    fn generation(state: &State) -> u32 {
        state.generation()
    }

    fn next(
        state: &State,
        _: &Request<'_>,
        [index, position]: &mut Cursor,
        message: &mut Message<'_>,
    ) -> Result<bool> {
        let rcu = rcu::Guard::new();
        let Some(set) = state.tables(&rcu) else {
            return Ok(false);
        };
        while let Some(table) = set.tables.get(*index) {
            let backend = u8::try_from(*position).ok();
            let found = backend.and_then(|backend| Some((backend, table.meter(backend)?)));
            let Some((backend, meter)) = found else {
                (*index, *position) = (index.wrapping_add(1), 0);
                continue;
            };
            *position = position.wrapping_add(1);
            // The cast is exact: the number of tables is bounded.
            message.u32(stats::TABLE, *index as u32)?;
            message.text(stats::NAME, &table.name)?;
            if let Some(addr) = table.addresses.get(backend) {
                message.addr(stats::ADDRESS, &addr)?;
            }
            if let Some(id) = table.roster.id(backend) {
                message.u32(stats::ID, id.number())?;
            }
            for (name, value) in meter.all() {
                message.counter(stats::COUNTER, [counter::NAME, counter::VALUE], name, value)?;
            }
            return Ok(true);
        }
        Ok(false)
    }
}

/// `status-get`
pub(in crate::netlink) struct StatusGet;

impl Command for StatusGet {
    type Family = Family;
    const SPEC: Spec = operation::STATUS_GET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        let devices = num_attached(request.net(), request.registered());
        let (loads, staged) = {
            let staging = state.staging().lock();
            (staging.len(), staging.bytes())
        };
        request.reply(256, |message| {
            let rcu = rcu::Guard::new();
            if let Some(set) = state.tables(&rcu) {
                message.u32(status::GENERATION, set.generation)?;
                // The casts are exact: all of these are bounded.
                message.u32(status::TABLES, set.tables.len() as u32)?;
                message.u32(status::BINDS, set.num_binds as u32)?;
                message.u32(status::NEXT_HOPS, set.next_hops.len() as u32)?;
                message.uint(status::MEMORY, set.bytes())?;
                message.u32(status::CLASS_WORDS, set.num_class_words() as u32)?;
            } else {
                message.u32(status::GENERATION, 0)?;
                message.u32(status::TABLES, 0)?;
                message.u32(status::BINDS, 0)?;
                message.u32(status::NEXT_HOPS, 0)?;
                message.uint(status::MEMORY, 0)?;
                message.u32(status::CLASS_WORDS, 0)?;
            }
            message.u32(status::DEVICES, devices as u32)?;
            message.u32(status::LOADS, loads as u32)?;
            message.uint(status::STAGED, staged)
        })
    }
}
