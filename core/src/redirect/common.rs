// SPDX-License-Identifier: GPL-2.0

//! The packets that a proxy gets nearly always, in few steps: whole IP without options around whole TCP without options,
//! all lengths in agreement, all headers linear.
//!
//! What is otherwise in any way is left to [`super::inspect()`]'s own reading of header after header, which says the same of
//! these packets too: a test and a fuzz target hold both against each other.

use super::inspect::{decide_tcp, Packet};
use super::{Inspected, Stop};
use crate::gue::{self, Gue};
use crate::ip::{proto, Family, IPV4_LEN, IPV6_LEN};

/// Bytes of UDP and the fixed part of GUE.
const TUNNEL_LEN: usize = gue::UDP_LEN + gue::FIXED_LEN;
/// Bytes of a TCP header that are looked at.
const TCP_LEN: usize = 14;

/// What [`super::inspect()`] says of a common packet; `None` of another one.
#[inline(always)]
pub(super) fn inspect(packet: &Packet<'_>) -> Option<Result<Inspected, Stop>> {
    let bytes = packet.view.linear();
    match packet.outer {
        Family::V4 => {
            let head: &[u8; IPV4_LEN + TUNNEL_LEN] = bytes.first_chunk()?;
            let (ip, tunnel) = split(head)?;
            let end = end_v4(ip, proto::UDP)?;
            behind(packet, tunnel, IPV4_LEN, end, Family::V4)
        }
        Family::V6 => {
            let head: &[u8; IPV6_LEN + TUNNEL_LEN] = bytes.first_chunk()?;
            let (ip, tunnel) = split(head)?;
            let end = end_v6(ip, proto::UDP)?;
            behind(packet, tunnel, IPV6_LEN, end, Family::V6)
        }
    }
}

/// Reads on from the UDP header at `udp`, in an outer packet of `end` bytes.
#[inline(always)]
fn behind(
    packet: &Packet<'_>,
    tunnel: &[u8; TUNNEL_LEN],
    udp: usize,
    end: usize,
    outer: Family,
) -> Option<Result<Inspected, Stop>> {
    let &[_, _, _, _, len_hi, len_lo, _, _, hlen, inner, flags_hi, flags_lo, type_hi, type_lo, next, hops] =
        tunnel;
    let (data_type, hop_len, words_per_hop) = match outer {
        Family::V4 => (gue::TYPE_IPV4_HOPS, 4, 1),
        Family::V6 => (gue::TYPE_IPV6_HOPS, 16, 4),
    };
    let udp_len = usize::from(u16::from_be_bytes([len_hi, len_lo]));
    let hops = usize::from(hops);
    // A version, a control flag or a longer header in the first byte makes it unequal.
    if end > packet.view.len()
        || udp.wrapping_add(udp_len) != end
        || usize::from(hlen) != hops.wrapping_mul(words_per_hop).wrapping_add(1)
        || hlen > 0x1f
        || flags_hi | flags_lo != 0
        || u16::from_be_bytes([type_hi, type_lo]) != data_type
    {
        return None;
    }
    let list = udp.wrapping_add(TUNNEL_LEN);
    let at = list.wrapping_add(hops.wrapping_mul(hop_len));
    let bytes = packet.view.linear().get(at..)?;
    let (family, tcp, flags, inner_end) = match inner {
        proto::IPIP => {
            let (ip, &[.., flags]) = split::<IPV4_LEN, TCP_LEN>(bytes)?;
            (Family::V4, IPV4_LEN, flags, end_v4(ip, proto::TCP)?)
        }
        proto::IPV6 => {
            let (ip, &[.., flags]) = split::<IPV6_LEN, TCP_LEN>(bytes)?;
            (Family::V6, IPV6_LEN, flags, end_v6(ip, proto::TCP)?)
        }
        _ => return None,
    };
    if inner_end < tcp.wrapping_add(TCP_LEN) || at.wrapping_add(inner_end) > end {
        return None;
    }
    let gue = Gue {
        inner: family,
        inner_offset: at,
        index_offset: udp.wrapping_add(gue::UDP_LEN + 6),
        hop_offset: (usize::from(next) < hops)
            .then(|| list.wrapping_add(usize::from(next).wrapping_mul(hop_len))),
    };
    Some(
        decide_tcp(&gue, at.wrapping_add(tcp), flags, None).map(|question| Inspected {
            udp_offset: udp,
            gue,
            question,
        }),
    )
}

/// The first `N` bytes, and `M` behind them: an IP header and the header that it carries.
#[inline(always)]
fn split<const N: usize, const M: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; M])> {
    let (ip, behind) = bytes.split_first_chunk()?;
    Some((ip, behind.first_chunk()?))
}

/// Length of an IPv4 packet by its header, if it has no options, is no fragment, and carries `protocol`.
#[inline(always)]
fn end_v4(header: &[u8; IPV4_LEN], protocol: u8) -> Option<usize> {
    let &[version_ihl, _, len_hi, len_lo, _, _, frag_hi, frag_lo, _, carried, ..] = header;
    let fragment = u16::from_be_bytes([frag_hi, frag_lo]) & 0x3fff;
    let common = version_ihl == 0x45 && fragment == 0 && carried == protocol;
    common.then(|| usize::from(u16::from_be_bytes([len_hi, len_lo])))
}

/// Length of an IPv6 packet by its header, if it has no extension headers and carries `protocol`. An aggregate of more than
/// 64 KiB says 0, which is no common length.
#[inline(always)]
fn end_v6(header: &[u8; IPV6_LEN], protocol: u8) -> Option<usize> {
    let &[version, _, _, _, len_hi, len_lo, carried, ..] = header;
    let common = version >> 4 == 6 && carried == protocol;
    common.then(|| usize::from(u16::from_be_bytes([len_hi, len_lo])).wrapping_add(IPV6_LEN))
}
