// SPDX-License-Identifier: GPL-2.0

//! An address of a backend or of a bind, and the prefixes made from it.

/// An IP address, network byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Addr {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
}

impl Addr {
    /// Bits of an address of this family: 32 or 128.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4(_) => 32,
            Self::V6(_) => 128,
        }
    }

    /// The address with all bits behind the first `len` cleared.
    #[inline]
    #[must_use]
    pub fn masked(self, len: u8) -> Self {
        match self {
            Self::V4(bytes) => Self::V4((u32::from_be_bytes(bytes) & mask_32(len)).to_be_bytes()),
            Self::V6(bytes) => Self::V6((u128::from_be_bytes(bytes) & mask_128(len)).to_be_bytes()),
        }
    }
}

/// A mask of `len` leading ones; 32 or more gives all ones.
#[inline]
#[must_use]
pub fn mask_32(len: u8) -> u32 {
    // The ones come down from the upper half. The cast keeps the lower one.
    (!u64::from(u32::MAX)).wrapping_shr(u32::from(len.min(32))) as u32
}

/// A mask of `len` leading ones; 128 or more gives all ones.
#[inline]
#[must_use]
pub fn mask_128(len: u8) -> u128 {
    match 128u32.checked_sub(u32::from(len)) {
        None => u128::MAX,
        Some(clear) => u128::MAX.checked_shl(clear).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_at_the_ends() {
        assert_eq!(mask_32(0), 0);
        assert_eq!(mask_32(1), 0x8000_0000);
        assert_eq!(mask_32(32), u32::MAX);
        assert_eq!(mask_32(200), u32::MAX);
        assert_eq!(mask_128(0), 0);
        assert_eq!(mask_128(128), u128::MAX);
        assert_eq!(mask_128(127), u128::MAX - 1);
    }

    #[test]
    fn masking() {
        assert_eq!(
            Addr::V4([10, 255, 3, 4]).masked(9),
            Addr::V4([10, 128, 0, 0])
        );
        assert_eq!(Addr::V6([0xff; 16]).masked(0), Addr::V6([0; 16]));
    }
}
