// SPDX-License-Identifier: GPL-2.0

//! GUE with GLB's private data: the tunnel header between directors and proxies
//! (draft-ietf-intarea-gue, variant 0; GLB's private data types 0 and 1).
//!
//! ```text
//!  0                   1                   2                   3
//! |Ver|C|  hlen   | inner protocol|        flags = 0              |
//! |     private data type         | next hop index|  hop count N  |
//! |  N hops of 4 bytes (type 0, IPv4) or 16 bytes (type 1, IPv6)  |
//! ```
//!
//! `hlen` counts the 32-bit words behind the first: 1 + N for IPv4, 1 + 4 N for IPv6. It has 5 bits, so
//! N is at most 30 or 7.

use super::ip::{proto, Family};
use super::view::{Short, View};

/// UDP port of GUE in a GLB fleet, unless configured otherwise.
pub const PORT: u16 = 19523;
/// Bytes of a UDP header.
pub const UDP_LEN: usize = 8;
/// Bytes of the GUE base header and the first word of the private data.
pub const FIXED_LEN: usize = 8;

/// Private data type of IPv4 hops, as deployed.
pub const TYPE_IPV4_HOPS: u16 = 0;
/// Private data type of IPv6 hops (this project's).
pub const TYPE_IPV6_HOPS: u16 = 1;

/// Most hops that fit behind the first with an IPv4 underlay.
pub const MAX_HOPS_V4: u8 = 30;
/// Most hops that fit behind the first with an IPv6 underlay.
pub const MAX_HOPS_V6: u8 = 7;

/// Most hops of a row, so that a header can name them: the first is the outer destination, the others stand in the list.
/// With a second set of hash fields (`two_rows`) a header names the hops of two rows.
#[must_use]
pub const fn max_hops(underlay: Family, two_rows: bool) -> u8 {
    let others = match underlay {
        Family::V4 => MAX_HOPS_V4,
        Family::V6 => MAX_HOPS_V6,
    };
    let all = others.wrapping_add(1);
    if two_rows {
        all / 2
    } else {
        all
    }
}

/// A next hop, network byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
}

/// The GUE header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gue {
    /// Family of the packet inside.
    pub inner: Family,
    /// Offset of the packet inside, from the view's start.
    pub inner_offset: usize,
    /// Offset of the next hop index, from the view's start.
    pub index_offset: usize,
    /// Offset of the next hop, from the view's start, unless the list is used up.
    pub hop_offset: Option<usize>,
}

/// Why a GUE header was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GueError {
    /// Bytes are missing.
    Short(Short),
    /// Another version, a control message, flags, another type of private data or a length that does
    /// not fit the number of hops.
    Malformed,
    /// The payload is neither IPv4 nor IPv6.
    Protocol,
}

impl From<Short> for GueError {
    #[inline]
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

/// Reads the GUE header at `at`. The type of the hops must be that of the underlay, `outer`: a proxy can
/// not pass a packet on to an address of the other family.
#[inline(always)]
pub fn parse(view: View<'_>, at: usize, outer: Family) -> Result<Gue, GueError> {
    let &[version_hlen, protocol, flags_hi, flags_lo, type_hi, type_lo, next_hop, hops] =
        view.array::<FIXED_LEN>(at)?;
    let hlen = usize::from(version_hlen & 0x1f);
    let (data_type, words_per_hop) = match outer {
        Family::V4 => (TYPE_IPV4_HOPS, 1),
        Family::V6 => (TYPE_IPV6_HOPS, 4),
    };
    let fits = hlen
        == usize::from(hops)
            .wrapping_mul(words_per_hop)
            .wrapping_add(1);
    if version_hlen & 0xe0 != 0
        || flags_hi | flags_lo != 0
        || u16::from_be_bytes([type_hi, type_lo]) != data_type
        || !fits
    {
        return Err(GueError::Malformed);
    }
    let inner = match protocol {
        proto::IPIP => Family::V4,
        proto::IPV6 => Family::V6,
        _ => return Err(GueError::Protocol),
    };
    let list = at.wrapping_add(FIXED_LEN);
    let inner_offset = at.wrapping_add(4).wrapping_add(hlen << 2);
    if inner_offset > view.len() {
        return Err(GueError::Short(Short::Truncated));
    }
    let hop_len_log2 = match outer {
        Family::V4 => 2,
        Family::V6 => 4,
    };
    Ok(Gue {
        inner,
        inner_offset,
        index_offset: at.wrapping_add(6),
        hop_offset: (next_hop < hops)
            .then(|| list.wrapping_add(usize::from(next_hop).wrapping_shl(hop_len_log2))),
    })
}

/// The hop that stands at `at` in a packet whose underlay is `outer`.
#[inline]
pub fn hop(view: View<'_>, at: usize, outer: Family) -> Result<Hop, Short> {
    Ok(match outer {
        Family::V4 => Hop::V4(*view.array(at)?),
        Family::V6 => Hop::V6(*view.array(at)?),
    })
}
