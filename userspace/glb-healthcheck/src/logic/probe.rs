// SPDX-License-Identifier: GPL-2.0

//! What is asked of a backend, and how often.

use glb_config::tables::{HttpCheck, HttpsCheck, Timing};
use glb_core::director::Forward;
use std::fmt;
use std::hash::{Hash, Hasher};
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

/// What is asked over a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    /// Whether this port takes it.
    Tcp(u16),
    /// Whether a web server gives a good answer.
    Http(HttpCheck),
    /// The same over TLS.
    Https(HttpsCheck),
}

/// How the packets of a check get to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    /// As those of the table's clients.
    pub(crate) forward: Forward,
    pub(crate) backend: IpAddr,
    /// Port of the tunnel, where it has one.
    pub(crate) udp_port: u16,
}

impl Hash for Way {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.forward.number(), self.backend, self.udp_port).hash(state);
    }
}

/// A question to a backend.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Probe {
    /// At its own address.
    Direct(IpAddr, Ask),
    /// At an address that clients know, by the way that their packets take to the backend.
    Through(Way, IpAddr, Ask),
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
    /// Over a connection through the table's forward.
    Through,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Tcp,
        Self::Http,
        Self::Https,
        Self::Gue,
        Self::GueVip,
        Self::Fou,
        Self::Through,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Https => "https",
            Self::Gue => "gue",
            Self::GueVip => "gue_vip",
            Self::Fou => "fou",
            Self::Through => "through",
        }
    }
}

impl Ask {
    fn name(&self) -> &'static str {
        match self {
            Self::Tcp(_) => Kind::Tcp.name(),
            Self::Http(_) => Kind::Http.name(),
            Self::Https(_) => Kind::Https.name(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Tcp(port) => *port,
            Self::Http(check) => check.port,
            Self::Https(check) => check.http.port,
        }
    }

    /// What is asked of this address.
    fn write(&self, out: &mut fmt::Formatter<'_>, addr: IpAddr) -> fmt::Result {
        write!(out, "{}", SocketAddr::new(addr, self.port()))?;
        let check = match self {
            Self::Tcp(_) => return Ok(()),
            Self::Http(check) => check,
            Self::Https(check) => &check.http,
        };
        match &check.host {
            Some(host) => write!(out, "{} as {host}", check.uri),
            None => write!(out, "{}", check.uri),
        }
    }
}

impl Probe {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Direct(_, Ask::Tcp(_)) => Kind::Tcp,
            Self::Direct(_, Ask::Http(_)) => Kind::Http,
            Self::Direct(_, Ask::Https(_)) => Kind::Https,
            Self::Through(..) => Kind::Through,
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
        match self {
            Self::Direct(addr, ask) => ask.write(out, *addr),
            Self::Through(way, vip, ask) => {
                write!(out, "{} ", ask.name())?;
                ask.write(out, *vip)?;
                write!(out, " by {} through {}", way.forward.name(), way.backend)
            }
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
