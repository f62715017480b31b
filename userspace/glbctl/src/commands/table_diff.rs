// SPDX-License-Identifier: GPL-2.0

//! `glbctl table diff`: which rows move, and whether the connections in them survive.
//!
//! Backends are the same if their addresses are; tables if their names are, or, where a file has no names,
//! their places. A connection is held by its row's first hop at the time when it began. After the change
//! it survives if that backend is still among the row's hops.

use super::table_show::addr;
use crate::load;
use crate::output::{print, Failure};
use glb_config::compiled::{usable, Compiled};
use glb_config::quoted;
use glb_core::addr::Addr;
use glb_core::backend::State;
use glb_core::hash::ROWS;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

#[derive(Serialize)]
struct Diff {
    /// Tables that only the old file has.
    removed: Vec<String>,
    /// Tables that only the new file has.
    added: Vec<String>,
    tables: Vec<TableDiff>,
}

#[derive(Serialize)]
struct TableDiff {
    table: String,
    /// The packet hash has another key: every connection changes its row, whatever the rows say.
    hash_key_changed: bool,
    rows: usize,
    /// Rows whose first hop is another one.
    moved: u32,
    /// Of those, rows whose old first hop could have stayed: it still takes new connections.
    needless: u32,
    /// Rows whose old first hop is in the new table and usable, but not among the row's hops:
    /// connections are lost.
    lost: u32,
    backends: Vec<BackendDiff>,
}

#[derive(Default, Serialize)]
struct BackendDiff {
    ip: String,
    /// Rows that it is the first hop of, before and after.
    old_rows: u32,
    new_rows: u32,
    /// Rows that it lost to others, and won from others.
    moved_away: u32,
    moved_here: u32,
    /// Rows where connections to it are lost.
    lost: u32,
}

pub(crate) fn run(old: &Path, new: &Path, json: bool) -> Result<(), Failure> {
    let (old, new) = (
        load::tables(old, json)?.tables,
        load::tables(new, json)?.tables,
    );
    let places = |tables: &[Compiled]| -> BTreeMap<String, usize> {
        let label = |(index, table): (usize, &Compiled)| (table.label(index), index);
        tables.iter().enumerate().map(label).collect()
    };
    let named = |tables: &[Compiled]| tables.iter().all(|table| table.name.is_some());
    // With names on one side only, places are all that both have.
    let by_name = named(&old) && named(&new);
    let old_places = places(&old);
    let partner = |index: usize, table: &Compiled| {
        if by_name {
            old_places.get(&table.label(index)).map(|at| &old[*at])
        } else {
            old.get(index)
        }
    };
    let mut diff = Diff {
        removed: Vec::new(),
        added: Vec::new(),
        tables: Vec::new(),
    };
    for (index, table) in new.iter().enumerate() {
        match partner(index, table) {
            Some(before) => diff.tables.push(compare(table.label(index), before, table)),
            None => diff.added.push(table.label(index)),
        }
    }
    let new_places = places(&new);
    let gone = |(index, table): &(usize, &Compiled)| {
        if by_name {
            !new_places.contains_key(&table.label(*index))
        } else {
            *index >= new.len()
        }
    };
    let removed = old.iter().enumerate().filter(gone);
    diff.removed = removed.map(|(index, table)| table.label(index)).collect();
    print(json, &diff, |out| write_diff(out, &diff))
}

fn compare(label: String, old: &Compiled, new: &Compiled) -> TableDiff {
    let mut backends: BTreeMap<Addr, BackendDiff> = BTreeMap::new();
    for backend in old.backends.iter().chain(&new.backends) {
        let ip = backend.backend.addr;
        backends.entry(ip).or_default().ip = addr(ip);
    }
    let mut of = |ip: Addr, change: fn(&mut BackendDiff)| {
        backends.entry(ip).and_modify(change);
    };
    let new_backend = |ip| new.backends.iter().find(|b| b.backend.addr == ip);
    let (mut moved, mut needless, mut lost) = (0, 0, 0);
    for (old_row, new_row) in old.rows().zip(new.rows()) {
        let before = old.backends[usize::from(old_row[0])].backend.addr;
        let mut hops = new_row
            .iter()
            .map(|&i| new.backends[usize::from(i)].backend.addr);
        let after = new.backends[usize::from(new_row[0])].backend.addr;
        of(before, |b| b.old_rows += 1);
        of(after, |b| b.new_rows += 1);
        if before == after {
            continue;
        }
        moved += 1;
        of(before, |b| b.moved_away += 1);
        of(after, |b| b.moved_here += 1);
        let Some(still) = new_backend(before).filter(|b| usable(&b.backend)) else {
            continue;
        };
        if still.backend.healthy && still.backend.state != State::Draining {
            needless += 1;
        }
        if !hops.any(|hop| hop == before) {
            lost += 1;
            of(before, |b| b.lost += 1);
        }
    }
    TableDiff {
        table: label,
        hash_key_changed: old.hash_key != new.hash_key,
        rows: ROWS,
        moved,
        needless,
        lost,
        backends: backends.into_values().collect(),
    }
}

fn write_diff(out: &mut dyn Write, diff: &Diff) -> io::Result<()> {
    for table in &diff.removed {
        writeln!(out, "table {}: removed", quoted(table))?;
    }
    for table in &diff.added {
        writeln!(out, "table {}: added", quoted(table))?;
    }
    for table in &diff.tables {
        write_table(out, table)?;
    }
    Ok(())
}

fn write_table(out: &mut dyn Write, table: &TableDiff) -> io::Result<()> {
    let share = |rows: u32| {
        format!(
            "{rows} rows ({:.2} %)",
            f64::from(rows) * 100.0 / ROWS as f64
        )
    };
    writeln!(
        out,
        "table {}: moved {}, needlessly {}, lost {}",
        quoted(&table.table),
        share(table.moved),
        share(table.needless),
        share(table.lost)
    )?;
    if table.hash_key_changed {
        let what = "the hash key changed: connections change their rows, most are lost";
        writeln!(out, "  {what}")?;
    }
    for backend in table
        .backends
        .iter()
        .filter(|b| b.moved_away + b.moved_here > 0)
    {
        write!(
            out,
            "  {:<39}  {:>5} -> {:>5} rows  -{} +{}",
            backend.ip, backend.old_rows, backend.new_rows, backend.moved_away, backend.moved_here
        )?;
        if backend.lost > 0 {
            write!(out, "  lost {}", backend.lost)?;
        }
        writeln!(out)?;
    }
    Ok(())
}
