// SPDX-License-Identifier: GPL-2.0

//! Methods to transfer a checked table to the director.
//!
//! `logic::gate` decides when a publication may start, and what happens after a failed one. A new method only
//! has to transfer a table.

mod command;
mod file;
mod kernel;

pub(crate) use file::{Dst, FileAndCommand};
pub(crate) use kernel::{generation, health, Kernel};

use serde_json::Value;
use std::fmt;

/// A way to the director.
#[derive(Debug, Clone)]
pub(crate) enum Publisher {
    /// As deployed: a file is written, and a command makes the director load it.
    FileAndCommand(FileAndCommand),
    /// It is loaded into the running kernel.
    Kernel(Kernel),
}

impl Publisher {
    /// Carries the table over. Returns the number of the load, if it was one into the kernel.
    pub(crate) async fn publish(&self, tree: Value) -> Result<Option<u32>, PublishError> {
        match self {
            Self::FileAndCommand(publisher) => publisher.publish(tree).await.map(|()| None),
            Self::Kernel(publisher) => publisher.publish(tree).await.map(Some),
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
    /// The kernel did not take it; the table that was loaded is still there.
    Load(String),
}

impl PublishError {
    /// The names of [`Self::outcome`], and that of success before them.
    pub(crate) const OUTCOMES: [&'static str; 5] = [
        "success",
        "write_failed",
        "command_failed",
        "timed_out",
        "load_failed",
    ];

    /// For statistics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Write(_) => Self::OUTCOMES[1],
            Self::Command(_) => Self::OUTCOMES[2],
            Self::TimedOut(_) => Self::OUTCOMES[3],
            Self::Load(_) => Self::OUTCOMES[4],
        }
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(reason)
            | Self::Command(reason)
            | Self::TimedOut(reason)
            | Self::Load(reason) => out.write_str(reason),
        }
    }
}
