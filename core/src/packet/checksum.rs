// SPDX-License-Identifier: GPL-2.0

//! Internet checksums (RFC 1071), and their incremental update (RFC 1624, equation 3).

use super::ip::{proto, Addrs};

/// How much of a UDP checksum field is already computed, which decides what an update must cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdpChecksum {
    /// The field is the final checksum (or 0: none): it covers pseudo header and data.
    Complete,
    /// The field holds the not yet complemented sum of the pseudo header alone; a device or the
    /// segmentation code adds the data later (`CHECKSUM_PARTIAL` at the outer header, or
    /// `SKB_GSO_UDP_TUNNEL_CSUM`).
    PseudoHeader,
}

/// A ones' complement sum of 16-bit words under way, in the order of this machine's bytes: it does not depend on that, nor on the
/// words' being added in pairs (RFC 1071, section 2).
///
/// It has 64 bits and is folded where it is applied: some dozens of numbers of 32 bits stay far below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delta(u64);

impl Delta {
    /// No change.
    pub const NONE: Self = Self(0);

    /// Adds the replacement of `old` by `new`, both of even length and at an even offset of the data
    /// that the checksum covers.
    #[inline(always)]
    #[must_use]
    pub fn replaced<const N: usize>(self, old: &[u8; N], new: &[u8; N]) -> Self {
        let mut sum = self.0;
        let (mut old, mut new) = (&old[..], &new[..]);
        while let (Some((a, old_rest)), Some((b, new_rest))) =
            (old.split_first_chunk::<4>(), new.split_first_chunk::<4>())
        {
            sum = sum
                .wrapping_add(u64::from(!u32::from_ne_bytes(*a)))
                .wrapping_add(u64::from(u32::from_ne_bytes(*b)));
            (old, new) = (old_rest, new_rest);
        }
        if let (Some(a), Some(b)) = (old.first_chunk::<2>(), new.first_chunk::<2>()) {
            sum = sum
                .wrapping_add(u64::from(!u16::from_ne_bytes(*a)))
                .wrapping_add(u64::from(u16::from_ne_bytes(*b)));
        }
        Self(sum)
    }

    /// The final checksum `check` after the change.
    #[inline(always)]
    #[must_use]
    pub fn apply(self, check: u16) -> u16 {
        !self.apply_to_sum(!check)
    }

    /// The sum `sum` (not complemented) after the change.
    #[inline(always)]
    #[must_use]
    pub fn apply_to_sum(self, sum: u16) -> u16 {
        u16::from_be(folded(u64::from(sum.to_be()).wrapping_add(self.0)))
    }
}

/// A checksum over several pieces, each of even length.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum(u32);

impl Sum {
    /// Adds a piece.
    #[must_use]
    pub fn with(self, piece: &[u8]) -> Self {
        let mut sum = self.0;
        for word in piece.chunks_exact(2) {
            if let &[hi, lo] = word {
                sum = fold(sum.wrapping_add(u32::from(u16::from_be_bytes([hi, lo]))));
            }
        }
        Self(sum)
    }

    /// The checksum field for what was added.
    pub fn checksum(self) -> u16 {
        !(fold(self.0) as u16)
    }
}

/// The checksum of a UDP datagram (RFC 768, RFC 8200), whose field is 0 so far, in pieces that are all but the last one of even
/// length; with its checksum in the field, 0 says that it is right.
#[must_use]
pub fn of_udp(addrs: &Addrs, pieces: &[&[u8]]) -> u16 {
    let mut sum = match addrs {
        Addrs::V4 { src, dst } => Sum::default().with(src).with(dst),
        Addrs::V6 { src, dst } => Sum::default().with(src).with(dst),
    };
    let mut len = 0usize;
    for piece in pieces {
        len = len.wrapping_add(piece.len());
        sum = sum.with(piece);
        if let &[last] = piece.chunks_exact(2).remainder() {
            sum = sum.with(&[last, 0]);
        }
    }
    // A datagram has at most 65,535 bytes; the length of IPv6's pseudo header has 32 bits.
    let [_, _, _, _, l0, l1, l2, l3] = (len as u64).to_be_bytes();
    sum.with(&[0, proto::UDP, l0, l1, l2, l3]).checksum()
}

/// The checksum field of an IPv4 header without options, whose field is 0 so far (RFC 791); its bytes as they stand there.
#[inline]
pub fn of_header(header: &[u8; 20]) -> [u8; 2] {
    (!native_sum(header)).to_ne_bytes()
}

/// The same of the header's words.
#[inline(always)]
#[must_use]
pub fn of_words(header: [[u8; 4]; 5]) -> [u8; 2] {
    (!folded(wide_sum(header))).to_ne_bytes()
}

