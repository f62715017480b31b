// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::Parser;
use glb_daemon::generate::Generate;
use glb_daemon::log::{Level, LogFormat};
use std::path::PathBuf;

/// Leads the marks of a GLB director to their targets, and keeps its table up to date
///
/// Learns which targets there are, from files or from etcd, gives each of them an identifier, makes the rules and routes that lead its mark
/// to it, and loads the table whose backends they are into the running director. SIGHUP reads the configuration
/// again; the table and the files of targets are read whenever they change. When it stops, all stays as it is.
/// http://127.0.0.1:19524/health reports the status, /metrics is for Prometheus.
///
/// Exit status: 0 after SIGTERM or SIGINT, or if --check found no error; 1 on errors in files; 2 on wrong
/// usage.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/glb/targets.conf")]
    pub(crate) config: PathBuf,

    /// Report errors in the configuration, the table and the targets, change nothing, and exit
    #[arg(long)]
    pub(crate) check: bool,

    /// The log level
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log: Level,

    /// The format of the log: text, or one JSON object per line
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// Print the manual page or a shell's completions, and exit
    #[arg(long, value_name = "WHAT", hide = true)]
    pub(crate) generate: Option<Generate>,
}
