// SPDX-License-Identifier: GPL-2.0

//! Whether what a tunnel carries belongs to this machine.
//!
//! ```text
//! decap      the devices that packets would come out of
//! here       the device that sockets see, and this machine's addresses
//! tcp        the sockets of TCP that would take them there
//! udp        the sockets of UDP
//! conntrack  the connection tracking, for what is sent on to another address there
//! elsewhere  what a rule asks beyond the sockets of its namespace
//! ```
//!
//! And, of packets that this machine sends:
//!
//! ```text
//! syn_ack    the answers to SYNs, and the connections that they open
//! ```

pub mod conntrack;
pub mod decap;
pub mod elsewhere;
pub mod here;
pub mod syn_ack;
pub mod tcp;
pub mod udp;
