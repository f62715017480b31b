// SPDX-License-Identifier: GPL-2.0

//! From checked tables to the binary formats.

mod v2;
mod v3;

pub use v2::{why_not_v2, write_v2};
pub use v3::write_v3;

use crate::compiled::Compiled;
use crate::rows::{compile_each, without_rows};
use crate::tables::Config;
use std::io::{self, Write};

/// The binary formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// As deployed.
    V2,
    /// This project's.
    V3,
}

/// Builds all tables of a file on all processors, and writes each as soon as those before it are written: only a
/// few are in memory at a time. `each` sees every table with its rows.
pub fn write_built(
    config: &Config,
    format: Binary,
    out: &mut dyn Write,
    each: &mut dyn FnMut(usize, &Compiled),
) -> io::Result<()> {
    match format {
        Binary::V2 => {
            let mut writer = v2::WriterV2::begin(config.tables.len(), out)?;
            compile_each(config, &mut |index, table| {
                each(index, &table);
                writer.table(index, &table)
            })
        }
        Binary::V3 => {
            let heads: Vec<Compiled> = config.tables.iter().map(without_rows).collect();
            let mut writer = v3::WriterV3::begin(&heads, &config.classes, out)?;
            compile_each(config, &mut |index, table| {
                each(index, &table);
                writer.table(index, &table)
            })?;
            writer.finish()
        }
    }
}
