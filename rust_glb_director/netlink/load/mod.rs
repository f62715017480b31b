// SPDX-License-Identifier: GPL-2.0

//! Loading tables: a transaction of its socket.
//!
//! ```text
//! table-begin    what is to come; answers with the transaction's number
//! table-add      the next table, its backends and some of its binds
//! bind-add       more binds of a table
//! row-set        the next rows of a table
//! class-set      the next words of compiled classes
//! table-commit   all is there: packets see the new tables from now on
//! ```
//!
//! A part that is refused ends the transaction, as do `table-abort`, another `table-begin` of the same
//! socket, and the end of the socket. The running tables stay as they were.

#![forbid(unsafe_code)]

mod bind;
mod class;
mod commit;
mod rows;
mod table;

use super::{Family, Request};
use crate::state::State;
use crate::tables::set::{Table, MAX_BINDS, MAX_TABLES};
use crate::tables::staging::{Load, Promise, MAX_STAGED};
use core::num::NonZeroUsize;
use glb_core::director::classify::flow::MAX_WORDS;
use glb_core::netlink::glb::{load as attr, operation};
use glb_kernel::base::memory;
use glb_kernel::genl::{Attr, Command, SocketGone, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

pub(super) use bind::BindAdd;
pub(super) use class::ClassSet;
pub(super) use commit::TableCommit;
pub(super) use rows::RowSet;
pub(super) use table::TableAdd;

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

/// The table that the request names.
fn named<'l, 'a>(load: &'l mut Load, request: &Request<'a>) -> Result<&'l mut Table> {
    let index = request.require(attr::TABLE)?;
    let number = index.u32()?;
    match load.tables.get_mut(number as usize) {
        Some(table) => Ok(table),
        None => Err(refuse!(
            request,
            ENOENT,
            Some(&index),
            "table {number} was not added"
        )),
    }
}

/// The hops of a row as a divisor: `table-add` takes no fewer than one.
fn hops(table: &Table) -> NonZeroUsize {
    NonZeroUsize::new(usize::from(table.hops)).unwrap_or(NonZeroUsize::MIN)
}

/// `table-begin`
pub(super) struct TableBegin;

impl Command for TableBegin {
    type Family = Family;
    const SPEC: Spec = operation::TABLE_BEGIN;

    fn run(state: &State, request: &Request<'_>) -> Result {
        let (tables, binds) = (
            request.require(attr::TABLES)?,
            request.require(attr::BINDS)?,
        );
        let rows = request.require(attr::ROW_BYTES)?;
        let words = request.get(attr::CLASS_WORDS);
        let promise = Promise {
            tables: tables.u32()? as usize,
            binds: binds.u32()? as usize,
            row_bytes: rows.uint()?,
            class_words: match &words {
                Some(words) => words.u32()? as usize,
                None => 0,
            },
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
        if promise.class_words > MAX_WORDS {
            return Err(refuse!(
                request,
                E2BIG,
                words.as_ref(),
                "{} words of classes: at most {MAX_WORDS}",
                promise.class_words
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

/// `table-abort`
pub(super) struct TableAbort;

impl Command for TableAbort {
    type Family = Family;
    const SPEC: Spec = operation::TABLE_ABORT;

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
