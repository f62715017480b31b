// SPDX-License-Identifier: GPL-2.0

//! The engine of GLB.
//!
//! Everything that can be decided by looking at bytes and tables is here, as pure functions over byte
//! slices. The same source is compiled into both kernel modules and into the tools, so it is `no_std`,
//! has no `unsafe`, allocates nothing, and never panics: the kernel is built with overflow checks, and a
//! panic there stops the machine. Arithmetic is therefore wrapping, checked, or bounded by types, and
//! slices are taken with `get`, `first_chunk` and `split_at_checked`.
//! What only makes tables and files (feature `tables`) is left out of the modules; only there classes are compiled with
//! memory from an allocator.
//!
//! ```text
//! packet     bytes in, fields out
//! director   what a director does with a packet
//! redirect   what a proxy does with a packet: the second chance
//! cookie     who holds a connection, in its timestamps
//! geneve     what an appliance behind a gateway load balancer does with one
//! settings   what the operator of a director can set, one line each
//! backend    a backend of a table: its address, its state, its health
//! netlink    numbers and names of the netlink families
//! table      forwarding tables as files
//! counter    verdicts that are counters
//! limit      a rate limit
//! numbered   enums whose variants have numbers and names
//! siphash    the keyed hash of packets, rows and fragments
//! sort       sorting without a path to a panic
//! ```
//!
//! `tests/unit/no-panic.sh` checks that no call into `core::panicking` is left.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "tables")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod backend;
pub mod cookie;
pub mod counter;
pub mod director;
pub mod geneve;
pub mod limit;
pub mod netlink;
mod numbered;
pub mod packet;
pub mod redirect;
pub mod settings;
pub mod siphash;
mod sort;
#[cfg(feature = "tables")]
pub mod table;
