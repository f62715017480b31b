// SPDX-License-Identifier: GPL-2.0

//! A file of tables of either kind, JSON or binary, told apart by its first bytes.

use crate::binary;
use crate::classes;
use crate::compiled::{CompiledFile, Format};
use crate::dead::DeadRows;
use crate::issue::{io_reason, Checked};
use crate::rows::compile_all;
use crate::tables::{self, Config};
use std::path::Path;

/// Reads a file of either kind, told apart by its first bytes, and computes rows where it has none.
pub fn read_file(path: &Path, progress: &mut dyn FnMut(usize, usize)) -> Checked<CompiledFile> {
    let file = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => read_bytes(&file, &bytes, progress),
        Err(error) => Checked::failed(&file, io_reason(&error)),
    }
}

/// As [`read_file`], from memory. Rows that lead to a backend that is known to be dead are warned of. A file with classes is
/// refused: what it says is more than its tables.
pub fn read_bytes(
    file: &str,
    bytes: &[u8],
    progress: &mut dyn FnMut(usize, usize),
) -> Checked<CompiledFile> {
    let checked = read_bytes_with_classes(file, bytes, progress);
    classes::refuse(file, checked, |value| &value.classes)
}

/// As [`read_bytes`], for one who heeds classes.
pub fn read_bytes_with_classes(
    file: &str,
    bytes: &[u8],
    progress: &mut dyn FnMut(usize, usize),
) -> Checked<CompiledFile> {
    let mut checked = read_tables(file, bytes, progress);
    for (index, table) in checked
        .value
        .iter()
        .flat_map(|value| value.tables.iter().enumerate())
    {
        let dead = DeadRows::of(table);
        let issue = dead.map(|dead| dead.issue(file, &table.label(index)));
        checked.issues.extend(issue);
    }
    checked
}

fn read_tables(
    file: &str,
    bytes: &[u8],
    progress: &mut dyn FnMut(usize, usize),
) -> Checked<CompiledFile> {
    let checked = match read_kind(file, bytes) {
        Kind::Binary(checked) => return checked,
        Kind::Json(checked) => checked,
    };
    let Some(config) = checked.value else {
        return Checked {
            value: None,
            issues: checked.issues,
        };
    };
    let mut issues = checked.issues;
    issues.extend(tables::unsaid_health(file, &config));
    match compile_all(&config, progress) {
        Ok(tables) => Checked {
            value: Some(CompiledFile {
                format: Format::Json,
                tables,
                classes: config.classes,
            }),
            issues,
        },
        Err(reason) => Checked::failed(file, reason),
    }
}

/// What a file holds, told apart by its first bytes.
pub(crate) enum Kind {
    /// Tables without rows.
    Json(Checked<Config>),
    /// Tables with rows, or what is neither.
    Binary(Checked<CompiledFile>),
}

pub(crate) fn read_kind(file: &str, bytes: &[u8]) -> Kind {
    if binary::is_one(bytes) {
        return Kind::Binary(binary::read(file, bytes));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Kind::Json(tables::read_with_classes(file, text)),
        Err(_) => Kind::Binary(Checked::failed(
            file,
            "neither JSON nor a binary table (its first bytes are not GLBD)",
        )),
    }
}
