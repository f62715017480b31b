// SPDX-License-Identifier: GPL-2.0

//! Whether what a tunnel carries belongs to this machine.
//!
//! ```text
//! decap   the devices that packets would come out of
//! tcp     the sockets that would take them there
//! ```

pub mod decap;
pub mod tcp;
