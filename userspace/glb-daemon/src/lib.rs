// SPDX-License-Identifier: GPL-2.0

//! What the daemons of GLB have in common.
//!
//! * [`log`] is the log on standard error
//! * [`notify`] reports to systemd, [`signals`] are what it, or a person, asks for
//! * [`server`] serves the status pages, whose metrics [`text`] writes, with [`histogram`]
//! * [`generate`] prints manual and completions

pub mod generate;
pub mod histogram;
pub mod log;
pub mod notify;
pub mod server;
pub mod signals;
pub mod text;
