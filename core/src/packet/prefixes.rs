// SPDX-License-Identifier: GPL-2.0

//! A short list of prefixes of both families, as an operator names machines: it is looked through one by one.

use super::addr::Addr;

/// Up to `N` prefixes of both families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixes<const N: usize> {
    /// The used ones come first.
    list: [Option<(Addr, u8)>; N],
}

/// Why a prefix was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// There are as many as there may be.
    TooMany,
    /// It is longer than its address.
    TooLong,
}

impl<const N: usize> Prefixes<N> {
    /// None.
    pub const NONE: Self = Self { list: [None; N] };

    /// Adds one. Bits of the address behind it do not matter.
    pub fn add(&mut self, address: Addr, bits: u8) -> Result<(), Unfit> {
        if bits > address.bits() {
            return Err(Unfit::TooLong);
        }
        let free = self.list.iter_mut().find(|prefix| prefix.is_none());
        *free.ok_or(Unfit::TooMany)? = Some((address.masked(bits), bits));
        Ok(())
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &(Addr, u8)> {
        self.list.iter().flatten()
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !matches!(self.list.as_slice(), [Some(_), ..])
    }

    /// Whether one of them has this address.
    #[inline]
    #[must_use]
    pub fn has(&self, addr: Addr) -> bool {
        let mut rest = self.list.as_slice();
        while let [Some((network, bits)), behind @ ..] = rest {
            if addr.masked(*bits) == *network {
                return true;
            }
            rest = behind;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_full_list_takes_no_more() {
        let mut list = Prefixes::<4>::NONE;
        assert!(list.is_empty() && !list.has(Addr::V4([9; 4])));
        for n in 0..4 {
            list.add(Addr::V4([10, n, 255, 255]), 16).unwrap();
        }
        let more = list.add(Addr::V4([11, 0, 0, 0]), 8);
        assert_eq!(more, Err(Unfit::TooMany));
        assert!(list.has(Addr::V4([10, 3, 0, 1])) && !list.is_empty());
        assert!(!list.has(Addr::V4([10, 4, 0, 1])));
        assert!(!list.has(Addr::V6([10; 16])));
        let shown: Vec<_> = list.iter().map(|(addr, _)| *addr).collect();
        assert_eq!(shown, [0, 1, 2, 3].map(|n| Addr::V4([10, n, 0, 0])));
    }

    #[test]
    fn a_prefix_is_not_longer_than_its_address() {
        let mut list = Prefixes::<4>::NONE;
        assert_eq!(list.add(Addr::V4([1; 4]), 33), Err(Unfit::TooLong));
        assert_eq!(list.add(Addr::V6([1; 16]), 129), Err(Unfit::TooLong));
        assert!(list.is_empty());
        list.add(Addr::V6([1; 16]), 128).unwrap();
        assert!(list.has(Addr::V6([1; 16])) && !list.has(Addr::V6([2; 16])));
        list.add(Addr::V4([1; 4]), 0).unwrap();
        assert!(list.has(Addr::V4([200; 4])));
    }
}
