// SPDX-License-Identifier: GPL-2.0

//! In which order a backend wants the rows: from its offset on, skip by skip.
//!
//! The size is a prime, so that every skip visits every row once.

use crate::packet::addr::Addr;
use crate::siphash::SipKey;

/// A backend's order of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permutation {
    /// The row that it wants first; below the size.
    pub offset: u32,
    /// How far the next row is; 1 to below the size.
    pub skip: u32,
}

impl Permutation {
    /// The order of the backend with this address, in a table with this seed.
    #[inline]
    #[must_use]
    pub fn new(seed: &SipKey, addr: Addr, size: u32) -> Self {
        let hash = match addr {
            Addr::V4(bytes) => seed.hash_4(bytes),
            Addr::V6(bytes) => seed.hash_16(&bytes),
        };
        // The casts keep the high and the low half.
        let (high, low) = ((hash >> 32) as u32, hash as u32);
        Self {
            offset: share(high, size),
            skip: share(low, size.saturating_sub(1)).saturating_add(1),
        }
    }
}

/// The number below `count` that is as far from 0 to `count` as `of` is from 0 to 2^32: a multiplication, no division.
#[inline(always)]
#[must_use]
pub(super) fn share(of: u32, count: u32) -> u32 {
    // The cast is exact: a product of 32 bits by 32 has 64.
    (u64::from(of).wrapping_mul(u64::from(count)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        assert_eq!(share(0, 7), 0);
        assert_eq!(share(u32::MAX, 7), 6);
        assert_eq!(share(u32::MAX, u32::MAX), u32::MAX - 1);
        assert_eq!(share(1 << 31, 7), 3);
        assert_eq!(share(u32::MAX, 0), 0);
    }

    #[test]
    fn of_the_hash_of_the_address() {
        let seed = SipKey::new(b"0123456789abcdef");
        let v6 = [0xfd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        for (addr, hash) in [
            (Addr::V4([192, 168, 40, 1]), seed.hash(&[192, 168, 40, 1])),
            (Addr::V6(v6), seed.hash(&v6)),
        ] {
            for size in [2, 7, 1_021, 65_537] {
                let of = Permutation::new(&seed, addr, size);
                let part = |part: u64, count: u32| part as u128 * u128::from(count) >> 32;
                assert_eq!(u128::from(of.offset), part(hash >> 32, size));
                let skip = 1 + part(hash & 0xffff_ffff, size - 1);
                assert_eq!(u128::from(of.skip), skip);
            }
        }
    }
}
