// SPDX-License-Identifier: GPL-2.0

//! One prefix of addresses, of either family.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The addresses whose first `len` bits are those of `addr`.
///
/// # Invariants
///
/// - `len` is at most 32 for IPv4 and at most 128 for IPv6.
/// - The bits of `addr` from `len` on are zero, so that equal prefixes are equal values and make equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    addr: IpAddr,
    len: u8,
}

impl Prefix {
    /// The prefix of length `len` that `addr` is in, or `None` if no address has that many bits.
    ///
    /// Bits of the host are masked off, as iptables does for the addresses of `-s` and `-d`.
    pub fn new(addr: IpAddr, len: u8) -> Option<Self> {
        if len > width(addr) {
            return None;
        }
        let len_bits = u32::from(len);
        let addr = match addr {
            IpAddr::V4(addr) => {
                let mask = !u32::MAX.checked_shr(len_bits).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(addr.to_bits() & mask))
            }
            IpAddr::V6(addr) => {
                let mask = !u128::MAX.checked_shr(len_bits).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(addr.to_bits() & mask))
            }
        };
        Some(Self { addr, len })
    }

    /// The lowest address of the prefix.
    pub fn addr(&self) -> IpAddr {
        self.addr
    }

    /// The number of bits that the addresses of the prefix share.
    pub fn prefix_len(&self) -> u8 {
        self.len
    }
}

/// The number of bits of an address of this family.
fn width(addr: IpAddr) -> u8 {
    match addr {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Writes the length always, also for a single address, as `iptables-save` does.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

/// Reads `ADDRESS` or `ADDRESS/LENGTH`.
///
/// Names are not looked up: a rule that meant another host after each boot would be no protection.
/// Nor are masks (`/255.0.0.0`) read, since a mask can have holes and the kernel keeps a length.
impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (addr, len) = match text.split_once('/') {
            Some((addr, len)) => (addr, Some(len)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| PrefixError::Address)?;
        let too_long = PrefixError::Length { max: width(addr) };
        let len = match len {
            None => width(addr),
            // The standard parser alone would take a plus sign too.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| too_long)?
            }
            Some(_) => return Err(too_long),
        };
        Self::new(addr, len).ok_or(too_long)
    }
}

/// Why a text is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// What stands before the slash is not an address.
    Address,
    /// What stands behind the slash is not a number from 0 to `max`.
    Length {
        /// The number of bits of an address of the family that was given.
        max: u8,
    },
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => write!(f, "not an IPv4 or IPv6 address with an optional /LENGTH"),
            Self::Length { max } => write!(f, "the prefix length is a number from 0 to {max}"),
        }
    }
}

impl std::error::Error for PrefixError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<String, PrefixError> {
        text.parse::<Prefix>().map(|prefix| prefix.to_string())
    }

    #[test]
    fn a_bare_address_is_a_host() {
        assert_eq!(written("10.1.2.3"), Ok("10.1.2.3/32".into()));
        assert_eq!(written("fd00::1"), Ok("fd00::1/128".into()));
    }

    #[test]
    fn host_bits_are_masked_off() {
        assert_eq!(written("10.1.2.3/8"), Ok("10.0.0.0/8".into()));
        assert_eq!(written("10.1.2.3/31"), Ok("10.1.2.2/31".into()));
        assert_eq!(written("fd00:1::1/15"), Ok("fd00::/15".into()));
        assert_eq!(written("::ffff/127"), Ok("::fffe/127".into()));
    }

    #[test]
    fn both_ends_of_the_length() {
        assert_eq!(written("255.255.255.255/0"), Ok("0.0.0.0/0".into()));
        assert_eq!(
            written("255.255.255.255/32"),
            Ok("255.255.255.255/32".into())
        );
        assert_eq!(written("ffff::/0"), Ok("::/0".into()));
        assert_eq!(written("ffff::/128"), Ok("ffff::/128".into()));
        for text in ["10.0.0.0/33", "10.0.0.0/256", "10.0.0.0/99999999999"] {
            assert_eq!(
                written(text),
                Err(PrefixError::Length { max: 32 }),
                "{text}"
            );
        }
        assert_eq!(written("fd00::/129"), Err(PrefixError::Length { max: 128 }));
    }

    #[test]
    fn what_is_no_length() {
        for text in [
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-8",
            "10.0.0.0/ 8",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
        ] {
            assert_eq!(
                written(text),
                Err(PrefixError::Length { max: 32 }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "/8",
            "10",
            "10.0.0",
            "010.0.0.1",
            "10.0.0.0.0/8",
            "proxy/8",
            " 10.0.0.0/8",
            "fe80::1%eth0",
            "[::1]",
        ] {
            assert_eq!(written(text), Err(PrefixError::Address), "{text:?}");
        }
    }

    #[test]
    fn mapped_addresses_stay_ipv6() {
        assert_eq!(
            written("::ffff:10.0.0.1/128"),
            Ok("::ffff:10.0.0.1/128".into())
        );
    }
}
