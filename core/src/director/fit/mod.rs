// SPDX-License-Identifier: GPL-2.0

//! A packet that does not fit its way to the first hop: it is cut, or its sender hears of it.
//!
//! ```text
//! cut       where an IPv4 packet that may be fragmented is cut, and the headers of its pieces
//! too_big   the ICMP error about any other
//! ```

mod cut;
mod too_big;

pub use cut::{tcp_offset, Cut, Piece};
pub use too_big::{too_big, MAX_TOO_BIG_LEN};
