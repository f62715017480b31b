// SPDX-License-Identifier: GPL-2.0

//! `glbctl table load`, `glbctl table show --running`.

use super::{bind as bind_text, director, director_or_load, BackendView};
use crate::commands::key::Key;
use crate::commands::table_show::{compat, hops, FlowsView, ForwardView, RowsView, SelectView};
use crate::load;
use crate::output::{print, DeadTable, Failure};
use crate::progress::Progress;
use glb_config::classes;
use glb_config::compiled::{Compiled, CompiledBackend, CompiledFile};
use glb_config::quoted;
use glb_core::backend::Backend;
use glb_core::director::classify::bind::Bind;
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::Addrs;
use glb_core::settings::Settings;
use glb_netlink::{Built, Glb, Packet, Refusal, TableInfo};
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
    let (compiled, generation) = put(file, dry_run, json)?;
    let tables = &compiled.tables;
    let loaded = Loaded {
        tables: tables.len(),
        generation,
        dead_rows: DeadTable::all(tables),
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

/// Has the director take the tables and classes of a file. Returns them, and the number of the load, if it was no dry run.
pub(super) fn put(
    file: &Path,
    dry_run: bool,
    json: bool,
) -> Result<(CompiledFile, Option<u32>), Failure> {
    // First, so that nobody waits for rows only to hear that there is no director.
    let mut glb = if dry_run {
        director()?
    } else {
        director_or_load()?
    };
    let compiled = load::tables_with_classes(file, json)?;
    let tables = &compiled.tables;
    let words = classes::compiled(&compiled.classes)
        .map_err(|why| Failure::Message(format!("{}: {why}", load::name(file))))?;
    let features = glb.features()?;
    if !words.is_empty() && !features.classes {
        return Err(Failure::Message(format!(
            "{}: the loaded module does not know classes: load the module that came with this glbctl (glbctl doctor compares \
             their versions)",
            load::name(file)
        )));
    }
    if let Some((index, table)) = (0..)
        .zip(tables)
        .find(|(_, table)| !features.knows(table.forward))
    {
        return Err(Failure::Message(format!(
            "{}: table {}: the loaded module does not know forward {}: load the module that came with this glbctl \
             (glbctl doctor compares their versions)",
            load::name(file),
            quoted(&table.label(index)),
            table.forward.name()
        )));
    }
    if let Some((index, table)) = (0..)
        .zip(tables)
        .find(|(_, table)| table.has_identifiers() && !features.identifiers)
    {
        return Err(Failure::Message(format!(
            "{}: table {}: the loaded module knows no \"id\" of backends: load the module that came with this glbctl \
             (glbctl doctor compares their versions)",
            load::name(file),
            quoted(&table.label(index))
        )));
    }
    if let Some((index, table)) = (0..)
        .zip(tables)
        .find(|(_, table)| !features.selects_by(table.selector()))
    {
        let selector = table.selector();
        let system =
            compat(selector.flow_hash).map_or_else(String::new, |name| format!(" as {name}"));
        return Err(Failure::Message(format!(
            "{}: table {}: the loaded module does not know select {}{system}: load the module that came with this glbctl \
             (glbctl doctor compares their versions)",
            load::name(file),
            quoted(&table.label(index)),
            selector.select.name()
        )));
    }
    if let Some((index, table)) = (0..).zip(tables).find(|(_, table)| {
        let by = table.words.flows.map(|spec| spec.rules.by.number());
        by.is_some_and(|by| !features.flows_by.contains(&by))
    }) {
        return Err(Failure::Message(format!(
            "{}: table {}: the loaded module does not remember flows: load the module that came with this glbctl \
             (glbctl doctor compares their versions)",
            load::name(file),
            quoted(&table.label(index))
        )));
    }
    let mut progress = Progress::new("tables loaded").of(tables.len());
    let mut done = 0;
    let count = &mut |count| {
        done = count;
        progress.done(count);
    };
    let built = Built {
        tables,
        classes: &words,
    };
    let result = if dry_run {
        glb.judge_built(built, count).map(|()| None)
    } else {
        glb.load_built(built, count).map(Some)
    };
    drop(progress);
    let generation = result.map_err(|error| {
        let file = load::name(file);
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
    Ok((compiled, generation))
}

#[derive(Serialize)]
struct TableView<'a> {
    index: u32,
    table: String,
    generation: u32,
    hops: u8,
    forward: ForwardView,
    #[serde(skip_serializing_if = "Option::is_none")]
    select: Option<SelectView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<FlowsView>,
    binds: Vec<String>,
    backends: Vec<BackendView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<RowsView<'a>>,
}

/// Prints the loaded tables, or one of them.
pub(crate) fn show(wanted: Option<&str>, rows: bool, json: bool) -> Result<(), Failure> {
    let mut glb = director()?;
    let tables = match wanted {
        None => glb.tables()?,
        Some(name) => vec![find(&mut glb, name)?],
    };
    let mut shown = Vec::new();
    for listed in tables {
        let table = glb.table(listed.index)?;
        let rows = match rows {
            true => Some(all_rows(&mut glb, &table)?),
            false => None,
        };
        shown.push((table, rows));
    }
    let mut views = Vec::new();
    for (table, rows) in &shown {
        let view = TableView {
            index: table.index,
            binds: {
                let binds = glb.binds(Some(table.index))?;
                binds.iter().map(|one| bind_text(&one.bind)).collect()
            },
            backends: (0..)
                .zip(&table.backends)
                .map(|(index, info)| BackendView::new(index, info, table.forward))
                .collect(),
            rows: rows
                .as_ref()
                .map(|rows| RowsView::new(rows, table.hops.into())),
            generation: table.generation,
            hops: table.hops,
            forward: ForwardView::new(table.forward),
            select: SelectView::new(table.words.selector()),
            flows: FlowsView::new(table.words.flows),
            table: label(table),
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
                "table {}: load {}, {} a row, {}{}{}",
                quoted(&view.table),
                view.generation,
                hops(view.hops.into()),
                view.forward,
                SelectView::text(view.select.as_ref()),
                FlowsView::text(view.flows.as_ref())
            )?;
            writeln!(out, "binds")?;
            for one in &view.binds {
                writeln!(out, "     {one}")?;
            }
            writeln!(out, "backends")?;
            view.backends.iter().try_for_each(|one| one.write(out))?;
            view.rows
                .iter()
                .try_for_each(|rows| rows.write("", " ", out))?;
        }
        Ok(())
    })
}

