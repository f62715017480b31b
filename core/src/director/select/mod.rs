// SPDX-License-Identifier: GPL-2.0

//! Which hops a packet has in its table.
//!
//! ```text
//! hash     packet -> hash
//! selector hash -> number of the row, by the select of the table
//! hops     row -> first hop, and those that its header names
//! rows     backends -> rows: for the tools that make table files
//! maglev   backends -> rows of a Maglev table; hash -> row
//! ```
//!
//! A select is a line in `selects!` below, its file beside this one, and an arm in [`Selector::row`]. Its number (netlink,
//! binary tables) and its name (JSON, glbctl) follow from the line.

pub mod hash;
mod hops;
pub mod maglev;
#[cfg(feature = "tables")]
pub mod rows;
mod selector;

pub use hops::Hops;
pub use selector::{Selector, Unfit};

/// Declares a closed enum, each variant with its number and its name. The first one is the default.
macro_rules! selects {
    ($(#[$doc:meta])* $kind:ident {
        $(#[$first_doc:meta])* $first:ident = $first_number:literal, $first_word:literal;
        $($(#[$own:meta])* $name:ident = $number:literal, $word:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[repr(u8)]
        pub enum $kind {
            $(#[$first_doc])*
            #[default]
            $first = $first_number,
            $($(#[$own])* $name = $number,)*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[Self::$first, $(Self::$name),*];

            /// Its number: in the netlink family, and in binary tables.
            #[inline]
            #[must_use]
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The one of this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $first_number => Some(Self::$first),
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its name in the JSON files.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$name => $word,)*
                }
            }

            /// The one of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

selects! {
    /// How packets find their rows in a table.
    Select {
        /// GLB's rows: 65,536 of them.
        Rows = 0, "glb";
        /// The rows of a Maglev table, as many as the table says.
        Maglev = 1, "maglev";
    }
}

selects! {
    /// What of a packet selects the row of a Maglev table. The names are those of `compat`.
    FlowHash {
        /// The packet hash, as for GLB's rows.
        Own = 0, "own";
        /// Addresses and ports, as VPP hashes them.
        Vpp = 1, "vpp";
        /// Addresses, as VPP hashes them for a VIP with `src_ip_sticky`.
        VppSticky = 2, "vpp-sticky";
        /// Addresses, protocol and ports, as nfqlb hashes them.
        Nfqlb = 3, "nfqlb";
        /// As [`Self::Nfqlb`], but of SCTP packets the ports alone: `hash_mode` 1 there.
        NfqlbSctpPorts = 4, "nfqlb-sctp-ports";
    }
}
