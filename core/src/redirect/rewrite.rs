// SPDX-License-Identifier: GPL-2.0

//! The bytes that change when a packet is passed on: outer addresses, next hop index, checksums.

use super::Inspected;
use crate::packet::checksum::{Delta, UdpChecksum};
use crate::packet::gue::Hop;

/// Passes the packet whose first bytes are `head` on to `hop`: the old destination becomes the source,
/// the hop the destination, and the index goes up by one. UDP ports, TTL and the inner packet stay.
///
/// Returns `None`, with `head` unchanged, if `head` does not reach as far as `packet` says.
#[inline]
pub fn rewrite(head: &mut [u8], packet: &Inspected, hop: Hop, udp: UdpChecksum) -> Option<()> {
    let index = *head.get(packet.gue.index_offset)?;
    let udp_check: [u8; 2] = *head
        .get(packet.udp_offset.wrapping_add(6)..)?
        .first_chunk()?;
    let next_index = index.wrapping_add(1);

    let pseudo = match (head.first()? >> 4, hop) {
        (4, Hop::V4(hop)) => rewrite_v4(head, hop)?,
        (6, Hop::V6(hop)) => rewrite_v6(head, hop)?,
        _ => return None,
    };

    if let Some(byte) = head.get_mut(packet.gue.index_offset) {
        *byte = next_index;
    }
    if let Some(field) = head
        .get_mut(packet.udp_offset.wrapping_add(6)..)
        .and_then(<[u8]>::first_chunk_mut)
    {
        let check = u16::from_be_bytes(udp_check);
        let updated = match udp {
            UdpChecksum::PseudoHeader => pseudo.apply_to_sum(check),
            // 0 says that there is no checksum.
            UdpChecksum::Complete if check == 0 => 0,
            UdpChecksum::Complete => {
                // The index is the first byte of a 16-bit word (the hop count is the second), at an
                // even offset from the UDP header.
                match pseudo.replaced(&[index, 0], &[next_index, 0]).apply(check) {
                    // RFC 768: a computed 0 is sent as all ones.
                    0 => 0xffff,
                    check => check,
                }
            }
        };
        *field = updated.to_be_bytes();
    }
    Some(())
}

fn rewrite_v4(head: &mut [u8], hop: [u8; 4]) -> Option<Delta> {
    let header: &mut [u8; 20] = head.first_chunk_mut()?;
    let [_, _, _, _, _, _, _, _, _, _, check_hi, check_lo, s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let (src, dst) = ([*s0, *s1, *s2, *s3], [*d0, *d1, *d2, *d3]);
    let delta = Delta::NONE.replaced(&src, &dst).replaced(&dst, &hop);
    [*check_hi, *check_lo] = delta
        .apply(u16::from_be_bytes([*check_hi, *check_lo]))
        .to_be_bytes();
    [*s0, *s1, *s2, *s3] = dst;
    [*d0, *d1, *d2, *d3] = hop;
    Some(delta)
}

fn rewrite_v6(head: &mut [u8], hop: [u8; 16]) -> Option<Delta> {
    let (source, behind) = head.get_mut(8..)?.split_first_chunk_mut()?;
    let destination = behind.first_chunk_mut()?;
    let (src, dst): ([u8; 16], [u8; 16]) = (*source, *destination);
    (*source, *destination) = (dst, hop);
    Some(Delta::NONE.replaced(&src, &dst).replaced(&dst, &hop))
}
