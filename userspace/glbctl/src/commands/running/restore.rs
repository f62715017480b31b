// SPDX-License-Identifier: GPL-2.0

//! `glbctl table restore`: loads tables, and proves that they are those that run.

use super::tables;
use crate::commands::key::Key;
use crate::commands::same;
use crate::output::{print, DeadTable, Failure};
use glb_config::compiled::Compiled;
use glb_config::quoted;
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Restored {
    tables: usize,
    /// The number of the load; none if it was a dry run.
    generation: Option<u32>,
    /// Whether all was read back and is the same; none if it was a dry run.
    proven: Option<bool>,
    notes: Vec<String>,
    dead_rows: Vec<DeadTable>,
}

pub(crate) fn run(file: &Path, dry_run: bool, json: bool) -> Result<(), Failure> {
    let (compiled, generation) = tables::put(file, dry_run, json)?;
    let tables = &compiled.tables;
    let mut notes = Vec::new();
    if let Some(generation) = generation {
        prove(file, tables, generation, &mut notes)?;
        if !compiled.classes.is_empty() {
            notes.push("classes are not read back".to_owned());
        }
    }
    let restored = Restored {
        tables: tables.len(),
        generation,
        proven: generation.map(|_| true),
        notes,
        dead_rows: DeadTable::all(tables),
    };
    print(json, &restored, |out| {
        for note in &restored.notes {
            writeln!(out, "note: {note}")?;
        }
        let count = restored.tables;
        let plural = if count == 1 { "" } else { "s" };
        match generation {
            Some(load) => writeln!(
                out,
                "restored {count} table{plural}, load {load}; read back, the same"
            ),
            None => writeln!(
                out,
                "the director takes {count} table{plural}; nothing was loaded"
            ),
        }
    })
}

/// Reads all that runs and compares.
fn prove(
    file: &Path,
    wanted: &[Compiled],
    generation: u32,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    let running = tables::all()?;
    let fault = |what: String| Failure::Message(format!("{}: {what}", file.display()));
    if running.generation != generation {
        return Err(fault(format!(
            "was loaded (load {generation}), and somebody else loaded other tables since (load {}): find out \
             who does (systemctl status glb-healthcheck), then try again",
            running.generation
        )));
    }
    let keys = running.keys();
    let count = running.tables.len();
    if count != wanted.len() {
        return Err(fault(format!(
            "has {} tables and {count} run: {NOT_THE_SAME}",
            wanted.len()
        )));
    }
    for (index, ((there, key), want)) in running.tables.iter().zip(&keys).zip(wanted).enumerate() {
        let label = quoted(&want.label(index));
        let want = as_told(want);
        let what = if there.name != want.name {
            Some(format!("is {} there", quoted(&there.label(index))))
        } else {
            same::difference(there, key, &want)
        };
        if let Some(what) = what {
            return Err(fault(format!("table {label}: {what}: {NOT_THE_SAME}")));
        }
        if matches!(key, Key::Unused) {
            notes.push(format!(
                "table {label}: no packet leads to it, so its hash_key cannot be asked for"
            ));
        }
    }
    Ok(())
}

const NOT_THE_SAME: &str =
    "the director took the file and has something else: do not use it, and report this";

/// The table without what the kernel is not told.
fn as_told(table: &Compiled) -> Compiled {
    let mut told = table.clone();
    for one in &mut told.backends {
        one.weight = 1;
        one.domain = None;
    }
    told
}
