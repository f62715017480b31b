// SPDX-License-Identifier: GPL-2.0

//! The packets that a proxy gets nearly always, in few steps: whole IP without options around whole TCP without options,
//! all lengths in agreement, all headers linear.
//!
//! What is otherwise in any way is left to [`step_by_step()`](super::step_by_step), the reading of header after header,
//! which says the same of these packets too: a test and a fuzz target hold both against each other.

use super::inspect::{connection, opening, Packet, TCP_FLAG_SYN};
use super::Inspected;
use crate::packet::flow::Flow;
use crate::packet::gue::{self, Gue};
use crate::packet::ip::{proto, Family, IPV4_LEN, IPV6_LEN};
use crate::packet::view::View;

/// Bytes of UDP and the fixed part of GUE.
const TUNNEL_LEN: usize = gue::UDP_LEN + gue::FIXED_LEN;
/// Bytes of a TCP header that are looked at.
const TCP_LEN: usize = 14;

/// What a common packet is known by: no more than fits into registers, as most packets need nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Common {
    /// Offset of the inner IP header.
    inner_offset: usize,
    inner: Family,
    tcp_flags: u8,
    /// The tunnel's list of hops: the index of the next one, and how many there are.
    next: u8,
    hops: u8,
}

impl Common {
    /// `None` of another packet.
    #[inline(always)]
    pub fn read(packet: &Packet<'_>) -> Option<Self> {
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

    /// Whether it begins a connection.
    #[inline(always)]
    pub fn is_syn(&self) -> bool {
        self.tcp_flags & TCP_FLAG_SYN != 0
    }

    /// Family of the inner packet.
    #[inline(always)]
    pub fn inner(&self) -> Family {
        self.inner
    }

    /// The connection, read from its packet. Addresses and ports stand side by side, as there are no options.
    #[inline(always)]
    pub fn flow<'p>(&self, view: View<'p>) -> Option<Flow<'p>> {
        flow_of(view, self.inner_offset, self.inner)
    }

    /// What [`inspect()`](super::inspect()) says of it, if it came in a packet of the family `outer` and is no SYN.
    #[inline]
    pub fn inspected(&self, outer: Family) -> Inspected {
        let gue = tunnel_header(outer, (self.inner_offset, self.inner), self.next, self.hops);
        let tcp = behind_inner(&gue);
        Inspected {
            udp_offset: match outer {
                Family::V4 => IPV4_LEN,
                Family::V6 => IPV6_LEN,
            },
            gue,
            question: connection(&gue, tcp, self.tcp_flags, None),
        }
    }

    /// What is known of it as a SYN, where listeners are asked for.
    #[inline(always)]
    pub fn opening(&self) -> Opening {
        Opening {
            inner_offset: self.inner_offset,
            inner: self.inner,
        }
    }
}

/// A common packet that begins a connection. It has less of it than [`Common`], so that nothing has to be kept for a SYN on the
/// way of the packets that are none.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    inner_offset: usize,
    inner: Family,
}

impl Opening {
    /// Family of the inner packet.
    #[inline(always)]
    pub fn inner(&self) -> Family {
        self.inner
    }

    /// The connection, read from the packet that the opening was read from.
    #[inline(always)]
    pub fn flow<'p>(&self, view: View<'p>) -> Option<Flow<'p>> {
        flow_of(view, self.inner_offset, self.inner)
    }

    /// What [`inspect()`](super::inspect()) says of it; `None` of another packet than the one it was read from.
    #[inline]
    pub fn inspected(&self, packet: &Packet<'_>) -> Option<Inspected> {
        let udp = match packet.outer {
            Family::V4 => IPV4_LEN,
            Family::V6 => IPV6_LEN,
        };
        let index = udp.wrapping_add(gue::UDP_LEN + 6);
        let &[next, hops] = packet.view.linear().get(index..)?.first_chunk()?;
        let gue = tunnel_header(packet.outer, (self.inner_offset, self.inner), next, hops);
        let tcp = behind_inner(&gue);
        Some(Inspected {
            udp_offset: udp,
            gue,
            question: opening(&gue, tcp, None),
        })
    }
}

/// The connection of a common packet.
#[inline(always)]
fn flow_of(view: View<'_>, inner_offset: usize, inner: Family) -> Option<Flow<'_>> {
    let bytes = view.linear().get(inner_offset..)?;
    match inner {
        Family::V4 => Flow::of_client_v4(bytes.get(12..)?.first_chunk()?),
        Family::V6 => Flow::of_client_v6(bytes.get(8..)?.first_chunk()?),
    }
}

/// The tunnel header of a common packet.
#[inline(always)]
fn tunnel_header(outer: Family, (inner_offset, inner): (usize, Family), next: u8, hops: u8) -> Gue {
    let (udp, hop_len) = match outer {
        Family::V4 => (IPV4_LEN, 4),
        Family::V6 => (IPV6_LEN, 16),
    };
    let list = udp.wrapping_add(TUNNEL_LEN);
    Gue {
        inner,
        inner_offset,
        index_offset: udp.wrapping_add(gue::UDP_LEN + 6),
        hop_offset: (next < hops)
            .then(|| list.wrapping_add(usize::from(next).wrapping_mul(hop_len))),
    }
}

/// Where the TCP header of a common packet is.
#[inline(always)]
fn behind_inner(gue: &Gue) -> usize {
    let ip_len = match gue.inner {
        Family::V4 => IPV4_LEN,
        Family::V6 => IPV6_LEN,
    };
    gue.inner_offset.wrapping_add(ip_len)
}

/// Reads on from the UDP header at `udp`, in an outer packet of `end` bytes.
#[inline(always)]
fn behind(
    packet: &Packet<'_>,
    tunnel: &[u8; TUNNEL_LEN],
    udp: usize,
    end: usize,
    outer: Family,
) -> Option<Common> {
    let &[_, _, _, _, len_hi, len_lo, _, _, hlen, inner, flags_hi, flags_lo, type_hi, type_lo, next, hops] =
        tunnel;
    let (data_type, hop_len, words_per_hop) = match outer {
        Family::V4 => (gue::TYPE_IPV4_HOPS, 4, 1),
        Family::V6 => (gue::TYPE_IPV6_HOPS, 16, 4),
    };
    let udp_len = usize::from(u16::from_be_bytes([len_hi, len_lo]));
    let hop_count = usize::from(hops);
    // A version, a control flag or a longer header in the first byte makes it unequal.
    if end > packet.view.len()
        || udp.wrapping_add(udp_len) != end
        || usize::from(hlen) != hop_count.wrapping_mul(words_per_hop).wrapping_add(1)
        || hlen > 0x1f
        || flags_hi | flags_lo != 0
        || u16::from_be_bytes([type_hi, type_lo]) != data_type
    {
        return None;
    }
    let list = udp.wrapping_add(TUNNEL_LEN);
    let at = list.wrapping_add(hop_count.wrapping_mul(hop_len));
    let bytes = packet.view.linear().get(at..)?;
    let (family, tcp, tcp_flags, inner_end) = match inner {
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
    Some(Common {
        inner_offset: at,
        inner: family,
        tcp_flags,
        next,
        hops,
    })
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
