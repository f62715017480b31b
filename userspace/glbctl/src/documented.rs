// SPDX-License-Identifier: GPL-2.0

//! The commands of the documents, by the parser of the command line: what an operator copies is understood.

use crate::cli::deployed::DirectorCli;
use crate::cli::Cli;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use std::collections::BTreeSet;

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

/// Every command that prints a result has its form in the schema, and the schema has no other command.
#[test]
fn every_command_has_a_schema() {
    fn leaves(command: &clap::Command, path: &str, all: &mut BTreeSet<String>) {
        let mut subs = command.get_subcommands().peekable();
        if subs.peek().is_none() {
            all.insert(path.to_owned());
        }
        for sub in subs {
            let path = format!("{path} {}", sub.get_name());
            leaves(sub, path.trim_start(), all);
        }
    }
    let mut commands = BTreeSet::new();
    leaves(&Cli::command(), "", &mut commands);
    // They print no result: a script, pages into a directory, and what goes to statsd without an end.
    for silent in ["completions", "man", "statsd"] {
        assert!(commands.remove(silent), "{silent}");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/glbctl.schema.json");
    let schema: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let parts = [
        "failure",
        "issue",
        "hex128",
        "hex64",
        "state",
        "forward",
        "select",
        "flow",
        "tableFlows",
        "backend",
        "counters",
        "danger",
        "finding",
        "change",
        "deadTable",
        "deadRows",
        "tableFlows",
        "checkedTable",
        "checkedClasses",
        "watched",
        "registration",
        "class",
        "comparedTable",
        "comparedBackend",
        "comparedVip",
    ];
    let defined: BTreeSet<String> = schema["$defs"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| !parts.contains(&name.as_str()))
        .cloned()
        .collect();
    assert_eq!(commands, defined);
}

#[test]
fn documented_commands_of_the_deployed_tool_are_understood() {
    let wrong = wrong::<DirectorCli>("glb-director-cli", 1);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
