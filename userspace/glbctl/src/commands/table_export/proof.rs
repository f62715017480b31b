// SPDX-License-Identifier: GPL-2.0

//! Proof that a source builds to what was exported: it is read and built like any file, and compared.

use super::there::{Origin, There};
use crate::commands::same;
use crate::output::{warn, Failure};
use crate::progress::Progress;
use glb_config::build::{write_v2, write_v3};
use glb_config::compiled::{Compiled, Format};
use glb_config::rows::compile_each;
use glb_config::{quoted, tables};
use std::io::{self, Write};

/// `keys` is what the file of keys is called, where there is one. Returns whether a binary file comes out again
/// byte for byte; nothing where there is no such file.
pub(super) fn prove(
    there: &There,
    text: &str,
    keys: Option<&str>,
    json: bool,
) -> Result<Option<bool>, Failure> {
    let name = format!("the source of {}", there.name);
    let checked = tables::read(&name, text).into_result();
    let (config, warnings) = checked.map_err(Failure::Issues)?;
    warn(&warnings, json);
    let mut progress = Progress::new("tables built").of(there.tables.len());
    let mut built: Vec<Compiled> = Vec::new();
    let whole = matches!(there.origin, Origin::File(..));
    let compared = compile_each(&config, &mut |index, mut table| {
        progress.done(index + 1);
        let (Some(one), Some(key)) = (there.tables.get(index), there.keys.get(index)) else {
            return Err(io::Error::other("it has more tables"));
        };
        forget_untold(one, &mut table);
        if let Some(what) = same::difference(one, key, &table) {
            let label = quoted(&one.label(index));
            let source = keys.unwrap_or("what the file says of them");
            return Err(io::Error::other(format!(
                "table {label}: {what}: it was not made from the keys, weights and domains of {source}: name \
                 the file that it was made from by --keys"
            )));
        }
        if whole {
            built.push(table);
        }
        Ok(())
    });
    drop(progress);
    let fault = |error: io::Error| Failure::Message(format!("{}: {error}", there.name));
    compared.map_err(fault)?;
    match &there.origin {
        Origin::Running(_) => Ok(None),
        Origin::File(format, bytes) => {
            let mut same = Same {
                rest: bytes,
                same: true,
            };
            match format {
                Format::V3 => write_v3(&built, &[], &mut same),
                _ => write_v2(&built, &mut same),
            }
            .map_err(fault)?;
            Ok(Some(same.same && same.rest.is_empty()))
        }
    }
}

/// Takes away what a director is not told, where the exported table does not have it either.
fn forget_untold(there: &Compiled, built: &mut Compiled) {
    if there.seed.is_none() {
        for one in &mut built.backends {
            one.weight = 1;
            one.domain = None;
        }
    }
}

/// Compares what is written with what there is.
struct Same<'a> {
    rest: &'a [u8],
    same: bool,
}

impl Write for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => self.rest = rest,
            None => self.same = false,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
