// SPDX-License-Identifier: GPL-2.0

//! A class, and what it is compared with.

#[cfg(feature = "tables")]
use super::bytes::ByteMatch;
use crate::director::classify::bind::Proto;
use crate::packet::addr::Addr;
use crate::packet::ip::Addrs;
#[cfg(feature = "tables")]
use alloc::string::String;
#[cfg(feature = "tables")]
use alloc::vec::Vec;

/// A prefix of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// Address; bits behind the prefix do not matter.
    pub addr: Addr,
    /// Bits of the prefix, at most 32 or 128.
    pub len: u8,
}

impl Prefix {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(self, addr: Addr) -> bool {
        self.addr.bits() == addr.bits() && self.addr.masked(self.len) == addr.masked(self.len)
    }
}

/// A range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    /// First port.
    pub first: u16,
    /// Last port; not below the first.
    pub last: u16,
}

/// A set of transport protocols.
#[cfg(feature = "tables")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Protocols(u8);

#[cfg(feature = "tables")]
impl Protocols {
    /// None named: a class takes all, those without ports too.
    pub const ANY: Self = Self(0);

    /// The same and this one.
    #[must_use]
    pub const fn with(self, one: Proto) -> Self {
        Self(self.0 | 1 << one.place())
    }

    /// The set of these bits, in the order of [`Proto::ALL`].
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0..8 => Some(Self(bits)),
            _ => None,
        }
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether packets of this protocol are taken: it is named, or none is.
    #[must_use]
    pub const fn take(self, one: Proto) -> bool {
        self.is_any() || self.has(one)
    }

    /// Whether none is named.
    #[must_use]
    pub const fn is_any(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is named.
    #[must_use]
    pub const fn has(self, one: Proto) -> bool {
        self.0 >> one.place() & 1 == 1
    }
}

/// A class. An empty list takes all.
#[cfg(feature = "tables")]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Class {
    /// Higher ones come first.
    pub priority: i32,
    /// What it leads to: the index of a table.
    pub service: u16,
    /// Its protocols.
    pub protocols: Protocols,
    /// Destinations.
    pub dst: Vec<Prefix>,
    /// Sources.
    pub src: Vec<Prefix>,
    /// Destination ports. A class that names ports takes no packet without.
    pub dport: Vec<Ports>,
    /// Source ports.
    pub sport: Vec<Ports>,
    /// Bytes of the transport header. A packet is compared with those of its own protocol.
    pub matches: Vec<ByteMatch>,
    /// Takes SCTP in UDP to this port too; the ports and bytes are those of the SCTP header then.
    pub udp_encap: Option<u16>,
}

#[cfg(feature = "tables")]
impl Class {
    /// Whether packets of which no ports are known can be of it.
    #[must_use]
    pub fn takes_portless(&self) -> bool {
        self.protocols.is_any() && self.dport.is_empty() && self.sport.is_empty()
    }
}

/// A class of a file.
#[cfg(feature = "tables")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedClass {
    /// Its name.
    pub name: String,
    /// What it takes, and where it leads to.
    pub class: Class,
}

/// What of a transport header is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Header<'p> {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// The header's bytes, as many as are at hand. A class that wants a byte behind them does not take the packet.
    pub bytes: &'p [u8],
}

/// A packet, as classes see it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'p> {
    /// Its addresses.
    pub addrs: Addrs,
    /// Its protocol and header; `None` where classes know no ports of it.
    pub transport: Option<(Proto, Header<'p>)>,
    /// What is behind its UDP header, read as a header of SCTP: asked of a packet to a port where SCTP over UDP is expected.
    pub inner: Option<Header<'p>>,
}
