// SPDX-License-Identifier: GPL-2.0

//! Events to report to the operator.

use super::plan::Plan;
use super::probe::Kind;
use glb_core::backend::State;
use std::collections::HashMap;
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
    /// The operator has given a backend another state, or put it in or taken it out.
    State {
        table: String,
        addr: IpAddr,
        from: Option<State>,
        to: Option<State>,
    },
    /// The failing backends of a table that are not marked down have changed.
    Held {
        table: String,
        failing: usize,
        of: usize,
        held: Vec<IpAddr>,
    },
}

/// What the operator has changed from one plan to the next.
pub(crate) fn changes(old: &Plan, new: &Plan) -> Vec<Event> {
    let states = |plan: &Plan| -> Vec<((String, IpAddr), State)> {
        let of = |table: &super::plan::PlannedTable| {
            let name = table.name.clone();
            let backends = table.backends.iter();
            backends
                .map(|backend| ((name.clone(), backend.addr), backend.state))
                .collect::<Vec<_>>()
        };
        plan.tables.iter().flat_map(of).collect()
    };
    let (old, new) = (states(old), states(new));
    let before: HashMap<_, _> = old.iter().cloned().collect();
    let after: HashMap<_, _> = new.iter().cloned().collect();
    let gone = old.iter().filter(|(key, _)| !after.contains_key(key));
    let mut events = Vec::new();
    for (key, _) in new.iter().chain(gone) {
        let (from, to) = (before.get(key).copied(), after.get(key).copied());
        if from != to {
            events.push(Event::State {
                table: key.0.clone(),
                addr: key.1,
                from,
                to,
            });
        }
    }
    events
}

impl Event {
    /// The table that it is about.
    pub(crate) fn table(&self) -> Option<&str> {
        match self {
            Self::Target { .. } => None,
            Self::Backend { table, .. } | Self::State { table, .. } | Self::Held { table, .. } => {
                Some(table)
            }
        }
    }

    /// The backend that it is about.
    pub(crate) fn backend(&self) -> Option<String> {
        match self {
            Self::Backend { addr, .. } | Self::State { addr, .. } => Some(addr.to_string()),
            Self::Target { .. } | Self::Held { .. } => None,
        }
    }

    /// What of them has changed, for programs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Target { .. } => "check",
            Self::Backend { .. } => "health",
            Self::State { .. } => "state",
            Self::Held { .. } => "held",
        }
    }

    pub(crate) fn is_good(&self) -> bool {
        match self {
            Self::Target { reason, .. } => reason.is_none(),
            Self::Backend { mark, .. } => mark.believed,
            Self::State { .. } => true,
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
            Self::State {
                table,
                addr,
                from,
                to,
            } => {
                write!(out, "table {table}: backend {addr} ")?;
                match (from.map(State::name), to.map(State::name)) {
                    (Some(from), Some(to)) => write!(out, "was {from}, is {to}"),
                    (None, Some(to)) => write!(out, "is new, and {to}"),
                    (Some(from), None) => write!(out, "is gone; it was {from}"),
                    (None, None) => Ok(()),
                }
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
