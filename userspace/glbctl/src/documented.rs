// SPDX-License-Identifier: GPL-2.0

//! The commands of the documents, by the parser of the command line: what an operator copies is understood.

use crate::cli::{Cli, DirectorCli};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

#[path = "../../../tests/documents/commands.rs"]
mod commands;

/// What is told of another version of the tool, or not meant to be typed: none so far.
const EXCEPTIONS: [&str; 0] = [];

fn wrong<P: Parser + CommandFactory>(program: &str, least: usize) -> Vec<String> {
    let told = commands::told(program);
    let typed = told.iter().filter(|told| told.to_type).count();
    assert!(
        typed >= least,
        "{program}: {typed} commands in the documents"
    );
    let mut wrong = Vec::new();
    for told in told {
        if EXCEPTIONS.iter().any(|known| told.place.contains(known)) {
            continue;
        }
        let Err(error) = P::try_parse_from(&told.words) else {
            continue;
        };
        let last = told.words.last().map_or("", String::as_str);
        let accepted = match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
            // Sentences name commands and options without all that belongs to them.
            ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => !told.to_type,
            ErrorKind::InvalidValue => !told.to_type && last.starts_with("--"),
            _ => false,
        };
        if !accepted {
            wrong.push(format!("{}\n{error}", told.place));
        }
    }
    wrong
}

#[test]
fn documented_commands_are_understood() {
    let wrong = wrong::<Cli>("glbctl", 20);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn documented_commands_of_the_deployed_tool_are_understood() {
    let wrong = wrong::<DirectorCli>("glb-director-cli", 1);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
