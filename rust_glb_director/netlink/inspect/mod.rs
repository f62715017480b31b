// SPDX-License-Identifier: GPL-2.0

//! What is loaded, and what it would do with a packet.

#![forbid(unsafe_code)]

mod lookup;
mod row;
mod status;

use super::{Family, Request};
use crate::state::State;
use crate::tables::set::{Table, TableSet};
use glb_core::netlink::glb::{backend, bind, flows, load, operation, table as of_table};
use glb_kernel::base::rcu;
use glb_kernel::genl::{Command, Cursor, Dump, Message, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

pub(super) use lookup::Lookup;
pub(super) use row::RowGet;
pub(super) use status::{BackendStatsGet, StatsGet, StatusGet};

/// Room for 256 backends and a name.
const TABLE_SIZE: usize = 16 * 1024;

/// The table that a request names by index or by name.
fn find<'s>(
    set: Option<&'s TableSet>,
    request: &Request<'_>,
    index: u16,
    name: u16,
) -> Result<(u32, &'s Table)> {
    let tables = set.map_or(&[][..], |set| &set.tables);
    if let Some(sent) = request.get(name) {
        let mut numbered = (0u32..=u32::MAX).zip(tables);
        return numbered
            .find(|(_, table)| &table.name[..] == sent.text())
            .ok_or_else(|| refuse!(request, ENOENT, Some(&sent), "no such table"));
    }
    let sent = request.require(index)?;
    let number = sent.u32()?;
    match tables.get(number as usize) {
        Some(table) => Ok((number, table)),
        None => Err(refuse!(
            request,
            ENOENT,
            Some(&sent),
            "no such table: there are {}",
            tables.len()
        )),
    }
}

fn put_table(message: &mut Message<'_>, index: u32, table: &Table) -> Result {
    message.u32(of_table::INDEX, index)?;
    message.text(of_table::NAME, &table.name)?;
    message.u32(of_table::GENERATION, table.generation)?;
    message.u8(of_table::HOPS, table.hops)?;
    // The casts are exact: both numbers are bounded.
    message.u32(of_table::NUM_BACKENDS, table.backends.len() as u32)?;
    message.u32(of_table::NUM_BINDS, table.binds.len() as u32)?;
    message.u8(of_table::FORWARD, table.forward.number())?;
    message.u8(of_table::SELECT, table.selector.select.number())?;
    message.u32(of_table::NUM_ROWS, table.selector.rows)?;
    message.u8(of_table::FLOW_HASH, table.selector.flow_hash.number())?;
    if let Some(dscp) = table.forward.dscp() {
        message.u8(of_table::DSCP, dscp.value())?;
    }
    if let Some(port) = table.forward.target_port() {
        message.u16(of_table::TARGET_PORT, port.get())?;
    }
    if let Some(offset) = table.forward.mark_offset() {
        message.u32(of_table::MARK_OFFSET, offset.value())?;
    }
    let Some(spec) = &table.flow_spec else {
        return Ok(());
    };
    message.nest(of_table::FLOWS, |message| {
        message.u32(flows::BUCKETS, spec.buckets)?;
        message.u32(flows::TIMEOUT, u32::from(spec.rules.timeout))?;
        message.u8(flows::BY, spec.rules.by.number())
    })
}

/// `table-get`
pub(super) struct TableGet;

impl Command for TableGet {
    type Family = Family;
    const SPEC: Spec = operation::TABLE_GET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        request.reply(TABLE_SIZE, |message| {
            let rcu = rcu::Guard::new();
            let set = state.tables(&rcu);
            let (index, table) = find(set, request, of_table::INDEX, of_table::NAME)?;
            put_table(message, index, table)?;
            for (one, at) in table.backends.iter().zip(0..=u8::MAX) {
                message.nest(of_table::BACKEND, |message| {
                    if let Some(next_hop) = set.and_then(|set| set.next_hop(one.next_hop)) {
                        message.addr(backend::ADDRESS, &next_hop.addr)?;
                    }
                    message.u8(backend::STATE, one.state.number())?;
                    message.u8(backend::HEALTHY, u8::from(one.healthy))?;
                    message.u8(backend::IDENTIFIER, one.identifier)?;
                    match table.roster.id(at) {
                        Some(id) => message.u32(backend::ID, id.number()),
                        None => Ok(()),
                    }
                })?;
            }
            Ok(())
        })
    }
}

impl Dump for TableGet {
    type Family = Family;
    const SPEC: Spec = operation::TABLE_GET;

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
        let Some(table) = state.tables(&rcu).and_then(|set| set.tables.get(*index)) else {
            return Ok(false);
        };
        // The cast is exact: the number of tables is bounded.
        put_table(message, *index as u32, table)?;
        *index = index.wrapping_add(1);
        Ok(true)
    }
}

/// `bind-get`: the binds of all tables, or of the one that is named.
pub(super) struct BindGet;

impl Dump for BindGet {
    type Family = Family;
    const SPEC: Spec = operation::BIND_GET;

    fn generation(state: &State) -> u32 {
        state.generation()
    }

    fn next(
        state: &State,
        request: &Request<'_>,
        [index, position]: &mut Cursor,
        message: &mut Message<'_>,
    ) -> Result<bool> {
        let rcu = rcu::Guard::new();
        let Some(set) = state.tables(&rcu) else {
            return Ok(false);
        };
        let wanted = match request.get(load::TABLE) {
            Some(sent) => Some(sent.u32()? as usize),
            None => None,
        };
        if let Some(wanted) = wanted {
            if *index < wanted {
                (*index, *position) = (wanted, 0);
            }
        }
        while let Some(table) = set.tables.get(*index) {
            if wanted.is_some_and(|wanted| wanted != *index) {
                return Ok(false);
            }
            let Some(one) = table.binds.get(*position) else {
                (*index, *position) = (index.wrapping_add(1), 0);
                continue;
            };
            // The cast is exact: the number of tables is bounded.
            message.u32(load::TABLE, *index as u32)?;
            message.nest(load::BIND, |message| {
                message.addr(bind::ADDRESS, &one.addr)?;
                message.u8(bind::PREFIX_LEN, one.prefix_len)?;
                message.u8(bind::PROTO, one.proto_number())?;
                message.u16(bind::PORT_START, one.port_start)?;
                message.u16(bind::PORT_END, one.port_end)
            })?;
            *position = position.wrapping_add(1);
            return Ok(true);
        }
        Ok(false)
    }
}
