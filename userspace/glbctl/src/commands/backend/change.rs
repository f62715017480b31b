// SPDX-License-Identifier: GPL-2.0

//! `glbctl backend drain`, `fill`, `activate`, `deactivate`: a step of a backend's round, in the operator's file.
//!
//! Only the one word changes in the file; the result is read and checked like any file before it takes the
//! place of the old one.

use super::{ip, no_second_hop, wanted, OF_ROWS_TAKEN};
use crate::cli::backend::StateChange;
use crate::load;
use crate::output::{print, Failure};
use crate::text::not_kept;
use glb_config::edit::{self, Step};
use glb_config::tables::{self, Config, Rule, Table};
use glb_config::{atomic, quoted};
use glb_core::backend::State;
use serde::Serialize;
use serde_json::Value;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

#[derive(Serialize)]
struct Report {
    file: String,
    dry_run: bool,
    changes: Vec<Change>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Change {
    table: String,
    backend: String,
    from: &'static str,
    to: &'static str,
}

/// Why a backend cannot be relied upon though its state is no reason, if so.
pub(super) type Fault<'f> = &'f dyn Fn(&Other<'_>) -> Option<String>;

/// A backend beside the one that is to change.
pub(super) struct Other<'c> {
    /// The table's name, or its place.
    pub(super) table: String,
    pub(super) addr: IpAddr,
    /// What stands in the file.
    pub(super) entry: &'c Value,
}

/// A backend of a table that is to change.
struct Place<'c> {
    index: usize,
    table: &'c Table,
    backend: usize,
    from: State,
}

impl Place<'_> {
    fn label(&self) -> String {
        quoted(&self.table.label(self.index))
    }
}

pub(super) fn run(
    args: &StateChange,
    to: State,
    json: bool,
    fault: Fault<'_>,
    warnings: Vec<String>,
) -> Result<(), Failure> {
    let file = args.file.as_path();
    let text = load::text_to_edit(file)?;
    let config = read(file, &text)?;
    let places = places(args, &config)?;
    let mut report = Report {
        file: file.display().to_string(),
        dry_run: args.dry_run,
        changes: Vec::new(),
        warnings: Vec::new(),
    };
    let mut new = text.clone();
    for place in &places {
        if place.from == to {
            continue;
        }
        if let (Some(spec), true) = (place.table.words.flows, takes_rows(place, to)) {
            let (label, which) = (place.label(), not_kept(spec));
            report.warnings.push(format!(
                "table {label}: its flow table keeps connections. {which}"
            ));
        }
        if let Some(reason) = danger(place, to, &config.tree, fault) {
            let reason = format!("table {}: {}: {reason}", place.label(), args.backend);
            if !args.force {
                let file = file.display();
                let message = format!("{file}: {reason} (--force does it all the same)");
                return Err(Failure::Message(message));
            }
            report.warnings.push(reason);
        }
        replace(&mut new, place, to).ok_or_else(|| not_editable(file))?;
        report.changes.push(Change {
            table: place.table.label(place.index),
            backend: args.backend.to_string(),
            from: place.from.name(),
            to: to.name(),
        });
    }
    report.warnings.extend(warnings);
    if !report.changes.is_empty() {
        prove(file, &config, &new, &places, to)?;
        if !args.dry_run {
            write(file, &text, &new)?;
        }
    }
    if !json {
        for warning in &report.warnings {
            eprintln!("glbctl: warning: {warning}");
        }
    }
    print(json, &report, |out| {
        for change in &report.changes {
            let (table, backend) = (quoted(&change.table), &change.backend);
            writeln!(
                out,
                "table {table}: {backend}: {} -> {}",
                change.from, change.to
            )?;
        }
        if report.changes.is_empty() {
            return writeln!(out, "{} is {} already", args.backend, to.name());
        }
        if args.dry_run {
            return writeln!(out, "Nothing was changed: --dry-run");
        }
        writeln!(
            out,
            "Reload the health checker to have it so: systemctl reload glb-healthcheck"
        )
    })
}

fn read(file: &Path, text: &str) -> Result<Config, Failure> {
    let checked = tables::read_with_classes(&file.display().to_string(), text);
    // Warnings are `table check`'s: they are about all of the file.
    let (config, _) = checked.into_result().map_err(Failure::Issues)?;
    Ok(config)
}

/// Where the backend is, in the tables that are meant.
fn places<'c>(args: &StateChange, config: &'c Config) -> Result<Vec<Place<'c>>, Failure> {
    let mut places = Vec::new();
    for (index, table) in wanted(config, &args.file, args.table.as_deref())? {
        for (place, one) in table.backends.iter().enumerate() {
            if ip(one.backend.addr) == args.backend {
                places.push(Place {
                    index,
                    table,
                    backend: place,
                    from: one.backend.state,
                });
            }
        }
    }
    if places.is_empty() {
        let of = match &args.table {
            Some(table) => format!("table {} has", quoted(table)),
            None => "no table has".to_owned(),
        };
        let no = if args.table.is_some() { "no " } else { "the " };
        let (file, backend) = (args.file.display(), args.backend);
        return Err(Failure::Message(format!(
            "{file}: {of} {no}backend {backend}"
        )));
    }
    Ok(places)
}

