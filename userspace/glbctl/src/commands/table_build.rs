// SPDX-License-Identifier: GPL-2.0

//! `glbctl table build`, and `glb-director-cli build-config`.

use crate::cli::BinaryFormat;
use crate::load;
use crate::output::{print, Failure};
use crate::progress::Progress;
use glb_config::build::{why_not_v2, write_v2, write_v3};
use glb_config::tables::Rule;
use glb_config::{atomic, compiled};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Built {
    file: String,
    format: u8,
    tables: usize,
    bytes: u64,
}

pub(crate) fn run(
    src: &Path,
    dst: &Path,
    format: Option<BinaryFormat>,
    json: bool,
) -> Result<(), Failure> {
    let built = build(src, dst, format, json)?;
    print(json, &built, |out| {
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
    let config = load::config(src, json)?;
    let all_v2 = config.tables.iter().all(|table| table.rule == Rule::V2);
    let format = format.unwrap_or(if all_v2 {
        BinaryFormat::V2
    } else {
        BinaryFormat::V3
    });
    if format == BinaryFormat::V2 && !all_v2 {
        return Err(Failure::Issues(why_not_v2(
            &src.display().to_string(),
            &config,
        )));
    }
    let mut progress = Progress::new("tables built");
    let tables = compiled::compile_all(&config, &mut |done| progress.done(done))
        .map_err(|reason| Failure::Message(format!("{}: {reason}", src.display())))?;
    let mut bytes = 0;
    atomic::write(dst, |out| {
        let mut counting = Counting { out, bytes: 0 };
        match format {
            BinaryFormat::V2 => write_v2(&tables, &mut counting)?,
            BinaryFormat::V3 => write_v3(&tables, &mut counting)?,
        }
        bytes = counting.bytes;
        Ok(())
    })
    .map_err(|error| Failure::file(dst, &error))?;
    Ok(Built {
        file: dst.display().to_string(),
        format: match format {
            BinaryFormat::V2 => 2,
            BinaryFormat::V3 => 3,
        },
        tables: tables.len(),
        bytes,
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
