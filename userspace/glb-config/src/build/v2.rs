// SPDX-License-Identifier: GPL-2.0

//! Version 2: the deployed file (docs/formats.md).

use crate::compiled::Compiled;
use crate::issue::{quoted, Issue, Severity};
use crate::tables::{Config, Rule};
use glb_core::director::select::rows::v2::Row;
use glb_core::table::v2::{header, write_table, Contents, TABLE_LEN};
use std::io::{self, Write};

/// The tables that have no version 2 form, each with the reason why. `file` is what the issues call it.
#[must_use]
pub fn why_not_v2(file: &str, config: &Config) -> Vec<Issue> {
    let classes = config.classes.first().map(|_| Issue {
        severity: Severity::Error,
        file: file.to_owned(),
        table: None,
        field: "classes".to_owned(),
        value: None,
        reason: "cannot be built as format version 2: it has no place for them".to_owned(),
    });
    let tables = config.tables.iter().enumerate();
    tables
        .filter_map(|(index, table)| {
            let (field, value, reason) = match table.rule {
                Rule::V2 if table.words.flows.is_some() => (
                    "flows",
                    "{...}".to_owned(),
                    "it has no place for them".to_owned(),
                ),
                Rule::V2 => return None,
                Rule::V3 { hops } => (
                    "version",
                    "3".to_owned(),
                    format!(
                        "the table's rows ({hops} hops) follow another rule, and directors that read \
                         one format each would send the same packet to different backends"
                    ),
                ),
                Rule::Maglev { .. } => (
                    "select.kind",
                    quoted(table.words.select.name()),
                    "it has no place for the table's rows".to_owned(),
                ),
            };
            Some(Issue {
                severity: Severity::Error,
                file: file.to_owned(),
                table: Some(table.label(index)),
                field: field.to_owned(),
                value: Some(value),
                reason: format!("cannot be built as format version 2: {reason}"),
            })
        })
        .chain(classes)
        .collect()
}

/// Writes tables of two hops in the binary format, version 2.
pub fn write_v2(tables: &[Compiled], out: &mut dyn Write) -> io::Result<()> {
    let mut writer = WriterV2::begin(tables.len(), out)?;
    for (index, table) in tables.iter().enumerate() {
        writer.table(index, table)?;
    }
    Ok(())
}

/// Writes a file table by table.
pub(super) struct WriterV2<'a> {
    out: &'a mut dyn Write,
    bytes: Box<[u8; TABLE_LEN]>,
}

impl<'a> WriterV2<'a> {
    /// The header.
    pub(super) fn begin(tables: usize, out: &'a mut dyn Write) -> io::Result<Self> {
        let count = u32::try_from(tables).map_err(io::Error::other)?;
        out.write_all(&header(count))?;
        let bytes = vec![0; TABLE_LEN]
            .into_boxed_slice()
            .try_into()
            .map_err(|_| io::Error::other("a table of another length"))?;
        Ok(Self { out, bytes })
    }

    /// The next table.
    pub(super) fn table(&mut self, index: usize, table: &Compiled) -> io::Result<()> {
        let rows: Vec<Row> = table
            .rows()
            .map(|hops| [hops[0], *hops.last().unwrap_or(&hops[0])])
            .collect();
        let contents = Contents {
            backends: &table.core_backends(),
            binds: &table.binds,
            hash_key: &table.hash_key,
            rows: &rows,
        };
        write_table(&mut self.bytes, &contents).map_err(|error| {
            io::Error::other(format!("table {}: {error:?}", quoted(&table.label(index))))
        })?;
        self.out.write_all(&self.bytes[..])
    }
}
