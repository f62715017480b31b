// SPDX-License-Identifier: GPL-2.0

//! What a director does with a packet from a client.
//!
//! ```text
//! inspect    IP -> TCP, UDP, ICMP (-> embedded packet); would the stack itself take it?   pure, this room
//! decide     the one decision, made of                                                    pure, on the tables of a World
//!   classify   address, port (classes: and more) -> table
//!   select     hash -> row -> hops
//!   flows      flow -> backend, whatever its row says now
//! role       what an attached device is for
//! ids        backends, as flows point to them                                             pure, this room
//! keepers    which of them keep their flows                                            pure, this room
//! counts     what is counted of a backend                                                 pure, this room
//! fit        a packet that is too big: its pieces, or the error about it                  pure, this room
//! forward    what stands in front of the packet, or changes in it                         pure, this room
//! reverse    an answer of a backend: which VIP and port it comes from                     pure, this room
//! send       route, neighbour, device                                                     the kernel
//! ```

pub mod classify;
pub mod counts;
mod decide;
mod fit;
pub mod flows;
mod forward;
pub mod ids;
mod inspect;
pub mod keepers;
pub mod reverse;
mod role;
pub mod select;
mod verdict;
mod world;

pub use decide::{bind, bind_classed, decide, decide_classed, Bound, Plan};
pub use fit::{tcp_offset, too_big, Cut, Piece, MAX_TOO_BIG_LEN};
pub use forward::{
    flow_label, header_len, rewrite, source_port, Forward, ForwardKind, Given, Gso, Layout, Leave,
    MarkOffset, Misfit, Others, Params, Shape, Tunnel, MAX_HEADER_LEN,
};
pub use inspect::{again, common, inspect, inspect_answer, Candidate, Kind, Stop, Turn};
pub use role::Role;
pub use select::{FlowHash, Hops, Select, Selector, Unfit};
pub use verdict::Verdict;
pub use world::{Addresses, World};

#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod tests;
