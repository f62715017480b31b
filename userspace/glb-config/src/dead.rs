// SPDX-License-Identifier: GPL-2.0

//! Rows that lead to a backend that is known to be dead.
//!
//! The first hop of a row passes on packets whose connections it does not have. If it is dead, no packet is
//! passed on: every packet of the row is lost, whatever the other hops are. The rows of version 2 have two
//! hops and are those of deployed directors. If both hops are bad, or if the second one drains or fills, such
//! a row still begins with a bad one. Version 3 has no such row while any backend is good (docs/rows-v3.md).

use crate::compiled::{usable, Compiled};
use crate::issue::{Issue, Severity};
use crate::rows::compile;
use crate::tables::Table;
use glb_core::backend::{Backend, State};

/// The rows of a table whose packets are lost, as health is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadRows {
    /// All rows of the table.
    pub rows: u32,
    /// Rows whose first hop is not healthy.
    pub first_hop: u32,
    /// Of those, the rows without any healthy hop.
    pub all_hops: u32,
    /// What is to be done about it.
    pub remedy: Remedy,
}

/// What brings the dead rows of a table back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// There is a healthy backend that takes new connections; the rule of version 2 does not choose it.
    OtherRule,
    /// No backend that takes new connections is healthy: no rule could choose one.
    Repair,
}

impl Remedy {
    /// For people: what to do.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::OtherRule => {
                "make unhealthy backends inactive until they are back (glbctl backend deactivate --force), \
                 or give the table \"version\": 3, which has no such rows (docs/rows-v3.md)"
            }
            Self::Repair => {
                "no backend that takes new connections is healthy: repair one, or look at what the health \
                 checks say"
            }
        }
    }
}

impl DeadRows {
    /// The dead rows of a table by its hops: `rows` has `hops` indexes of `backends` for each row. Nothing
    /// if no row is dead.
    #[must_use]
    pub fn of_rows(backends: &[Backend], hops: usize, rows: &[u8]) -> Option<Self> {
        let bad = |index: &u8| {
            let backend = backends.get(usize::from(*index));
            backend.is_some_and(|backend| !backend.healthy)
        };
        let (mut all, mut first_hop, mut all_hops) = (0, 0, 0);
        for row in rows.chunks_exact(hops.max(1)) {
            all += 1;
            if row.first().is_some_and(bad) {
                first_hop += 1;
                all_hops += u32::from(row.iter().all(bad));
            }
        }
        (first_hop > 0).then(|| Self::counted(backends, all, first_hop, all_hops))
    }

    /// Dead rows that somebody has counted.
    pub(crate) fn counted(backends: &[Backend], rows: u32, first_hop: u32, all_hops: u32) -> Self {
        let takes_new =
            |one: &Backend| one.healthy && matches!(one.state, State::Active | State::Filling);
        Self {
            rows,
            first_hop,
            all_hops,
            remedy: if backends.iter().any(takes_new) {
                Remedy::OtherRule
            } else {
                Remedy::Repair
            },
        }
    }

    /// The dead rows of a table with its rows.
    #[must_use]
    pub fn of(table: &Compiled) -> Option<Self> {
        if table.backends.iter().all(|one| one.backend.healthy) {
            return None;
        }
        let mut dead = Self::of_rows(&table.core_backends(), table.hops, &table.rows)?;
        if table.is_maglev() {
            // Its rows begin with a good backend where there is one with a weight.
            dead.remedy = Remedy::Repair;
        }
        if !table.forward.lists_hops() {
            // No other hop is ever asked.
            dead.all_hops = dead.first_hop;
        }
        Some(dead)
    }

    /// The dead rows of a table without its rows. They are built only where a backend that may be in them is
    /// not healthy.
    pub fn of_table(table: &Table) -> Result<Option<Self>, String> {
        let bad = |backend: &Backend| usable(backend) && !backend.healthy;
        if !table.backends.iter().any(|one| bad(&one.backend)) {
            return Ok(None);
        }
        compile(table).map(|compiled| Self::of(&compiled))
    }

    /// What is to be said of a table's dead rows beside what is wrong with its file.
    #[must_use]
    pub fn issue(&self, file: &str, table: &str) -> Issue {
        Issue {
            severity: Severity::Warning,
            file: file.to_owned(),
            table: Some(table.to_owned()),
            field: "backends".to_owned(),
            value: None,
            reason: self.text(),
        }
    }

    /// The share of all rows that is dead, 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.first_hop) / f64::from(self.rows.max(1))
    }

    /// For people: how many rows, and what to do.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{} of {} rows ({:.1} %) lead to an unhealthy backend, {} of them with no healthy hop: \
             their packets are lost; {}",
            self.first_hop,
            self.rows,
            self.share() * 100.0,
            self.all_hops,
            self.remedy.text()
        )
    }
}
