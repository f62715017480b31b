// SPDX-License-Identifier: GPL-2.0

//! `glbctl backend add`, `glbctl backend remove`: which backends a table has, in the operator's file.

use super::{ip, no_second_hop, OF_ROWS_TAKEN};
use crate::cli::backend::{BackendAdd, BackendRemove};
use crate::commands::source::{List, Source};
use crate::commands::RELOAD;
use crate::output::{print, Failure};
use glb_config::quoted;
use glb_config::tables::{Rule, Table};
use glb_core::backend::{Identifiers, State};
use glb_core::director::FlowHash;
use serde::Serialize;
use serde_json::{json, Value};
use std::net::IpAddr;

#[derive(Serialize)]
struct Report {
    file: String,
    table: String,
    backend: String,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
}

impl Report {
    fn print(&self, json: bool) -> Result<(), Failure> {
        print(json, self, |out| {
            write!(
                out,
                "table {}: {} {}",
                quoted(&self.table),
                self.backend,
                self.change
            )?;
            if let Some(state) = self.state {
                write!(out, ", {state}")?;
            }
            writeln!(out)?;
            writeln!(out, "{RELOAD}")
        })
    }
}

fn place(table: &Table, backend: IpAddr) -> Option<usize> {
    let mut backends = table.backends.iter();
    backends.position(|one| ip(one.backend.addr) == backend)
}

pub(super) fn add(args: &BackendAdd, json: bool) -> Result<(), Failure> {
    let source = Source::open(&args.file)?;
    let (index, table) = source.table(&args.table)?;
    let label = quoted(&table.label(index));
    if place(table, args.backend).is_some() {
        return Err(source.fault(format!("table {label} has {} already", args.backend)));
    }
    let state = if args.inactive {
        State::Inactive
    } else {
        State::Filling
    };
    if let (Some(reason), false) = (danger(table, state), args.force) {
        return Err(source.fault(format!(
            "table {label}: {reason} (--force does it all the same)"
        )));
    }
    let mut item = json!({
        "ip": args.backend.to_string(),
        "state": state.name(),
        "healthy": true,
    });
    if let Some(identifier) = identifier(table) {
        item["id"] = identifier.into();
    }
    if let Some(weight) = args.weight {
        item["weight"] = weight.into();
    }
    if let Some(domain) = &args.domain {
        item["domain"] = domain.as_str().into();
    }
    if let Some(checks) = checks(&source, index, table, args)? {
        item["healthchecks"] = checks;
    }
    let list = List {
        table: index,
        name: "backends",
    };
    source.push(&list, &item)?;
    Report {
        file: args.file.display().to_string(),
        table: table.label(index),
        backend: args.backend.to_string(),
        change: "added",
        state: Some(state.name()),
    }
    .print(json)
}

/// The identifier of a backend that comes behind all others, if its place is that of another one: the least that is free.
fn identifier(table: &Table) -> Option<u8> {
    let mut taken = Identifiers::default();
    for one in &table.backends {
        taken.add(one.identifier);
    }
    let place = u8::try_from(table.backends.len()).ok()?;
    let is_taken = table.backends.iter().any(|one| one.identifier == place);
    is_taken.then(|| taken.free()).flatten()
}

/// Rows of two hops take one change at a time (docs/rows-v3.md).
fn danger(table: &Table, state: State) -> Option<String> {
    if state == State::Inactive {
        return None;
    }
    let mut others = table.backends.iter().map(|one| &one.backend);
    if !table.forward.lists_hops() {
        if table.words.flows.is_some() {
            return None;
        }
        let in_rows = others.any(|one| one.state != State::Inactive);
        return in_rows.then(|| no_second_hop(table.forward, OF_ROWS_TAKEN));
    }
    if table.rule != Rule::V2 {
        return None;
    }
    let other = others.find(|one| one.state != State::Active)?;
    let (addr, state) = (ip(other.addr), other.state.name());
    Some(format!(
        "{addr} is {state}, and with two hops a row connections break: add it with --inactive and fill it later"
    ))
}

/// The health checks of the new backend: those that the others have, or those of one of them.
fn checks(
    source: &Source<'_>,
    index: usize,
    table: &Table,
    args: &BackendAdd,
) -> Result<Option<Value>, Failure> {
    let backends = &source.config.tree["tables"][index]["backends"];
    let of = |place: usize| backends[place].get("healthchecks").cloned();
    if let Some(like) = args.like {
        let missing = || {
            let label = quoted(&table.label(index));
            source.fault(format!("table {label} has no backend {like}"))
        };
        return Ok(of(place(table, like).ok_or_else(missing)?));
    }
    let first = of(0);
    if (0..table.backends.len()).any(|place| of(place) != first) {
        return Err(source.fault(format!(
            "table {}: its backends have different health checks: name one to take them from, --like ADDRESS",
            quoted(&table.label(index))
        )));
    }
    Ok(first)
}

pub(super) fn remove(args: &BackendRemove, json: bool) -> Result<(), Failure> {
    let source = Source::open(&args.file)?;
    let (index, table) = source.table(&args.table)?;
    let label = quoted(&table.label(index));
    let missing = || source.fault(format!("table {label} has no backend {}", args.backend));
    let place = place(table, args.backend).ok_or_else(missing)?;
    let state = table.backends[place].backend.state;
    if state != State::Inactive && !args.force {
        return Err(source.fault(format!(
            "table {label}: {} is {}: its connections break; drain and deactivate it first (--force removes it all \
             the same)",
            args.backend,
            state.name()
        )));
    }
    let behind = moves(&source, index, place);
    if behind > 0 && !args.force {
        return Err(source.fault(format!(
            "table {label}: {behind} backends behind {} have no \"id\", and would have other identifiers than now: give them \
             those that `glbctl table show` says, or leave {} inactive (--force removes it all the same)",
            args.backend, args.backend
        )));
    }
    let list = List {
        table: index,
        name: "backends",
    };
    source.remove(&list, place)?;
    Report {
        file: args.file.display().to_string(),
        table: table.label(index),
        backend: args.backend.to_string(),
        change: "removed",
        state: None,
    }
    .print(json)
}

/// How many backends behind this place are known by their places, where marks or rows depend on that.
fn moves(source: &Source<'_>, index: usize, place: usize) -> usize {
    let table = &source.config.tables[index];
    let of_nfqlb = match table.words.flow_hash {
        FlowHash::Nfqlb | FlowHash::NfqlbSctpPorts => true,
        FlowHash::Own | FlowHash::Vpp | FlowHash::VppSticky => false,
    };
    if !of_nfqlb && table.forward.mark_offset().is_none() {
        return 0;
    }
    let backends = source.config.tree["tables"][index]["backends"].as_array();
    let behind = backends.into_iter().flatten().skip(place.saturating_add(1));
    behind.filter(|one| one["id"].is_null()).count()
}
