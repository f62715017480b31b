// SPDX-License-Identifier: GPL-2.0

//! `glbctl backend`: the way of a proxy out of service and back.

mod change;
mod drain;
mod health;
mod left;
mod members;
mod status;

use crate::cli::backend::BackendCommand;
use crate::output::Failure;
use glb_config::quoted;
use glb_config::tables::{Config, Table};
use glb_core::backend::State;
use glb_core::director::Forward;
use glb_core::packet::addr::Addr;
use std::net::IpAddr;

pub(crate) fn run(command: &BackendCommand, json: bool) -> Result<(), Failure> {
    match command {
        BackendCommand::Drain(args) => drain::run(args, json),
        BackendCommand::Fill(args) => {
            change::run(args, State::Filling, json, &|_| None, Vec::new())
        }
        BackendCommand::Activate(args) => {
            change::run(args, State::Active, json, &|_| None, Vec::new())
        }
        BackendCommand::Deactivate(args) => {
            change::run(args, State::Inactive, json, &|_| None, Vec::new())
        }
        BackendCommand::Add(args) => members::add(args, json),
        BackendCommand::Remove(args) => members::remove(args, json),
        BackendCommand::Status(args) => status::run(args, json),
    }
}

/// Why a step breaks connections where packets name no second hop; `whose` says which connections.
fn no_second_hop(forward: Forward, whose: &str) -> String {
    let name = forward.name();
    format!("packets by {name} name no second hop: {whose} break")
}

/// What breaks where a backend becomes the first hop of rows.
const OF_ROWS_TAKEN: &str = "connections of the rows that it takes";

/// The tables with their places: all, or the one that is named.
fn wanted<'c>(
    config: &'c Config,
    file: &std::path::Path,
    wanted: Option<&str>,
) -> Result<Vec<(usize, &'c Table)>, Failure> {
    let all = config.tables.iter().enumerate();
    let Some(wanted) = wanted else {
        return Ok(all.collect());
    };
    let found = all
        .clone()
        .find(|(_, table)| table.name.as_deref() == Some(wanted));
    let place = wanted.strip_prefix('#').unwrap_or(wanted).parse();
    let found = found.or_else(|| all.clone().find(|(index, _)| Ok(*index) == place));
    let missing = || {
        let message = format!("{}: there is no table {}", file.display(), quoted(wanted));
        Failure::Message(message)
    };
    Ok(vec![found.ok_or_else(missing)?])
}

fn ip(addr: Addr) -> IpAddr {
    match addr {
        Addr::V4(bytes) => bytes.into(),
        Addr::V6(bytes) => bytes.into(),
    }
}
