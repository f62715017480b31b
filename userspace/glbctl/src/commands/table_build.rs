// SPDX-License-Identifier: GPL-2.0

//! `glbctl table build`, and `glb-director-cli build-config`.

use crate::cli::table::BinaryFormat;
use crate::output::{print_beside, warn, DeadTable, Failure};
use crate::progress::Progress;
use crate::{load, save};
use glb_config::build::{why_not_v2, write_built, Binary};
use glb_config::tables::{self, Rule, Table};
use glb_config::{atomic, DeadRows, Issue};
use glb_core::table::v3::Words;
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Built {
    file: String,
    format: u8,
    tables: usize,
    bytes: u64,
    /// The tables with rows that lead to an unhealthy backend.
    dead_rows: Vec<DeadTable>,
    /// What is not as it was with a file that was there: its owner, its group, who may read it.
    warnings: Vec<String>,
}

pub(crate) fn run(
    src: &Path,
    dst: &Path,
    format: Option<BinaryFormat>,
    json: bool,
) -> Result<(), Failure> {
    let built = build(src, dst, format, json)?;
    print_beside(load::is_standard(dst), json, &built, |out| {
        writeln!(
            out,
            "{}: {} table{}, format version {}, {} bytes",
            built.file,
            built.tables,
            if built.tables == 1 { "" } else { "s" },
            built.format,
            built.bytes
        )
    })
}

/// As scripts of deployed directors call it: format version 2, and silence if all went well.
pub(crate) fn as_deployed(src: &Path, dst: &Path) -> Result<(), Failure> {
    build(src, dst, Some(BinaryFormat::V2), false).map(|_| ())
}

fn build(
    src: &Path,
    dst: &Path,
    format: Option<BinaryFormat>,
    json: bool,
) -> Result<Built, Failure> {
    save::refuse_source(&[src], dst)?;
    let config = load::config_with_classes(src, json)?;
    warn(&tables::unsaid_health(&load::name(src), &config), json);
    let has_v2 = |table: &Table| table.rule == Rule::V2 && table.words == Words::DEFAULT;
    let all_v2 = config.tables.iter().all(has_v2) && config.classes.is_empty();
    let format = match format {
        Some(BinaryFormat::V2) => Binary::V2,
        Some(BinaryFormat::V3) => Binary::V3,
        None if all_v2 => Binary::V2,
        None => Binary::V3,
    };
    let name = load::name(src);
    if format == Binary::V2 && !all_v2 {
        return Err(Failure::Issues(why_not_v2(&name, &config)));
    }
    let mut progress = Progress::new("tables built").of(config.tables.len());
    let (mut dead_rows, mut warnings) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    let write = |out: &mut dyn std::io::Write| {
        let mut counting = Counting { out, bytes: 0 };
        write_built(&config, format, &mut counting, &mut |index, table| {
            progress.done(index + 1);
            dead_rows.extend(DeadTable::of(index, table));
            let issue = |dead: DeadRows| dead.issue(&name, &table.label(index));
            warnings.extend(DeadRows::of(table).map(issue));
        })?;
        bytes = counting.bytes;
        Ok(())
    };
    let written = if load::is_standard(dst) {
        save::standard_output(write).map(|()| Vec::new())
    } else {
        // A health checker's command must not stop either.
        atomic::write_made(dst, !config.tables.is_empty(), write)
    };
    let changed = written.map_err(|error| save::failure(dst, &error))?;
    drop(progress);
    warn(&warnings, json);
    let issue = |reason: &String| save::warning(dst, reason.clone());
    let issues: Vec<Issue> = changed.iter().map(issue).collect();
    warn(&issues, json);
    Ok(Built {
        file: dst.display().to_string(),
        format: match format {
            Binary::V2 => 2,
            Binary::V3 => 3,
        },
        tables: config.tables.len(),
        bytes,
        dead_rows,
        warnings: changed,
    })
}

/// Counts what is written.
struct Counting<'a> {
    out: &'a mut dyn std::io::Write,
    bytes: u64,
}

impl std::io::Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
