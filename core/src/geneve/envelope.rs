// SPDX-License-Identifier: GPL-2.0

//! The header of a packet, and the same one for the way back: outer addresses exchanged, all of Geneve byte for byte, the UDP
//! ports as they came, and a UDP checksum if there was one.

use super::inspect::{Opened, Packet, BASE_LEN};
use super::options::MAX_OPTIONS_LEN;
use crate::packet::checksum::{of_header, of_udp};
use crate::packet::gue::UDP_LEN;
use crate::packet::ip::{proto, Addrs, IPV4_LEN, IPV6_LEN};

const TTL: u8 = 64;

/// Bytes behind the IP header, without options.
pub(super) const FIXED_LEN: usize = UDP_LEN + BASE_LEN;

/// The longest header.
pub const MAX_ENVELOPE_LEN: usize = IPV6_LEN + FIXED_LEN + MAX_OPTIONS_LEN;

/// The headers around a packet, as it came: what of them goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'p> {
    /// Source and destination.
    pub outer: Addrs,
    /// Both UDP ports.
    pub ports: [u8; 4],
    /// Whether there is a UDP checksum.
    pub has_checksum: bool,
    /// The Geneve header in front of the options: flags, protocol, VNI, reserved bits.
    pub base: [u8; BASE_LEN],
    /// The options.
    pub options: &'p [u8],
}

/// What is to go into an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letter {
    /// Its length.
    pub len: usize,
    /// Its TOS or traffic class.
    pub tos: u8,
}

impl<'p> Envelope<'p> {
    /// Of a packet that was opened.
    #[inline]
    #[must_use]
    pub fn of(packet: &Packet<'p>, opened: &Opened) -> Option<Self> {
        let headers = packet.view.linear().get(opened.udp..opened.inner_at)?;
        let (&[p0, p1, p2, p3, _, _, sum_hi, sum_lo], geneve) =
            headers.split_first_chunk::<UDP_LEN>()?;
        let (base, options) = geneve.split_first_chunk()?;
        Some(Self {
            outer: opened.outer,
            ports: [p0, p1, p2, p3],
            has_checksum: sum_hi | sum_lo != 0,
            base: *base,
            options,
        })
    }

    /// Its length.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.front().len()
    }

    /// Never: there is a header at least.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    #[inline]
    fn front(&self) -> Front {
        Front {
            outer: self.outer,
            ports: self.ports,
            base: self.base,
            options_len: self.options.len(),
        }
    }

    /// Writes the header of the way back at `out`, which must have exactly its length. The UDP checksum is 0 so far.
    ///
    /// A letter of more than 64 KiB is an aggregate, whose segments get lengths of their own: the lengths are 0 then.
    #[inline]
    #[must_use]
    pub fn write_back(&self, letter: &Letter, out: &mut [u8]) -> Option<()> {
        let rest = self.front().write_back(letter, out)?;
        // The lengths are equal: that of `out` is the sum.
        for (to, from) in rest.iter_mut().zip(self.options) {
            *to = *from;
        }
        Some(())
    }

    /// Fills in the UDP checksum of a header that [`Self::write_back`] wrote in front of `inner`, for who has the packet at hand.
    pub fn fill_checksum(&self, header: &mut [u8], inner: &[u8]) -> Option<()> {
        let udp = header.get_mut(self.front().ip_len()..)?;
        // The options are words of 4 bytes: the header is of even length.
        let check = match of_udp(&self.outer, &[udp, inner]) {
            // 0 would say that there is none.
            0 => 0xffff,
            check => check,
        };
        let [_, _, _, _, _, _, hi, lo, ..] = udp else {
            return None;
        };
        [*hi, *lo] = check.to_be_bytes();
        Some(())
    }
}

/// What stands in front of the options, and how long these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Front {
    /// Source and destination, as the packet came.
    pub(super) outer: Addrs,
    pub(super) ports: [u8; 4],
    pub(super) base: [u8; BASE_LEN],
    pub(super) options_len: usize,
}

impl Front {
    #[inline]
    fn len(&self) -> usize {
        self.ip_len()
            .wrapping_add(FIXED_LEN)
            .wrapping_add(self.options_len)
    }

    #[inline]
    const fn ip_len(&self) -> usize {
        match self.outer {
            Addrs::V4 { .. } => IPV4_LEN,
            Addrs::V6 { .. } => IPV6_LEN,
        }
    }

    /// Writes it for the way back at `out`, which must have exactly the length of the whole header; answers the place of the options.
    #[inline]
    pub(super) fn write_back<'o>(
        &self,
        letter: &Letter,
        out: &'o mut [u8],
    ) -> Option<&'o mut [u8]> {
        if out.len() != self.len() {
            return None;
        }
        let rest = match self.outer.reversed() {
            Addrs::V4 { src, dst } => v4(letter, (src, dst), out)?,
            Addrs::V6 { src, dst } => v6(letter, (&src, &dst), out)?,
        };
        let len = length(rest.len(), letter);
        let (udp, rest) = rest.split_first_chunk_mut::<UDP_LEN>()?;
        let ([p0, p1, p2, p3], [len_hi, len_lo]) = (self.ports, len);
        *udp = [p0, p1, p2, p3, len_hi, len_lo, 0, 0];
        let (base, rest) = rest.split_first_chunk_mut::<BASE_LEN>()?;
        *base = self.base;
        Some(rest)
    }
}

/// The length field of a header with `len` bytes of headers from itself on.
#[inline]
fn length(len: usize, letter: &Letter) -> [u8; 2] {
    u16::try_from(len.wrapping_add(letter.len))
        .unwrap_or(0)
        .to_be_bytes()
}

#[inline]
fn v4<'o>(
    letter: &Letter,
    (src, dst): ([u8; 4], [u8; 4]),
    out: &'o mut [u8],
) -> Option<&'o mut [u8]> {
    let [len_hi, len_lo] = length(out.len(), letter);
    let (ip, rest) = out.split_first_chunk_mut::<IPV4_LEN>()?;
    let ([s0, s1, s2, s3], [d0, d1, d2, d3]) = (src, dst);
    // Do not fragment: what does not fit is told to the sender.
    const FLAGS: u8 = 0x40;
    *ip = [
        0x45,
        letter.tos,
        len_hi,
        len_lo,
        0,
        0,
        FLAGS,
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
    let check = of_header(ip);
    let [_, _, _, _, _, _, _, _, _, _, hi, lo, ..] = ip;
    [*hi, *lo] = check;
    Some(rest)
}

#[inline]
fn v6<'o>(
    letter: &Letter,
    (src, dst): (&[u8; 16], &[u8; 16]),
    out: &'o mut [u8],
) -> Option<&'o mut [u8]> {
    let (ip, rest) = out.split_first_chunk_mut::<IPV6_LEN>()?;
    let [len_hi, len_lo] = length(rest.len(), letter);
    let (fixed, addrs) = ip.split_first_chunk_mut::<8>()?;
    let (tos_hi, tos_lo) = (letter.tos >> 4, letter.tos << 4);
    *fixed = [0x60 | tos_hi, tos_lo, 0, 0, len_hi, len_lo, proto::UDP, TTL];
    let (place, addrs) = addrs.split_first_chunk_mut::<16>()?;
    *place = *src;
    *addrs.first_chunk_mut()? = *dst;
    Some(rest)
}
