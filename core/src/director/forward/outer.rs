// SPDX-License-Identifier: GPL-2.0

//! The outer IP header (RFC 791, RFC 8200), which every forward that tunnels begins with.

use super::Params;
use crate::packet::addr::Addr;
use crate::packet::checksum;
use crate::packet::ip::{Family, IPV4_LEN, IPV6_LEN};

const TTL: u8 = 64;

/// Its length, bytes.
#[inline]
pub(super) const fn len(outer: Family) -> usize {
    match outer {
        Family::V4 => IPV4_LEN,
        Family::V6 => IPV6_LEN,
    }
}

/// What routers go by, beside addresses and protocol.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    /// DSCP and ECN.
    pub(super) tos: u8,
    /// Of 20 bits; IPv6 only.
    pub(super) flow_label: u32,
}

/// Writes the header at the start of `out`, in front of the rest of it and the client's packet. Answers that rest.
#[inline(always)]
pub(super) fn write<'o>(params: &Params, proto: u8, out: &'o mut [u8]) -> Option<&'o mut [u8]> {
    // The client's DSCP goes on in the network of the fleet, and its ECN field as in normal mode (RFC 6040, section 4.1).
    // There are no ports, so the label says which packets are of one flow (RFC 6438).
    let marks = Marks {
        tos: params.tos,
        flow_label: params.flow_label,
    };
    match (params.src, params.dst) {
        (Addr::V4(src), Addr::V4(dst)) => v4(params, marks, proto, (src, dst), out),
        (Addr::V6(src), Addr::V6(dst)) => v6(params, marks, proto, (&src, &dst), out),
        _ => None,
    }
}

/// The same where it is known that both addresses are IPv4.
#[inline(always)]
pub(super) fn v4<'o>(
    params: &Params,
    marks: Marks,
    proto: u8,
    (src, dst): ([u8; 4], [u8; 4]),
    out: &'o mut [u8],
) -> Option<&'o mut [u8]> {
    let total = out.len().wrapping_add(params.inner_len);
    // A GSO packet of more than 64 KiB is cut into packets with lengths of their own.
    let [len_hi, len_lo] = u16::try_from(total).unwrap_or(0).to_be_bytes();
    let (ip, rest) = out.split_first_chunk_mut::<IPV4_LEN>()?;
    // Do not fragment.
    const FLAGS: u8 = 0x40;
    // Word by word: what is put together byte by byte is written byte by byte.
    let (a, b) = ([0x45, marks.tos, len_hi, len_lo], [0, 0, FLAGS, 0]);
    let [hi, lo] = checksum::of_words([a, b, [TTL, proto, 0, 0], src, dst]);
    let words = [a, b, [TTL, proto, hi, lo], src, dst];
    let mut places: &mut [u8] = ip;
    for word in words {
        let (place, behind) = places.split_first_chunk_mut::<4>()?;
        *place = word;
        places = behind;
    }
    Some(rest)
}

/// The same where it is known that both addresses are IPv6.
#[inline(always)]
pub(super) fn v6<'o>(
    params: &Params,
    marks: Marks,
    proto: u8,
    (src, dst): (&[u8; 16], &[u8; 16]),
    out: &'o mut [u8],
) -> Option<&'o mut [u8]> {
    let (ip, rest) = out.split_first_chunk_mut::<IPV6_LEN>()?;
    let payload = rest.len().wrapping_add(params.inner_len);
    let len = u16::try_from(payload).unwrap_or(0);
    // Word by word, as above.
    let version = 6 << 28 | u32::from(marks.tos) << 20 | marks.flow_label & 0xf_ffff;
    let length = u32::from(len) << 16 | u32::from(proto) << 8 | u32::from(TTL);
    let (first, rest_of_ip) = ip.split_first_chunk_mut::<4>()?;
    let (second, addrs) = rest_of_ip.split_first_chunk_mut::<4>()?;
    *first = version.to_be_bytes();
    *second = length.to_be_bytes();
    let (place, rest_of_addrs) = addrs.split_first_chunk_mut::<16>()?;
    *place = *src;
    *rest_of_addrs.first_chunk_mut()? = *dst;
    Some(rest)
}
