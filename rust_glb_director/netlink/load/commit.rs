// SPDX-License-Identifier: GPL-2.0

//! `table-commit`: what was loaded is what packets see, from now on.

#![forbid(unsafe_code)]

use super::{attr, hops, unknown};
use crate::netlink::{Family, Request};
use crate::state::{State, Unpublished};
use crate::tables::follow::Lasting;
use crate::tables::set::Table;
use crate::tables::staging::{Load, Unfinished};
use glb_core::director::classify::flow::Classes;
use glb_core::director::reverse::services::{check_bind, OneWay, MAX_SERVICES};
use glb_core::netlink::glb::{command, operation, table as of_table};
use glb_kernel::genl::{Command, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

/// `table-commit`
pub(in crate::netlink) struct TableCommit;

impl Command for TableCommit {
    type Family = Family;
    const SPEC: Spec = operation::TABLE_COMMIT;

    fn run(state: &State, request: &Request<'_>) -> Result {
        let number = request.require(attr::TRANSACTION)?;
        let load = state.staging().lock().take(request.socket(), number.u32()?);
        let load = load.ok_or_else(|| unknown(request, &number))?;
        check(&load, request)?;
        let set = load.finish().map_err(|unfinished| match unfinished {
            Unfinished::Services(table) => refuse!(
                request,
                E2BIG,
                None,
                "table {table}: more than {MAX_SERVICES} backends of binds with forward nat, in all tables"
            ),
            Unfinished::Ambiguous(of) => refuse!(
                request,
                EINVAL,
                None,
                "table {}: bind {} and bind {} of table {} send to one port of one backend, whose answers could be of either",
                of.second.id().table,
                of.second.id().bind,
                of.first.id().bind,
                of.first.id().table
            ),
            Unfinished::Chained(of) => refuse!(
                request,
                EINVAL,
                None,
                "table {}: bind {} sends to an address of bind {} of table {}, so that an answer would have two sources",
                of.service.id().table,
                of.service.id().bind,
                of.bind.bind,
                of.bind.table
            ),
            Unfinished::Flows(at) => refuse!(
                request,
                EINVAL,
                None,
                "table {}: bind {} is bind {} of table {} too: only one of them has flows",
                at.second.table,
                at.second.bind,
                at.first.bind,
                at.first.table
            ),
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
                Unpublished::Lasting(missing) => refuse!(
                    request,
                    ENOMEM,
                    None,
                    "table {}: no memory for its {}: {} KiB",
                    missing.table,
                    match missing.what {
                        Lasting::Flows => "flows",
                        Lasting::Counters => "counters",
                    },
                    missing.bytes >> 10
                ),
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

/// The first bind whose packets the table's forward cannot send to a backend of the other family.
fn other_family(table: &Table) -> Option<u16> {
    if !table.forward.kind().rewrites() {
        return None;
    }
    let bits = table.addresses.family().bits();
    let mut binds = (0..=u16::MAX).zip(table.binds.iter());
    binds
        .find(|(_, bind)| bind.addr.bits() != bits)
        .map(|(index, _)| index)
}

/// The first bind whose answers could not be given their source again, and why.
fn one_way(table: &Table) -> Option<(u16, OneWay)> {
    let mut binds = (0..=u16::MAX).zip(table.binds.iter());
    binds.find_map(|(index, bind)| Some((index, check_bind(table.forward, bind).err()?)))
}

/// The first bind for all protocols of a table whose flow hash reads ports that are not known of all.
fn all_protocols(table: &Table) -> Option<u16> {
    if table.selector.flow_hash.takes_all_protocols() {
        return None;
    }
    let mut binds = (0..=u16::MAX).zip(table.binds.iter());
    binds
        .find(|(_, bind)| bind.proto.is_none())
        .map(|(index, _)| index)
}

/// Whether the words of classes have come, are of the form, and lead to tables of this load that classes may lead to.
pub(super) fn check_classes(load: &Load, request: &Request<'_>) -> Result {
    let (words, promised) = (load.classes.len(), load.promise.class_words);
    if words != promised {
        return Err(refuse!(
            request,
            EINVAL,
            None,
            "{words} words of classes came, of {promised}"
        ));
    }
    let Some(classes) = Classes::new(&load.classes) else {
        return Err(refuse!(
            request,
            EINVAL,
            None,
            "words of classes that this module does not know: load with its own glbctl"
        ));
    };
    if let Some(rank) = classes.astray(load.tables.len()) {
        return Err(refuse!(
            request,
            EINVAL,
            None,
            "the class with rank {rank} is not in the words, or leads to none of {} tables",
            load.tables.len()
        ));
    }
    let mut rank = 0;
    while let Some(found) = classes.by_rank(rank) {
        let table = load.tables.get(usize::from(found.service));
        if let Some(table) = table.filter(|table| !table.forward.takes_classes()) {
            return Err(refuse!(
                request,
                EINVAL,
                None,
                "class {} leads to table {}, whose forward {} needs binds: classes lead to tunnels and marks",
                found.class,
                found.service,
                table.forward.name()
            ));
        }
        rank = rank.wrapping_add(1);
    }
    Ok(())
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
    check_classes(load, request)?;
    for (index, table) in (0..=u16::MAX).zip(load.tables.iter()) {
        let rows = table.all_rows().len() / hops(table);
        let wanted = table.selector.rows;
        if rows != wanted as usize {
            return Err(refuse!(
                request,
                EINVAL,
                None,
                "table {index}: {rows} rows came, of {wanted}"
            ));
        }
        if let Some(bind) = all_protocols(table) {
            return Err(refuse!(
                request,
                EINVAL,
                None,
                "table {index}: bind {bind} is for all protocols, of which {} hashes ports that are not read: bind TCP, UDP and SCTP",
                table.selector.flow_hash.name()
            ));
        }
        if let Some(bind) = other_family(table) {
            return Err(refuse!(
                request,
                EINVAL,
                None,
                "table {index}: bind {bind} is not of the backends' family, which forward {} needs",
                table.forward.name()
            ));
        }
        if let Some((bind, why)) = one_way(table) {
            let what = match why {
                OneWay::Prefix => {
                    "several addresses, and an answer does not say which one was asked"
                }
                OneWay::Protocols => {
                    "all protocols, and an answer without ports is like any packet"
                }
                OneWay::Ports => "several ports, and an answer does not say which one was asked",
                OneWay::OwnPorts => "ports up from 32768, which backends' own connections have",
                OneWay::NoPort => "port 0, which an answer cannot be given back",
            };
            return Err(refuse!(
                request,
                EINVAL,
                None,
                "table {index}: bind {bind} has {what}"
            ));
        }
    }
    Ok(())
}
