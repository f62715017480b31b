// SPDX-License-Identifier: GPL-2.0

//! What is exported: the tables of a binary file, or of the running director.

use crate::cli::table::TableExport;
use crate::commands::key::Key;
use crate::commands::running;
use crate::load;
use crate::output::{warn, Failure};
use glb_config::compiled::{Compiled, Format};
use glb_config::file::read_bytes;
use glb_core::table::v2;

pub(super) struct There {
    /// What messages call it.
    pub(super) name: String,
    pub(super) tables: Vec<Compiled>,
    /// What is known of each table's key of the packet hash.
    pub(super) keys: Vec<Key>,
    pub(super) origin: Origin,
}

pub(super) enum Origin {
    /// A file of format version 2 or 3, and its bytes.
    File(Format, Vec<u8>),
    /// The number of the load.
    Running(u32),
}

pub(super) fn read(args: &TableExport, json: bool) -> Result<There, Failure> {
    let Some(path) = &args.file else {
        let running = running::tables::all()?;
        if running.has_classes == Some(true) {
            return Err(Failure::Message(
                "the running director has classes, which it does not tell: what is exported would lack them, and be another \
                 director's; export the binary file that was loaded, or edit its source"
                    .to_owned(),
            ));
        }
        return Ok(There {
            name: "the running director".to_owned(),
            keys: running.keys(),
            origin: Origin::Running(running.generation),
            tables: running.tables,
        });
    };
    let name = load::name(path);
    let bytes = load::bytes(path)?;
    if !bytes.starts_with(&v2::MAGIC) {
        return Err(Failure::Message(format!(
            "{name}: is no binary table (its first bytes are not GLBD); a source of JSON needs no export"
        )));
    }
    let checked = read_bytes(&name, &bytes, &mut |_, _| {});
    let (file, warnings) = checked.into_result().map_err(Failure::Issues)?;
    warn(&warnings, json);
    Ok(There {
        name,
        keys: file
            .tables
            .iter()
            .map(|table| Key::Known(table.hash_key))
            .collect(),
        tables: file.tables,
        origin: Origin::File(file.format, bytes),
    })
}

impl There {
    /// Why its rows cannot be made again without a file of keys.
    pub(super) fn lacks(&self) -> &'static str {
        match self.origin {
            Origin::File(..) => "a binary file of version 2 has no seeds and no names",
            Origin::Running(_) => "the kernel tells neither keys nor seeds, weights or domains",
        }
    }

    /// What to do where the file of keys is lost too.
    pub(super) fn otherwise(&self) -> &'static str {
        match self.origin {
            Origin::File(..) => {
                "; without one, glbctl table restore loads the binary file as it is"
            }
            Origin::Running(_) => "",
        }
    }
}
