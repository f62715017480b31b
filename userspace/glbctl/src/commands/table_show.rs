// SPDX-License-Identifier: GPL-2.0

//! `glbctl table show`.

use super::classes::ClassView;
use crate::load;
use crate::output::{hex, print, DeadRowsView, Failure};
use crate::text::{addr, bind};
use glb_config::compiled::{Compiled, CompiledBackend, CompiledFile};
use glb_config::{quoted, DeadRows};
use glb_core::director::classify::flow::NamedClass;
use glb_core::director::flows::Spec;
use glb_core::director::{FlowHash, Forward, MarkOffset, Select, Selector};
use glb_core::packet::dscp::Dscp;
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroU16;
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
    #[serde(flatten)]
    target: Option<TargetView>,
}

/// What a backend is known by where that matters: where packets get marks, and where it is not its place.
#[derive(Serialize)]
pub(crate) struct TargetView {
    identifier: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<u32>,
}

impl TargetView {
    pub(crate) fn new(index: usize, identifier: u8, forward: Forward) -> Option<Self> {
        let mark = forward.mark_offset().map(|offset| offset.mark(identifier));
        let matters = mark.is_some() || usize::from(identifier) != index;
        matters.then_some(Self { identifier, mark })
    }

    /// As it stands behind a backend.
    pub(crate) fn text(view: Option<&Self>) -> String {
        match view {
            None => String::new(),
            Some(Self { identifier, mark }) => {
                let mark = mark.map_or_else(String::new, |mark| format!("  mark {mark}"));
                format!("  identifier {identifier}{mark}")
            }
        }
    }
}

impl BackendView {
    pub(crate) fn new(
        index: usize,
        (table, backend): (&Compiled, &CompiledBackend),
        rows: Option<u32>,
    ) -> Self {
        Self {
            index,
            ip: addr(backend.backend.addr),
            state: backend.backend.state.name(),
            healthy: backend.backend.healthy,
            weight: backend.weight,
            domain: backend.domain.clone(),
            rows,
            target: TargetView::new(index, backend.identifier, table.forward),
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
        line += &TargetView::text(self.target.as_ref());
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_port: Option<u16>,
    /// What is added to identifiers to make marks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u32>,
}

impl ForwardView {
    pub(crate) fn new(forward: Forward) -> Self {
        Self {
            kind: forward.name(),
            dscp: forward.dscp().map(Dscp::value),
            target_port: forward.target_port().map(NonZeroU16::get),
            offset: forward.mark_offset().map(MarkOffset::value),
        }
    }
}

/// For people.
impl fmt::Display for ForwardView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        match (self.dscp, self.target_port) {
            (Some(dscp), _) => write!(f, " with DSCP {dscp}"),
            (None, Some(port)) => write!(f, " to port {port}"),
            (None, None) => match self.offset {
                Some(offset) => write!(f, " from {offset} on"),
                None => Ok(()),
            },
        }
    }
}

/// How packets find their rows; nothing where they are GLB's.
#[derive(Serialize)]
pub(crate) struct SelectView {
    pub(crate) kind: &'static str,
    /// How many rows there are.
    pub(crate) size: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compat: Option<&'static str>,
}

impl SelectView {
    pub(crate) fn new(selector: Selector) -> Option<Self> {
        (selector.select != Select::default()).then(|| Self {
            kind: selector.select.name(),
            size: selector.rows,
            compat: compat(selector.flow_hash),
        })
    }

    /// As the first line of a table says it, behind what else it says.
    pub(crate) fn text(view: Option<&Self>) -> String {
        match view {
            Some(Self { kind, size, compat }) => {
                let compat = compat.map_or_else(String::new, |compat| format!(" as {compat}"));
                format!(", {kind}{compat} with {size} rows")
            }
            None => String::new(),
        }
    }
}

/// How a table remembers flows, as its file says it.
#[derive(Serialize)]
pub(crate) struct FlowsView {
    buckets: u32,
    timeout_s: u16,
    by: &'static str,
}

impl FlowsView {
    pub(crate) fn new(spec: Option<Spec>) -> Option<Self> {
        spec.map(|spec| Self {
            buckets: spec.buckets,
            timeout_s: spec.rules.timeout,
            by: spec.rules.by.name(),
        })
    }

    /// As the first line of a table says it, behind what else it says.
    pub(crate) fn text(view: Option<&Self>) -> String {
        view.map_or_else(String::new, |view| {
            let Self {
                buckets,
                timeout_s,
                by,
            } = view;
            format!(", remembers by {by} for {timeout_s} s in {buckets} buckets")
        })
    }
}

/// How a table remembers flows, in a few words.
pub(crate) fn flows_text(spec: Option<Spec>) -> String {
    match FlowsView::new(spec) {
        Some(view) => FlowsView::text(Some(&view))
            .trim_start_matches(", remembers ")
            .to_owned(),
        None => "none".to_owned(),
    }
}

