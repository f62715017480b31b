// SPDX-License-Identifier: GPL-2.0

//! What is asked of a backend, and how often.

use glb_config::tables::{HttpCheck, HttpsCheck, Timing};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How an ICMP echo is wrapped on its way to the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tunnel {
    /// GUE with GLB's private data, as directors send it.
    Gue,
    /// GRE with a key in FOU, which fleets used before.
    Fou,
}

/// A question to a backend.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Probe {
    /// Whether it takes a connection.
    Tcp(SocketAddr),
    /// Whether a web server gives a good answer.
    Http(IpAddr, HttpCheck),
    /// The same over TLS.
    Https(IpAddr, HttpsCheck),
    /// Whether `inner` answers an echo that comes through the tunnel at `outer`.
    Echo {
        tunnel: Tunnel,
        outer: SocketAddr,
        inner: IpAddr,
    },
}

/// Kinds of probes, which statistics are kept by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Http,
    Https,
    Gue,
    GueVip,
    Fou,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Tcp,
        Self::Http,
        Self::Https,
        Self::Gue,
        Self::GueVip,
        Self::Fou,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Https => "https",
            Self::Gue => "gue",
            Self::GueVip => "gue_vip",
            Self::Fou => "fou",
        }
    }
}

impl Probe {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Tcp(_) => Kind::Tcp,
            Self::Http(..) => Kind::Http,
            Self::Https(..) => Kind::Https,
            Self::Echo {
                tunnel: Tunnel::Fou,
                ..
            } => Kind::Fou,
            Self::Echo { outer, inner, .. } if outer.ip() == *inner => Kind::Gue,
            Self::Echo { .. } => Kind::GueVip,
        }
    }
}

/// What is asked, without the kind.
impl fmt::Display for Probe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let http = |out: &mut fmt::Formatter<'_>, addr: IpAddr, check: &HttpCheck| {
            let place = SocketAddr::new(addr, check.port);
            match &check.host {
                Some(host) => write!(out, "{place}{} as {host}", check.uri),
                None => write!(out, "{place}{}", check.uri),
            }
        };
        match self {
            Self::Tcp(place) => write!(out, "{place}"),
            Self::Http(addr, check) => http(out, *addr, check),
            Self::Https(addr, check) => http(out, *addr, &check.http),
            Self::Echo { outer, inner, .. } if outer.ip() == *inner => write!(out, "{outer}"),
            Self::Echo { outer, inner, .. } => write!(out, "{inner} through {outer}"),
        }
    }
}

/// A question and how often it is asked. Equal ones are asked once, however many tables have them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) probe: Probe,
    pub(crate) timing: Timing,
}

impl Target {
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.timing.interval_ms)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timing.timeout_ms)
    }
}
