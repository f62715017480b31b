// SPDX-License-Identifier: GPL-2.0

//! The commands that take proxies out of service and put them back.

use super::complete;
use super::values::{seconds, url_or_none, OrNone};
use crate::http::Url;
use crate::places::SOURCE;
use clap::{Args, Subcommand, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum BackendCommand {
    /// Give it no new connections: active becomes draining
    ///
    /// New connections go to the rows' second hops; existing connections stay. When the backend has none left (see
    /// backend status, or --wait), deactivate it.
    ///
    /// Connections of the rows that it leads depend on the rows' further hops. Therefore the command is refused while as
    /// many other backends as a row has further hops (one, in tables of two hops) are out of service or fail their checks,
    /// according to the file, to the health checker, and to the proxies that answer.
    Drain(Drain),
    /// Put it back: inactive becomes filling
    ///
    /// The backend is in rows again and gets new connections; packets of older ones still find their proxies.
    Fill(StateChange),
    /// Let it serve again: filling becomes active, and so does draining (to cancel a drain)
    Activate(StateChange),
    /// Take it out of all rows: draining becomes inactive
    ///
    /// Connections that it still has are lost.
    Deactivate(StateChange),
    /// Put a new backend into a table, as filling
    ///
    /// The backend gets new connections as soon as the file is in use, and packets of older ones still find their
    /// proxies. Activate it when it has filled.
    Add(BackendAdd),
    /// Take an inactive backend out of a table
    Remove(BackendRemove),
    /// Show the backends, their shares of the rows, and how many connections still depend on second chance
    ///
    /// Asks the health checker for the health, and each proxy, twice, for its counter of packets of established
    /// connections, and for the number of its connections whose first hop is another proxy. A proxy that does not answer, or
    /// that counts by another table, is shown as unknown; it never counts as 0. If this machine is one of the proxies, its
    /// connections are counted here. The last line of a table says whether it is safe to go on with the next step.
    Status(BackendStatus),
}

#[derive(Debug, Args)]
#[command(
    allow_missing_positional = true,
    after_help = "Examples:
  glbctl backend drain api 10.0.0.12
  glbctl backend drain --all 10.0.0.12 --file tables.json"
)]
pub(crate) struct StateChange {
    /// The table, by name or by position (#0, #1, ...)
    #[arg(required_unless_present = "all", conflicts_with = "all", add = ArgValueCompleter::new(complete::table))]
    pub(crate) table: Option<String>,
    /// The address of the backend
    #[arg(add = ArgValueCompleter::new(complete::backend))]
    pub(crate) backend: IpAddr,
    /// In all tables that have the backend
    #[arg(long)]
    pub(crate) all: bool,
    /// The operator's table, JSON
    #[arg(long, value_name = "FILE", default_value = SOURCE)]
    pub(crate) file: PathBuf,
    /// Do it even if connections break, and report this
    #[arg(long)]
    pub(crate) force: bool,
    /// Show what would change, or why it is refused; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    #[command(flatten)]
    pub(crate) change: StateChange,
    /// Wait until the health checker reports it as draining and no packet of its connections arrives
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,
    /// With --wait: how long no packet must have arrived. Connections that are silent for longer are not seen
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) silence: f64,
    /// The health checker, or "none"
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:19520/health", value_parser = url_or_none)]
    pub(crate) checker: OrNone<Url>,
    /// The URL of a proxy's metrics, with {} for its address, or "none"
    #[arg(long, value_name = "URL", default_value = "http://{}:19520/metrics", value_parser = url_or_none)]
    pub(crate) metrics: OrNone<Url>,
}

#[derive(Debug, Args)]
pub(crate) struct BackendAdd {
    /// The table, by name or by position (#0, #1, ...)
    #[arg(add = ArgValueCompleter::new(complete::table))]
    pub(crate) table: String,
    /// The address of the backend
    pub(crate) backend: IpAddr,
    /// Add it as inactive, to fill it later
    #[arg(long)]
    pub(crate) inactive: bool,
    /// Its share of the rows relative to the others; version 3
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) weight: Option<u16>,
    /// The unit that fails as a whole, such as a rack or a zone; version 3
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// The backend whose health checks it gets; required if those of the table differ
    #[arg(long, value_name = "ADDRESS", add = ArgValueCompleter::new(complete::backend))]
    pub(crate) like: Option<IpAddr>,
    /// The operator's table, JSON
    #[arg(long, value_name = "FILE", default_value = SOURCE)]
    pub(crate) file: PathBuf,
    /// Do it even if connections break
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BackendRemove {
    /// The table, by name or by position (#0, #1, ...)
    #[arg(add = ArgValueCompleter::new(complete::table))]
    pub(crate) table: String,
    /// The address of the backend
    #[arg(add = ArgValueCompleter::new(complete::backend))]
    pub(crate) backend: IpAddr,
    /// The operator's table, JSON
    #[arg(long, value_name = "FILE", default_value = SOURCE)]
    pub(crate) file: PathBuf,
    /// Do it even if connections break
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BackendStatus {
    /// Only this table, by name or by position (#0, #1, ...)
    #[arg(add = ArgValueCompleter::new(complete::table))]
    pub(crate) table: Option<String>,
    /// The table file, JSON
    #[arg(long, value_name = "FILE", default_value = SOURCE)]
    pub(crate) file: PathBuf,
    /// The metrics of the health checker, or "none"
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:19520/metrics", value_parser = url_or_none)]
    pub(crate) checker: OrNone<Url>,
    /// The URL of a proxy's metrics, with {} for its address, or "none"
    #[arg(long, value_name = "URL", default_value = "http://{}:19520/metrics", value_parser = url_or_none)]
    pub(crate) metrics: OrNone<Url>,
    /// How long to watch the proxies' counters
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) interval: f64,
    /// director.conf, for the hash fields; by default /etc/glb/director.conf, if there is one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// If this machine is one of the proxies: its ports whose connections come without a director, such as 22
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub(crate) direct: Vec<u16>,
    /// If this machine is one of the proxies: count the connections of these network namespaces too, by name or by path
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) netns: Vec<String>,
}
