// SPDX-License-Identifier: GPL-2.0

//! Ways by which a checked table reaches the director.
//!
//! When a publication may start, and what happens after a failed one, is not decided here (see
//! `logic::gate`); so a way that is added needs no more than to carry a table over.

mod command;
mod file;

pub(crate) use file::FileAndCommand;

use serde_json::Value;
use std::fmt;

/// A way to the director.
#[derive(Debug, Clone)]
pub(crate) enum Publisher {
    /// As deployed: a file is written, and a command makes the director load it.
    FileAndCommand(FileAndCommand),
}

impl Publisher {
    /// Carries the table over.
    pub(crate) async fn publish(&self, tree: Value) -> Result<(), PublishError> {
        match self {
            Self::FileAndCommand(publisher) => publisher.publish(tree).await,
        }
    }
}

/// Why a table did not reach the director.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublishError {
    /// The file could not be written; the old one is still there, and no command was run.
    Write(String),
    /// The command failed.
    Command(String),
    /// The command was stopped since it took too long.
    TimedOut(String),
}

impl PublishError {
    /// The names of [`Self::outcome`], and that of success before them.
    pub(crate) const OUTCOMES: [&'static str; 4] =
        ["success", "write_failed", "command_failed", "timed_out"];

    /// For statistics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Write(_) => Self::OUTCOMES[1],
            Self::Command(_) => Self::OUTCOMES[2],
            Self::TimedOut(_) => Self::OUTCOMES[3],
        }
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(reason) | Self::Command(reason) | Self::TimedOut(reason) => {
                out.write_str(reason)
            }
        }
    }
}