/// All that the running director has, but for what it does not tell: keys and seeds, weights and domains.
pub(crate) struct Running {
    pub(crate) config: Settings,
    /// Their keys are zeroes.
    pub(crate) tables: Vec<Compiled>,
    /// For each table a packet of it and its hash, which gives a key away that is known already. Nothing
    /// where no bind leads to the table.
    probes: Vec<Option<(FlowKey, u64)>>,
    /// The number of the load that they came with.
    pub(crate) generation: u32,
    /// Whether there are classes, which a director does not tell; nothing if its module does not say.
    pub(crate) has_classes: Option<bool>,
}

impl Running {
    /// What is known of the tables' keys.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let key = |probe: &Option<(FlowKey, u64)>| match *probe {
            Some((flow, hash)) => Key::Probe {
                flow,
                fields: self.config.hash_fields,
                hash,
            },
            None => Key::Unused,
        };
        self.probes.iter().map(key).collect()
    }
}

/// Reads all tables with their rows.
pub(crate) fn all() -> Result<Running, Failure> {
    let mut glb = director()?;
    let status = glb.status()?;
    let generation = status.generation;
    let config = glb.config()?;
    let mut tables = Vec::new();
    for listed in glb.tables()? {
        let table = glb.table(listed.index)?;
        let binds = glb.binds(Some(table.index))?;
        let rows = all_rows(&mut glb, &table)?;
        let backends = (0..=u8::MAX)
            .zip(&table.backends)
            .map(|(place, info)| CompiledBackend {
                backend: Backend {
                    addr: info.addr,
                    state: info.state,
                    healthy: info.healthy,
                },
                weight: 1,
                domain: None,
                identifier: info.identifier.unwrap_or(place),
            });
        tables.push(Compiled {
            name: Some(table.name).filter(|name| !name.is_empty()),
            version: 2,
            forward: table.forward,
            words: table.words,
            hash_key: [0; 16],
            seed: None,
            binds: binds.into_iter().map(|one| one.bind).collect(),
            backends: backends.collect(),
            hops: usize::from(table.hops),
            rows,
        });
    }
    let mut probes = Vec::new();
    for (index, table) in (0..).zip(&tables) {
        let mut found = None;
        for bind in &table.binds {
            let (packet, flow) = packet_to(bind);
            match glb.lookup(&packet) {
                Ok(answer) if answer.table == index => {
                    found = Some((flow, answer.hash.0));
                    break;
                }
                // A narrower bind of another table takes this one.
                _ => {}
            }
        }
        probes.push(found);
    }
    if glb.status()?.generation != generation {
        let message = "the tables were loaded anew while they were read: try again";
        return Err(Failure::Message(message.to_owned()));
    }
    Ok(Running {
        config,
        tables,
        probes,
        generation,
        has_classes: status.has_classes,
    })
}

/// A packet to a bind, for the kernel and for our own hash.
fn packet_to(bind: &Bind) -> (Packet, FlowKey) {
    let dst = bind.addr.masked(bind.prefix_len);
    let (src, addrs) = match dst {
        Addr::V4(dst) => {
            let src = [192, 0, 2, 1];
            (Addr::V4(src), Addrs::V4 { src, dst })
        }
        Addr::V6(dst) => {
            let src = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
            (Addr::V6(src), Addrs::V6 { src, dst })
        }
    };
    let packet = Packet {
        src,
        src_port: 40_000,
        dst,
        dst_port: bind.port_start,
        proto: bind.proto_number(),
    };
    let flow = FlowKey {
        addrs,
        src_port: packet.src_port,
        dst_port: packet.dst_port,
    };
    (packet, flow)
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

fn all_rows(glb: &mut Glb, table: &TableInfo) -> Result<Vec<u8>, Failure> {
    let rows = glb.rows(table.index)?;
    // Of a table that was put in its place meanwhile they are others.
    if rows.len() != table.words.rows as usize * usize::from(table.hops) {
        let label = quoted(&label(table));
        return Err(Failure::Message(format!(
            "table {label} was replaced while it was read: try again"
        )));
    }
    Ok(rows)
}
