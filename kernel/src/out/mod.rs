// SPDX-License-Identifier: GPL-2.0

//! How packets leave.
//!
//! ```text
//! path     routes of tunnelled packets, by next hop, and whether a packet fits
//! encap    headers in front, and the wire
//! cut      a packet in several
//! rewrite  another destination in a packet, and the wire
//! route    routes of packets that are passed on, and the OUTPUT hook
//! ```

pub mod cut;
pub mod encap;
pub mod path;
pub mod rewrite;
pub mod route;
