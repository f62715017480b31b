// SPDX-License-Identifier: GPL-2.0

//! What a director does with a packet from a client.
//!
//! ```text
//! valid        is it a packet that the stack itself would take?   pure, this module
//! inspect      IP -> TCP, UDP, ICMP (-> embedded packet)      pure, this module
//! decide       bind -> table, hash -> row, row -> hops         pure, on the tables of a World
//! (cut         of an IPv4 packet that may be and does not fit  pure, this module)
//! forward      what stands in front of the packet              pure, this module
//! send         route, neighbour, device                        the kernel
//! ```

mod cut;
mod decide;
mod forward;
mod hops;
mod inspect;
mod too_big;
mod valid;
mod verdict;
mod world;

pub use cut::{tcp_offset, Cut, Piece};
pub use decide::{decide, Plan};
pub use forward::{
    flow_label, header_len, source_port, Forward, Gso, Layout, Others, Params, Shape,
    MAX_HEADER_LEN,
};
pub use hops::Hops;
pub use inspect::{inspect, Candidate, Kind, Stop};
pub use too_big::{too_big, MAX_TOO_BIG_LEN};
pub use verdict::Verdict;
pub use world::{Addresses, World};

#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod tests;
