// SPDX-License-Identifier: GPL-2.0

//! What is said differently on the two sides, field by field, whether it breaks connections or not.

use super::side::{Settings, Side};
use crate::commands::classes::ClassView;
use crate::commands::table_show::{flows_text, select_text, ForwardView};
use crate::text::{addr, bind};
use glb_config::compiled::{Compiled, CompiledBackend};
use glb_config::quoted;
use glb_core::packet::addr::Addr;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A value that is another one. What is nothing is not there.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backend: Option<String>,
    pub(super) field: String,
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
}

/// A table on one side, by its place.
pub(super) struct Place<'s> {
    pub(super) side: &'s Side,
    pub(super) index: usize,
}

impl Place<'_> {
    fn table(&self) -> &Compiled {
        &self.side.tables[self.index]
    }

    /// Whether identifiers say anything of its packets.
    fn identifies(&self) -> bool {
        let table = self.table();
        table.has_identifiers() || table.forward.mark_offset().is_some()
    }

    fn backend(&self, addr: Addr) -> Option<&CompiledBackend> {
        let mut all = self.table().backends.iter();
        all.find(|one| one.backend.addr == addr)
    }
}

struct Changes<'l> {
    label: &'l str,
    found: Vec<Change>,
}

impl Changes<'_> {
    fn note(
        &mut self,
        backend: Option<Addr>,
        field: &str,
        old: Option<String>,
        new: Option<String>,
    ) {
        if old != new {
            self.found.push(Change {
                table: Some(self.label.to_owned()),
                backend: backend.map(addr),
                field: field.to_owned(),
                old,
                new,
            });
        }
    }
}

/// The changes of a table. Keys are secret: that one has changed is all that is said.
pub(super) fn of_table(
    label: &str,
    old: &Place<'_>,
    new: &Place<'_>,
    same_key: bool,
) -> Vec<Change> {
    let mut changes = Changes {
        label,
        found: Vec::new(),
    };
    let (old_table, new_table) = (old.table(), new.table());
    if !same_key {
        let secret = |which: &str| Some(format!("({which} key)"));
        changes.note(None, "hash_key", secret("old"), secret("another"));
    }
    if let (Some(before), Some(after)) = (old_table.seed, new_table.seed) {
        let same = before == after;
        let secret = |which: &str| Some(format!("({which} key)"));
        changes.note(
            None,
            "seed",
            secret("old"),
            secret(if same { "old" } else { "another" }),
        );
    }
    if old.side.knows_rules() && new.side.knows_rules() {
        let version = |table: &Compiled| Some(table.version.to_string());
        changes.note(None, "version", version(old_table), version(new_table));
    }
    let select = |table: &Compiled| Some(select_text(table.selector()));
    changes.note(None, "select", select(old_table), select(new_table));
    let hops = |table: &Compiled| Some(table.hops.to_string());
    changes.note(None, "hops", hops(old_table), hops(new_table));
    let forward = |table: &Compiled| Some(ForwardView::new(table.forward).to_string());
    changes.note(None, "forward", forward(old_table), forward(new_table));
    let flows = |table: &Compiled| table.words.flows.map(|spec| flows_text(Some(spec)));
    changes.note(None, "flows", flows(old_table), flows(new_table));
    let binds = |table: &Compiled| table.binds.iter().map(bind).collect::<BTreeSet<String>>();
    let (before, after) = (binds(old_table), binds(new_table));
    for gone in before.difference(&after) {
        changes.note(None, "binds", Some(gone.clone()), None);
    }
    for come in after.difference(&before) {
        changes.note(None, "binds", None, Some(come.clone()));
    }
    let addrs = |table: &Compiled| -> Vec<Addr> {
        table.backends.iter().map(|one| one.backend.addr).collect()
    };
    let all: BTreeSet<Addr> = addrs(old_table)
        .into_iter()
        .chain(addrs(new_table))
        .collect();
    for one in all {
        of_backend(&mut changes, one, old, new);
    }
    changes.found
}

