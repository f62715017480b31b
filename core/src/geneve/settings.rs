// SPDX-License-Identifier: GPL-2.0

//! What an operator sets: the class of the options, the UDP port, and who may send.

use crate::packet::addr::Addr;
use crate::packet::ip::Addrs;
use crate::packet::prefixes::Prefixes;

pub use crate::packet::prefixes::Unfit;

/// UDP port of Geneve (RFC 8926, section 3.3).
pub const PORT: u16 = 6081;

/// The class of the options of AWS.
pub const DEFAULT_CLASS: u16 = 0x0108;

/// Most prefixes of allowed senders.
pub const MAX_SENDERS: usize = 16;

/// Which packets are Geneve for this appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The class of the three options.
    pub class: u16,
    /// The UDP port.
    pub port: u16,
    /// Who may send.
    pub senders: Senders,
}

impl Settings {
    /// AWS's class, the usual port, any sender.
    pub const DEFAULT: Self = Self {
        class: DEFAULT_CLASS,
        port: PORT,
        senders: Senders::ANY,
    };
}

/// Up to [`MAX_SENDERS`] prefixes of both families; none at all allows every sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Senders(Prefixes<MAX_SENDERS>);

impl Senders {
    /// Every sender is allowed.
    pub const ANY: Self = Self(Prefixes::NONE);

    /// Allows the senders of a prefix. Bits of the address behind it do not matter.
    pub fn allow(&mut self, address: Addr, bits: u8) -> Result<(), Unfit> {
        self.0.add(address, bits)
    }

    /// The prefixes; none allows every sender.
    pub fn prefixes(&self) -> impl Iterator<Item = &(Addr, u8)> {
        self.0.iter()
    }

    /// Whether the sender of a packet is allowed.
    #[inline]
    #[must_use]
    pub fn allows(&self, addrs: &Addrs) -> bool {
        if self.0.is_empty() {
            return true;
        }
        self.0.has(match *addrs {
            Addrs::V4 { src, .. } => Addr::V4(src),
            Addrs::V6 { src, .. } => Addr::V6(src),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn from_v4(src: [u8; 4]) -> Addrs {
        let dst = [10, 0, 0, 1];
        Addrs::V4 { src, dst }
    }

    const fn from_v6(src: [u8; 16]) -> Addrs {
        let dst = [1; 16];
        Addrs::V6 { src, dst }
    }

    #[test]
    fn an_empty_list_allows_all_and_a_full_one_takes_no_more() {
        let mut senders = Senders::ANY;
        assert!(senders.allows(&from_v4([9; 4])) && senders.allows(&from_v6([9; 16])));
        for n in 0..16 {
            senders.allow(Addr::V4([10, n, 255, 255]), 16).unwrap();
        }
        let more = senders.allow(Addr::V4([11, 0, 0, 0]), 8);
        assert_eq!(more, Err(Unfit::TooMany));
        assert!(senders.allows(&from_v4([10, 15, 0, 1])));
        assert!(!senders.allows(&from_v4([10, 16, 0, 1])));
        assert!(!senders.allows(&from_v6([10; 16])));
    }

    #[test]
    fn a_prefix_is_not_longer_than_its_address() {
        let mut senders = Senders::ANY;
        assert_eq!(senders.allow(Addr::V4([1; 4]), 33), Err(Unfit::TooLong));
        assert_eq!(senders.allow(Addr::V6([1; 16]), 129), Err(Unfit::TooLong));
        assert_eq!(senders, Senders::ANY);
        senders.allow(Addr::V6([1; 16]), 128).unwrap();
        assert!(senders.allows(&from_v6([1; 16])));
        assert!(!senders.allows(&from_v6([2; 16])));
        assert!(!senders.allows(&from_v4([1; 4])));
        senders.allow(Addr::V4([1; 4]), 0).unwrap();
        assert!(senders.allows(&from_v4([200; 4])));
    }
}
