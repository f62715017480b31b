// SPDX-License-Identifier: GPL-2.0

//! Binds: which packets belong to which table.
//!
//! [`Bind`] is one line of a table's `binds`; [`Classifier`] answers for all binds of all tables at once.
//!
//! Of the binds that take a packet the one of the longest prefix has it, there the one of the fewest ports, there the first.
//! A bind for all protocols takes more than any range of ports does.

mod arena;
mod build;
mod layout;
mod lookup;
mod ports;
mod shared;

use crate::netlink::glb::protocol;
use crate::packet::addr::Addr;

pub use arena::{BuildError, Entry};
pub use build::{build, words_needed};
pub use lookup::Classifier;
pub use shared::{shared, Shared};

/// Transport protocol of a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Proto {
    /// TCP.
    Tcp = 0,
    /// UDP.
    Udp = 1,
    /// SCTP. What no bind names is like a packet of any other protocol, as if it had no ports.
    Sctp = 2,
}

impl Proto {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The IP protocol number.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => crate::packet::ip::proto::TCP,
            Self::Udp => crate::packet::ip::proto::UDP,
            Self::Sctp => crate::packet::ip::proto::SCTP,
        }
    }

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// The protocol of this name in files.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|proto| proto.name() == name)
    }

    /// The protocol with this number, if binds can name it.
    #[inline]
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            crate::packet::ip::proto::TCP => Some(Self::Tcp),
            crate::packet::ip::proto::UDP => Some(Self::Udp),
            crate::packet::ip::proto::SCTP => Some(Self::Sctp),
            _ => None,
        }
    }

    /// Bytes of the header that every packet has.
    #[inline]
    #[must_use]
    pub const fn least_header(self) -> u8 {
        match self {
            Self::Tcp => 20,
            Self::Udp => 8,
            Self::Sctp => 12,
        }
    }

    /// Its bit in a set of protocols, its place among the kinds of packets.
    #[inline]
    pub(super) const fn place(self) -> u32 {
        self as u32
    }
}

/// A bind: packets to these addresses and ports belong to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bind {
    /// Address; bits behind the prefix do not matter.
    pub addr: Addr,
    /// Bits of the prefix, at most 32 or 128.
    pub prefix_len: u8,
    /// Protocol; without one, all protocols, those without ports too.
    pub proto: Option<Proto>,
    /// First port.
    pub port_start: u16,
    /// Last port; not below the first. A bind for all protocols has all ports.
    pub port_end: u16,
}

/// Instead of a protocol number, in tables and requests: all protocols.
const ALL_PROTOCOLS: u8 = protocol::ANY;

impl Bind {
    /// The IP protocol number, 0 for all protocols.
    #[inline]
    #[must_use]
    pub const fn proto_number(&self) -> u8 {
        match self.proto {
            Some(proto) => proto.number(),
            None => ALL_PROTOCOLS,
        }
    }

    /// The protocol of a bind with this number, if binds can have it.
    #[inline]
    #[must_use]
    pub const fn proto_from_number(number: u8) -> Option<Option<Proto>> {
        match (number, Proto::from_number(number)) {
            (ALL_PROTOCOLS, _) => Some(None),
            (_, Some(proto)) => Some(Some(proto)),
            (_, None) => None,
        }
    }

    /// Whether its ports are in order, and all of them where it takes all protocols.
    #[inline]
    #[must_use]
    pub const fn has_fit_ports(&self) -> bool {
        match self.proto {
            Some(_) => self.port_start <= self.port_end,
            None => self.port_start == 0 && self.port_end == u16::MAX,
        }
    }
}

/// Which bind a packet matched: table by its place in the file, bind by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BindId {
    /// Index of the table.
    pub table: u16,
    /// Index of the bind in the table.
    pub bind: u16,
}

impl BindId {
    /// One word, ordered as tables and binds are.
    #[inline]
    pub(crate) const fn to_word(self) -> u32 {
        (self.table as u32) << 16 | self.bind as u32
    }

    /// The inverse of `to_word`.
    #[inline]
    pub(crate) const fn from_word(word: u32) -> Self {
        // The second cast keeps the low half.
        Self {
            table: (word >> 16) as u16,
            bind: word as u16,
        }
    }
}
