// SPDX-License-Identifier: GPL-2.0

//! What a director does with a packet from a client.
//!
//! ```text
//! valid        is it a packet that the stack itself would take?   pure, this module
//! inspect      IP -> TCP, UDP, ICMP (-> embedded packet)      pure, this module
//! classify     bind of the packet -> table                     crate::bind, on the loaded tables
//! hash         fields of the flow -> row                       crate::hash
//! row          backends of the row -> hops                     the loaded table
//! (cut         of an IPv4 packet that may be and does not fit  pure, this module)
//! encode       outer IP, UDP, GUE with the hops                pure, this module
//! send         route, neighbour, device                        the kernel
//! ```

mod cut;
mod encode;
mod inspect;
mod too_big;
mod valid;
mod verdict;

pub use cut::{tcp_offset, Cut, Piece};
pub use encode::{header_len, source_port, Tunnel, MAX_HEADER_LEN};
pub use inspect::{inspect, Candidate, Kind, Stop};
pub use too_big::{too_big, MAX_TOO_BIG_LEN};
pub use verdict::Verdict;

#[cfg(test)]
mod tests;
