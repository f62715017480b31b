// SPDX-License-Identifier: GPL-2.0

//! What a shell may put for the word that is being typed: tables, backends, devices.
//!
//! The shell runs the tool itself with the whole command line (clap's dynamic completion), so that what is
//! offered is what is there: in the files that the line names, or else in the operator's table. What cannot
//! be read offers nothing; a completion is no place for errors.

use crate::places::SOURCE;
use crate::text::addr;
use clap_complete::CompletionCandidate;
use glb_config::compiled::Compiled;
use glb_config::file::read_bytes_with_classes;
use glb_config::tables;
use glb_netlink::Glb;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A table: its name or place, and the addresses of its backends.
struct Table {
    label: String,
    backends: Vec<String>,
}

/// Names of tables, of the files on the line or of the running director.
pub(crate) fn table(current: &OsStr) -> Vec<CompletionCandidate> {
    let tables = all(&words());
    offer(current, tables.into_iter().map(|table| table.label))
}

/// Backends: of the table that the line names, or of all.
pub(crate) fn backend(current: &OsStr) -> Vec<CompletionCandidate> {
    let words = words();
    let tables = all(&words);
    let named = |table: &Table| words.iter().any(|word| **word == *table.label);
    let any = tables.iter().any(named);
    let chosen = tables.into_iter().filter(|table| !any || named(table));
    let mut backends: Vec<String> = chosen.flat_map(|table| table.backends).collect();
    backends.sort();
    backends.dedup();
    offer(current, backends.into_iter())
}

/// The devices of this machine.
pub(crate) fn device(current: &OsStr) -> Vec<CompletionCandidate> {
    // Of the kernel, not of /sys: not every root has that.
    let interfaces = nix::net::if_::if_nameindex();
    let mut names: Vec<String> = interfaces
        .iter()
        .flatten()
        .filter_map(|interface| interface.name().to_str().ok().map(str::to_owned))
        .collect();
    names.sort();
    offer(current, names.into_iter())
}

/// The devices that are attached; where the director cannot be asked, all.
pub(crate) fn attached(current: &OsStr) -> Vec<CompletionCandidate> {
    match Glb::open_loaded().and_then(|mut glb| glb.devices()) {
        Ok(devices) => offer(current, devices.into_iter().map(|device| device.name)),
        Err(_) => device(current),
    }
}

fn offer(current: &OsStr, names: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    names
        .filter(|name| name.starts_with(&*current))
        .map(CompletionCandidate::new)
        .collect()
}

/// The words of the line that is typed. The shell gives them behind `--`.
fn words() -> Vec<OsString> {
    let all: Vec<OsString> = std::env::args_os().collect();
    let start = all.iter().position(|word| word == "--");
    all.into_iter().skip(start.map_or(1, |at| at + 2)).collect()
}

fn all(words: &[OsString]) -> Vec<Table> {
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    if has("--running") {
        return running().unwrap_or_default();
    }
    // The flows are the running director's.
    if has("flows") && !has("redirect") {
        if let Some(running) = running().ok().filter(|tables| !tables.is_empty()) {
            return running;
        }
    }
    let files = words
        .iter()
        .map(PathBuf::from)
        .filter(|path| path.is_file());
    let named: Vec<Table> = files.flat_map(|path| of_file(&path)).collect();
    if named.is_empty() {
        of_file(Path::new(SOURCE))
    } else {
        named
    }
}

fn of_file(path: &Path) -> Vec<Table> {
    let Ok(bytes) = std::fs::read(path) else {
        return Vec::new();
    };
    if let Ok(text) = std::str::from_utf8(&bytes) {
        let config = tables::read_with_classes("", text).value;
        let tables = config
            .iter()
            .flat_map(|config| config.tables.iter().enumerate());
        let table = |(index, table): (usize, &tables::Table)| Table {
            label: table.label(index),
            backends: addresses(table.backends.iter().map(|one| one.backend.addr)),
        };
        return tables.map(table).collect();
    }
    let file = read_bytes_with_classes("", &bytes, &mut |_, _| {}).value;
    let tables = file.iter().flat_map(|file| file.tables.iter().enumerate());
    let table = |(index, table): (usize, &Compiled)| Table {
        label: table.label(index),
        backends: addresses(table.backends.iter().map(|one| one.backend.addr)),
    };
    tables.map(table).collect()
}

fn addresses(addrs: impl Iterator<Item = glb_core::packet::addr::Addr>) -> Vec<String> {
    addrs.map(addr).collect()
}

fn running() -> Result<Vec<Table>, glb_netlink::Error> {
    let mut glb = Glb::open_loaded()?;
    let tables = glb.tables()?;
    let table = |table: glb_netlink::TableInfo| Table {
        label: if table.name.is_empty() {
            format!("#{}", table.index)
        } else {
            table.name
        },
        backends: Vec::new(),
    };
    Ok(tables.into_iter().map(table).collect())
}
