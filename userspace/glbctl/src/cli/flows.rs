// SPDX-License-Identifier: GPL-2.0

//! The options of `glbctl flows`.

use super::complete;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use std::net::IpAddr;

#[derive(Debug, Args)]
pub(crate) struct Flows {
    /// Only the flows of this table
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::table))]
    pub(crate) service: Option<String>,
    /// Only the flows of this backend
    #[arg(long, value_name = "IP", add = ArgValueCompleter::new(complete::backend))]
    pub(crate) backend: Option<IpAddr>,
    /// Forget the flows instead: their next packets go where their rows say
    #[arg(long)]
    pub(crate) flush: bool,
}
