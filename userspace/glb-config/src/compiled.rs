// SPDX-License-Identifier: GPL-2.0

//! Tables with their rows: what a director works with, wherever it came from.
//!
//! A file of JSON is checked and its rows are computed; a binary file has its rows. Either way the result
//! is the same, so that looking up, comparing and loading need not know.

use crate::build::{v2_rows, v3_rows};
use crate::dead::DeadRows;
use crate::issue::{quoted, Checked, Issue, Severity};
use crate::tables::{self, Config, Rule, Table};
use glb_core::backend::{Backend, State};
use glb_core::bind::Bind;
use glb_core::director::Forward;
use glb_core::hash::ROWS;
use glb_core::table::{v2, v3};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::{io, thread};

/// Where tables came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `forwarding_table.json`.
    Json,
    /// The deployed binary format.
    V2,
    /// This project's binary format.
    V3,
}

impl Format {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::V2 => "binary, version 2",
            Self::V3 => "binary, version 3",
        }
    }
}

/// A backend of a compiled table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledBackend {
    /// Address, state, health.
    pub backend: Backend,
    /// Share of the rows, relative to the others.
    pub weight: u16,
    /// What fails together.
    pub domain: Option<String>,
}

/// A table with its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// Its name; binary files of version 2 have none.
    pub name: Option<String>,
    /// The rule of its rows: 2 or 3.
    pub version: u8,
    /// Key of the packet hash.
    pub hash_key: [u8; 16],
    /// Key of the row hash; binary files of version 2 do not have it.
    pub seed: Option<[u8; 16]>,
    /// What leads to it.
    pub binds: Vec<Bind>,
    /// Where it leads to.
    pub backends: Vec<CompiledBackend>,
    /// How its packets leave.
    pub forward: Forward,
    /// Hops of a row.
    pub hops: usize,
    /// 65,536 rows of `hops` indexes of backends, one behind the other.
    pub rows: Vec<u8>,
}

impl Compiled {
    /// The hops of a row, best first.
    #[must_use]
    pub fn row(&self, row: u16) -> &[u8] {
        let at = usize::from(row) * self.hops;
        &self.rows[at..at + self.hops]
    }

    /// All rows in turn.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.rows.chunks_exact(self.hops)
    }

    /// The hops of a row that its packets can reach.
    #[must_use]
    pub fn reached<'r>(&self, row: &'r [u8]) -> &'r [u8] {
        self.forward.named(row)
    }

    /// How many rows each backend is the first hop of.
    #[must_use]
    pub fn loads(&self) -> Vec<u32> {
        let mut loads = vec![0; self.backends.len()];
        for row in self.rows() {
            loads[usize::from(row[0])] += 1;
        }
        loads
    }

    /// The backends as the kernel takes them.
    #[must_use]
    pub fn core_backends(&self) -> Vec<Backend> {
        self.backends.iter().map(|one| one.backend).collect()
    }

    /// The name, or `#index` where there is none.
    #[must_use]
    pub fn label(&self, index: usize) -> String {
        self.name
            .as_deref()
            .map_or_else(|| format!("#{index}"), ToOwned::to_owned)
    }
}

/// The tables of a file.
#[derive(Debug, Clone)]
pub struct CompiledFile {
    /// What kind of file it was.
    pub format: Format,
    /// The tables, in the file's order.
    pub tables: Vec<Compiled>,
}

/// Computes the rows of a table.
pub fn compile(table: &Table) -> Result<Compiled, String> {
    let rows = match table.rule {
        Rule::V2 => {
            let rows = v2_rows(table).map_err(|_| "no backend can be in a row".to_owned())?;
            rows.into_flattened()
        }
        Rule::V3 { hops } => {
            v3_rows(table, usize::from(hops)).map_err(|error| format!("{error:?}"))?
        }
    };
    Ok(Compiled {
        rows,
        ..without_rows(table)
    })
}

/// A table as [`compile`] makes it, but for its rows.
pub(crate) fn without_rows(table: &Table) -> Compiled {
    let (version, hops) = match table.rule {
        Rule::V2 => (2, 2),
        Rule::V3 { hops } => (3, usize::from(hops)),
    };
    let backends = table.backends.iter().map(|b| CompiledBackend {
        backend: b.backend,
        weight: b.weight,
        domain: b.domain.clone(),
    });
    Compiled {
        name: table.name.clone(),
        version,
        forward: table.forward,
        hash_key: table.hash_key,
        seed: Some(table.seed),
        binds: table.binds.clone(),
        backends: backends.collect(),
        hops,
        rows: Vec::new(),
    }
}

