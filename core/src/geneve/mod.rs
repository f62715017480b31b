// SPDX-License-Identifier: GPL-2.0

//! Geneve as gateway load balancers speak it (RFC 8926): what an appliance does with a packet.
//!
//! The load balancer puts the packets of its clients into Geneve, with three options that name the endpoint, the attachment and the
//! flow. The appliance takes them out. What it sends back to the load balancer goes in the same header, with the outer addresses
//! exchanged.
//!
//! ```text
//! inspect    outer IP -> UDP -> Geneve -> options -> inner IP    one verdict, or where everything is
//! narrow     what a router says of a packet that was too big for it
//! options    the options, and what they must be
//! settings   class of the options, UDP port, allowed senders
//! ecn        what a congestion mark of the outer header means for the inner packet
//! envelope   the header for the way back
//! back       what becomes of a packet that leaves
//! endpoints  the places of endpoints, for their counters
//! flows      which header the packets of a flow came with
//! ```

pub mod back;
mod ecn;
pub mod endpoints;
mod envelope;
pub mod flows;
mod inspect;
mod narrow;
mod options;
mod settings;
mod verdict;

pub use ecn::{Lost, Mark};
pub use envelope::{Envelope, Letter, MAX_ENVELOPE_LEN};
pub use inspect::{inspect, is_checksum_right, Opened, Packet, Stop};
pub use narrow::Narrow;
pub use options::{Ids, MAX_OPTIONS_LEN};
pub use settings::{Senders, Settings, Unfit, DEFAULT_CLASS, MAX_SENDERS, PORT};
pub use verdict::Verdict;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
