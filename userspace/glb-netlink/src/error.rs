// SPDX-License-Identifier: GPL-2.0

//! Errors of the communication with the kernel.

use crate::names::Family;
use std::fmt;
use std::io;

/// How talking to the kernel fails.
#[derive(Debug)]
pub enum Error {
    /// The kernel does not know the family: its module is not loaded.
    NoFamily(&'static Family),
    /// The kernel refused a request.
    Refused(Refusal),
    /// The socket failed.
    Io(io::Error),
    /// The kernel answered with something else than the specification says.
    Answer(&'static str),
    /// The module knows a forward that these tools do not.
    Forward(u8),
    /// Likewise a select.
    Select(u8),
    /// Likewise a flow hash.
    FlowHash(u8),
    /// Likewise a key by which flows are remembered.
    FlowsBy(u8),
    /// A network namespace cannot be entered: its name, and why.
    Namespace(String, io::Error),
}

/// What the kernel said when it refused a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The command, as the specification calls it.
    pub command: String,
    /// Number of the error.
    pub errno: i32,
    /// Its reason, if it gave one.
    pub message: Option<String>,
    /// The attribute that is wrong or missing, as in `backend[3].address`.
    pub attribute: Option<String>,
}

impl Refusal {
    /// `ENOENT`
    pub const NOT_FOUND: i32 = 2;
    /// `EOPNOTSUPP`: the module does not know the command, or what it asks for.
    pub const NOT_SUPPORTED: i32 = 95;
    /// `EPERM`
    pub const NOT_PERMITTED: i32 = 1;
}

impl Error {
    /// Whether the module does not know what it was asked for, as an older one may.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.errno == Refusal::NOT_SUPPORTED)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.command)?;
        if let Some(attribute) = &self.attribute {
            write!(out, ": {attribute}")?;
        }
        match &self.message {
            Some(message) => write!(out, ": {message}"),
            None => {
                let text = io::Error::from_raw_os_error(self.errno).to_string();
                let reason = text.split(" (os error").next().unwrap_or_default();
                write!(out, ": {reason}")
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFamily(family) => write!(
                out,
                "{} module is not loaded in this kernel: modprobe {}",
                family.whose, family.module
            ),
            // Where the kernel says what else it needs, that is said.
            Self::Refused(Refusal {
                errno: Refusal::NOT_PERMITTED,
                message: None,
                command,
                ..
            }) => write!(
                out,
                "{command}: not permitted: it needs CAP_NET_ADMIN in this network namespace"
            ),
            Self::Refused(refusal) => refusal.fmt(out),
            Self::Io(error) => write!(out, "netlink: {error}"),
            Self::Namespace(name, error) => {
                write!(out, "network namespace {name}: ")?;
                match error.kind() {
                    io::ErrorKind::NotFound => {
                        write!(out, "there is no such namespace (ip netns lists their names)")
                    }
                    io::ErrorKind::PermissionDenied => {
                        write!(out, "not permitted: to enter it needs CAP_SYS_ADMIN")
                    }
                    io::ErrorKind::InvalidInput => write!(out, "it is no network namespace"),
                    _ => write!(out, "{error}"),
                }
            }
            Self::Answer(what) => write!(out, "netlink: {what}"),
            Self::Forward(number) => write!(
                out,
                "the packets of a loaded table leave by forward {number}, which these tools do not know: use those of the module's version"
            ),
            Self::Select(number) => write!(
                out,
                "the packets of a loaded table find their rows by select {number}, which these tools do not know: use those of the module's version"
            ),
            Self::FlowHash(number) => write!(
                out,
                "the packets of a loaded table find their rows by flow hash {number}, which these tools do not know: use those of the module's version"
            ),
            Self::FlowsBy(number) => write!(
                out,
                "a loaded table remembers flows by {number}, which these tools do not know: use those of the module's version"
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_module_does_not_know_is_unknown() {
        let refused = |errno| {
            Error::Refused(Refusal {
                command: "geneve-stats-get".to_owned(),
                errno,
                message: None,
                attribute: None,
            })
        };
        assert!(refused(95).is_unknown());
        // No memory, not permitted, no buffers, an interrupted call.
        for errno in [12, 1, 105, 4] {
            assert!(!refused(errno).is_unknown(), "{errno}");
        }
        assert!(!Error::Io(io::Error::from_raw_os_error(95)).is_unknown());
        assert!(!Error::Answer("short").is_unknown());
    }
}
