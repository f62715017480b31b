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
//! A select is a line in `numbered!` below, its file beside this one, and an arm in [`Selector::row`]. Its number (netlink,
//! binary tables) and its name (JSON, glbctl) follow from the line.

pub mod hash;
mod hops;
pub mod maglev;
#[cfg(feature = "tables")]
pub mod rows;
mod selector;

use crate::numbered::numbered;

pub use hops::Hops;
pub use selector::{Selector, Unfit};

numbered! {
    /// How packets find their rows in a table.
    Select {
        /// GLB's rows: 65,536 of them.
        Rows = 0, "glb";
        /// The rows of a Maglev table, as many as the table says.
        Maglev = 1, "maglev";
    }
}

numbered! {
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
