// SPDX-License-Identifier: GPL-2.0

//! The tables of a namespace.
//!
//! ```text
//! counts   what is counted of services and of their backends, over loads
//! flows    which backends the flows of a table have, over loads
//! follow   flows and the loaded tables
//! memory   on whose account they are
//! set      the loaded tables: which one a packet belongs to, its rows, its hops
//! staging  a load while it comes in
//! world    what the core's decision looks at: the loaded tables, and the fragments that are remembered
//! ```

#![forbid(unsafe_code)]

pub(crate) mod counts;
pub(crate) mod flows;
pub(crate) mod follow;
pub(crate) mod memory;
pub(crate) mod set;
pub(crate) mod staging;
pub(crate) mod world;