fn of_backend(changes: &mut Changes<'_>, ip: Addr, old: &Place<'_>, new: &Place<'_>) {
    let (before, after) = match (old.backend(ip), new.backend(ip)) {
        (Some(before), Some(after)) => (before, after),
        (before, after) => {
            let state =
                |one: Option<&CompiledBackend>| one.map(|one| one.backend.state.name().to_owned());
            changes.note(Some(ip), "state", state(before), state(after));
            return;
        }
    };
    let mut note = |field: &str, old, new| changes.note(Some(ip), field, old, new);
    let state = |one: &CompiledBackend| Some(one.backend.state.name().to_owned());
    note("state", state(before), state(after));
    let healthy = |one: &CompiledBackend| Some(one.backend.healthy.to_string());
    note("healthy", healthy(before), healthy(after));
    if old.identifies() || new.identifies() {
        let identifier = |one: &CompiledBackend| Some(one.identifier.to_string());
        note("identifier", identifier(before), identifier(after));
    }
    if old.side.knows_rules() && new.side.knows_rules() {
        let weight = |one: &CompiledBackend| Some(one.weight.to_string());
        note("weight", weight(before), weight(after));
        note("domain", before.domain.clone(), after.domain.clone());
    }
    let (Some(before), Some(after)) = (
        old.side.checks(old.index, ip),
        new.side.checks(new.index, ip),
    ) else {
        return;
    };
    of_object("healthchecks.", &before, &after, &mut note);
}

/// Takes a field's name, its old value and its new one.
type Note<'n> = dyn FnMut(&str, Option<String>, Option<String>) + 'n;

fn of_object(
    prefix: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    note: &mut Note<'_>,
) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let text = |map: &Map<String, Value>| map.get(name).map(Value::to_string);
        note(&format!("{prefix}{name}"), text(old), text(new));
    }
}

/// The changes of what belongs to no table: the timing of the checks, `director.conf`.
pub(super) fn of_all(old: &Side, new: &Side) -> Vec<Change> {
    let mut found = Vec::new();
    let mut note = |field: &str, old: Option<String>, new: Option<String>| {
        if old != new {
            found.push(Change {
                table: None,
                backend: None,
                field: field.to_owned(),
                old,
                new,
            });
        }
    };
    for (name, before, after) in classes(old, new) {
        note(&format!("classes.{name}"), before, after);
    }
    let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned();
    if let (Some(before), Some(after)) = (&old.config, &new.config) {
        let timing = |tree: &Value| object(tree.get("healthchecks")).unwrap_or_default();
        of_object(
            "healthchecks.",
            &timing(&before.tree),
            &timing(&after.tree),
            &mut note,
        );
    }
    let tree = |settings: &Option<Settings>| object(settings.as_ref()?.tree.as_ref());
    if let (Some(before), Some(after)) = (tree(&old.settings), tree(&new.settings)) {
        of_object("director.", &before, &after, &mut note);
    }
    found
}

/// The classes that are others on both sides, or there on one only: name, and what each side says of it.
pub(super) fn classes(old: &Side, new: &Side) -> Vec<(String, Option<String>, Option<String>)> {
    let text = |side: &Side, name: &str| {
        let one = side.classes.iter().find(|one| one.name == name)?;
        let place = usize::from(one.class.service);
        let table = quoted(&side.tables.get(place)?.label(place));
        Some(format!("{}, table {table}", ClassView::new(one).what()))
    };
    let all = old.classes.iter().chain(&new.classes);
    let names: BTreeSet<&str> = all.map(|one| &*one.name).collect();
    let same = |name: &str| {
        let of = |side: &Side| {
            let one = side.classes.iter().find(|one| one.name == name)?;
            let place = usize::from(one.class.service);
            let mut class = one.class.clone();
            class.service = 0;
            Some((class, side.tables.get(place)?.label(place)))
        };
        of(old) == of(new)
    };
    let names = names.into_iter().filter(|name| !same(name));
    names
        .map(|name| (name.to_owned(), text(old, name), text(new, name)))
        .collect()
}

impl Side {
    /// Version 2 files, and the kernel, know neither versions nor weights.
    fn knows_rules(&self) -> bool {
        self.config.is_some() || self.tables.iter().any(|table| table.seed.is_some())
    }
}
