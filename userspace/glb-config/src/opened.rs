// SPDX-License-Identifier: GPL-2.0

//! A file of tables whose rows are computed on demand, so that a query about one of a thousand tables does not
//! wait for all of them.

use crate::compiled::{Compiled, CompiledFile};
use crate::file::{read_kind, Kind};
use crate::issue::{io_reason, quoted, Checked};
use crate::rows::compile;
use crate::tables::{unsaid_health, Config};
use glb_core::director::classify::bind::Bind;
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
    let opened = |contents| Opened {
        contents,
        built: Cell::new(0),
    };
    match read_kind(file, bytes) {
        Kind::Json(Checked { value, mut issues }) => {
            issues.extend(value.iter().flat_map(|config| unsaid_health(file, config)));
            Checked {
                value: value.map(Contents::Json).map(opened),
                issues,
            }
        }
        Kind::Binary(Checked { value, issues }) => Checked {
            value: value.map(Contents::Binary).map(opened),
            issues,
        },
    }
}

impl Opened {
    /// What leads to each table, in the file's order.
    #[must_use]
    pub fn binds(&self) -> Vec<&[Bind]> {
        match &self.contents {
            Contents::Json(config) => config.tables.iter().map(|one| &one.binds[..]).collect(),
            Contents::Binary(file) => file.tables.iter().map(|one| &one.binds[..]).collect(),
        }
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
