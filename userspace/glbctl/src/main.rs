// SPDX-License-Identifier: GPL-2.0

//! `glbctl`, the operator's tool. Called as `glb-director-cli` it takes the deployed tool's arguments.
//!
//! Each command is a module of its own under `commands`; what they say goes through [`output`].

mod cli;
mod commands;
#[cfg(test)]
mod documented;
mod engine;
mod http;
mod load;
mod output;
mod pcap;
mod places;
mod progress;
mod save;
mod text;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use output::Failure;
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let called = std::env::args_os().next();
    let name = called.as_deref().map(Path::new).and_then(Path::file_name);
    let (json, result) = if name == Some(OsStr::new("glb-director-cli")) {
        let cli::deployed::DirectorCommand::BuildConfig { src, dst } =
            cli::deployed::DirectorCli::parse().command;
        (false, commands::table_build::as_deployed(&src, &dst))
    } else {
        // A shell that completes a line asks by a variable; nothing else is done then.
        CompleteEnv::with_factory(cli::Cli::command).complete();
        let cli = match cli::Cli::try_parse() {
            Ok(cli) => cli,
            Err(error) => return usage(&error),
        };
        (cli.json, commands::run(cli))
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

/// A command line that was not understood; help and the version, too. A program that asked for JSON gets it.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || !std::env::args_os().any(|word| word == "--json") {
        error.exit();
    }
    let text = error.render().to_string();
    let what = text.split("\n\nUsage").next().unwrap_or_default();
    let words: Vec<&str> = what
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect();
    Failure::Message(words.join(" ")).report(true);
    ExitCode::from(2)
}
