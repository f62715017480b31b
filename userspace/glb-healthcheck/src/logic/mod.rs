// SPDX-License-Identifier: GPL-2.0

//! What is decided, apart from how it is carried out.
//!
//! Nothing here reads a clock, a file or a socket: time is a parameter (always monotonic, so a step of the
//! machine's clock cannot be seen), results of checks are given, and what is to be done is returned. So a
//! day of flapping backends is simulated in milliseconds.

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
