// SPDX-License-Identifier: GPL-2.0

//! Which proxy, if any, gets the packet next.

use super::{Inspected, Packet, Verdict};
use crate::packet::gue::{self, Hop};
use crate::packet::ip::Addrs;

/// A prefix of addresses that hops are allowed from (`--allow-hops`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix<'a> {
    /// Network address; an IPv4 address stands in the first four bytes.
    pub address: &'a [u8; 16],
    /// Bits of it that count: at most 32 or 128.
    pub bits: u8,
    /// Whether it is IPv6.
    pub ipv6: bool,
}

impl Prefix<'_> {
    /// Whether `hop` is inside.
    #[inline]
    pub fn contains(&self, hop: &Hop) -> bool {
        let (net, address, width) = match (hop, self.ipv6) {
            (Hop::V4(address), false) => {
                let &[a, b, c, d, ..] = self.address;
                (
                    u128::from(u32::from_be_bytes([a, b, c, d])),
                    u128::from(u32::from_be_bytes(*address)),
                    32_u32,
                )
            }
            (Hop::V6(address), true) => (
                u128::from_be_bytes(*self.address),
                u128::from_be_bytes(*address),
                128,
            ),
            _ => return false,
        };
        let host_bits = width.saturating_sub(u32::from(self.bits));
        // A prefix of 0 bits holds all addresses; shifting by the whole width is not defined.
        (net ^ address).checked_shr(host_bits).unwrap_or(0) == 0
    }
}

/// What to do with a packet whose connection is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Keep or drop it, with this verdict.
    Stay(Verdict),
    /// Pass it on to this hop.
    Forward(Hop),
}

/// Chooses the next hop of a packet. `allowed` are the prefixes that hops must come from; `None` allows
/// any, as the deployed module does.
#[inline]
pub fn next_hop<'a>(
    packet: &Packet<'_>,
    inspected: &Inspected,
    allowed: Option<impl Iterator<Item = Prefix<'a>>>,
) -> Next {
    let Some(at) = inspected.gue.hop_offset else {
        return Next::Stay(inspected.question.at_the_end());
    };
    // Both were there when the packet was inspected.
    let (Ok(hop), Ok(outer)) = (
        gue::hop(packet.view, at, packet.outer),
        Addrs::read(packet.view, 0, packet.outer),
    ) else {
        return Next::Stay(Verdict::DroppedTruncated);
    };
    let to_self = match (outer, hop) {
        (Addrs::V4 { dst, .. }, Hop::V4(hop)) => dst == hop,
        (Addrs::V6 { dst, .. }, Hop::V6(hop)) => dst == hop,
        _ => false,
    };
    if to_self {
        return Next::Stay(Verdict::ForwardedToSelf);
    }
    let is_allowed = match allowed {
        Some(mut prefixes) => prefixes.any(|prefix| prefix.contains(&hop)),
        None => true,
    };
    if is_allowed {
        Next::Forward(hop)
    } else {
        Next::Stay(Verdict::DroppedHopNotAllowed)
    }
}
