// SPDX-License-Identifier: GPL-2.0

//! A file of tables whose rows are computed on demand, so that a query about one of a thousand tables does not
//! wait for all of them.

use crate::classes;
use crate::compiled::{Compiled, CompiledFile};
use crate::file::{read_kind, Kind};
use crate::issue::{io_reason, quoted, Checked};
use crate::rows::compile;
use crate::tables::{unsaid_health, Config, Table};
use glb_core::backend::Backend;
use glb_core::director::classify::bind::Bind;
use glb_core::director::classify::flow::NamedClass;
use serde_json::Value;
use std::borrow::Cow;
use std::cell::Cell;
use std::path::Path;

/// The tables of a file of either kind.
#[derive(Debug)]
pub struct Opened {
    contents: Contents,
    built: Cell<usize>,
}

#[derive(Debug)]
enum Contents {
    Json(Config),
    Binary(CompiledFile),
}

/// Reads and checks a file without computing rows.
#[must_use]
pub fn open(path: &Path) -> Checked<Opened> {
    let file = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => open_bytes(&file, &bytes),
        Err(error) => Checked::failed(&file, io_reason(&error)),
    }
}

/// As [`open`], from memory.
#[must_use]
pub fn open_bytes(file: &str, bytes: &[u8]) -> Checked<Opened> {
    classes::refuse(file, open_bytes_with_classes(file, bytes), |one| {
        one.classes()
    })
}

/// As [`open_bytes`], for one who heeds classes.
#[must_use]
pub fn open_bytes_with_classes(file: &str, bytes: &[u8]) -> Checked<Opened> {
    let mut checked = open_kind(file, bytes);
    if let Some(Opened {
        contents: Contents::Json(config),
        ..
    }) = &checked.value
    {
        checked.issues.extend(unsaid_health(file, config));
    }
    checked
}

/// As [`open_bytes`], for one who takes the source of the health checker as such ([`Opened::assume_health`]): that nothing is
/// said of health is no reason to warn.
#[must_use]
pub fn open_source(file: &str, bytes: &[u8]) -> Checked<Opened> {
    classes::refuse(file, open_kind(file, bytes), |one| one.classes())
}

fn open_kind(file: &str, bytes: &[u8]) -> Checked<Opened> {
    let opened = |contents| Opened {
        contents,
        built: Cell::new(0),
    };
    match read_kind(file, bytes) {
        Kind::Json(Checked { value, issues }) => Checked {
            value: value.map(Contents::Json).map(opened),
            issues,
        },
        Kind::Binary(Checked { value, issues }) => Checked {
            value: value.map(Contents::Binary).map(opened),
            issues,
        },
    }
}

fn label_all<T>(tables: &[T], label: fn(&T, usize) -> String) -> Vec<String> {
    let tables = tables.iter().enumerate();
    tables.map(|(index, one)| label(one, index)).collect()
}

impl Opened {
    /// Tables that are read already.
    #[must_use]
    pub fn of(config: Config) -> Self {
        Self {
            contents: Contents::Json(config),
            built: Cell::new(0),
        }
    }

    /// What leads to each table, in the file's order.
    #[must_use]
    pub fn binds(&self) -> Vec<&[Bind]> {
        match &self.contents {
            Contents::Json(config) => config.tables.iter().map(|one| &one.binds[..]).collect(),
            Contents::Binary(file) => file.tables.iter().map(|one| &one.binds[..]).collect(),
        }
    }

    /// The classes, in the file's order.
    #[must_use]
    pub fn classes(&self) -> &[NamedClass] {
        match &self.contents {
            Contents::Json(config) => &config.classes,
            Contents::Binary(file) => &file.classes,
        }
    }

    /// What the tables are called, in the file's order.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        match &self.contents {
            Contents::Json(config) => label_all(&config.tables, Table::label),
            Contents::Binary(file) => label_all(&file.tables, Compiled::label),
        }
    }

    /// The backends of each table, in the file's order.
    #[must_use]
    pub fn backends(&self) -> Vec<Vec<Backend>> {
        match &self.contents {
            Contents::Json(config) => config.tables.iter().map(Table::core_backends).collect(),
            Contents::Binary(file) => file.tables.iter().map(Compiled::core_backends).collect(),
        }
    }

    /// What tells each table, its health included, from others ([`Table::digest_with_health`]); nothing in binary files, of
    /// which those of version 2 do not have what rows are computed from.
    #[must_use]
    pub fn digests(&self) -> Vec<Option<u64>> {
        match &self.contents {
            Contents::Json(config) => {
                let tables = config.tables.iter();
                tables.map(|one| Some(one.digest_with_health())).collect()
            }
            Contents::Binary(file) => vec![None; file.tables.len()],
        }
    }

    /// Takes all backends for healthy of tables that say nothing of health, as the source of the health checker does.
    /// Returns what those tables are called.
    pub fn assume_health(&mut self) -> Vec<String> {
        let Contents::Json(config) = &mut self.contents else {
            return Vec::new();
        };
        let mut assumed = Vec::new();
        for (index, table) in config.tables.iter_mut().enumerate() {
            let entries = config.tree["tables"][index]["backends"].as_array();
            let said = |entry: &Value| entry.get("healthy").is_some_and(|value| !value.is_null());
            if entries.is_some_and(|entries| entries.iter().any(said)) {
                continue;
            }
            for one in &mut table.backends {
                one.backend.healthy = true;
            }
            assumed.push(table.label(index));
        }
        assumed
    }

    /// A table with its rows; nothing if there is none at this place.
    pub fn table(&self, index: usize) -> Result<Option<Cow<'_, Compiled>>, String> {
        match &self.contents {
            Contents::Binary(file) => Ok(file.tables.get(index).map(Cow::Borrowed)),
            Contents::Json(config) => {
                let Some(table) = config.tables.get(index) else {
                    return Ok(None);
                };
                self.built.set(self.built.get() + 1);
                let fault = |reason| format!("table {}: {reason}", quoted(&table.label(index)));
                compile(table).map(Cow::Owned).map(Some).map_err(fault)
            }
        }
    }

    /// How many tables had their rows computed.
    #[must_use]
    pub fn built(&self) -> usize {
        self.built.get()
    }
}
