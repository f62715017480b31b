// SPDX-License-Identifier: GPL-2.0

//! The parser of the command line accepts all commands in the documents.

use crate::cli::Cli;
use clap::Parser;

#[path = "../../../tests/documents/commands.rs"]
mod commands;

#[test]
fn documented_commands_are_understood() {
    let told = commands::told("glb-targets");
    assert!(
        told.iter().any(|told| told.to_type),
        "no command in the documents"
    );
    let wrong: Vec<_> = told
        .iter()
        .filter_map(|told| {
            Some(format!(
                "{}\n{}",
                told.place,
                Cli::try_parse_from(&told.words).err()?
            ))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
