// SPDX-License-Identifier: GPL-2.0

//! Which connections of a proxy depend on second chance: those whose packets go to another proxy first.
//!
//! Nothing here knows sockets. Who has a connection asks [`Ways`] where the packets of its client go, and [`Census`] counts the
//! answers.

mod census;
mod file;
mod own;
mod way;

pub use census::{Census, Counted, Dependent, Found, Seen};
pub use file::FileTables;
pub use own::{own, ports, Listed, Own, Proxy};
pub use way::{ends, Way, Ways};
