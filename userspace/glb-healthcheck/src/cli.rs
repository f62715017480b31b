// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::Parser;
use glb_daemon::generate::Generate;
use glb_daemon::log::{Level, LogFormat};
use std::path::PathBuf;

/// Checks the proxies of a GLB director and keeps its forwarding table up to date
///
/// Reads the operator's table (forwarding_table.src), makes the checks in the "healthchecks" of every backend, and
/// publishes the table with the results: in forwarding_table.dst, followed by reload_command, or in the running
/// kernel. SIGHUP rereads the configuration and the table. http://127.0.0.1:19520/health reports the status,
/// /metrics is for Prometheus.
///
/// Exit status: 0 after SIGTERM or SIGINT, or if --check found no error; 1 on errors in files; 2 on wrong
/// usage.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/glb/healthcheck.conf")]
    pub(crate) config: PathBuf,

    /// Report errors in the configuration and the table, change nothing, and exit
    #[arg(long)]
    pub(crate) check: bool,

    /// The log level (GLB_HEALTHCHECK_LOG_DEBUG=1 also means debug)
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log: Level,

    /// The format of the log: text, or one JSON object per line
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// Print the manual page or a shell's completions, and exit
    #[arg(long, value_name = "WHAT", hide = true)]
    pub(crate) generate: Option<Generate>,
}
