// SPDX-License-Identifier: GPL-2.0

//! Reads binary files of tables (docs/formats.md).

use crate::answers::{self, Part, Wrong};
use crate::compiled::{Compiled, CompiledBackend, CompiledFile, Format};
use crate::issue::Checked;
use crate::tables::unlike_flows;
use crate::world::entries;
use glb_core::backend::Backend;
use glb_core::director::classify::bind::{shared, BindId, Shared};
use glb_core::director::Forward;
use glb_core::table::{v2, v3};

/// Whether a file is one of these, by its first bytes.
pub(crate) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&v2::MAGIC)
}

/// Reads a file of either version.
pub(crate) fn read(file: &str, bytes: &[u8]) -> Checked<CompiledFile> {
    let version = bytes.get(4..8);
    let v3 = [
        v3::VERSION,
        v3::VERSION_WITH_WORDS,
        v3::VERSION_WITH_CLASSES,
        v3::VERSION_WITH_IDENTIFIERS,
    ]
    .map(u32::to_le_bytes);
    if v3.iter().any(|number| version == Some(number)) {
        read_v3(file, bytes)
    } else {
        read_v2(file, bytes)
    }
}

fn read_v2(file: &str, bytes: &[u8]) -> Checked<CompiledFile> {
    let checked = match v2::File::check(bytes) {
        Ok(checked) => checked,
        Err(error) => return Checked::failed(file, error.to_string()),
    };
    let tables = checked.tables().map(|table| Compiled {
        name: None,
        version: 2,
        forward: Forward::default(),
        words: v3::Words::DEFAULT,
        hash_key: table.hash_key(),
        seed: None,
        binds: table.binds().collect(),
        backends: table.backends().zip(0..=u8::MAX).map(plain).collect(),
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
            classes: Vec::new(),
        }),
        issues: Vec::new(),
    }
}

fn read_v3(file: &str, bytes: &[u8]) -> Checked<CompiledFile> {
    let checked = match v3::File::check(bytes) {
        Ok(checked) => checked,
        Err(error) => return Checked::failed(file, error.to_string()),
    };
    let tables = checked.tables().map(|table| {
        let domains: Vec<&str> = table.domains().collect();
        let domain = |index: u16| domains.get(usize::from(index)).map(ToString::to_string);
        let backends = table.backends().map(|b| CompiledBackend {
            backend: b.backend,
            weight: b.weight,
            domain: b.domain.and_then(domain),
            identifier: b.identifier,
        });
        Compiled {
            name: Some(table.name.to_owned()).filter(|name| !name.is_empty()),
            version: table.rule,
            forward: table.forward,
            words: table.words,
            hash_key: *table.hash_key,
            seed: Some(*table.seed),
            binds: table.binds().collect(),
            backends: backends.collect(),
            hops: usize::from(table.hops),
            rows: table.rows.to_vec(),
        }
    });
    let tables: Vec<Compiled> = tables.collect();
    if let Some(wrong) = ambiguous(&tables) {
        let table = crate::quoted(&tables[wrong.table].label(wrong.table)).to_string();
        let reason = format!("table {table}: binds[{}] {}", wrong.bind, wrong.reason);
        return Checked::failed(file, reason);
    }
    if let Some(at) = unlike(&tables) {
        let label = |id: BindId| {
            let index = usize::from(id.table);
            crate::quoted(&tables[index].label(index)).to_string()
        };
        let remembers = tables[usize::from(at.second.table)].words.flows.is_some();
        let reason = format!(
            "table {}: binds[{}] {}",
            label(at.second),
            at.second.bind,
            unlike_flows(&label(at.first), remembers)
        );
        return Checked::failed(file, reason);
    }
    Checked {
        value: Some(CompiledFile {
            format: Format::V3,
            tables,
            classes: checked.classes(),
        }),
        issues: Vec::new(),
    }
}

/// Two binds whose answers nobody could tell apart.
fn ambiguous(tables: &[Compiled]) -> Option<Wrong> {
    let parts = tables.iter().enumerate().map(|(index, table)| {
        let backends = table.backends.iter().map(|one| one.backend);
        let named = (index, table.label(index));
        Part::new(named, table.forward, &table.binds, backends)
    });
    answers::find(&parts.collect::<Vec<_>>())
}

/// A bind of two tables of which only one remembers flows.
fn unlike(tables: &[Compiled]) -> Option<Shared> {
    let mut entries = entries(tables.iter().map(|table| &table.binds[..])).ok()?;
    let remembers = |table: u16| tables[usize::from(table)].words.flows.is_some();
    shared(&mut entries, |a, b| remembers(a) != remembers(b))
}

fn plain((backend, place): (Backend, u8)) -> CompiledBackend {
    CompiledBackend {
        backend,
        weight: 1,
        domain: None,
        identifier: place,
    }
}
