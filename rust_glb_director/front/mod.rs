// SPDX-License-Identifier: GPL-2.0

//! Where packets come in.
//!
//! ```text
//! devices  the devices that packets come in by
//! role     what they are for, and who handles their packets:
//!   ingress  director: what becomes of a client's packet, step by step
//!   geneve   geneve: out of the header of a load balancer, and back into it
//! ```

#![forbid(unsafe_code)]

pub(crate) mod devices;
mod geneve;
mod ingress;
pub(crate) mod role;
