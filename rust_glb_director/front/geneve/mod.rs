// SPDX-License-Identifier: GPL-2.0

//! The role geneve: packets of a gateway load balancer.
//!
//! ```text
//! come  a packet that comes in: out of its header, and up the stack
//! back  a packet that leaves: into the header of its flow, and to the load balancer
//! flow  which flow a packet belongs to
//! ```

#![forbid(unsafe_code)]

pub(super) mod back;
pub(super) mod come;
mod flow;
