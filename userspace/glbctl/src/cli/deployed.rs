// SPDX-License-Identifier: GPL-2.0

//! The command line of the deployed tool, glb-director-cli.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

const EXIT_STATUS: &str = "\
Exit status: 0 on success, 1 on an error (in a file or the system), 2 on a wrong command line.";

/// Builds binary forwarding tables, as the tool of deployed directors does.
#[derive(Debug, Parser)]
#[command(name = "glb-director-cli", version, after_help = EXIT_STATUS)]
pub(crate) struct DirectorCli {
    #[command(subcommand)]
    pub(crate) command: DirectorCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DirectorCommand {
    /// Build a binary table file, version 2, from forwarding_table.json
    BuildConfig {
        /// The tables, JSON
        src: PathBuf,
        /// The binary file
        dst: PathBuf,
    },
}
