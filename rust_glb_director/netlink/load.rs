// SPDX-License-Identifier: GPL-2.0

//! Loading tables: a transaction of its socket.
//!
//! ```text
//! table-begin    what is to come; answers with the transaction's number
//! table-add      the next table, its backends and some of its binds
//! bind-add       more binds of a table
//! row-set        the next rows of a table
//! table-commit   all is there: packets see the new tables from now on
//! ```
//!
//! A part that is refused ends the transaction, as do `table-abort`, another `table-begin` of the same
//! socket, and the end of the socket. The running tables stay as they were.

#![forbid(unsafe_code)]

use super::staging::{self, gfp, Load, Promise, Refusal, Unfinished, MAX_STAGED};
use super::{addr, Family, Request, MAX_NAME};
use crate::state::{State, Unpublished};
use crate::tables::{max_hops, Backend, Table, MAX_BINDS, MAX_TABLES};
use core::num::NonZeroUsize;
use glb_core::addr::Addr;
use glb_core::backend::{State as BackendState, MAX_BACKENDS};
use glb_core::bind::{Bind, Proto};
use glb_core::hash::ROWS;
use glb_core::netlink::{backend, bind, command, load as attr, table as of_table};
use glb_kernel::genl::{policy, Access, Attr, Command, Rule, SocketGone};
use glb_kernel::memory;
use glb_kernel::rcu;
use glb_kernel::vec::Append;
use kernel::prelude::*;

/// Most bytes of rows in a message; an attribute can have no more than 65,531.
const MAX_ROWS: u16 = 65_531;

static BACKEND: [Rule; 4] = policy(&[
    (backend::ADDRESS, Rule::bytes(4, 16)),
    (backend::STATE, Rule::u8_in(0, 3)),
    (backend::HEALTHY, Rule::u8_in(0, 1)),
]);

static BIND: [Rule; 6] = policy(&[
    (bind::ADDRESS, Rule::bytes(4, 16)),
    (bind::PREFIX_LEN, Rule::u8_in(0, 128)),
    (bind::PROTO, Rule::U8),
    (bind::PORT_START, Rule::U16),
    (bind::PORT_END, Rule::U16),
]);

/// Runs `change` on the load that the request names. An error drops the load, outside of the lock.
fn change<'a>(
    state: &State,
    request: &Request<'a>,
    change: impl FnOnce(&mut Load, &Request<'a>) -> Result,
) -> Result {
    let number = request.require(attr::TRANSACTION)?;
    let id = number.u32()?;
    let mut staging = state.staging().lock();
    let Some(load) = staging.find(request.socket(), id) else {
        drop(staging);
        return Err(unknown(request, &number));
    };
    let result = change(load, request);
    if result.is_err() {
        let dropped = staging.take(request.socket(), id);
        drop(staging);
        drop(dropped);
    }
    result
}

fn unknown<'a>(request: &Request<'a>, number: &Attr<'a>) -> Error {
    refuse!(
        request,
        ENOENT,
        Some(number),
        "this socket has no such load: it was ended, or never begun"
    )
}

/// `table-begin`
pub(super) struct TableBegin;

impl Command for TableBegin {
    type Family = Family;
    const COMMAND: u8 = command::TABLE_BEGIN;
    const ACCESS: Access = Access::Admin;
    const POLICY: &'static [Rule] = &{
        const RULES: [Rule; 5] = policy(&[
            (attr::TABLES, Rule::U32),
            (attr::BINDS, Rule::U32),
            (attr::ROW_BYTES, Rule::UINT),
        ]);
        RULES
    };

    fn run(state: &State, request: &Request<'_>) -> Result {
        let (tables, binds) = (
            request.require(attr::TABLES)?,
            request.require(attr::BINDS)?,
        );
        let rows = request.require(attr::ROW_BYTES)?;
        let promise = Promise {
            tables: tables.u32()? as usize,
            binds: binds.u32()? as usize,
            row_bytes: rows.uint()?,
        };
        if promise.tables > MAX_TABLES {
            return Err(refuse!(
                request,
                E2BIG,
                Some(&tables),
                "{} tables: at most {MAX_TABLES}",
                promise.tables
            ));
        }
        if promise.binds > MAX_BINDS {
            return Err(refuse!(
                request,
                E2BIG,
                Some(&binds),
                "{} binds in all: at most {MAX_BINDS}",
                promise.binds
            ));
        }
        let needed = promise.bytes() >> 20;
        if promise.bytes() > MAX_STAGED {
            return Err(refuse!(
                request,
                E2BIG,
                Some(&rows),
                "the load needs {needed} MiB: at most {}",
                MAX_STAGED >> 20
            ));
        }
        let free = memory::available();
        if promise.bytes() > free {
            return Err(refuse!(
                request,
                ENOMEM,
                Some(&rows),
                "the load needs {needed} MiB, {} are free",
                free >> 20
            ));
        }
        let load = Load::new(request.socket(), promise)?;
        let id = load.id;
        let mut staging = state.staging().lock();
        let dropped = staging.take_any(request.socket());
        let begun = if staging.bytes().saturating_add(promise.bytes()) > MAX_STAGED {
            Err(ENOSPC)
        } else {
            staging.begin(load)
        };
        drop(staging);
        drop(dropped);
        begun.map_err(|error| {
            refuse!(
                request,
                error,
                None,
                "other loads are under way: end them, or wait"
            )
        })?;
        request.reply(64, |message| message.u32(attr::TRANSACTION, id))
    }
}

