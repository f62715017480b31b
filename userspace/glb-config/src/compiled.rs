// SPDX-License-Identifier: GPL-2.0

//! Tables with their rows, as a director uses them.
//!
//! The rows of a JSON file are computed after it was checked ([`rows`](crate::rows)); a binary file contains its rows. The
//! result is the same, so looking up, comparing and loading do not distinguish them.

use glb_core::backend::{Backend, State};
use glb_core::director::classify::bind::Bind;
use glb_core::director::classify::flow::NamedClass;
use glb_core::director::select::hash::ROWS;
use glb_core::director::{Forward, Select, Selector};
use glb_core::table::v3::Words;

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
    /// Its own among the table's backends: its place, unless it was given another.
    pub identifier: u8,
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
    /// What it has beside what all tables have.
    pub words: Words,
    /// Hops of a row.
    pub hops: usize,
    /// Rows of `hops` indexes of backends, one behind the other.
    pub rows: Vec<u8>,
}

impl Compiled {
    /// The hops of a row, best first.
    #[must_use]
    pub fn row(&self, row: u32) -> &[u8] {
        let at = row as usize * self.hops;
        &self.rows[at..at + self.hops]
    }

    /// How many rows there are.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        self.words.rows as usize
    }

    /// How its packets find their rows.
    #[must_use]
    pub fn selector(&self) -> Selector {
        self.words.selector()
    }

    /// Whether it is a Maglev table.
    #[must_use]
    pub fn is_maglev(&self) -> bool {
        self.words.select == Select::Maglev
    }

    /// All rows in turn.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> + Clone {
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

    /// Whether a backend has another identifier than its place.
    #[must_use]
    pub fn has_identifiers(&self) -> bool {
        let mut places = self.backends.iter().enumerate();
        places.any(|(place, one)| usize::from(one.identifier) != place)
    }

    /// The mark of packets for a backend, by its index, where they get one.
    #[must_use]
    pub fn mark(&self, backend: usize) -> Option<u32> {
        let one = self.backends.get(backend)?;
        Some(self.forward.mark_offset()?.mark(one.identifier))
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
    /// The classes, in the file's order.
    pub classes: Vec<NamedClass>,
}

/// Whether a backend may have rows.
#[must_use]
pub fn usable(backend: &Backend) -> bool {
    backend.state != State::Inactive
}

const _: () = assert!(ROWS == 1 << 16);
