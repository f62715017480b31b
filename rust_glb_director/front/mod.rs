// SPDX-License-Identifier: GPL-2.0

//! Where packets come in.
//!
//! ```text
//! devices  the devices that packets come in by
//! role     what they are for, and who handles their packets:
//!   ingress  director: what becomes of a client's packet, step by step
//!   service  the same of a packet of a service
//!   geneve   geneve: out of the header of a load balancer, and back into it
//!   answers  return: what becomes of a backend's packet
//!   headers  what they read
//! ```

#![forbid(unsafe_code)]

mod answers;
pub(crate) mod devices;
mod geneve;
mod headers;
mod ingress;
pub(crate) mod role;
mod service;