/// `table-add`
pub(super) struct TableAdd;

impl Command for TableAdd {
    type Family = Family;
    const COMMAND: u8 = command::TABLE_ADD;
    const ACCESS: Access = Access::Admin;
    const POLICY: &'static [Rule] = &{
        const RULES: [Rule; 11] = policy(&[
            (attr::TRANSACTION, Rule::U32),
            (attr::TABLE, Rule::U32),
            (attr::NAME, Rule::text(MAX_NAME)),
            (attr::HASH_KEY, Rule::bytes(16, 16)),
            (attr::HOPS, Rule::u8_in(2, 31)),
            (attr::BACKEND, Rule::nested(&BACKEND)),
            (attr::BIND, Rule::nested(&BIND)),
        ]);
        RULES
    };

    fn run(state: &State, request: &Request<'_>) -> Result {
        let two_rows = state.config(&rcu::Guard::new()).alt_hash_fields.is_some();
        change(state, request, |load, request| {
            let index = request.require(attr::TABLE)?;
            let next = load.tables.len();
            if index.u32()? as usize != next {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&index),
                    "tables come in order: the next one is {next}"
                ));
            }
            if next >= load.promise.tables {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&index),
                    "table-begin spoke of {next} tables"
                ));
            }
            let name = request.require(attr::NAME)?;
            if core::str::from_utf8(name.text()).is_err() {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&name),
                    "the name is not UTF-8"
                ));
            }
            let hash_key = request.require(attr::HASH_KEY)?.array::<16>()?;
            let hops = request.require(attr::HOPS)?;
            let (backends, v6) = backends(load, request)?;
            let num_hops = hops.u8()?;
            let most = max_hops(v6, two_rows);
            if num_hops > most {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&hops),
                    "{num_hops} hops: at most {most}{}{}",
                    if v6 { " with IPv6 backends" } else { "" },
                    if two_rows {
                        " while alt-hash-fields is set"
                    } else {
                        ""
                    }
                ));
            }
            let row_bytes = (num_hops as u64).wrapping_mul(ROWS as u64);
            load.row_bytes = load.row_bytes.saturating_add(row_bytes);
            if load.row_bytes > load.promise.row_bytes {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&hops),
                    "more rows than table-begin spoke of"
                ));
            }
            let mut table =
                staging::table(name.text(), &hash_key, num_hops, backends, KVVec::new())?;
            for nest in request.attrs().all(attr::BIND) {
                table.binds.append(bind(load, request, &nest)?, gfp())?;
            }
            Ok(load.tables.append(table, gfp())?)
        })
    }
}

/// The backends of a new table, and whether they are IPv6.
fn backends<'a>(load: &mut Load, request: &Request<'a>) -> Result<(KVec<Backend>, bool)> {
    let mut backends = KVec::new();
    let mut family = None;
    for nest in request.attrs().all(attr::BACKEND) {
        let index = backends.len();
        if index >= MAX_BACKENDS {
            return Err(refuse!(
                request,
                E2BIG,
                Some(&nest),
                "more than {MAX_BACKENDS} backends"
            ));
        }
        let address = request.require_in(&nest, backend::ADDRESS)?;
        let addr = addr(request, &address)?;
        let v6 = matches!(addr, Addr::V6(_));
        if *family.get_or_insert(v6) != v6 {
            return Err(refuse!(
                request,
                EINVAL,
                Some(&address),
                "backend {index} is not of the family of the first one"
            ));
        }
        let next_hop = load.next_hop(addr).map_err(|refusal| match refusal {
            Refusal::Memory => ENOMEM,
            Refusal::NextHops => {
                refuse!(
                    request,
                    E2BIG,
                    Some(&address),
                    "more than 65535 different backends in all tables"
                )
            }
        })?;
        let nested = nest.nested();
        backends.append(
            Backend {
                next_hop,
                state: match nested
                    .get(backend::STATE)
                    .map(|attr| attr.u8())
                    .transpose()?
                {
                    Some(0) => BackendState::Filling,
                    None | Some(1) => BackendState::Active,
                    Some(2) => BackendState::Draining,
                    Some(_) => BackendState::Inactive,
                },
                healthy: match nested.get(backend::HEALTHY) {
                    Some(attr) => attr.u8()? != 0,
                    None => true,
                },
            },
            gfp(),
        )?;
    }
    match family {
        Some(v6) => Ok((backends, v6)),
        None => {
            // Says that the attribute is missing.
            request.require(attr::BACKEND)?;
            Err(EINVAL)
        }
    }
}

