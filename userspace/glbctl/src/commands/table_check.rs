// SPDX-License-Identifier: GPL-2.0

//! `glbctl table check`: all that is wrong with files, and how even their rows are.

use super::classes::ClassesReport;
use super::narrower::Narrower;
use super::table_show::{hops, FlowsView, SelectView};
use crate::load;
use crate::output::{print, DeadRowsView, Failure};
use crate::progress::Progress;
use crate::text::addr;
use glb_config::compiled::{usable, Compiled};
use glb_config::file::read_bytes_with_classes;
use glb_config::{classes, quoted, shown, Checked, DeadRows, Issue, Severity};
use glb_core::backend::{Backend, State};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<ClassesReport>,
}

#[derive(Serialize)]
struct TableReport {
    table: String,
    version: u8,
    hops: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    select: Option<SelectView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<FlowsView>,
    /// Bytes of the director's memory that they take.
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_bytes: Option<u64>,
    binds: usize,
    backends: usize,
    usable: usize,
    balance: Option<Balance>,
    /// Backends that are to have new connections, and are the first hop of no row.
    without_rows: Vec<String>,
    /// Rows that lead to an unhealthy backend, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_rows: Option<DeadRowsView>,
    /// Binds for all protocols that leave some to narrower ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    narrower: Vec<Narrower>,
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
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    load::only_one_standard_input(&paths)?;
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
    let file = load::name(path);
    let checked = match load::bytes(path) {
        Ok(bytes) => read(path, &bytes),
        Err(failure) => Checked {
            value: None,
            issues: failure.issues(&file),
        },
    };
    let (format, tables, classes) = match checked.value {
        Some((format, tables, classes)) => (Some(format), tables, classes),
        None => (None, Vec::new(), None),
    };
    FileReport {
        file,
        ok: format.is_some(),
        format,
        issues: checked.issues,
        tables,
        classes,
    }
}

/// What a file is called, its tables and its classes.
type Contents = (&'static str, Vec<TableReport>, Option<ClassesReport>);

fn read(path: &Path, bytes: &[u8]) -> Checked<Contents> {
    let file = load::name(path);
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    if shown::is_shown(text) {
        let checked = shown::read(&file, text);
        let reports = checked.value.map(|tables| {
            let tables = tables.iter().enumerate();
            tables
                .map(|(index, one)| report(&one.table, index, one.loads.as_deref(), one.dead_rows))
                .collect()
        });
        return Checked {
            value: reports.map(|reports| ("JSON, of table show", reports, None)),
            issues: checked.issues,
        };
    }
    let mut progress = Progress::new("tables built");
    let checked = read_bytes_with_classes(&file, bytes, &mut |done, of| progress.done_of(done, of));
    let mut issues = checked.issues;
    let contents = checked.value.map(|contents| {
        issues.extend(classes::warnings(&file, &contents.classes));
        let tables = contents.tables.iter().enumerate();
        let reports = tables
            .map(|(index, table)| report(table, index, Some(&table.loads()), DeadRows::of(table)));
        let mut reports: Vec<TableReport> = reports.collect();
        for (index, one) in Narrower::of(&contents.tables) {
            reports[index].narrower.push(one);
        }
        let classes = ClassesReport::new(&contents.classes);
        (contents.format.name(), reports, classes)
    });
    Checked {
        value: contents,
        issues,
    }
}

/// `loads` are the rows that each backend is the first hop of, where that is known.
fn report(
    table: &Compiled,
    index: usize,
    loads: Option<&[u32]>,
    dead: Option<DeadRows>,
) -> TableReport {
    let wants = |one: &Backend| matches!(one.state, State::Active | State::Filling);
    let without = table.backends.iter().zip(loads.unwrap_or_default());
    TableReport {
        table: table.label(index),
        version: table.version,
        hops: table.hops,
        select: SelectView::new(table.selector()),
        flows: FlowsView::new(table.words.flows),
        flow_bytes: table.words.flows.map(|spec| spec.bytes()),
        binds: table.binds.len(),
        backends: table.backends.len(),
        usable: table.backends.iter().filter(|b| usable(&b.backend)).count(),
        balance: loads.and_then(|loads| balance(table, loads)),
        without_rows: without
            .filter(|(one, load)| **load == 0 && wants(&one.backend))
            .map(|(one, _)| addr(one.backend.addr))
            .collect(),
        dead_rows: dead.map(Into::into),
        narrower: Vec::new(),
    }
}

/// Fair shares are by weight, among those that are the first hop of any row: a backend that drains or has
/// failed has no share, and is not missed.
fn balance(table: &Compiled, loads: &[u32]) -> Option<Balance> {
    let loaded = || {
        table
            .backends
            .iter()
            .zip(loads)
            .filter(|(_, load)| **load > 0)
    };
    let weights: u64 = loaded().map(|(backend, _)| u64::from(backend.weight)).sum();
    let deviation = |weight: u16, load: u32| {
        let fair = table.num_rows() as f64 * f64::from(weight) / weights as f64;
        (f64::from(load) / fair - 1.0) * 100.0
    };
    let deviations = || loaded().map(|(backend, load)| deviation(backend.weight, *load));
    Some(Balance {
        first_hops: loaded().count(),
        busiest_percent: deviations().reduce(f64::max)?,
        idlest_percent: deviations().reduce(f64::min)?,
    })
}

/// What the first line says behind the hops: the select, and how flows are remembered.
fn said_besides(table: &TableReport) -> String {
    let mut text = SelectView::text(table.select.as_ref());
    text += &FlowsView::text(table.flows.as_ref());
    if let Some(bytes) = table.flow_bytes {
        text += &match bytes {
            1..1_048_576 => format!(" ({} KiB)", bytes.div_ceil(1024)),
            _ => format!(" ({:.1} MiB)", bytes as f64 / f64::from(1 << 20)),
        };
    }
    text
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
            "{}: table {}: version {}, {}{}, {} binds, {} backends ({} in rows)",
            report.file,
            quoted(&table.table),
            table.version,
            hops(table.hops),
            said_besides(table),
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
        for one in &table.narrower {
            writeln!(
                out,
                "{}: table {}: {one}",
                report.file,
                quoted(&table.table)
            )?;
        }
        if !table.without_rows.is_empty() {
            writeln!(
                out,
                "{}: table {}: no new connections for {}",
                report.file,
                quoted(&table.table),
                table.without_rows.join(", ")
            )?;
        }
    }
    for line in report.classes.iter().flat_map(ClassesReport::lines) {
        writeln!(out, "{}: {line}", report.file)?;
    }
    writeln!(out, "{}: ok ({format})", report.file)
}
