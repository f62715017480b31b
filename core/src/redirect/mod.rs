// SPDX-License-Identifier: GPL-2.0

//! Second chance: what a proxy does with a GUE packet.
//!
//! A packet takes these steps; the module does them on a socket buffer, the tests on byte slices:
//!
//! ```text
//! inspect    outer IP -> UDP -> GUE -> inner IP -> transport     pure, this module
//! is it here?  established socket, listener with a valid cookie  the kernel's socket tables
//! next_hop   the list of hops and the allowed prefixes           pure, this module
//! rewrite    new addresses, index and checksums                  pure, this module
//! route      the kernel's routing table                          the kernel
//! ```

mod allowed;
mod common;
mod hops;
mod inspect;
mod options;
mod rewrite;
mod verdict;

pub use allowed::{AllowedHops, NotAllowed, MAX_ALLOWED};
pub use common::{Common, Opening};
pub use hops::{next_hop, Next, Prefix};
pub use inspect::{is_for_port, step_by_step, Inspected, Packet, Question, Stop};
pub use options::{is_netns_name, Options, MAX_NETNS, NETNS_NAME_LEN};
pub use rewrite::rewrite;
pub use verdict::Verdict;

/// Reads a packet from its outer IP header to its inner transport header: a common one in few steps, another one header after
/// header.
#[inline]
pub fn inspect(packet: &Packet<'_>, options: Options) -> Result<Inspected, Stop> {
    match Common::read(packet) {
        Some(common) if !common.is_syn() => Ok(common.inspected(packet.outer)),
        Some(common) if options.has(Options::SYN_LISTENER) => {
            let inspected = common.opening().inspected(packet);
            inspected.ok_or(Stop::Decided(Verdict::DroppedTruncated))
        }
        Some(_) => Err(Stop::Decided(Verdict::AcceptedSyn)),
        None => step_by_step(packet.view, packet.outer, options),
    }
}

#[cfg(test)]
mod tests;
