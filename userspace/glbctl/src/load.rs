// SPDX-License-Identifier: GPL-2.0

//! Reading the files that commands are given.

use crate::output::{warn, Failure};
use crate::progress::Progress;
use glb_config::compiled::{self, CompiledFile};
use glb_config::director::{self, Director};
use glb_config::opened::{self, Opened};
use glb_config::tables::{self, Config};
use glb_config::Checked;
use std::fs;
use std::path::Path;

/// A table file of either kind, with its rows.
pub(crate) fn tables(path: &Path, json: bool) -> Result<CompiledFile, Failure> {
    let mut progress = Progress::new("tables built");
    accept(
        compiled::read_file(path, &mut |done| progress.done(done)),
        json,
    )
}

/// A table file of either kind, whose rows are made only where they are asked for.
pub(crate) fn opened(path: &Path, json: bool) -> Result<Opened, Failure> {
    accept(opened::open(path), json)
}

/// A table file of JSON, without its rows.
pub(crate) fn config(path: &Path, json: bool) -> Result<Config, Failure> {
    accept(
        tables::read(&path.display().to_string(), &text(path)?),
        json,
    )
}

/// `director.conf`.
pub(crate) fn director(path: &Path, json: bool) -> Result<Director, Failure> {
    accept(
        director::read(&path.display().to_string(), &text(path)?),
        json,
    )
}

fn text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::file(path, &error))
}

fn accept<T>(checked: Checked<T>, json: bool) -> Result<T, Failure> {
    let (value, warnings) = checked.into_result().map_err(Failure::Issues)?;
    warn(&warnings, json);
    Ok(value)
}
