// SPDX-License-Identifier: GPL-2.0

//! `glbctl table check`: all that is wrong with files, and how even their rows are.

use crate::output::{print, DeadRowsView, Failure};
use crate::progress::Progress;
use glb_config::compiled::{read_file, usable, Compiled};
use glb_config::{quoted, DeadRows, Issue, Severity};
use glb_core::hash::ROWS;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct FileReport {
    file: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    issues: Vec<Issue>,
    tables: Vec<TableReport>,
}

#[derive(Serialize)]
struct TableReport {
    table: String,
    version: u8,
    hops: usize,
    binds: usize,
    backends: usize,
    usable: usize,
    balance: Option<Balance>,
    /// Rows that lead to an unhealthy backend, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_rows: Option<DeadRowsView>,
}

/// How the rows are spread over the backends that take new connections.
#[derive(Serialize)]
struct Balance {
    /// Backends that are the first hop of a row.
    first_hops: usize,
    /// Rows of the busiest against its fair share, in per cent: 20 means a fifth too many.
    busiest_percent: f64,
    /// Rows of the idlest against its fair share, in per cent.
    idlest_percent: f64,
}

pub(crate) fn run(files: &[PathBuf], json: bool) -> Result<(), Failure> {
    let reports: Vec<FileReport> = files.iter().map(|file| check(file)).collect();
    print(json, &reports, |out| {
        reports
            .iter()
            .try_for_each(|report| write_report(out, report))
    })?;
    if reports.iter().all(|report| report.ok) {
        Ok(())
    } else {
        Err(Failure::Silent)
    }
}

fn check(path: &Path) -> FileReport {
    let mut progress = Progress::new("tables built");
    let checked = read_file(path, &mut |done| progress.done(done));
    let file = path.display().to_string();
    let Some(contents) = checked.value else {
        return FileReport {
            file,
            ok: false,
            format: None,
            issues: checked.issues,
            tables: Vec::new(),
        };
    };
    let tables = contents.tables.iter().enumerate();
    FileReport {
        file,
        ok: true,
        format: Some(contents.format.name()),
        issues: checked.issues,
        tables: tables.map(|(index, table)| report(table, index)).collect(),
    }
}

fn report(table: &Compiled, index: usize) -> TableReport {
    TableReport {
        table: table.label(index),
        version: table.version,
        hops: table.hops,
        binds: table.binds.len(),
        backends: table.backends.len(),
        usable: table.backends.iter().filter(|b| usable(&b.backend)).count(),
        balance: balance(table),
        dead_rows: DeadRows::of(table).map(Into::into),
    }
}

/// Fair shares are by weight, among those that are the first hop of any row: a backend that drains or has
/// failed has no share, and is not missed.
fn balance(table: &Compiled) -> Option<Balance> {
    let loads = table.loads();
    let loaded = || {
        table
            .backends
            .iter()
            .zip(&loads)
            .filter(|(_, load)| **load > 0)
    };
    let weights: u64 = loaded().map(|(backend, _)| u64::from(backend.weight)).sum();
    let deviation = |weight: u16, load: u32| {
        let fair = ROWS as f64 * f64::from(weight) / weights as f64;
        (f64::from(load) / fair - 1.0) * 100.0
    };
    let deviations = || loaded().map(|(backend, load)| deviation(backend.weight, *load));
    Some(Balance {
        first_hops: loaded().count(),
        busiest_percent: deviations().reduce(f64::max)?,
        idlest_percent: deviations().reduce(f64::min)?,
    })
}

fn write_report(out: &mut dyn Write, report: &FileReport) -> io::Result<()> {
    for issue in &report.issues {
        writeln!(out, "{issue}")?;
    }
    let errors = |issue: &&Issue| issue.severity == Severity::Error;
    let count = report.issues.iter().filter(errors).count();
    let Some(format) = report.format else {
        return writeln!(out, "{}: {count} error(s)", report.file);
    };
    for table in &report.tables {
        write!(
            out,
            "{}: table {}: version {}, {} hops, {} binds, {} backends ({} in rows)",
            report.file,
            quoted(&table.table),
            table.version,
            table.hops,
            table.binds,
            table.backends,
            table.usable
        )?;
        if let Some(balance) = &table.balance {
            write!(
                out,
                ", first hops: {}, busiest {:+.1} %, idlest {:+.1} %",
                balance.first_hops, balance.busiest_percent, balance.idlest_percent
            )?;
        }
        writeln!(out)?;
    }
    writeln!(out, "{}: ok ({format})", report.file)
}
