// SPDX-License-Identifier: GPL-2.0

//! Changing what is in the operator's table file: all that is not meant stays as it was written, the result is read
//! and checked like any file, and only then takes the place of the old one.

use crate::load;
use crate::output::Failure;
use glb_config::edit::{self, Step};
use glb_config::tables::{self, Config, Table};
use glb_config::{atomic, quoted};
use serde_json::{ser::Formatter, Value};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// The operator's file, as it was read.
pub(crate) struct Source<'p> {
    file: &'p Path,
    text: String,
    pub(crate) config: Config,
}

/// A list of a table.
pub(crate) struct List {
    pub(crate) table: usize,
    pub(crate) name: &'static str,
}

impl<'p> Source<'p> {
    pub(crate) fn open(file: &'p Path) -> Result<Self, Failure> {
        let text = load::text_to_edit(file)?;
        let config = check(file, &text)?;
        Ok(Self { file, text, config })
    }

    /// A table by its name, or by its place.
    pub(crate) fn table(&self, wanted: &str) -> Result<(usize, &Table), Failure> {
        let all = || self.config.tables.iter().enumerate();
        let place = wanted.strip_prefix('#').unwrap_or(wanted).parse();
        all()
            .find(|(_, table)| table.name.as_deref() == Some(wanted))
            .or_else(|| all().find(|(index, _)| Ok(*index) == place))
            .ok_or_else(|| self.fault(format!("there is no table {}", quoted(wanted))))
    }

    /// A failure that is about this file.
    pub(crate) fn fault(&self, reason: impl std::fmt::Display) -> Failure {
        Failure::Message(format!("{}: {reason}", self.file.display()))
    }

    /// Puts an item behind the others of a list.
    pub(crate) fn push(&self, list: &List, item: &Value) -> Result<(), Failure> {
        let text = edit::push(&self.text, &list.path(), &one_line(item));
        let mut tree = self.config.tree.clone();
        if let Some(items) = tree["tables"][list.table][list.name].as_array_mut() {
            items.push(item.clone());
        }
        self.replace(text, &tree)
    }

    /// Takes an item out of a list.
    pub(crate) fn remove(&self, list: &List, index: usize) -> Result<(), Failure> {
        let text = edit::remove(&self.text, &list.path(), index);
        let mut tree = self.config.tree.clone();
        let items = tree["tables"][list.table][list.name].as_array_mut();
        if let Some(items) = items.filter(|items| index < items.len()) {
            items.remove(index);
        }
        self.replace(text, &tree)
    }

    /// Puts a table behind the others.
    pub(crate) fn push_table(&self, table: &Value) -> Result<(), Failure> {
        let text = edit::push(&self.text, &[Step::Field("tables")], &one_line(table));
        let mut tree = self.config.tree.clone();
        if let Some(tables) = tree["tables"].as_array_mut() {
            tables.push(table.clone());
        }
        self.replace(text, &tree)
    }

    /// Writes the new text, if it reads as what is meant and nothing else.
    fn replace(&self, text: Option<String>, tree: &Value) -> Result<(), Failure> {
        let by_hand = || self.fault("cannot be edited in place: edit it by hand");
        let text = text.ok_or_else(by_hand)?;
        if check(self.file, &text)?.tree != *tree {
            return Err(by_hand());
        }
        if fs::read_to_string(self.file).ok().as_ref() != Some(&self.text) {
            return Err(self.fault("was changed by somebody else meanwhile: try again"));
        }
        atomic::write(self.file, |out| out.write_all(text.as_bytes()))
            .map_err(|error| Failure::file(self.file, &error))
    }
}

impl List {
    fn path(&self) -> [Step<'static>; 3] {
        [
            Step::Field("tables"),
            Step::Item(self.table),
            Step::Field(self.name),
        ]
    }
}

fn check(file: &Path, text: &str) -> Result<Config, Failure> {
    // Classes lead to tables by their names, which no edit changes.
    let checked = tables::read_with_classes(&file.display().to_string(), text);
    // Warnings are `table check`'s: they are about all of the file.
    let (config, _) = checked.into_result().map_err(Failure::Issues)?;
    Ok(config)
}

/// The value as people write it on one line.
pub(crate) fn one_line(value: &Value) -> String {
    struct Spaced;
    impl Formatter for Spaced {
        fn begin_array_value<W: ?Sized + Write>(
            &mut self,
            out: &mut W,
            first: bool,
        ) -> io::Result<()> {
            out.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_key<W: ?Sized + Write>(
            &mut self,
            out: &mut W,
            first: bool,
        ) -> io::Result<()> {
            out.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
            out.write_all(b": ")
        }
    }
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Spaced);
    // Neither a tree of JSON nor memory can fail.
    let _ = serde::Serialize::serialize(value, &mut serializer);
    String::from_utf8(out).unwrap_or_default()
}
