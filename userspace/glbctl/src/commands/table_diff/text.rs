// SPDX-License-Identifier: GPL-2.0

//! A comparison for people: the verdict is the last line.

use super::changes::Change;
use super::{Diff, TableDiff};
use glb_config::quoted;
use std::io::{self, Write};

pub(super) fn write(out: &mut dyn Write, diff: &Diff) -> io::Result<()> {
    for note in &diff.notes {
        writeln!(out, "note: {note}")?;
    }
    for table in &diff.removed {
        writeln!(out, "table {}: removed", quoted(table))?;
    }
    for table in &diff.added {
        writeln!(out, "table {}: added", quoted(table))?;
    }
    for change in diff.changes.iter().filter(|one| one.table.is_none()) {
        write_change(out, "", change)?;
    }
    for table in &diff.tables {
        write_table(out, diff, table)?;
    }
    let broken = |percent: f64| percent > 0.0;
    for vip in &diff.vips {
        if broken(vip.lost_percent) {
            let percent = vip.lost_percent;
            writeln!(
                out,
                "vip {}: {percent:.2} % of its connections break",
                vip.vip
            )?;
        }
        if broken(vip.older_lost_percent) {
            let percent = vip.older_lost_percent;
            writeln!(
                out,
                "vip {}: connections from before break in {percent:.2} % of its rows, where there still are any",
                vip.vip
            )?;
        }
    }
    if diff.safe {
        let which = match diff.tables.iter().any(|table| table.kept > 0) {
            true => " that its director's flow table knows",
            false => "",
        };
        return writeln!(out, "safe: no connection breaks{which}");
    }
    writeln!(out, "NOT SAFE:")?;
    for danger in &diff.dangers {
        writeln!(out, "  {}", danger.reason)?;
    }
    if diff.dangers.iter().all(|danger| danger.older) {
        writeln!(
            out,
            "  Only connections from before break; if all of these have ended, say so: --settled"
        )?;
    }
    Ok(())
}

fn write_change(out: &mut dyn Write, indent: &str, change: &Change) -> io::Result<()> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let backend = change.backend.as_ref();
    let backend = backend.map(|ip| format!("{ip}: ")).unwrap_or_default();
    writeln!(
        out,
        "{indent}{backend}{}: {} -> {}",
        change.field,
        text(&change.old),
        text(&change.new)
    )
}

fn write_table(out: &mut dyn Write, diff: &Diff, table: &TableDiff) -> io::Result<()> {
    let share = |rows: u32| {
        format!(
            "{rows} rows ({:.2} %)",
            f64::from(rows) * 100.0 / table.rows as f64
        )
    };
    write!(
        out,
        "table {}: moved {}, needlessly {}, lost {}",
        quoted(&table.table),
        share(table.moved),
        share(table.needless),
        share(table.lost)
    )?;
    if table.kept > 0 {
        write!(out, ", kept by the flow table {}", share(table.kept))?;
    }
    writeln!(out)?;
    let changes = diff.changes.iter();
    for change in changes.filter(|one| one.table.as_ref() == Some(&table.table)) {
        write_change(out, "  ", change)?;
    }
    let touched = |moved: u32, lost: u32| moved + lost > 0;
    for backend in &table.backends {
        let moved = backend.moved_away + backend.moved_here;
        if !touched(moved, backend.lost + backend.older_lost + backend.kept) {
            continue;
        }
        write!(
            out,
            "  {:<39}  {:>5} -> {:>5} rows  -{} +{}",
            backend.ip, backend.old_rows, backend.new_rows, backend.moved_away, backend.moved_here
        )?;
        if backend.lost > 0 {
            write!(out, "  lost {}", backend.lost)?;
        }
        if backend.older_lost > 0 {
            write!(out, "  lost from before {}", backend.older_lost)?;
        }
        if backend.kept > 0 {
            write!(out, "  kept {}", backend.kept)?;
        }
        writeln!(out)?;
    }
    Ok(())
}
