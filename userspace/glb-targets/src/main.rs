// SPDX-License-Identifier: GPL-2.0

//! `glb-targets`: leads the marks of a GLB director to their targets, and keeps its table up to date.
//!
//! * [`source`] reads the operator's files
//! * [`etcd`] hears which targets are registered, where these are not in files
//! * [`ids`] says which target has which identifier, [`plan`] what follows for the kernel
//! * [`target`] is a target with its identifier, [`table`] the table with the targets
//! * [`kernel`] makes rules, routes and table as the plan says
//! * [`status`] reports the state
//! * [`daemon`] connects them

mod cli;
mod daemon;
#[cfg(test)]
mod documented;
mod etcd;
mod ids;
mod kernel;
mod plan;
mod source;
mod status;
mod table;
mod target;
#[cfg(test)]
mod tests;

use clap::{CommandFactory, Parser};
use cli::Cli;
use daemon::Start;
use glb_config::Issue;
use glb_daemon::log;
use glb_daemon::notify::Notify;
use ids::Ids;
use plan::Plan;
use source::Read;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(what) = cli.generate {
        let written = what
            .text(Cli::command())
            .and_then(|text| std::io::stdout().write_all(&text));
        return exit(written.is_ok());
    }
    let read = source::read(&cli.config);
    if cli.check {
        return check(read);
    }
    let Some(start) = Start::new(cli.config, read) else {
        return ExitCode::FAILURE;
    };
    log::to_stderr(cli.log, cli.log_format);
    match run(start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn exit(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(start: Start) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let daemon = runtime.spawn(daemon::run(start, Notify::from_env()));
    let result = runtime.block_on(daemon).map_err(std::io::Error::other)?;
    // What hangs in the kernel is not waited for.
    runtime.shutdown_background();
    result
}

fn check(read: Read) -> ExitCode {
    print(&read.issues);
    let (Some(config), Some(base), Some(specs)) = (read.config, read.base, read.specs) else {
        return ExitCode::FAILURE;
    };
    // Which identifiers there were is of no matter for what is wrong, unless they are used up.
    let mut ids = ids::read(&config.state).unwrap_or_default();
    let plan = Plan::new(&config, &base, &specs, (&mut ids, &BTreeMap::new()));
    for refused in &plan.refused {
        eprintln!("{refused}");
    }
    if plan.refused.is_empty() {
        println!(
            "good: {} services, {} targets",
            base.services.len(),
            plan.targets.len()
        );
    }
    exit(plan.refused.is_empty())
}

pub(crate) fn print(issues: &[Issue]) {
    for issue in issues {
        eprintln!("{issue}");
    }
}

/// What nobody has said yet.
pub(crate) type Owners = BTreeMap<(String, u16), String>;

/// The identifiers at the start: those that were kept, if they can be read.
pub(crate) fn kept(config: &glb_config::targets::TargetsConf) -> Ids {
    ids::read(&config.state).unwrap_or_else(|reason| {
        eprintln!("{reason}: identifiers are given anew");
        Ids::default()
    })
}
