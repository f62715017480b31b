// SPDX-License-Identifier: GPL-2.0

//! GUE: outer IP, UDP, GUE with the hops behind the first ([`crate::packet::gue`]).
//!
//! As with the deployed directors, DSCP and ECN of the outer header are 0, and so is the flow label: the UDP source port
//! spreads flows.

use super::outer::{self, Marks};
use super::{Gso, Layout, Others, Params, Shape};
use crate::director::select::hash::PacketHash;
use crate::packet::addr::Addr;
use crate::packet::gue::{FIXED_LEN, MAX_HOPS_V6, TYPE_IPV4_HOPS, TYPE_IPV6_HOPS, UDP_LEN};
use crate::packet::ip::{proto, Family};

const UNMARKED: Marks = Marks {
    tos: 0,
    flow_label: 0,
};

/// The longest header: IPv4 with 30 further hops is 156 bytes, IPv6 with 7 is 168.
pub const MAX_HEADER_LEN: usize = header_len(Family::V6, MAX_HOPS_V6);

/// Bytes in front of the client's packet with `hops` hops behind the first.
#[inline(always)]
pub const fn header_len(outer: Family, hops: u8) -> usize {
    let hop = match outer {
        Family::V4 => 4,
        Family::V6 => 16,
    };
    // At most 40 + 16 + 255 * 16.
    outer::len(outer)
        .wrapping_add(UDP_LEN + FIXED_LEN)
        .wrapping_add((hops as usize).wrapping_mul(hop))
}

/// The outer source port: routers and network cards spread flows by it.
#[inline(always)]
pub const fn source_port(hash: PacketHash, hint: u16) -> u16 {
    0x8000 | ((hash.0 as u16 ^ hint) & 0x7fff)
}

pub(super) const LISTS_HOPS: bool = true;

#[inline(always)]
pub(super) fn layout(shape: &Shape) -> Layout {
    Layout {
        len: header_len(shape.outer, shape.others),
        proto: proto::UDP,
        gso: Gso::Udp {
            checksum: shape.udp_checksum,
        },
        inherits: false,
    }
}

#[inline(always)]
pub(super) fn write<O: Others + ?Sized>(params: &Params, others: &O, out: &mut [u8]) -> Option<()> {
    match (params.src, params.dst) {
        (Addr::V4(src), Addr::V4(dst)) => v4(params, (src, dst), others, out),
        (Addr::V6(src), Addr::V6(dst)) => v6(params, (&src, &dst), others, out),
        _ => None,
    }
}

/// Writes the headers with these hops behind the first; `out` must have exactly their length.
#[inline(always)]
fn v4<O: Others + ?Sized>(
    params: &Params,
    addrs: ([u8; 4], [u8; 4]),
    others: &O,
    out: &mut [u8],
) -> Option<()> {
    let udp = outer::v4(params, UNMARKED, proto::UDP, addrs, out)?;
    others.write(Family::V4, write_udp_gue(params, udp, TYPE_IPV4_HOPS, 4)?)
}

/// The same over IPv6.
#[inline(always)]
fn v6<O: Others + ?Sized>(
    params: &Params,
    addrs: (&[u8; 16], &[u8; 16]),
    others: &O,
    out: &mut [u8],
) -> Option<()> {
    let udp = outer::v6(params, UNMARKED, proto::UDP, addrs, out)?;
    others.write(Family::V6, write_udp_gue(params, udp, TYPE_IPV6_HOPS, 16)?)
}

/// UDP and GUE; answers the bytes of the hops. The UDP checksum is 0, which receivers take (RFC 6935 for IPv6), as the
/// inner packet has checksums of its own. The caller computes one over the whole packet where it is wanted.
#[inline(always)]
fn write_udp_gue<'a>(
    params: &Params,
    out: &'a mut [u8],
    data_type: u16,
    hop_len: usize,
) -> Option<&'a mut [u8]> {
    let udp_len = out.len().wrapping_add(params.inner_len);
    let (ports, rest) = out.split_first_chunk_mut::<4>()?;
    let (udp, rest) = rest.split_first_chunk_mut::<4>()?;
    let (gue, rest) = rest.split_first_chunk_mut::<4>()?;
    let (hops_of, list) = rest.split_first_chunk_mut::<4>()?;
    let hlen = u8::try_from((list.len() >> 2).wrapping_add(1)).ok()?;
    if hlen > 0x1f {
        return None;
    }
    let hops = list.len().checked_div(hop_len)?;
    let [sp_hi, sp_lo] = params.src_port.to_be_bytes();
    let [dp_hi, dp_lo] = params.dst_port.to_be_bytes();
    let [len_hi, len_lo] = u16::try_from(udp_len).unwrap_or(0).to_be_bytes();
    let [type_hi, type_lo] = data_type.to_be_bytes();
    let inner = params.inner.number();
    // Word by word, as the IP header.
    *ports = [sp_hi, sp_lo, dp_hi, dp_lo];
    *udp = [len_hi, len_lo, 0, 0];
    *gue = [hlen, inner, 0, 0];
    *hops_of = [type_hi, type_lo, 0, hops as u8];
    Some(list)
}