/// How packets find their rows, in a word or a few.
pub(crate) fn select_text(selector: Selector) -> String {
    match SelectView::new(selector) {
        Some(view) => SelectView::text(Some(&view))
            .trim_start_matches(", ")
            .to_owned(),
        None => selector.select.name().to_owned(),
    }
}

/// The name of another system's flow hash.
pub(crate) fn compat(flow_hash: FlowHash) -> Option<&'static str> {
    (flow_hash != FlowHash::Own).then(|| flow_hash.name())
}

/// The rows of a table: lists of backends' indexes, or, where all have one hop, the indexes themselves.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum RowsView<'a> {
    Lists(Vec<&'a [u8]>),
    Indexes(Vec<u8>),
}

impl<'a> RowsView<'a> {
    pub(crate) fn new(rows: &'a [u8], hops: usize) -> Self {
        match hops {
            0 | 1 => Self::Indexes(rows.to_vec()),
            _ => Self::Lists(rows.chunks_exact(hops).collect()),
        }
    }

    pub(crate) fn write(&self, indent: &str, gap: &str, out: &mut dyn Write) -> io::Result<()> {
        let mut write = |(row, hops): (usize, &[u8])| {
            let hops: Vec<String> = hops.iter().map(ToString::to_string).collect();
            writeln!(out, "{indent}{row:#06x}{gap}{}", hops.join(" "))
        };
        match self {
            Self::Lists(lists) => lists.iter().copied().enumerate().try_for_each(write),
            Self::Indexes(indexes) => indexes.chunks(1).enumerate().try_for_each(&mut write),
        }
    }
}

#[derive(Serialize)]
struct TableView<'a> {
    table: String,
    version: u8,
    hops: usize,
    forward: ForwardView,
    #[serde(skip_serializing_if = "Option::is_none")]
    select: Option<SelectView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<FlowsView>,
    hash_key: String,
    binds: Vec<String>,
    /// Those that lead to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<ClassView>,
    backends: Vec<BackendView>,
    /// Rows that lead to an unhealthy backend, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_rows: Option<DeadRowsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<RowsView<'a>>,
}

pub(crate) fn run(
    file: &Path,
    wanted: Option<&str>,
    rows: bool,
    json: bool,
) -> Result<(), Failure> {
    let CompiledFile {
        tables, classes, ..
    } = load::tables_with_classes(file, json)?;
    let chosen = match wanted {
        None => (0..tables.len()).collect(),
        Some(wanted) => vec![place(&tables, wanted).ok_or_else(|| {
            let message = format!("{}: there is no table {wanted:?}", load::name(file));
            Failure::Message(message)
        })?],
    };
    let views: Vec<TableView<'_>> = chosen
        .into_iter()
        .map(|index| view(&tables[index], index, (&classes, rows)))
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

fn view<'t>(
    table: &'t Compiled,
    index: usize,
    (classes, rows): (&[NamedClass], bool),
) -> TableView<'t> {
    let loads = table.loads();
    let backends = table.backends.iter().zip(loads).enumerate();
    TableView {
        table: table.label(index),
        version: table.version,
        hops: table.hops,
        forward: ForwardView::new(table.forward),
        select: SelectView::new(table.selector()),
        flows: FlowsView::new(table.words.flows),
        hash_key: hex(&table.hash_key),
        binds: table.binds.iter().map(bind).collect(),
        classes: ClassView::of_table(classes, index),
        backends: backends
            .map(|(index, (backend, load))| BackendView::new(index, (table, backend), Some(load)))
            .collect(),
        dead_rows: DeadRows::of(table).map(Into::into),
        rows: rows.then(|| RowsView::new(&table.rows, table.hops)),
    }
}

fn write_view(out: &mut dyn Write, view: &TableView<'_>) -> io::Result<()> {
    writeln!(
        out,
        "table {} (version {}, {}, {}{}{})",
        quoted(&view.table),
        view.version,
        hops(view.hops),
        view.forward,
        SelectView::text(view.select.as_ref()),
        FlowsView::text(view.flows.as_ref())
    )?;
    writeln!(out, "  hash key {}", view.hash_key)?;
    for bind in &view.binds {
        writeln!(out, "  bind {bind}")?;
    }
    for class in &view.classes {
        writeln!(out, "  {class}")?;
    }
    writeln!(out, "  backends")?;
    for backend in &view.backends {
        write!(out, "  ")?;
        backend.write(out)?;
    }
    view.rows
        .iter()
        .try_for_each(|rows| rows.write("  row ", "  ", out))
}

/// How many hops a row has.
pub(crate) fn hops(count: usize) -> String {
    match count {
        1 => "1 hop".to_owned(),
        _ => format!("{count} hops"),
    }
}
