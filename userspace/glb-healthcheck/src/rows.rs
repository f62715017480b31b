// SPDX-License-Identifier: GPL-2.0

//! The rows of a published table that lead to a backend that is down. With rows of version 2, which are those of
//! deployed directors, there may be some even if other backends are up.

use glb_config::{tables, DeadRows};
use serde_json::Value;
use std::fmt;

/// The dead rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableRows {
    pub(crate) table: String,
    pub(crate) rows: DeadRows,
}

impl fmt::Display for TableRows {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "table {}: {}", self.table, self.rows.text())
    }
}

/// The tables of a published file that have dead rows.
pub(crate) fn dead(tree: &Value) -> Vec<TableRows> {
    // It was read before, as the operator's file.
    let Some(config) = tables::read("the checked table", &tree.to_string()).value else {
        return Vec::new();
    };
    let tables = config.tables.iter().enumerate();
    let dead = tables.filter_map(|(index, table)| {
        let rows = DeadRows::of_table(table).ok()??;
        let table = table.label(index);
        Some(TableRows { table, rows })
    });
    dead.collect()
}