/// Computes the rows of all tables on all processors, and hands the tables over in their order. Each processor is
/// at most a few tables ahead, so that who takes them one by one needs little memory.
pub fn compile_each(
    config: &Config,
    take: &mut dyn FnMut(usize, Compiled) -> io::Result<()>,
) -> io::Result<()> {
    const AHEAD: usize = 4;
    let tables = &config.tables;
    let workers = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(tables.len());
    thread::scope(|scope| {
        let start = |first: usize| {
            let (done, results) = sync_channel(AHEAD);
            scope.spawn(move || {
                let own = tables.iter().skip(first).step_by(workers);
                for result in own.map(compile) {
                    if done.send(result).is_err() {
                        // The one who takes them has failed and will say so.
                        break;
                    }
                }
            });
            results
        };
        let results: Vec<_> = (0..workers).map(start).collect();
        for ((index, table), results) in tables.iter().enumerate().zip(results.iter().cycle()) {
            let result = results.recv().map_err(io::Error::other)?;
            let fault = |reason| {
                let table = quoted(&table.label(index));
                io::Error::other(format!("table {table}: {reason}"))
            };
            take(index, result.map_err(fault)?)?;
        }
        Ok(())
    })
}

/// Computes the rows of all tables on all processors; `progress` is told how many tables are done, and of how many.
pub fn compile_all(
    config: &Config,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Compiled>, String> {
    let mut compiled = Vec::with_capacity(config.tables.len());
    compile_each(config, &mut |index, table| {
        compiled.push(table);
        progress(index + 1, config.tables.len());
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    Ok(compiled)
}

/// Reads a file of either kind, told apart by its first bytes, and computes rows where it has none.
pub fn read_file(path: &Path, progress: &mut dyn FnMut(usize, usize)) -> Checked<CompiledFile> {
    let file = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => read_bytes(&file, &bytes, progress),
        Err(error) => failed(&file, io_reason(&error)),
    }
}

/// As [`read_file`], from memory. Rows that lead to a backend that is known to be dead are warned of.
pub fn read_bytes(
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
            }),
            issues,
        },
        Err(reason) => failed(file, reason),
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
    if bytes.starts_with(&v2::MAGIC) {
        let version = bytes.get(4..8);
        return Kind::Binary(if version == Some(&v3::VERSION.to_le_bytes()) {
            read_v3(file, bytes)
        } else {
            read_v2(file, bytes)
        });
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Kind::Json(tables::read(file, text)),
        Err(_) => Kind::Binary(failed(
            file,
            "neither JSON nor a binary table (its first bytes are not GLBD)",
        )),
    }
}

fn read_v2(file: &str, bytes: &[u8]) -> Checked<CompiledFile> {
    let checked = match v2::File::check(bytes) {
        Ok(checked) => checked,
        Err(error) => return failed(file, error.to_string()),
    };
    let tables = checked.tables().map(|table| Compiled {
        name: None,
        version: 2,
        forward: Forward::default(),
        hash_key: table.hash_key(),
        seed: None,
        binds: table.binds().collect(),
        backends: table.backends().map(plain).collect(),
        hops: 2,
        // The casts are exact: the check has bounded the indexes by the number of backends.
        rows: table
            .rows()
            .flat_map(|row| [row.primary as u8, row.secondary as u8])
            .collect(),
    });
    Checked {
        value: Some(CompiledFile {
            format: Format::V2,
            tables: tables.collect(),
        }),
        issues: Vec::new(),
    }
}

fn read_v3(file: &str, bytes: &[u8]) -> Checked<CompiledFile> {
    let checked = match v3::File::check(bytes) {
        Ok(checked) => checked,
        Err(error) => return failed(file, error.to_string()),
    };
    let tables = checked.tables().map(|table| {
        let domains: Vec<&str> = table.domains().collect();
        let domain = |index: u16| domains.get(usize::from(index)).map(ToString::to_string);
        let backends = table.backends().map(|b| CompiledBackend {
            backend: b.backend,
            weight: b.weight,
            domain: b.domain.and_then(domain),
        });
        Compiled {
            name: Some(table.name.to_owned()).filter(|name| !name.is_empty()),
            version: table.rule,
            forward: table.forward,
            hash_key: *table.hash_key,
            seed: Some(*table.seed),
            binds: table.binds().collect(),
            backends: backends.collect(),
            hops: usize::from(table.hops),
            rows: table.rows.to_vec(),
        }
    });
    Checked {
        value: Some(CompiledFile {
            format: Format::V3,
            tables: tables.collect(),
        }),
        issues: Vec::new(),
    }
}

fn plain(backend: Backend) -> CompiledBackend {
    CompiledBackend {
        backend,
        weight: 1,
        domain: None,
    }
}

/// A file that cannot be used for one reason.
pub(crate) fn failed<T>(file: &str, reason: impl Into<String>) -> Checked<T> {
    Checked {
        value: None,
        issues: vec![Issue {
            severity: Severity::Error,
            file: file.to_owned(),
            table: None,
            field: String::new(),
            value: None,
            reason: reason.into(),
        }],
    }
}

/// What an error of the system says, without the number that Rust adds.
#[must_use]
pub fn io_reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// Whether a backend may have rows.
#[must_use]
pub fn usable(backend: &Backend) -> bool {
    backend.state != State::Inactive
}

const _: () = assert!(ROWS == 1 << 16);
