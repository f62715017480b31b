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
mod progress;

use clap::Parser;
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let called = std::env::args_os().next();
    let name = called.as_deref().map(Path::new).and_then(Path::file_name);
    let (json, result) = if name == Some(OsStr::new("glb-director-cli")) {
        let cli::DirectorCommand::BuildConfig { src, dst } = cli::DirectorCli::parse().command;
        (false, commands::table_build::as_deployed(&src, &dst))
    } else {
        let cli = cli::Cli::parse();
        (cli.json, commands::run(cli))
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}
