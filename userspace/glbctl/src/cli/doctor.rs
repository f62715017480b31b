// SPDX-License-Identifier: GPL-2.0

//! The command that reports what is wrong.

use super::values::{url_or_none, OrNone};
use crate::http::Url;
use clap::{Args, ValueEnum, ValueHint};
use std::net::IpAddr;
use std::path::PathBuf;

/// Checks what the documents tell operators to check: VIPs, the tunnel's port and devices, iptables rules and their
/// order, reverse path filters, MTUs, conntrack, modules, attached devices, the health checker.
///
/// Whether this machine is a director, a proxy or both is determined by what is set up in this network namespace.
/// The command changes nothing and loads no module. It sends packets only to the given URLs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glbctl doctor
  glbctl doctor --role proxy --table forwarding_table.src.json
  glbctl doctor --fleet http://192.168.50.6:19520/metrics http://192.168.50.7:19520/metrics

Exit status: 0 if no finding is an error, 1 if the checks could not run, 3 if a finding is an error.")]
pub(crate) struct Doctor {
    /// The role of this machine; by default determined by what is set up
    #[arg(long)]
    pub(crate) role: Option<Role>,
    /// UDP port of the tunnel, on a proxy
    #[arg(long, default_value_t = glb_core::packet::gue::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// A VIP, instead of those of a table
    #[arg(long = "vip", value_name = "ADDRESS")]
    pub(crate) vips: Vec<IpAddr>,
    /// A table file, for the VIPs; by default the loaded tables on a director, else the operator's table if it exists
    #[arg(long, value_name = "FILE", conflicts_with = "vips", value_hint = ValueHint::FilePath)]
    pub(crate) table: Option<PathBuf>,
    /// The health checker of a director, or "none"
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:19520/health", value_parser = url_or_none)]
    pub(crate) checker: OrNone<Url>,
    /// The metrics of each director of the fleet, to compare
    #[arg(long, value_name = "URL", num_args = 1.., value_parser = Url::new)]
    pub(crate) fleet: Vec<Url>,
}

/// What a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Director,
    Proxy,
}
