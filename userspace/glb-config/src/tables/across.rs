// SPDX-License-Identifier: GPL-2.0

//! What can only be said of all tables of a file together.

use super::Table;
use crate::answers::{self, Part};
use crate::issue::quoted;
use crate::read::{Node, Reader};
use glb_core::director::classify::bind::Bind;
use glb_core::director::counts::MAX_BACKENDS as MAX_COUNTED;
use serde_json::Value;
use std::collections::HashMap;

/// An error where an answer of a backend could be that of two tables.
pub(super) fn check_all_answers(reader: &mut Reader, tables: &[Option<Table>]) {
    let parts = tables.iter().enumerate().filter_map(|(index, table)| {
        let table = table.as_ref()?;
        let backends = table.backends.iter().map(|one| one.backend);
        let named = (index, table.label(index));
        Some(Part::new(named, table.forward, &table.binds, backends))
    });
    let Some(wrong) = answers::find(&parts.collect::<Vec<_>>()) else {
        return;
    };
    let of_table = tables.get(wrong.table).and_then(Option::as_ref);
    reader.in_table(of_table.map(|table| table.label(wrong.table)));
    reader.error_at(&format!("binds[{}]", wrong.bind), wrong.reason);
    reader.in_table(None);
}

/// Errors where more backends would have counters than a module makes.
pub(super) fn check_counters(reader: &mut Reader, tables: &[Table]) {
    let counted = tables.iter().filter(|table| table.is_service());
    let backends: usize = counted.map(|table| table.backends.len()).sum();
    if backends > MAX_COUNTED {
        let reason = format!(
            "{backends} backends of services in all tables, which have counters: at most {MAX_COUNTED}; tables of gue without \
             flows and without another select have none"
        );
        reader.error_at("tables", reason);
    }
}

/// Errors where the marks of two tables overlap, so that one mark would be that of two targets. Tables of one offset may share
/// theirs with a purpose, as those of both families of a service do.
pub(super) fn check_marks(reader: &mut Reader, tables: &[Table]) {
    let range = |(index, table): (usize, &Table)| {
        let offset = table.forward.mark_offset()?;
        let marks = table.backends.iter().map(|one| offset.mark(one.identifier));
        Some((marks.clone().min()?, marks.max()?, index))
    };
    let offset = |index: usize| tables[index].forward.mark_offset();
    let mut ranges: Vec<_> = tables.iter().enumerate().filter_map(range).collect();
    ranges.sort_unstable();
    // The one that ends last of those before.
    let mut longest: Option<(u32, u32, usize)> = None;
    for (first, last, index) in ranges {
        if let Some((from, to, other)) = longest.filter(|(_, to, _)| first <= *to) {
            let same = offset(index) == offset(other);
            let other = quoted(&tables[other].label(other)).to_string();
            reader.in_table(Some(tables[index].label(index)));
            if same {
                let reason = format!(
                    "is the mark of table {other} too: backends with one id in both are one target"
                );
                reader.warn_at("forward.offset", reason);
            } else {
                let reason = format!(
                    "marks of this table, {first} to {last}, and of table {other}, {from} to {to}, overlap: a mark is that of two \
                     targets; keep the offsets apart by more than the ids of a table"
                );
                reader.error_at("forward.offset", reason);
            }
            reader.in_table(None);
        }
        if longest.is_none_or(|(_, to, _)| last > to) {
            longest = Some((first, last, index));
        }
    }
}

/// What is said of a bind that another table has, if only one of the two remembers flows.
pub(crate) fn unlike_flows(first: &str, remembers: bool) -> String {
    let (that, this) = if remembers {
        ("does not remember flows", "does")
    } else {
        ("remembers flows", "does not")
    };
    format!(
        "is a bind of table {first} too, which {that}, and this table {this}: give both tables \"flows\", or both \
         \"flows\": false, or only one of them the bind"
    )
}

/// The table's name. The deployed checker writes an empty one for a table that has none.
pub(super) fn name_of(table: &Value) -> Option<&str> {
    let name = table.get("name").and_then(Value::as_str);
    name.filter(|name| !name.is_empty())
}

/// What must not be the same in two tables.
#[derive(Default)]
pub(super) struct Across {
    names: HashMap<String, String>,
    seeds: HashMap<[u8; 16], String>,
    /// Which table has a bind first, and whether that one remembers flows.
    binds: HashMap<Bind, (String, bool)>,
}

impl Across {
    pub(super) fn check(
        &mut self,
        reader: &mut Reader,
        label: &str,
        tree: &Value,
        table: Option<&Table>,
    ) {
        let node = |field: &str| Node {
            value: tree.get(field).unwrap_or(&Value::Null),
            path: field.to_owned(),
        };
        if let Some(name) = name_of(tree) {
            if self
                .names
                .insert(name.to_owned(), label.to_owned())
                .is_some()
            {
                reader.error(&node("name"), "another table has this name");
            }
        }
        let Some(table) = table else { return };
        // Tables of other systems have none.
        let has_seed = tree.get("seed").is_some_and(|seed| !seed.is_null());
        let seed = has_seed.then_some(table.seed);
        if let Some(other) = seed.and_then(|seed| self.seeds.insert(seed, label.to_owned())) {
            let reason = format!("must differ from the seed of table {}", quoted(&other));
            reader.error(&node("seed"), reason);
        }
        for (index, bind) in table.binds.iter().enumerate() {
            let same = Bind {
                addr: bind.addr.masked(bind.prefix_len),
                ..*bind
            };
            let remembers = table.words.flows.is_some();
            let Some((first, first_remembers)) = self.binds.get(&same) else {
                self.binds.insert(same, (label.to_owned(), remembers));
                continue;
            };
            if remembers == *first_remembers {
                let reason = format!(
                    "is a bind of table {} already, which comes first",
                    quoted(first)
                );
                reader.warn_at(&format!("binds[{index}]"), reason);
            } else {
                let ip = Node {
                    value: &tree["binds"][index]["ip"],
                    path: format!("binds[{index}].ip"),
                };
                reader.error(&ip, unlike_flows(&quoted(first).to_string(), remembers));
            }
        }
    }
}