/// Whether the checksum of an IPv4 header without options is right.
#[inline]
#[must_use]
pub fn is_header_right(header: &[u8; 20]) -> bool {
    is_sum_right(words(header))
}

/// The same of its words.
#[inline(always)]
#[must_use]
pub fn is_sum_right(header: [[u8; 4]; 5]) -> bool {
    // 2^16 is 1 modulo 0xffff: no need to fold the carries in.
    let sum = wide_sum(header);
    sum != 0 && sum % 0xffff == 0
}

/// The ones' complement sum of the header's 16-bit words, in the order of this machine's bytes: the sum does not depend on it,
/// nor on the words' being added in pairs (RFC 1071, section 2).
#[inline(always)]
fn native_sum(header: &[u8; 20]) -> u16 {
    folded(wide_sum(words(header)))
}

#[inline(always)]
fn folded(sum: u64) -> u16 {
    // Some dozens of 32-bit numbers are below 2^40. The first line leaves at most 33 bits, the second 18, the third 17.
    let sum = (sum & 0xffff_ffff).wrapping_add(sum >> 32);
    let sum = (sum & 0xffff).wrapping_add(sum >> 16);
    let sum = (sum & 0xffff).wrapping_add(sum >> 16);
    // The cast is exact but for a last carry.
    (sum & 0xffff).wrapping_add(sum >> 16) as u16
}

/// The sum of the header's five 32-bit words, in the order of this machine's bytes.
#[inline(always)]
fn wide_sum([a, b, c, d, e]: [[u8; 4]; 5]) -> u64 {
    let [a, b, c, d, e] = [
        u32::from_ne_bytes(a),
        u32::from_ne_bytes(b),
        u32::from_ne_bytes(c),
        u32::from_ne_bytes(d),
        u32::from_ne_bytes(e),
    ];
    u64::from(a)
        .wrapping_add(u64::from(b))
        .wrapping_add(u64::from(c))
        .wrapping_add(u64::from(d))
        .wrapping_add(u64::from(e))
}

#[inline(always)]
fn words(header: &[u8; 20]) -> [[u8; 4]; 5] {
    let &[a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3, e0, e1, e2, e3] = header;
    [
        [a0, a1, a2, a3],
        [b0, b1, b2, b3],
        [c0, c1, c2, c3],
        [d0, d1, d2, d3],
        [e0, e1, e2, e3],
    ]
}

/// Folds the carries of a sum back in; the result is at most 0xffff.
#[inline]
fn fold(sum: u32) -> u32 {
    let once = (sum & 0xffff).wrapping_add(sum >> 16);
    (once & 0xffff).wrapping_add(once >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(bytes: &[u8]) -> u16 {
        let mut total: u64 = 0;
        for pair in bytes.chunks(2) {
            total += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| u64::from(b));
        }
        while total > 0xffff {
            total = (total & 0xffff) + (total >> 16);
        }
        total as u16
    }

    proptest! {
        #[test]
        fn a_header_is_right_with_its_own_checksum(mut header in proptest::array::uniform20(any::<u8>()), other: u16) {
            header[10..12].copy_from_slice(&[0, 0]);
            let check = of_header(&header);
            prop_assert_eq!(u16::from_be_bytes(check), !sum(&header));
            header[10..12].copy_from_slice(&check);
            prop_assert!(is_header_right(&header) || header.iter().all(|&byte| byte == 0));
            header[10..12].copy_from_slice(&other.to_be_bytes());
            prop_assert_eq!(is_header_right(&header), sum(&header) == 0xffff);
        }

        /// An updated checksum verifies like one computed anew. (0 and 0xffff are the same number in
        /// ones' complement, so the test is the receiver's: the sum over data and checksum is 0xffff.)
        #[test]
        fn update_equals_recomputation(mut data in proptest::array::uniform32(any::<u8>()), new: [u8; 16], at in 0usize..8) {
            prop_assume!(data.iter().any(|&b| b != 0));
            let check = !sum(&data);
            let at = at * 2;
            let old: [u8; 16] = data[at..at + 16].try_into().unwrap();
            data[at..at + 16].copy_from_slice(&new);
            prop_assume!(data.iter().any(|&b| b != 0));
            let updated = Delta::NONE.replaced(&old, &new).apply(check);
            let mut covered = data.to_vec();
            covered.extend(updated.to_be_bytes());
            prop_assert_eq!(sum(&covered), 0xffff);
            let partial = Delta::NONE.replaced(&old, &new).apply_to_sum(!check);
            prop_assert_eq!(partial % 0xffff, sum(&data) % 0xffff);
        }
    }
}