/// The next bind of a load, if the load has not had all.
fn bind<'a>(load: &mut Load, request: &Request<'a>, nest: &Attr<'a>) -> Result<Bind> {
    if load.num_binds >= load.promise.binds {
        return Err(refuse!(
            request,
            EINVAL,
            Some(nest),
            "table-begin spoke of {} binds",
            load.promise.binds
        ));
    }
    load.num_binds = load.num_binds.wrapping_add(1);
    let addr = addr(request, &request.require_in(nest, bind::ADDRESS)?)?;
    let prefix_len = match nest.nested().get(bind::PREFIX_LEN) {
        None => addr.bits(),
        Some(attr) => {
            let len = attr.u8()?;
            if len > addr.bits() {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&attr),
                    "a prefix of {len} bits: at most {}",
                    addr.bits()
                ));
            }
            len
        }
    };
    let proto = request.require_in(nest, bind::PROTO)?;
    let number = proto.u8()?;
    let proto = Proto::from_number(number).ok_or_else(|| {
        refuse!(
            request,
            EINVAL,
            Some(&proto),
            "protocol {number}: must be 6 (TCP) or 17 (UDP)"
        )
    })?;
    let port_start = request.require_in(nest, bind::PORT_START)?.u16()?;
    let port_end = match nest.nested().get(bind::PORT_END) {
        None => port_start,
        Some(attr) => {
            let end = attr.u16()?;
            if end < port_start {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&attr),
                    "ports {port_start} to {end}: the wrong way round"
                ));
            }
            end
        }
    };
    Ok(Bind {
        addr,
        prefix_len,
        proto,
        port_start,
        port_end,
    })
}

/// The table that the request names, and the attribute that names it.
fn named<'l, 'a>(load: &'l mut Load, request: &Request<'a>) -> Result<(&'l mut Table, u32)> {
    let index = request.require(attr::TABLE)?;
    let number = index.u32()?;
    match load.tables.get_mut(number as usize) {
        Some(table) => Ok((table, number)),
        None => Err(refuse!(
            request,
            ENOENT,
            Some(&index),
            "table {number} was not added"
        )),
    }
}

/// The hops of a row as a divisor: `table-add` takes no fewer than two.
fn hops(table: &Table) -> NonZeroUsize {
    NonZeroUsize::new(usize::from(table.hops)).unwrap_or(NonZeroUsize::MIN)
}

/// `bind-add`
pub(super) struct BindAdd;

impl Command for BindAdd {
    type Family = Family;
    const COMMAND: u8 = command::BIND_ADD;
    const ACCESS: Access = Access::Admin;
    const POLICY: &'static [Rule] = &{
        const RULES: [Rule; 11] = policy(&[
            (attr::TRANSACTION, Rule::U32),
            (attr::TABLE, Rule::U32),
            (attr::BIND, Rule::nested(&BIND)),
        ]);
        RULES
    };

    fn run(state: &State, request: &Request<'_>) -> Result {
        change(state, request, |load, request| {
            for nest in request.attrs().all(attr::BIND) {
                let bind = bind(load, request, &nest)?;
                named(load, request)?.0.binds.append(bind, gfp())?;
            }
            Ok(())
        })
    }
}

/// `row-set`
pub(super) struct RowSet;

