// SPDX-License-Identifier: GPL-2.0

//! What is loaded, and what it would do with a packet.

#![forbid(unsafe_code)]

use super::{addr, put_addr, Family, Request, MAX_NAME};
use crate::state::State;
use crate::tables::{Backend, Table, TableSet};
use glb_core::addr::Addr;
use glb_core::backend::State as BackendState;
use glb_core::bind::Proto;
use glb_core::hash::{packet_hash, FlowKey, HashFields, PacketHash};
use glb_core::ip::{proto, Addrs};
use glb_core::netlink::{
    backend, bind, command, counter, hop, load, lookup as attr, stats, status, table as of_table,
};
use glb_kernel::genl::{policy, Access, Attr, Command, Cursor, Dump, Message, Rule};
use glb_kernel::rcu;
use kernel::prelude::*;

/// Room for 256 backends and a name.
const TABLE_SIZE: usize = 16 * 1024;
/// Room for two rows of 31 hops and a name.
const LOOKUP_SIZE: usize = 6 * 1024;

fn state_code(state: BackendState) -> u8 {
    match state {
        BackendState::Filling => 0,
        BackendState::Active => 1,
        BackendState::Draining => 2,
        BackendState::Inactive => 3,
    }
}

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
    message.u32(of_table::NUM_BINDS, table.binds.len() as u32)
}

/// `table-get`
pub(super) struct TableGet;

impl TableGet {
    const RULES: [Rule; 3] = policy(&[
        (of_table::INDEX, Rule::U32),
        (of_table::NAME, Rule::text(MAX_NAME)),
    ]);
}

impl Command for TableGet {
    type Family = Family;
    const COMMAND: u8 = command::TABLE_GET;
    const ACCESS: Access = Access::Everyone;
    const POLICY: &'static [Rule] = &Self::RULES;

    fn run(state: &State, request: &Request<'_>) -> Result {
        request.reply(TABLE_SIZE, |message| {
            let rcu = rcu::Guard::new();
            let set = state.tables(&rcu);
            let (index, table) = find(set, request, of_table::INDEX, of_table::NAME)?;
            put_table(message, index, table)?;
            for one in table.backends.iter() {
                message.nest(of_table::BACKEND, |message| {
                    if let Some(next_hop) = set.and_then(|set| set.next_hop(one.next_hop)) {
                        put_addr(message, backend::ADDRESS, &next_hop.addr)?;
                    }
                    message.u8(backend::STATE, state_code(one.state))?;
                    message.u8(backend::HEALTHY, u8::from(one.healthy))
                })?;
            }
            Ok(())
        })
    }
}

impl Dump for TableGet {
    type Family = Family;
    const COMMAND: u8 = command::TABLE_GET;
    const POLICY: &'static [Rule] = &[Rule::REFUSED];

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
    const COMMAND: u8 = command::BIND_GET;
    const POLICY: &'static [Rule] = &{
        const RULES: [Rule; 6] = policy(&[(load::TABLE, Rule::U32)]);
        RULES
    };

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
                put_addr(message, bind::ADDRESS, &one.addr)?;
                message.u8(bind::PREFIX_LEN, one.prefix_len)?;
                message.u8(bind::PROTO, one.proto.number())?;
                message.u16(bind::PORT_START, one.port_start)?;
                message.u16(bind::PORT_END, one.port_end)
            })?;
            *position = position.wrapping_add(1);
            return Ok(true);
        }
        Ok(false)
    }
}

/// Writes the hops of a row.
fn put_hops(message: &mut Message<'_>, set: Option<&TableSet>, table: &Table, row: u16) -> Result {
    for &index in table.row(row) {
        let Some(one) = table.backends.get(usize::from(index)) else {
            continue;
        };
        let one: &Backend = one;
        message.nest(attr::HOP, |message| {
            message.u8(hop::BACKEND, index)?;
            if let Some(next_hop) = set.and_then(|set| set.next_hop(one.next_hop)) {
                put_addr(message, hop::ADDRESS, &next_hop.addr)?;
            }
            message.u8(hop::STATE, state_code(one.state))?;
            message.u8(hop::HEALTHY, u8::from(one.healthy))
        })?;
    }
    Ok(())
}

/// `row-get`
pub(super) struct RowGet;

impl Command for RowGet {
    type Family = Family;
    const COMMAND: u8 = command::ROW_GET;
    const ACCESS: Access = Access::Everyone;
    const POLICY: &'static [Rule] = &{
        const RULES: [Rule; 11] = policy(&[
            (attr::TABLE, Rule::U32),
            (attr::NAME, Rule::text(MAX_NAME)),
            (attr::ROW, Rule::U16),
        ]);
        RULES
    };

    fn run(state: &State, request: &Request<'_>) -> Result {
        let row = request.require(attr::ROW)?.u16()?;
        request.reply(LOOKUP_SIZE, |message| {
            let rcu = rcu::Guard::new();
            let set = state.tables(&rcu);
            let (index, table) = find(set, request, attr::TABLE, attr::NAME)?;
            message.u32(attr::TABLE, index)?;
            message.text(attr::NAME, &table.name)?;
            message.u32(attr::GENERATION, table.generation)?;
            message.u16(attr::ROW, row)?;
            put_hops(message, set, table, row)
        })
    }
}

