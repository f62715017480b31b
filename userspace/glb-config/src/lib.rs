// SPDX-License-Identifier: GPL-2.0

//! The configuration files of GLB.
//!
//! * [`tables`] is about `forwarding_table.json` (docs/formats.md)
//! * [`director`] is about `director.conf`, [`settings`] about the settings in it
//! * [`healthcheck`] is about `healthcheck.conf` (docs/healthcheck.md)
//! * [`classes`] is about what the classes of a file have in common
//! * [`DeadRows`] are those that lead to a backend that is known to be dead
//! * [`targets`] is about `targets.conf` and files of targets
//! * [`edit`] changes single values of a file in place
//! * [`shown`] is about what `glbctl table show --json` prints
//! * [`compiled`] is about tables with rows, which [`rows`] computes and [`mod@file`] reads
//! * [`world`] is what the core decides on, [`flows`] which connections depend on second chance
//! * [`build`] goes from a file's tables to the binary formats
//!
//! Every file is first read as a tree of JSON and then checked field by field. Therefore all errors are
//! reported at once, each with file, table, field and value; a reader that stops at the first wrong type could
//! not do this. The tree is kept with the checked values: a program that writes a file back edits the tree, so
//! fields that this version does not know are not lost.

mod answers;
pub mod atomic;
mod binary;
pub mod build;
mod checks;
pub mod classes;
pub mod compiled;
mod dead;
mod digest;
pub mod director;
pub mod edit;
pub mod file;
pub mod flows;
pub mod gateway;
pub mod healthcheck;
mod issue;
pub mod opened;
mod read;
pub mod rows;
pub mod settings;
pub mod shown;
mod stamp;
pub mod tables;
pub mod targets;
pub mod world;

pub use dead::{DeadRows, Remedy};
pub use issue::{io_reason, quoted, Checked, Issue, Severity};
pub use stamp::Stamp;
