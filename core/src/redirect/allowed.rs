// SPDX-License-Identifier: GPL-2.0

//! The prefixes that hops are allowed from, kept by value: for the door that is no iptables rule.

use super::Prefix;
use crate::packet::addr::Addr;

/// Prefixes at most, as many as an iptables rule carries.
pub const MAX_ALLOWED: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Owned {
    address: [u8; 16],
    bits: u8,
    ipv6: bool,
}

/// Up to [`MAX_ALLOWED`] prefixes of both families; none at all allows every hop.
#[derive(Debug, Clone, Copy)]
pub struct AllowedHops {
    used: usize,
    prefixes: [Owned; MAX_ALLOWED],
}

/// Why a prefix was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAllowed {
    /// There are [`MAX_ALLOWED`] already.
    TooMany,
    /// It is longer than its address.
    TooLong,
}

impl AllowedHops {
    /// Every hop is allowed.
    pub const ANY: Self = Self {
        used: 0,
        prefixes: [Owned {
            address: [0; 16],
            bits: 0,
            ipv6: false,
        }; MAX_ALLOWED],
    };

    /// Adds a prefix. Bits of the address behind it do not matter.
    pub fn push(&mut self, address: Addr, bits: u8) -> Result<(), NotAllowed> {
        if bits > address.bits() {
            return Err(NotAllowed::TooLong);
        }
        let place = self
            .prefixes
            .get_mut(self.used)
            .ok_or(NotAllowed::TooMany)?;
        place.bits = bits;
        place.address = [0; 16];
        match address.masked(bits) {
            Addr::V4(v4) => {
                place.ipv6 = false;
                let [a, b, c, d, ..] = &mut place.address;
                [*a, *b, *c, *d] = v4;
            }
            Addr::V6(v6) => {
                place.ipv6 = true;
                place.address = v6;
            }
        }
        self.used = self.used.wrapping_add(1);
        Ok(())
    }

    /// The prefixes; `None` if every hop is allowed.
    #[inline]
    pub fn prefixes(&self) -> Option<impl Iterator<Item = Prefix<'_>>> {
        let used = self.prefixes.get(..self.used).unwrap_or_default();
        (!used.is_empty()).then(|| {
            used.iter().map(|prefix| Prefix {
                address: &prefix.address,
                bits: prefix.bits,
                ipv6: prefix.ipv6,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::gue::Hop;

    fn allows(list: &AllowedHops, hop: Hop) -> bool {
        list.prefixes()
            .is_none_or(|mut prefixes| prefixes.any(|prefix| prefix.contains(&hop)))
    }

    #[test]
    fn an_empty_list_allows_all_and_a_full_one_takes_no_more() {
        let mut list = AllowedHops::ANY;
        assert!(allows(&list, Hop::V4([9; 4])) && allows(&list, Hop::V6([9; 16])));
        for n in 0..16 {
            list.push(Addr::V4([10, n, 255, 255]), 16).unwrap();
        }
        assert_eq!(
            list.push(Addr::V4([11, 0, 0, 0]), 8),
            Err(NotAllowed::TooMany)
        );
        assert!(allows(&list, Hop::V4([10, 15, 0, 1])));
        assert!(!allows(&list, Hop::V4([10, 16, 0, 1])));
        assert!(!allows(&list, Hop::V6([10; 16])));
    }

    #[test]
    fn a_prefix_is_not_longer_than_its_address() {
        let mut list = AllowedHops::ANY;
        assert_eq!(list.push(Addr::V4([1; 4]), 33), Err(NotAllowed::TooLong));
        assert_eq!(list.push(Addr::V6([1; 16]), 129), Err(NotAllowed::TooLong));
        list.push(Addr::V6([1; 16]), 128).unwrap();
        assert!(allows(&list, Hop::V6([1; 16])));
        assert!(!allows(&list, Hop::V4([1; 4])));
    }
}
