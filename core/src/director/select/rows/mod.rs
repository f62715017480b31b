// SPDX-License-Identifier: GPL-2.0

//! The rows of a table, made from its backends, their states and their health.
//!
//! ```text
//! scores   of backends in rows, by rendezvous hashing
//! v2       the rule of deployed directors: two hops
//! v3       up to 31 hops, weights, failure domains, even loads
//! ```

pub mod scores;
pub mod v2;
pub mod v3;
