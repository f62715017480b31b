// SPDX-License-Identifier: GPL-2.0

//! The rows of a Maglev table (NSDI 2016; docs/maglev.md has the rule and what it costs).
//!
//! Every backend has an order of the rows of its own. They take turns, and each takes the first row of its order that is
//! still free, until no row is. Backends have rows by their weights, those of equal weight equally many to one row, and few
//! rows move that would not have to when the set of backends changes.
//!
//! ```text
//! size          how many rows a table has
//! permutation   a backend's order of the rows
//! near          how far a backend is from a row of its order
//! fill          the turns
//! rows          our table: who takes turns, and hops behind the first
//! nfqlb, vpp    tables and flow hashes of other systems
//! ```
//!
//! Tables are built in process context, by the tools or by a module. What fills them allocates nothing, takes the caller's
//! memory, and lets the caller pause between parts.

mod fill;
mod near;
pub mod nfqlb;
mod permutation;
mod rows;
pub mod size;
pub mod vpp;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use fill::{words_needed, Cursor};
pub use permutation::Permutation;
pub use rows::{
    build, reduced, work, Member, Room, RowsError, Table, MAX_HOPS, MAX_WEIGHT, MAX_WORK,
};

use super::hash::PacketHash;

/// The row of a packet in a table of `size` rows: the share of the hash's high half. GLB's rows are the low 16 bits.
#[inline]
#[must_use]
pub fn row(hash: PacketHash, size: u32) -> u32 {
    // The cast keeps the high half.
    permutation::share((hash.0 >> 32) as u32, size)
}