/// Whether rows get another first hop, which headers that list no hops cannot make up for.
fn takes_rows(place: &Place<'_>, to: State) -> bool {
    let forward = place.table.forward;
    let first_hops = matches!(
        (place.from, to),
        (State::Active, State::Draining)
            | (State::Inactive, State::Filling)
            | (State::Draining, State::Active)
    );
    !forward.lists_hops() && first_hops
}

/// Why the step would break connections, if it would.
fn danger(place: &Place<'_>, to: State, tree: &Value, fault: Fault<'_>) -> Option<String> {
    let before = match to {
        State::Draining => &[State::Active][..],
        State::Inactive => &[State::Draining],
        State::Filling => &[State::Inactive],
        State::Active => &[State::Filling, State::Draining],
    };
    if !before.contains(&place.from) {
        let from = place.from.name();
        let before: Vec<&str> = before.iter().map(|state| state.name()).collect();
        let (to, before) = (to.name(), before.join(" or "));
        return Some(format!("it is {from}; only what is {before} becomes {to}"));
    }
    let forward = place.table.forward;
    if !forward.lists_hops() {
        if !takes_rows(place, to) || place.table.words.flows.is_some() {
            return None;
        }
        let whose = if place.from == State::Active {
            "its connections"
        } else {
            OF_ROWS_TAKEN
        };
        return Some(no_second_hop(forward, whose));
    }
    if place.from != State::Active {
        return None;
    }
    let (hops, may) = match place.table.rule {
        Rule::V2 => (2, 1),
        Rule::V3 { hops } => (hops, usize::from(hops) - 1),
        // The second hop is the owner before all changes under way (docs/maglev.md).
        Rule::Maglev { hops } => (hops, 1),
    };
    // In tables of version 3 any number may be filling (docs/rows-v3.md).
    let counts = |state| match place.table.rule {
        Rule::V2 | Rule::Maglev { .. } => state != State::Active,
        Rule::V3 { .. } => matches!(state, State::Draining | State::Inactive),
    };
    let entries = &tree["tables"][place.index]["backends"];
    let others = place.table.backends.iter().enumerate();
    let others: Vec<String> = others
        .filter(|(index, _)| *index != place.backend)
        .filter_map(|(index, one)| {
            let addr = ip(one.backend.addr);
            if counts(one.backend.state) {
                return Some(format!("{addr} is {}", one.backend.state.name()));
            }
            let other = Other {
                table: place.table.label(place.index),
                addr,
                entry: &entries[index],
            };
            fault(&other).map(|fault| format!("{addr} {fault}"))
        })
        .collect();
    (others.len() >= may).then(|| {
        format!(
            "{}: with {hops} hops a row only {may} may leave active at a time, else connections break",
            others.join(", ")
        )
    })
}

/// Puts the new state in the place of the old one.
fn replace(text: &mut String, place: &Place<'_>, to: State) -> Option<()> {
    let path = [
        Step::Field("tables"),
        Step::Item(place.index),
        Step::Field("backends"),
        Step::Item(place.backend),
        Step::Field("state"),
    ];
    let at = edit::find(text, &path)?;
    let old: String = serde_json::from_str(text.get(at.clone())?).ok()?;
    if old != place.from.name() {
        return None;
    }
    text.replace_range(at, &format!("\"{}\"", to.name()));
    Some(())
}

/// Reads the new text as any file, and sees that nothing else has changed in it.
fn prove(
    file: &Path,
    old: &Config,
    new: &str,
    places: &[Place<'_>],
    to: State,
) -> Result<(), Failure> {
    let new = read(file, new)?;
    let mut tree = old.tree.clone();
    for place in places {
        tree["tables"][place.index]["backends"][place.backend]["state"] = to.name().into();
    }
    if tree == new.tree {
        Ok(())
    } else {
        Err(not_editable(file))
    }
}

fn write(file: &Path, old: &str, new: &str) -> Result<(), Failure> {
    // Somebody else may have been at it since it was read.
    if fs::read_to_string(file).ok().as_deref() != Some(old) {
        return Err(changed_meanwhile(file));
    }
    atomic::write(file, |out| out.write_all(new.as_bytes()))
        .map_err(|error| Failure::file(file, &error))
}

fn changed_meanwhile(file: &Path) -> Failure {
    let file = file.display();
    Failure::Message(format!(
        "{file}: was changed by somebody else meanwhile: try again"
    ))
}

fn not_editable(file: &Path) -> Failure {
    let file = file.display();
    Failure::Message(format!(
        "{file}: cannot be edited in place: edit the state by hand"
    ))
}
