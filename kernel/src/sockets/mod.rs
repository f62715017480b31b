// SPDX-License-Identifier: GPL-2.0

//! Whether what a tunnel carries belongs to this machine.
//!
//! ```text
//! decap   the devices that packets would come out of
//! tcp     the sockets of TCP that would take them there
//! udp     the sockets of UDP
//! ```

pub mod decap;
pub mod tcp;
pub mod udp;