/// `lookup`: where a packet would go.
pub(super) struct Lookup;

impl Command for Lookup {
    type Family = Family;
    const COMMAND: u8 = command::LOOKUP;
    const ACCESS: Access = Access::Everyone;
    const POLICY: &'static [Rule] = &{
        const RULES: [Rule; 6] = policy(&[
            (attr::DST, Rule::bytes(4, 16)),
            (attr::PROTO, Rule::U8),
            (attr::DST_PORT, Rule::U16),
            (attr::SRC, Rule::bytes(4, 16)),
            (attr::SRC_PORT, Rule::U16),
        ]);
        RULES
    };

    fn run(state: &State, request: &Request<'_>) -> Result {
        let sent = request.require(attr::DST)?;
        let dst = addr(request, &sent)?;
        let source = request.require(attr::SRC)?;
        let addrs = match (addr(request, &source)?, dst) {
            (Addr::V4(src), Addr::V4(dst)) => Addrs::V4 { src, dst },
            (Addr::V6(src), Addr::V6(dst)) => Addrs::V6 { src, dst },
            _ => {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&source),
                    "source and destination are of different families"
                ));
            }
        };
        let port = |kind| match request.get(kind) {
            Some(sent) => sent.u16(),
            None => Ok(0),
        };
        let flow = FlowKey {
            addrs,
            src_port: port(attr::SRC_PORT)?,
            dst_port: port(attr::DST_PORT)?,
        };
        let protocol = request.require(attr::PROTO)?;
        request.reply(LOOKUP_SIZE, |message| {
            let rcu = rcu::Guard::new();
            let set = state.tables(&rcu);
            let table = classify(set, request, dst, &protocol, flow.dst_port)?;
            let Some((set, table, index)) = table else {
                return Err(refuse!(
                    request,
                    ENOENT,
                    Some(&sent),
                    "no table has a bind for this packet"
                ));
            };
            message.u32(attr::TABLE, index)?;
            message.text(attr::NAME, &table.name)?;
            message.u32(attr::GENERATION, table.generation)?;
            let config = state.config(&rcu);
            let hash =
                |fields: HashFields| -> PacketHash { packet_hash(table.hash_key(), fields, &flow) };
            let first = hash(config.hash_fields);
            message.uint(attr::HASH, first.0)?;
            message.u16(attr::ROW, first.row())?;
            if let Some(fields) = config.alt_hash_fields {
                let second = hash(fields);
                message.uint(attr::ALT_HASH, second.0)?;
                message.u16(attr::ALT_ROW, second.row())?;
                put_hops(message, Some(set), table, first.row())?;
                return put_hops(message, Some(set), table, second.row());
            }
            put_hops(message, Some(set), table, first.row())
        })
    }
}

/// The table of a packet, and its index.
fn classify<'s, 'a>(
    set: Option<&'s TableSet>,
    request: &Request<'a>,
    dst: Addr,
    protocol: &Attr<'a>,
    port: u16,
) -> Result<Option<(&'s TableSet, &'s Table, u32)>> {
    let Some(set) = set else { return Ok(None) };
    let found = match protocol.u8()? {
        proto::ICMP | proto::ICMPV6 => set.classify_addr(dst),
        number => {
            let proto = Proto::from_number(number).ok_or_else(|| {
                refuse!(
                    request,
                    EINVAL,
                    Some(protocol),
                    "protocol {number}: must be TCP, UDP, ICMP or ICMPv6"
                )
            })?;
            set.classify(dst, proto, port)
        }
    };
    let Some(table) = found else { return Ok(None) };
    let index = set.tables.iter().position(|one| core::ptr::eq(one, table));
    // The cast is exact: the number of tables is bounded.
    Ok(index.map(|index| (set, table, index as u32)))
}

/// `stats-get`
pub(super) struct StatsGet;

impl Command for StatsGet {
    type Family = Family;
    const COMMAND: u8 = command::STATS_GET;
    const ACCESS: Access = Access::Everyone;
    const POLICY: &'static [Rule] = &[Rule::REFUSED];

    fn run(state: &State, request: &Request<'_>) -> Result {
        request.reply(TABLE_SIZE, |message| {
            for (name, value) in state.stats().all() {
                message.nest(stats::COUNTER, |message| {
                    message.text(counter::NAME, name.as_bytes())?;
                    message.uint(counter::VALUE, value)
                })?;
            }
            Ok(())
        })
    }
}

/// `status-get`
pub(super) struct StatusGet;

impl Command for StatusGet {
    type Family = Family;
    const COMMAND: u8 = command::STATUS_GET;
    const ACCESS: Access = Access::Everyone;
    const POLICY: &'static [Rule] = &[Rule::REFUSED];

    fn run(state: &State, request: &Request<'_>) -> Result {
        let devices = state.num_attached();
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
            } else {
                message.u32(status::GENERATION, 0)?;
                message.u32(status::TABLES, 0)?;
                message.u32(status::BINDS, 0)?;
                message.u32(status::NEXT_HOPS, 0)?;
                message.uint(status::MEMORY, 0)?;
            }
            message.u32(status::DEVICES, devices as u32)?;
            message.u32(status::LOADS, loads as u32)?;
            message.uint(status::STAGED, staged)
        })
    }
}
