// SPDX-License-Identifier: GPL-2.0

//! CRC32c, the checksum of SCTP (RFC 9260, appendix A), and how it changes with four bytes.
//!
//! A CRC is linear: two messages of one length differ in their CRCs by what the difference of the messages comes to alone. So
//! a changed port costs a product of polynomials for each set bit of the length behind it, however much data there is, and
//! none of the data is read.

/// The polynomial, lowest coefficients first, without that of x^32.
const POLY: u32 = 0x82f6_3b78;

/// The polynomial 1: the coefficient of x^0 is the highest bit.
const ONE: u32 = 1 << 31;

/// `x^(8 * 2^i)`: what `2^i` bytes more behind multiply a difference by.
const BYTES: [u32; 32] = {
    let mut powers = [ONE >> 8; 32];
    let mut at = 1;
    while at < 32 {
        powers[at] = product(powers[at - 1], powers[at - 1]);
        at += 1;
    }
    powers
};

/// The product of two polynomials, modulo that of the CRC.
const fn product(a: u32, mut b: u32) -> u32 {
    let mut sum = 0;
    let mut bit = ONE;
    while bit != 0 {
        if a & bit != 0 {
            sum ^= b;
        }
        // Times x.
        b = b >> 1 ^ (b & 1).wrapping_neg() & POLY;
        bit >>= 1;
    }
    sum
}

/// What a message's CRC changes by, in all its bits that are set, where four bytes with `behind` bytes behind them change.
#[must_use]
pub fn difference(old: [u8; 4], new: [u8; 4], behind: usize) -> u32 {
    let mut sum = u32::from_le_bytes(old) ^ u32::from_le_bytes(new);
    // The four bytes themselves have shifted through the register, too.
    let mut bytes = behind.wrapping_add(4);
    for power in BYTES {
        if bytes & 1 == 1 {
            sum = product(power, sum);
        }
        bytes >>= 1;
    }
    sum
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// As the RFC says it: bit by bit, over all bytes.
    pub(crate) fn crc32c(message: &[u8]) -> u32 {
        let mut crc = !0_u32;
        for byte in message {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    crc >> 1 ^ POLY
                } else {
                    crc >> 1
                };
            }
        }
        !crc
    }

    /// RFC 3720, appendix B.4.
    #[test]
    fn the_model_is_crc32c() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn as_if_made_anew(mut message in vec(any::<u8>(), 4..3000), new: [u8; 4], at in any::<prop::sample::Index>()) {
            let at = at.index(message.len() - 3);
            let before = crc32c(&message);
            let old: [u8; 4] = message[at..at + 4].try_into().unwrap();
            message[at..at + 4].copy_from_slice(&new);
            let behind = message.len() - at - 4;
            prop_assert_eq!(before ^ difference(old, new, behind), crc32c(&message));
        }
    }

    #[test]
    fn the_longest_packet() {
        let mut message = std::vec![7; 65_535];
        let before = crc32c(&message);
        message[..4].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(
            before ^ difference([7; 4], [1, 2, 3, 4], 65_531),
            crc32c(&message)
        );
    }
}
