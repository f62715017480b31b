// SPDX-License-Identifier: GPL-2.0

//! Where packets come in.
//!
//! ```text
//! devices  the devices that packets come in by
//! role     what they are for, and who handles their packets:
//!   ingress  director: what becomes of a client's packet, step by step
//!   answers  return: what becomes of a backend's packet
//!   headers  what they read
//! ```

#![forbid(unsafe_code)]

mod answers;
pub(crate) mod devices;
mod headers;
mod ingress;
pub(crate) mod role;
