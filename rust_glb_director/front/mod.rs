// SPDX-License-Identifier: GPL-2.0

//! Where packets come in.
//!
//! ```text
//! devices  the devices that packets come in by
//! ingress  what becomes of a packet of theirs, step by step
//! ```

#![forbid(unsafe_code)]

pub(crate) mod devices;
mod ingress;
