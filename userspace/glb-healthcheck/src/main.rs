// SPDX-License-Identifier: GPL-2.0

//! `glb-healthcheck`: checks the proxies of a GLB director and keeps its forwarding table up to date.
//!
//! * [`source`] reads the operator's files
//! * [`logic`] decides when to check which target, what results mean, and when to publish
//! * [`mod@check`] makes the checks
//! * [`publish`] transfers the table to the director
//! * [`status`] reports the state
//! * [`daemon`] connects them

mod check;
mod cli;
mod daemon;
#[cfg(test)]
mod documented;
mod flows;
mod logic;
mod publish;
mod rows;
mod source;
mod status;

use clap::{CommandFactory, Parser};
use cli::Cli;
use daemon::Start;
use glb_config::Issue;
use glb_daemon::log::{self, Level, LogFormat};
use glb_daemon::notify::Notify;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use source::{is_error, Loaded, Settings};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(what) = cli.generate {
        let written = what
            .text(Cli::command())
            .and_then(|text| std::io::stdout().write_all(&text));
        return if written.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let read = source::read(&cli.config);
    if cli.check {
        return check(&read);
    }
    let Some(settings) = read.settings else {
        print(&read.issues);
        return ExitCode::FAILURE;
    };
    let mut issues = read.issues;
    let Some(loaded) = read.loaded.or_else(|| last_good(&settings, &mut issues)) else {
        print(&issues);
        return ExitCode::FAILURE;
    };
    let debug = std::env::var_os("GLB_HEALTHCHECK_LOG_DEBUG").is_some_and(|value| value == "1");
    log::to_stderr(if debug { Level::Debug } else { cli.log }, cli.log_format);
    let published = source::published(&settings);
    let start = Start {
        settings,
        loaded,
        issues,
        published,
        structured: cli.log_format == LogFormat::Json,
    };
    match run(start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(start: Start) -> std::io::Result<()> {
    allow_many_descriptors();
    // One thread: checks wait much and compute little, and nothing needs locks against itself.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // As a task: what runs in `block_on` itself is woken through the kernel, each time.
    let daemon = runtime.spawn(daemon::run(start, Notify::from_env()));
    let result = runtime.block_on(daemon).map_err(std::io::Error::other)?;
    // Checks that hang are not waited for.
    runtime.shutdown_background();
    result
}

fn check(read: &source::Read) -> ExitCode {
    print(&read.issues);
    let (Some(_), Some(Loaded { plan, .. })) = (&read.settings, &read.loaded) else {
        return ExitCode::FAILURE;
    };
    let backends: usize = plan.tables.iter().map(|table| table.backends.len()).sum();
    println!(
        "good: {} tables, {backends} backends, {} targets to check",
        plan.tables.len(),
        plan.targets.len()
    );
    ExitCode::SUCCESS
}

/// The table of the last run, for when the operator's cannot be used: to go on with it is better than to
/// leave the director without checks.
fn last_good(settings: &Settings, issues: &mut Vec<Issue>) -> Option<Loaded> {
    let dst: &Path = settings.config.dst.as_deref()?;
    if !dst.exists() {
        return None;
    }
    let (loaded, more) = source::read_table(dst, settings);
    if loaded.is_none() {
        issues.extend(more.into_iter().filter(is_error));
    }
    loaded
}

fn print(issues: &[Issue]) {
    for issue in issues {
        eprintln!("{issue}");
    }
}

/// Each check that runs holds a descriptor, and the usual limit of 1,024 is for programs that use select(2).
fn allow_many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(
            "the limit of descriptors stays at {:?}: {error}",
            limit.current
        );
    }
}
