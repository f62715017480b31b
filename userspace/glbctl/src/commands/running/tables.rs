// SPDX-License-Identifier: GPL-2.0

//! `glbctl table load`, `glbctl table show --running`.

use super::{bind, director, director_or_load, BackendView};
use crate::load;
use crate::output::{print, DeadTable, Failure};
use crate::progress::Progress;
use glb_config::quoted;
use glb_netlink::{Glb, Refusal, TableInfo};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Loaded {
    tables: usize,
    /// The number of the load; none if it was a dry run.
    generation: Option<u32>,
    /// The tables with rows that lead to an unhealthy backend.
    dead_rows: Vec<DeadTable>,
}

/// Loads the tables of a file.
pub(crate) fn load(file: &Path, dry_run: bool, json: bool) -> Result<(), Failure> {
    // First, so that nobody waits for rows only to hear that there is no director.
    let mut glb = if dry_run {
        director()?
    } else {
        director_or_load()?
    };
    let tables = load::tables(file, json)?.tables;
    let mut progress = Progress::new("tables loaded");
    let mut done = 0;
    let count = &mut |count| {
        done = count;
        progress.done(count);
    };
    let result = if dry_run {
        glb.judge_built(&tables, count).map(|()| None)
    } else {
        glb.load_built(&tables, count).map(Some)
    };
    drop(progress);
    let generation = result.map_err(|error| {
        let file = file.display();
        match (&error, tables.get(done)) {
            (glb_netlink::Error::Refused(refusal), Some(table))
                if refusal.errno != Refusal::NOT_PERMITTED =>
            {
                let table = quoted(&table.label(done));
                Failure::Message(format!("{file}: table {table}: {error}"))
            }
            _ => Failure::Message(format!("{file}: {error}")),
        }
    })?;
    let loaded = Loaded {
        tables: tables.len(),
        generation,
        dead_rows: (0..)
            .zip(&tables)
            .filter_map(|(index, table)| DeadTable::of(index, table))
            .collect(),
    };
    print(json, &loaded, |out| {
        let plural = if loaded.tables == 1 {
            "table"
        } else {
            "tables"
        };
        match generation {
            Some(load) => writeln!(out, "loaded {} {plural}, load {load}", loaded.tables),
            None => writeln!(
                out,
                "the director takes {} {plural}; nothing was loaded",
                loaded.tables
            ),
        }
    })
}

#[derive(Serialize)]
struct TableView {
    index: u32,
    table: String,
    generation: u32,
    hops: u8,
    binds: Vec<String>,
    backends: Vec<BackendView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<Vec<u8>>>,
}

/// Prints the loaded tables, or one of them.
pub(crate) fn show(wanted: Option<&str>, rows: bool, json: bool) -> Result<(), Failure> {
    let mut glb = director()?;
    let tables = match wanted {
        None => glb.tables()?,
        Some(name) => vec![find(&mut glb, name)?],
    };
    let mut views = Vec::new();
    for listed in tables {
        let table = glb.table(listed.index)?;
        let view = TableView {
            index: table.index,
            binds: {
                let binds = glb.binds(Some(table.index))?;
                binds.iter().map(|one| bind(&one.bind)).collect()
            },
            backends: (0..)
                .zip(&table.backends)
                .map(|(index, info)| BackendView::new(index, info))
                .collect(),
            rows: rows.then(|| all_rows(&mut glb, table.index)).transpose()?,
            generation: table.generation,
            hops: table.hops,
            table: label(&table),
        };
        views.push(view);
    }
    print(json, &views, |out| {
        if views.is_empty() {
            return writeln!(out, "no tables are loaded");
        }
        for (place, view) in views.iter().enumerate() {
            if place > 0 {
                writeln!(out)?;
            }
            writeln!(
                out,
                "table {}: load {}, {} hops a row",
                quoted(&view.table),
                view.generation,
                view.hops
            )?;
            writeln!(out, "binds")?;
            for one in &view.binds {
                writeln!(out, "     {one}")?;
            }
            writeln!(out, "backends")?;
            view.backends.iter().try_for_each(|one| one.write(out))?;
            for (row, hops) in view.rows.iter().flatten().enumerate() {
                let hops: Vec<String> = hops.iter().map(ToString::to_string).collect();
                writeln!(out, "{row:#06x} {}", hops.join(" "))?;
            }
        }
        Ok(())
    })
}

/// A table by its name, or by its place.
fn find(glb: &mut Glb, wanted: &str) -> Result<TableInfo, Failure> {
    let number = wanted.strip_prefix('#').unwrap_or(wanted).parse();
    match (glb.table_named(wanted), number) {
        (Ok(table), _) => Ok(table),
        (Err(_), Ok(index)) => Ok(glb.table(index)?),
        (Err(error), Err(_)) => Err(Failure::Message(format!("{}: {error}", quoted(wanted)))),
    }
}

fn label(table: &TableInfo) -> String {
    if table.name.is_empty() {
        format!("#{}", table.index)
    } else {
        table.name.clone()
    }
}

fn all_rows(glb: &mut Glb, table: u32) -> Result<Vec<Vec<u8>>, Failure> {
    let mut progress = Progress::new("rows read");
    (0..=u16::MAX)
        .map(|row| {
            progress.done(usize::from(row));
            let hops = glb.row(table, row)?.hops;
            Ok(hops.iter().map(|hop| hop.backend).collect())
        })
        .collect()
}
