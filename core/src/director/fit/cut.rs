// SPDX-License-Identifier: GPL-2.0

//! Cutting a client's IPv4 packet that may be fragmented and does not fit the tunnel (RFC 791, section 3.2).
//!
//! The client's packet is cut, not the tunnel's: each piece is a tunnel packet of its own, which says DF, names the hops,
//! and takes the whole packet's way. The proxy with the connection reassembles the fragments.

use crate::packet::checksum;
use crate::packet::ip::{proto, IPV4_LEN, IPV6_LEN};
use crate::packet::view::View;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

const OPTION_END: u8 = 0;
const OPTION_NOOP: u8 = 1;
/// Set in the type of options that every fragment has.
const OPTION_COPIED: u8 = 0x80;

/// How a packet is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Bytes of its header, with options.
    header_len: usize,
    /// Bytes behind the header.
    payload_len: usize,
    /// Bytes behind the header of each piece but the last; a multiple of 8.
    piece_len: usize,
    /// Where the packet itself is in its datagram, in units of 8 bytes.
    offset: u16,
    /// Whether the packet is itself a fragment that others follow.
    more: bool,
}

/// Where the TCP header is that stands right behind the IP header of the packet in `view`, which is known to be TCP. `None`
/// behind extension headers: segmentation does not know all of them.
pub fn tcp_offset(view: View<'_>) -> Option<usize> {
    let first = view.byte(0).ok()?;
    if first >> 4 == 4 {
        return Some(usize::from(first & 0xf).wrapping_mul(4));
    }
    (view.byte(6).ok()? == proto::TCP).then_some(IPV6_LEN)
}

/// A piece of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where its payload starts, behind the packet's header.
    pub start: usize,
    /// Bytes of its payload.
    pub len: usize,
    /// Whether it is the packet's last one.
    last: bool,
}

impl Cut {
    /// How the packet of `len` bytes in `view`, from its IP header on, is cut into pieces of at most `mtu` bytes. `None` if it
    /// must not be cut, is not IPv4, or not even 8 bytes fit.
    pub fn new(view: View<'_>, len: usize, mtu: usize) -> Option<Self> {
        let first = view.byte(0).ok()?;
        let flags = view.be16(6).ok()?;
        if first >> 4 != 4 || flags & DONT_FRAGMENT != 0 {
            return None;
        }
        let header_len = usize::from(first & 0xf).wrapping_mul(4);
        if header_len < IPV4_LEN {
            return None;
        }
        let piece_len = mtu.checked_sub(header_len)? & !7;
        if piece_len == 0 {
            return None;
        }
        Some(Self {
            header_len,
            payload_len: len.checked_sub(header_len)?,
            piece_len,
            offset: flags & OFFSET,
            more: flags & MORE != 0,
        })
    }

    /// Bytes of the header that each piece has a copy of.
    pub fn header_len(&self) -> usize {
        self.header_len
    }

    /// The piece that starts at byte `start` of the payload; the first one starts at 0, each other where the one before it
    /// ends. `None` at the end.
    pub fn piece(&self, start: usize) -> Option<Piece> {
        let left = self.payload_len.checked_sub(start)?;
        if left == 0 {
            return None;
        }
        let last = left <= self.piece_len;
        Some(Piece {
            start,
            len: if last { left } else { self.piece_len },
            last,
        })
    }

    /// Makes a copy of the packet's header that of a piece.
    pub fn write(&self, header: &mut [u8], piece: &Piece) -> Option<()> {
        if piece.start > 0 {
            drop_first_options(header.get_mut(IPV4_LEN..)?);
        }
        let total = self.header_len.wrapping_add(piece.len);
        let units = u16::try_from(piece.start / 8).ok()?;
        let offset = self.offset.checked_add(units).filter(|o| *o <= OFFSET)?;
        let more = self.more || !piece.last;
        let place = offset | if more { MORE } else { 0 };
        let fixed = header.first_chunk_mut::<IPV4_LEN>()?;
        let [_, _, len_hi, len_lo, _, _, place_hi, place_lo, _, _, check_hi, check_lo, ..] = fixed;
        [*len_hi, *len_lo] = u16::try_from(total).ok()?.to_be_bytes();
        [*place_hi, *place_lo] = place.to_be_bytes();
        [*check_hi, *check_lo] = [0, 0];
        let check = checksum::Sum::default().with(header).checksum();
        let [_, _, _, _, _, _, _, _, _, _, check_hi, check_lo, ..] = header else {
            return None;
        };
        [*check_hi, *check_lo] = check.to_be_bytes();
        Some(())
    }
}

