// SPDX-License-Identifier: GPL-2.0

//! Which hops a packet has in its table.
//!
//! ```text
//! hash   packet -> row
//! hops   row -> first hop, and those that its header names
//! rows   backends -> rows: for the tools that make table files
//! maglev backends -> rows of a Maglev table; hash -> row
//! ```

pub mod hash;
mod hops;
pub mod maglev;
#[cfg(feature = "tables")]
pub mod rows;

pub use hops::Hops;

/// How packets find their rows in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// GLB's rows: 65,536 of them.
    Rows,
    /// The rows of a Maglev table.
    Maglev {
        /// How many there are.
        size: u32,
    },
}
