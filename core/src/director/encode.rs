// SPDX-License-Identifier: GPL-2.0

//! The headers in front of the client's packet: outer IP, UDP, GUE and the hops
//! (github/glb-director, docs/development/gue-header.md).

use crate::checksum;
use crate::gue;
use crate::hash::PacketHash;
use crate::ip::{proto, Family, IPV4_LEN, IPV6_LEN};

const TTL: u8 = 64;

/// The longest header: IPv4 with 30 further hops is 156 bytes, IPv6 with 7 is 168.
pub const MAX_HEADER_LEN: usize = header_len(Family::V6, gue::MAX_HOPS_V6);

/// Bytes in front of the client's packet with `hops` hops behind the first.
#[inline]
pub const fn header_len(outer: Family, hops: u8) -> usize {
    let (ip, hop) = match outer {
        Family::V4 => (IPV4_LEN, 4),
        Family::V6 => (IPV6_LEN, 16),
    };
    // At most 40 + 16 + 255 * 16.
    ip.wrapping_add(gue::UDP_LEN + gue::FIXED_LEN)
        .wrapping_add((hops as usize).wrapping_mul(hop))
}

/// The outer source port: routers and network cards spread flows by it.
#[inline]
pub const fn source_port(hash: PacketHash, hint: u16) -> u16 {
    0x8000 | ((hash.0 as u16 ^ hint) & 0x7fff)
}

/// A tunnel header to be written. UDP checksum 0: receivers take it (RFC 6935 for IPv6), and the inner
/// packet has checksums of its own. Who wants one fills it in over the whole packet.
#[derive(Debug, Clone, Copy)]
pub struct Tunnel<A> {
    /// Outer source.
    pub src: A,
    /// Outer destination: the first hop.
    pub dst: A,
    /// UDP source port.
    pub src_port: u16,
    /// UDP destination port.
    pub dst_port: u16,
    /// Family of the client's packet.
    pub inner: Family,
    /// Length of the client's packet.
    pub inner_len: usize,
}

impl Tunnel<[u8; 4]> {
    /// Writes the header, with `hops` behind the first; `out` must have exactly its length.
    #[inline]
    pub fn write(&self, out: &mut [u8], hops: impl IntoIterator<Item = [u8; 4]>) -> Option<()> {
        let total = out.len().wrapping_add(self.inner_len);
        // An aggregate of more than 64 KiB is cut into packets with lengths of their own.
        let [len_hi, len_lo] = u16::try_from(total).unwrap_or(0).to_be_bytes();
        let ip = out.first_chunk_mut::<IPV4_LEN>()?;
        let [s0, s1, s2, s3] = self.src;
        let [d0, d1, d2, d3] = self.dst;
        *ip = [
            0x45,
            0,
            len_hi,
            len_lo,
            0,
            0,
            0x40,
            0,
            TTL,
            proto::UDP,
            0,
            0,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
        ];
        let check = checksum::of_header(ip);
        let [_, _, _, _, _, _, _, _, _, _, hi, lo, ..] = ip;
        [*hi, *lo] = check;
        let udp_len = total.wrapping_sub(IPV4_LEN);
        let list = self.write_udp_gue(out.get_mut(IPV4_LEN..)?, udp_len, gue::TYPE_IPV4_HOPS, 4)?;
        write_hops(list, hops)
    }
}

impl Tunnel<[u8; 16]> {
    /// Writes the header, with `hops` behind the first; `out` must have exactly its length.
    #[inline]
    pub fn write(&self, out: &mut [u8], hops: impl IntoIterator<Item = [u8; 16]>) -> Option<()> {
        let payload = out
            .len()
            .wrapping_sub(IPV6_LEN)
            .wrapping_add(self.inner_len);
        let [len_hi, len_lo] = u16::try_from(payload).unwrap_or(0).to_be_bytes();
        *out.first_chunk_mut::<8>()? = [0x60, 0, 0, 0, len_hi, len_lo, proto::UDP, TTL];
        *out.get_mut(8..)?.first_chunk_mut()? = self.src;
        *out.get_mut(24..)?.first_chunk_mut()? = self.dst;
        let list =
            self.write_udp_gue(out.get_mut(IPV6_LEN..)?, payload, gue::TYPE_IPV6_HOPS, 16)?;
        write_hops(list, hops)
    }
}

impl<A> Tunnel<A> {
    #[inline]
    fn write_udp_gue<'a>(
        &self,
        out: &'a mut [u8],
        udp_len: usize,
        data_type: u16,
        hop_len: usize,
    ) -> Option<&'a mut [u8]> {
        let (fixed, list) = out.split_first_chunk_mut::<16>()?;
        let hlen = u8::try_from((list.len() >> 2).wrapping_add(1)).ok()?;
        if hlen > 0x1f {
            return None;
        }
        let hops = list.len().checked_div(hop_len)?;
        let [sp_hi, sp_lo] = self.src_port.to_be_bytes();
        let [dp_hi, dp_lo] = self.dst_port.to_be_bytes();
        let [len_hi, len_lo] = u16::try_from(udp_len).unwrap_or(0).to_be_bytes();
        let [type_hi, type_lo] = data_type.to_be_bytes();
        let inner = match self.inner {
            Family::V4 => proto::IPIP,
            Family::V6 => proto::IPV6,
        };
        *fixed = [
            sp_hi, sp_lo, dp_hi, dp_lo, len_hi, len_lo, 0, 0, hlen, inner, 0, 0, type_hi, type_lo,
            0, hops as u8,
        ];
        Some(list)
    }
}

#[inline]
fn write_hops<const N: usize>(
    list: &mut [u8],
    hops: impl IntoIterator<Item = [u8; N]>,
) -> Option<()> {
    let mut rest = list;
    for hop in hops {
        let (place, behind) = rest.split_first_chunk_mut()?;
        *place = hop;
        rest = behind;
    }
    rest.is_empty().then_some(())
}
