// SPDX-License-Identifier: GPL-2.0

//! Reading the files that commands are given. `-` is standard input.

use crate::output::{warn, Failure};
use crate::progress::Progress;
use glb_config::compiled::{Compiled, CompiledFile, Format};
use glb_config::director::{self, Director};
use glb_config::file::read_bytes_with_classes;
use glb_config::opened::{self, Opened};
use glb_config::rows::compile_all;
use glb_config::tables::{self, Config};
use glb_config::{Checked, DeadRows};
use glb_core::director::classify::flow::NamedClass;
use glb_core::table::v2;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// A table file: with its rows if it is binary, without them if it is JSON.
pub(crate) enum Tables {
    Built(CompiledFile),
    Config(Config),
}

/// A table file of either kind, with its rows.
pub(crate) fn tables_with_classes(path: &Path, json: bool) -> Result<CompiledFile, Failure> {
    match either_with_classes(path, json)? {
        Tables::Built(file) => Ok(file),
        Tables::Config(config) => {
            warn(&tables::unsaid_health(&name(path), &config), json);
            let tables = compile(path, &config)?;
            for (index, table) in tables.iter().enumerate() {
                let dead = DeadRows::of(table);
                let issue = dead.map(|dead| dead.issue(&name(path), &table.label(index)));
                warn(issue.as_slice(), json);
            }
            Ok(CompiledFile {
                format: Format::Json,
                tables,
                classes: config.classes,
            })
        }
    }
}

/// Computes the rows of a file's tables.
pub(crate) fn compile(path: &Path, config: &Config) -> Result<Vec<Compiled>, Failure> {
    let mut progress = Progress::new("tables built");
    compile_all(config, &mut |done, of| progress.done_of(done, of))
        .map_err(|reason| Failure::Message(format!("{}: {reason}", name(path))))
}

/// A table file of either kind, as it is. One with classes is refused.
pub(crate) fn either(path: &Path, json: bool) -> Result<Tables, Failure> {
    let tables = either_with_classes(path, json)?;
    refuse_classes(
        path,
        match &tables {
            Tables::Built(file) => &file.classes,
            Tables::Config(config) => &config.classes,
        },
    )?;
    Ok(tables)
}

fn refuse_classes(path: &Path, classes: &[NamedClass]) -> Result<(), Failure> {
    match glb_config::classes::refusal(&name(path), classes) {
        Some(issue) => Err(Failure::Issues(vec![issue])),
        None => Ok(()),
    }
}

/// As [`either`], for one who heeds classes.
pub(crate) fn either_with_classes(path: &Path, json: bool) -> Result<Tables, Failure> {
    let bytes = bytes(path)?;
    if bytes.starts_with(&v2::MAGIC) {
        let checked = read_bytes_with_classes(&name(path), &bytes, &mut |_, _| {});
        return accept(checked, json).map(Tables::Built);
    }
    let Ok(text) = String::from_utf8(bytes) else {
        let reason = "neither JSON nor a binary table (its first bytes are not GLBD)";
        return Err(Failure::Message(format!("{}: {reason}", name(path))));
    };
    accept(tables::read_with_classes(&name(path), &text), json).map(Tables::Config)
}

/// A table file of either kind, whose rows are made only where they are asked for.
pub(crate) fn opened_with_classes(path: &Path, json: bool) -> Result<Opened, Failure> {
    accept(
        opened::open_bytes_with_classes(&name(path), &bytes(path)?),
        json,
    )
}

/// A table file without classes, in which it may be left to the health checker who is healthy.
pub(crate) fn source(path: &Path, json: bool) -> Result<Opened, Failure> {
    accept(opened::open_source(&name(path), &bytes(path)?), json)
}

/// A table file of JSON, without its rows, for one who heeds classes.
pub(crate) fn config_with_classes(path: &Path, json: bool) -> Result<Config, Failure> {
    accept(tables::read_with_classes(&name(path), &text(path)?), json)
}

/// A table file of JSON, without its rows. One with classes is refused.
pub(crate) fn config(path: &Path, json: bool) -> Result<Config, Failure> {
    accept(tables::read(&name(path), &text(path)?), json)
}

/// `director.conf`.
pub(crate) fn director(path: &Path, json: bool) -> Result<Director, Failure> {
    accept(director::read(&name(path), &text(path)?), json)
}

/// Whether a path stands for standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == OsStr::new("-")
}

/// Refuses to read standard input twice: the second time there is nothing.
pub(crate) fn only_one_standard_input(paths: &[&Path]) -> Result<(), Failure> {
    if paths.iter().filter(|path| is_standard(path)).count() > 1 {
        let message = "standard input (-) can be read once only: name a file for the other";
        return Err(Failure::Message(message.to_owned()));
    }
    Ok(())
}

/// What messages call a file that is read.
pub(crate) fn name(path: &Path) -> String {
    if is_standard(path) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// A file's contents.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = if is_standard(path) {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| failure(path, &error))
}

/// Refuses to edit what is no file.
pub(crate) fn only_a_file(path: &Path) -> Result<(), Failure> {
    if is_standard(path) {
        let message = "standard input (-) cannot be edited in place: name a file";
        return Err(Failure::Message(message.to_owned()));
    }
    Ok(())
}

/// The text of a file that is edited where it is.
pub(crate) fn text_to_edit(path: &Path) -> Result<String, Failure> {
    only_a_file(path)?;
    text(path)
}

/// A file's text.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    let error = |_| io::Error::new(io::ErrorKind::InvalidData, "is not UTF-8, so not JSON");
    String::from_utf8(bytes(path)?)
        .map_err(error)
        .map_err(|error| failure(path, &error))
}

/// What went wrong with a file that is read.
pub(crate) fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::file(Path::new(&name(path)), error)
}

fn accept<T>(checked: Checked<T>, json: bool) -> Result<T, Failure> {
    let (value, warnings) = checked.into_result().map_err(Failure::Issues)?;
    warn(&warnings, json);
    Ok(value)
}
