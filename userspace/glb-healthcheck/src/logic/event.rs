// SPDX-License-Identifier: GPL-2.0

//! What an operator should hear of.

use super::plan::Kind;
use std::fmt;
use std::net::IpAddr;

/// What is told of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// What its checks say.
    pub(crate) believed: bool,
    /// What is written: differs where a failing backend is held up.
    pub(crate) healthy: bool,
}

impl Mark {
    pub(crate) fn is_held(self) -> bool {
        self.healthy && !self.believed
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A target changed, after dampening.
    Target {
        kind: Kind,
        target: String,
        reason: Option<String>,
    },
    /// A backend is marked otherwise than before.
    Backend {
        table: String,
        addr: IpAddr,
        mark: Mark,
    },
    /// The failing backends of a table that are not marked down have changed.
    Held {
        table: String,
        failing: usize,
        of: usize,
        held: Vec<IpAddr>,
    },
}

impl Event {
    pub(crate) fn is_good(&self) -> bool {
        match self {
            Self::Target { reason, .. } => reason.is_none(),
            Self::Backend { mark, .. } => mark.believed,
            Self::Held { held, .. } => held.is_empty(),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target {
                kind,
                target,
                reason,
            } => match reason {
                None => write!(out, "{} {target}: passes", kind.name()),
                Some(reason) => write!(out, "{} {target}: fails: {reason}", kind.name()),
            },
            Self::Backend { table, addr, mark } => {
                let said = match mark {
                    mark if mark.is_held() => "fails, but is held up",
                    Mark { healthy: true, .. } => "is up",
                    Mark { healthy: false, .. } => "is down",
                };
                write!(out, "table {table}: backend {addr} {said}")
            }
            Self::Held {
                table,
                failing,
                of,
                held,
            } => {
                write!(out, "table {table}: {failing} of {of} backends fail; ")?;
                if held.is_empty() {
                    return write!(out, "none is held up any more");
                }
                let held: Vec<_> = held.iter().map(IpAddr::to_string).collect();
                write!(
                    out,
                    "holding back: {} stay up, since no more may be marked down (max_down_percent)",
                    held.join(", ")
                )
            }
        }
    }
}
