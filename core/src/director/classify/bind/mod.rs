// SPDX-License-Identifier: GPL-2.0

//! Binds: which packets belong to which table.
//!
//! [`Bind`] is one line of a table's `binds`; [`Classifier`] answers for all binds of all tables at once.

mod arena;
mod build;
mod layout;
mod lookup;
mod ports;

use crate::packet::addr::Addr;

pub use arena::{BuildError, Entry};
pub use build::{build, words_needed};
pub use lookup::Classifier;

/// Transport protocol of a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Proto {
    /// The IP protocol number.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => crate::packet::ip::proto::TCP,
            Self::Udp => crate::packet::ip::proto::UDP,
        }
    }

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// The protocol with this number, if binds can name it.
    #[inline]
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            crate::packet::ip::proto::TCP => Some(Self::Tcp),
            crate::packet::ip::proto::UDP => Some(Self::Udp),
            _ => None,
        }
    }
}

/// A bind: packets to these addresses and ports belong to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bind {
    /// Address; bits behind the prefix do not matter.
    pub addr: Addr,
    /// Bits of the prefix, at most 32 or 128.
    pub prefix_len: u8,
    /// Protocol.
    pub proto: Proto,
    /// First port.
    pub port_start: u16,
    /// Last port; not below the first.
    pub port_end: u16,
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
