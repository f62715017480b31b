// SPDX-License-Identifier: GPL-2.0

//! The file that has what a binary file of version 2, or the kernel, does not tell.

use super::source::Source;
use super::tree;
use crate::commands::key::Key;
use crate::commands::layout;
use crate::load::{self, Tables};
use crate::output::Failure;
use glb_config::compiled::{Compiled, Format};
use glb_config::quoted;
use glb_config::rows::compile;
use glb_config::tables::{self, Config, Rule, Table};
use glb_core::packet::addr::Addr;
use serde_json::{json, Value};
use std::path::Path;

pub(super) struct Keys {
    /// What messages call it.
    pub(super) name: String,
    config: Config,
}

impl Keys {
    pub(super) fn read(path: &Path, json: bool) -> Result<Self, Failure> {
        let name = load::name(path);
        let config = match load::either(path, json)? {
            Tables::Config(config) => config,
            Tables::Built(file) if file.format == Format::V2 => {
                return Err(Failure::Message(format!(
                    "{name}: a binary file of version 2 has no seeds: name a source of JSON, or a binary file of version 3"
                )));
            }
            Tables::Built(file) => {
                let trees: Vec<Value> = file
                    .tables
                    .iter()
                    .map(|table| tree::table(table, &Key::Known(table.hash_key), None))
                    .collect();
                let text = layout::file(&json!({"tables": trees}));
                let checked = tables::read(&name, &text).into_result();
                checked.map_err(Failure::Issues)?.0
            }
        };
        Ok(Self { name, config })
    }

    /// What stands beside the tables.
    pub(super) fn beside(&self) -> impl Iterator<Item = (&String, &Value)> {
        let fields = self.config.tree.as_object().into_iter().flatten();
        fields.filter(|(name, _)| *name != "tables")
    }

    /// The table that belongs to one that is there: the one of its name. One without a name has its place, or
    /// the backends and rows of another one.
    pub(super) fn of(&self, index: usize, there: &Compiled) -> Result<Source<'_>, Failure> {
        let at = |place: usize| {
            Some(Source {
                table: self.config.tables.get(place)?,
                tree: &self.config.tree["tables"][place],
            })
        };
        let found = match &there.name {
            Some(name) => {
                let named = |table: &Table| table.name.as_ref() == Some(name);
                self.config.tables.iter().position(named).and_then(at)
            }
            None => {
                let like = |place: &usize| {
                    *place != index && at(*place).is_some_and(|one| is_like(one.table, there))
                };
                let others = (0..self.config.tables.len()).filter(like);
                let same = |place: &usize| at(*place).is_some_and(|one| makes(one, there));
                match at(index).filter(|one| is_like(one.table, there)) {
                    Some(one) if makes(one, there) => Some(one),
                    by_place => others.into_iter().find(same).and_then(at).or(by_place),
                }
            }
        };
        found.ok_or_else(|| {
            let label = quoted(&there.label(index));
            let reason = match there.name {
                Some(_) => "there is none of this name",
                None => "none has its backends",
            };
            Failure::Message(format!(
                "{}: nothing belongs to table {label}: {reason}; add it, or name another file by --keys",
                self.name
            ))
        })
    }
}

/// Whether both are about the same proxies. States and health may have changed since.
fn is_like(source: &Table, there: &Compiled) -> bool {
    let mut addrs: Vec<Addr> = source.backends.iter().map(|one| one.backend.addr).collect();
    let mut others: Vec<Addr> = there.backends.iter().map(|one| one.backend.addr).collect();
    addrs.sort_unstable();
    others.sort_unstable();
    addrs == others && usize::from(source.rule.hops()) == there.hops && source.words == there.words
}

/// Whether it makes the rows that are there.
fn makes(source: Source<'_>, there: &Compiled) -> bool {
    let mut there = there.clone();
    if source.table.rule == Rule::V2 {
        tree::tell_inactive(&mut there);
    }
    let tree = tree::table(&there, &Key::Unused, Some(source));
    let text = json!({"tables": [tree]}).to_string();
    let config = tables::read("", &text).value;
    let table = config.as_ref().and_then(|config| config.tables.first());
    let built = table.map(compile).and_then(Result::ok);
    built.is_some_and(|built| built.rows == there.rows)
}