impl Command for RowSet {
    type Family = Family;
    const COMMAND: u8 = command::ROW_SET;
    const ACCESS: Access = Access::Admin;
    const POLICY: &'static [Rule] = &{
        const RULES: [Rule; 13] = policy(&[
            (attr::TRANSACTION, Rule::U32),
            (attr::TABLE, Rule::U32),
            (attr::FIRST_ROW, Rule::U32),
            (attr::ROWS, Rule::bytes_to(MAX_ROWS)),
        ]);
        RULES
    };

    fn run(state: &State, request: &Request<'_>) -> Result {
        change(state, request, |load, request| {
            let (table, _) = named(load, request)?;
            let first = request.require(attr::FIRST_ROW)?;
            let rows = request.require(attr::ROWS)?;
            let hops = hops(table);
            let next = table.rows.len() / hops;
            if first.u32()? as usize != next {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&first),
                    "rows come in order: the next one is {next}"
                ));
            }
            let bytes = rows.bytes();
            let len = bytes.len();
            if len == 0 || len % hops != 0 {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&rows),
                    "{len} bytes are not whole rows of {hops} hops"
                ));
            }
            let end = next.saturating_add(len / hops);
            if end > ROWS {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&rows),
                    "rows up to {end}: a table has {ROWS}"
                ));
            }
            let num_backends = table.backends.len();
            let mut row = next;
            for of_row in bytes.chunks_exact(hops.get()) {
                if of_row.iter().all(|hop| usize::from(*hop) < num_backends) {
                    row = row.wrapping_add(1);
                    continue;
                }
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&rows),
                    "row {row} names a backend that is not one of {num_backends}"
                ));
            }
            // The room is there since the table was added.
            Ok(table.rows.append_slice(bytes, gfp())?)
        })
    }
}

/// `table-commit`
pub(super) struct TableCommit;

impl Command for TableCommit {
    type Family = Family;
    const COMMAND: u8 = command::TABLE_COMMIT;
    const ACCESS: Access = Access::Admin;
    const POLICY: &'static [Rule] = &{
        const RULES: [Rule; 2] = policy(&[(attr::TRANSACTION, Rule::U32)]);
        RULES
    };

    fn run(state: &State, request: &Request<'_>) -> Result {
        let number = request.require(attr::TRANSACTION)?;
        let load = state.staging().lock().take(request.socket(), number.u32()?);
        let load = load.ok_or_else(|| unknown(request, &number))?;
        check(&load, request)?;
        let set = load.finish().map_err(|unfinished| match unfinished {
            Unfinished::Memory => {
                refuse!(request, ENOMEM, None, "no memory for the binds")
            }
            Unfinished::Bind(id) => {
                refuse!(
                    request,
                    EINVAL,
                    None,
                    "table {}: bind {} is wrong",
                    id.table,
                    id.bind
                )
            }
            Unfinished::Space => refuse!(request, E2BIG, None, "too many binds"),
        })?;
        let tables = set.tables.len();
        let generation = state
            .publish(set)
            .map_err(|unpublished| match unpublished {
                Unpublished::Memory => refuse!(request, ENOMEM, None, "no memory for the tables"),
                // `table-add` took it: the setting came afterwards.
                Unpublished::Hops(table) => refuse!(
                    request,
                    EINVAL,
                    Some(&number),
                    "table {}: {} hops, at most {} while alt-hash-fields is set",
                    table.table,
                    table.hops,
                    table.most
                ),
            })?;
        glb_kernel::genl::notify(request.net(), command::TABLE_NTF, 64, |message| {
            message.u32(of_table::GENERATION, generation)?;
            message.u32(of_table::TABLES, tables as u32)
        });
        request.reply(64, |message| message.u32(attr::GENERATION, generation))
    }
}

/// Whether all that was promised has come.
fn check(load: &Load, request: &Request<'_>) -> Result {
    let (tables, binds) = (load.tables.len(), load.num_binds);
    if tables != load.promise.tables {
        return Err(refuse!(
            request,
            EINVAL,
            None,
            "{tables} tables came, of {}",
            load.promise.tables
        ));
    }
    if binds != load.promise.binds {
        return Err(refuse!(
            request,
            EINVAL,
            None,
            "{binds} binds came, of {}",
            load.promise.binds
        ));
    }
    for (index, table) in (0..=u16::MAX).zip(load.tables.iter()) {
        let rows = table.rows.len() / hops(table);
        if rows != ROWS {
            return Err(refuse!(
                request,
                EINVAL,
                None,
                "table {index}: {rows} rows came, of {ROWS}"
            ));
        }
    }
    Ok(())
}

/// `table-abort`
pub(super) struct TableAbort;

impl Command for TableAbort {
    type Family = Family;
    const COMMAND: u8 = command::TABLE_ABORT;
    const ACCESS: Access = Access::Admin;
    const POLICY: &'static [Rule] = TableCommit::POLICY;

    fn run(state: &State, request: &Request<'_>) -> Result {
        let number = request.require(attr::TRANSACTION)?;
        let load = state.staging().lock().take(request.socket(), number.u32()?);
        match load {
            Some(_) => Ok(()),
            None => Err(unknown(request, &number)),
        }
    }
}

/// Drops the load of a socket that is closed.
pub(crate) struct DropLoads;

impl SocketGone for DropLoads {
    type State = State;

    fn socket_gone(state: &State, socket: u32) {
        loop {
            let load = state.staging().lock().take_any(socket);
            if load.is_none() {
                break;
            }
        }
    }
}