/// Overwrites the options that only the first fragment has. Options are whole words, so the header stays as long as it is.
fn drop_first_options(mut options: &mut [u8]) {
    // Each round takes a byte at least, of 40 at most.
    loop {
        let len = match options {
            [] | [OPTION_END, ..] => return,
            [OPTION_NOOP, ..] => 1,
            [_, len, ..] => usize::from(*len),
            [_] => return,
        };
        if len < 1 {
            return;
        }
        let Some((option, rest)) = options.split_at_mut_checked(len) else {
            return;
        };
        if let [kind, ..] = option {
            if *kind & OPTION_COPIED == 0 {
                option.fill(OPTION_NOOP);
            }
        }
        options = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// A packet with these flags and place in its datagram, options, and `payload` bytes.
    fn packet(place: u16, options: &[u8], payload: usize) -> Vec<u8> {
        let header = 20 + options.len();
        let mut p = vec![0; header];
        p[0] = 0x40 | (header / 4) as u8;
        p[2..4].copy_from_slice(&((header + payload) as u16).to_be_bytes());
        p[4..8].copy_from_slice(&[0x12, 0x34, (place >> 8) as u8, place as u8]);
        p[8..20].copy_from_slice(&[64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1]);
        p[20..].copy_from_slice(options);
        p.extend((0..payload).map(|at| at as u8));
        p
    }

    /// All pieces, whole.
    fn cut(packet: &[u8], mtu: usize) -> Option<Vec<Vec<u8>>> {
        let cut = Cut::new(View::whole(packet), packet.len(), mtu)?;
        let mut pieces = Vec::new();
        let mut start = 0;
        while let Some(piece) = cut.piece(start) {
            let mut out = packet[..cut.header_len()].to_vec();
            cut.write(&mut out, &piece).unwrap();
            out.extend(&packet[cut.header_len() + start..][..piece.len]);
            pieces.push(out);
            start += piece.len;
        }
        Some(pieces)
    }

    #[test]
    fn pieces_make_the_packet_again() {
        for payload in [1, 8, 1473, 1480, 3000, 4001] {
            for mtu in [28, 576, 1460, 1461] {
                for place in [0, MORE | 7] {
                    let whole = packet(place, &[], payload);
                    let pieces = cut(&whole, mtu).unwrap();
                    let mut body: Vec<u8> = Vec::new();
                    for (index, piece) in pieces.iter().enumerate() {
                        assert!(piece.len() <= mtu);
                        assert_eq!(
                            usize::from(u16::from_be_bytes([piece[2], piece[3]])),
                            piece.len()
                        );
                        assert_eq!(checksum::Sum::default().with(&piece[..20]).checksum(), 0);
                        let at = u16::from_be_bytes([piece[6], piece[7]]);
                        assert_eq!(
                            usize::from(at & OFFSET),
                            usize::from(place & OFFSET) + body.len() / 8
                        );
                        let last = index + 1 == pieces.len();
                        assert_eq!(at & MORE != 0, !last || place & MORE != 0);
                        assert_eq!(at & DONT_FRAGMENT, 0);
                        assert_eq!(piece[4..6], whole[4..6]);
                        body.extend(&piece[20..]);
                    }
                    assert_eq!(body, whole[20..]);
                }
            }
        }
    }

    #[test]
    fn only_the_first_piece_has_options_that_are_not_copied() {
        // Record route (7), not copied; router alert (148), copied; padding.
        let options = [7, 3, 4, 148, 4, 0, 0, 0];
        let pieces = cut(&packet(0, &options, 100), 28 + 40).unwrap();
        assert_eq!(pieces[0][20..28], options);
        assert_eq!(pieces[1][20..28], [1, 1, 1, 148, 4, 0, 0, 0]);
        for piece in pieces {
            assert_eq!(checksum::Sum::default().with(&piece[..28]).checksum(), 0);
        }
    }

    #[test]
    fn broken_options_end_the_search() {
        for options in [[7, 0, 0, 0], [7, 200, 0, 0], [1, 1, 1, 7], [0, 7, 3, 0]] {
            let pieces = cut(&packet(0, &options, 100), 24 + 40).unwrap();
            assert_eq!(pieces[1][20..24], options);
        }
    }

    #[test]
    fn tcp_is_behind_the_ip_header() {
        assert_eq!(tcp_offset(View::whole(&packet(0, &[1; 8], 20))), Some(28));
        let mut v6 = vec![0x60; 60];
        v6[6] = 6;
        assert_eq!(tcp_offset(View::whole(&v6)), Some(40));
        v6[6] = 0;
        assert_eq!(tcp_offset(View::whole(&v6)), None);
    }

    #[test]
    fn what_must_not_be_cut_is_not() {
        assert_eq!(cut(&packet(DONT_FRAGMENT, &[], 2000), 1460), None);
        assert_eq!(cut(&packet(0, &[], 2000), 27), None);
        assert_eq!(cut(&packet(0, &[], 2000), 10), None);
        let mut v6 = vec![0; 100];
        v6[0] = 0x60;
        assert_eq!(cut(&v6, 60), None);
    }
}
