// SPDX-License-Identifier: GPL-2.0

//! `glbctl table show`.

use crate::load;
use crate::output::{hex, print, DeadRowsView, Failure};
use crate::text::{addr, bind};
use glb_config::compiled::{Compiled, CompiledBackend};
use glb_config::{quoted, DeadRows};
use glb_core::director::Forward;
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

#[derive(Serialize)]
pub(crate) struct BackendView {
    index: usize,
    ip: String,
    state: &'static str,
    healthy: bool,
    weight: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    /// Rows that it is the first hop of.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u32>,
}

impl BackendView {
    pub(crate) fn new(index: usize, backend: &CompiledBackend, rows: Option<u32>) -> Self {
        Self {
            index,
            ip: addr(backend.backend.addr),
            state: backend.backend.state.name(),
            healthy: backend.backend.healthy,
            weight: backend.weight,
            domain: backend.domain.clone(),
            rows,
        }
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let health = if self.healthy { "healthy" } else { "unhealthy" };
        let mut line = format!(
            "{:>3}  {:<39}  {:<8}  {health:<9}",
            self.index, self.ip, self.state
        );
        if self.weight != 1 {
            line += &format!("  weight {}", self.weight);
        }
        if let Some(domain) = &self.domain {
            line += &format!("  domain {domain}");
        }
        if let Some(rows) = self.rows {
            line += &format!("  {rows} rows");
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// How a table's packets leave, as its file says it.
#[derive(Serialize)]
pub(crate) struct ForwardView {
    pub(crate) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dscp: Option<u8>,
}

impl ForwardView {
    pub(crate) fn new(forward: Forward) -> Self {
        Self {
            kind: forward.name(),
            dscp: match forward {
                Forward::L3dsr(dscp) => Some(dscp.value()),
                _ => None,
            },
        }
    }
}

/// For people.
impl fmt::Display for ForwardView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        match self.dscp {
            Some(dscp) => write!(f, " with DSCP {dscp}"),
            None => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct TableView<'a> {
    table: String,
    version: u8,
    hops: usize,
    forward: ForwardView,
    hash_key: String,
    binds: Vec<String>,
    backends: Vec<BackendView>,
    /// Rows that lead to an unhealthy backend, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_rows: Option<DeadRowsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<&'a [u8]>>,
}

pub(crate) fn run(
    file: &Path,
    wanted: Option<&str>,
    rows: bool,
    json: bool,
) -> Result<(), Failure> {
    let tables = load::tables(file, json)?.tables;
    let chosen = match wanted {
        None => (0..tables.len()).collect(),
        Some(wanted) => vec![place(&tables, wanted).ok_or_else(|| {
            let message = format!("{}: there is no table {wanted:?}", load::name(file));
            Failure::Message(message)
        })?],
    };
    let views: Vec<TableView<'_>> = chosen
        .into_iter()
        .map(|index| view(&tables[index], index, rows))
        .collect();
    print(json, &views, |out| {
        views.iter().try_for_each(|view| write_view(out, view))
    })
}

/// Where the table with this name is; if none has it, the place that it is a number of.
fn place(tables: &[Compiled], wanted: &str) -> Option<usize> {
    let named = |table: &Compiled| table.name.as_deref() == Some(wanted);
    tables.iter().position(named).or_else(|| {
        let place = wanted.strip_prefix('#').unwrap_or(wanted).parse().ok()?;
        (place < tables.len()).then_some(place)
    })
}

fn view(table: &Compiled, index: usize, rows: bool) -> TableView<'_> {
    let loads = table.loads();
    let backends = table.backends.iter().zip(loads).enumerate();
    TableView {
        table: table.label(index),
        version: table.version,
        hops: table.hops,
        forward: ForwardView::new(table.forward),
        hash_key: hex(&table.hash_key),
        binds: table.binds.iter().map(bind).collect(),
        backends: backends
            .map(|(index, (backend, load))| BackendView::new(index, backend, Some(load)))
            .collect(),
        dead_rows: DeadRows::of(table).map(Into::into),
        rows: rows.then(|| table.rows().collect()),
    }
}

fn write_view(out: &mut dyn Write, view: &TableView<'_>) -> io::Result<()> {
    writeln!(
        out,
        "table {} (version {}, {} hops, {})",
        quoted(&view.table),
        view.version,
        view.hops,
        view.forward
    )?;
    writeln!(out, "  hash key {}", view.hash_key)?;
    for bind in &view.binds {
        writeln!(out, "  bind {bind}")?;
    }
    writeln!(out, "  backends")?;
    for backend in &view.backends {
        write!(out, "  ")?;
        backend.write(out)?;
    }
    for (row, hops) in view.rows.iter().flatten().enumerate() {
        let hops: Vec<String> = hops.iter().map(ToString::to_string).collect();
        writeln!(out, "  row {row:#06x}  {}", hops.join(" "))?;
    }
    Ok(())
}
