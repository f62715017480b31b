// SPDX-License-Identifier: GPL-2.0

//! The commands that change the binds of a table.

use super::complete;
use super::values::bind;
use crate::places::SOURCE;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use glb_core::director::classify::bind::Bind;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum BindCommand {
    /// Add a bind: packets to an address and port belong to the table
    Add(BindChange),
    /// Remove a bind; connections to it break
    Remove(BindChange),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glbctl bind add web tcp:10.10.10.10:443
  glbctl bind add dns 'udp:[fd00::/64]:53-54' --file tables.json
  glbctl bind add gateway any:90.0.0.0/8")]
pub(crate) struct BindChange {
    /// The table, by name or by position (#0, #1, ...)
    #[arg(add = ArgValueCompleter::new(complete::table))]
    pub(crate) table: String,
    /// PROTOCOL:ADDRESS[/BITS]:PORT[-PORT], an IPv6 address in brackets; or any:ADDRESS[/BITS] for all protocols
    #[arg(value_parser = bind)]
    pub(crate) bind: Bind,
    /// The operator's table, JSON
    #[arg(long, value_name = "FILE", default_value = SOURCE)]
    pub(crate) file: PathBuf,
}
