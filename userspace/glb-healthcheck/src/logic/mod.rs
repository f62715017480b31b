// SPDX-License-Identifier: GPL-2.0

//! The decisions, separate from their execution.
//!
//! Nothing here reads a clock, a file or a socket. Time is a parameter (always monotonic, so a step of the
//! machine's clock has no effect), results of checks are parameters, and actions are returned. Therefore a day
//! of flapping backends is simulated in milliseconds.

mod damper;
pub(crate) mod director;
pub(crate) mod engine;
pub(crate) mod event;
mod gate;
mod hold;
pub(crate) mod known;
mod pace;
pub(crate) mod plan;
pub(crate) mod probe;
#[cfg(test)]
mod simulation;
pub(crate) mod stats;
