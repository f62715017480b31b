// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::{CommandFactory, Parser, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;
use tracing::level_filters::LevelFilter;

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

/// Output that is generated from this definition.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Generate {
    Man,
    Bash,
    Zsh,
    Fish,
}

impl Generate {
    /// The page or script.
    pub(crate) fn text(self) -> std::io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut command = Cli::command();
        let name = command.get_name().to_owned();
        let shell = match self {
            Self::Man => {
                // Section 8: the program is in sbin.
                clap_mangen::Man::new(command)
                    .section("8")
                    .manual("GLB")
                    .render(&mut text)?;
                return Ok(text);
            }
            Self::Bash => Shell::Bash,
            Self::Zsh => Shell::Zsh,
            Self::Fish => Shell::Fish,
        };
        clap_complete::generate(shell, &mut command, name, &mut text);
        Ok(text)
    }
}

/// Formats of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Levels of the log.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    /// Every result of a check
    Debug,
}

impl Level {
    pub(crate) fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
        }
    }
}
