// SPDX-License-Identifier: GPL-2.0

//! The bytes of `struct xt_glbredirect_info`, which a rule of revision 1 carries to the kernel.
//!
//! The constants here repeat the C header `kernel/uapi/xt_GLBREDIRECT.h`; `kernel/libxt` compares each
//! with what bindgen reads from it, and does not compile when they differ. Numbers of more than one byte
//! are in the machine's order, as always between a kernel and its own userspace.

use crate::AllowedHops;
use crate::HopsError;
use crate::Prefix;
use std::fmt;
use std::net::IpAddr;

/// Where the fields of `struct xt_glbredirect_info` are.
pub mod layout {
    /// The size of `struct xt_glbredirect_info`.
    pub const SIZE: usize = PREFIXES + super::AllowedHops::MAX * PREFIX_SIZE;
    /// The offset of `flags`.
    pub const FLAGS: usize = 0;
    /// The offset of `num_prefixes`.
    pub const NUM_PREFIXES: usize = 4;
    /// The offset of `prefixes`.
    pub const PREFIXES: usize = 8;
    /// The size of `struct xt_glbredirect_prefix`.
    pub const PREFIX_SIZE: usize = 20;
    /// The offset of `family` in `struct xt_glbredirect_prefix`.
    pub const PREFIX_FAMILY: usize = 0;
    /// The offset of `prefix_len` in `struct xt_glbredirect_prefix`.
    pub const PREFIX_LEN: usize = 1;
    /// The offset of `pad` in `struct xt_glbredirect_prefix`.
    pub const PREFIX_PAD: usize = 2;
    /// The offset of `addr` in `struct xt_glbredirect_prefix`.
    pub const PREFIX_ADDR: usize = 4;
    /// The value of `family` for IPv4.
    pub const AF_INET: u8 = 2;
    /// The value of `family` for IPv6.
    pub const AF_INET6: u8 = 10;
}

/// The structure, as bytes.
pub type Bytes = [u8; layout::SIZE];

/// The bytes that stand for `hops`. Equal lists make equal bytes: all that has no meaning is zero.
pub fn encode(hops: &AllowedHops) -> Bytes {
    let mut bytes = [0; layout::SIZE];
    let (head, slots) = bytes.split_at_mut(layout::PREFIXES);
    let mut count = 0u32;
    for (slot, prefix) in slots
        .chunks_exact_mut(layout::PREFIX_SIZE)
        .zip(hops.prefixes())
    {
        encode_prefix(slot, prefix);
        count += 1;
    }
    head[layout::NUM_PREFIXES..].copy_from_slice(&count.to_ne_bytes());
    bytes
}

fn encode_prefix(slot: &mut [u8], prefix: &Prefix) {
    let (head, addr) = slot.split_at_mut(layout::PREFIX_ADDR);
    head[layout::PREFIX_LEN] = prefix.prefix_len();
    match prefix.addr() {
        IpAddr::V4(v4) => {
            head[layout::PREFIX_FAMILY] = layout::AF_INET;
            addr[..4].copy_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            head[layout::PREFIX_FAMILY] = layout::AF_INET6;
            addr.copy_from_slice(&v6.octets());
        }
    }
}

/// The list that `data`, of which any alignment at the end is ignored, stands for.
///
/// Only what [`encode`] can make is read. Bytes of anybody else (a later version of this plugin, another
/// program) might restrict the rule in a way that is unknown here, and to leave that out of a saved rule
/// would widen it when it is restored.
pub fn decode(data: &[u8]) -> Result<AllowedHops, InfoError> {
    let bytes: &Bytes = data
        .first_chunk()
        .ok_or(InfoError::Short { len: data.len() })?;
    let word =
        |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let flags = word(layout::FLAGS);
    if flags != 0 {
        return Err(InfoError::Flags { flags });
    }
    let num_prefixes = word(layout::NUM_PREFIXES);
    let count = usize::try_from(num_prefixes)
        .ok()
        .filter(|&count| count <= AllowedHops::MAX)
        .ok_or(InfoError::Count { num_prefixes })?;

    let mut hops = AllowedHops::default();
    for slot in bytes[layout::PREFIXES..]
        .chunks_exact(layout::PREFIX_SIZE)
        .take(count)
    {
        hops.push(decode_prefix(slot)?).map_err(InfoError::Hops)?;
    }
    // One comparison finds every byte that should have been zero.
    if encode(&hops) == *bytes {
        Ok(hops)
    } else {
        Err(InfoError::NotZero)
    }
}

fn decode_prefix(slot: &[u8]) -> Result<Prefix, InfoError> {
    let family = slot[layout::PREFIX_FAMILY];
    let len = slot[layout::PREFIX_LEN];
    let mut octets = [0; 16];
    octets.copy_from_slice(&slot[layout::PREFIX_ADDR..]);
    let addr = match family {
        layout::AF_INET => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
        layout::AF_INET6 => IpAddr::from(octets),
        _ => return Err(InfoError::Family { family }),
    };
    Prefix::new(addr, len).ok_or(InfoError::Length { family, len })
}

/// Why bytes are no structure that this version writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InfoError {
    /// There are fewer bytes than the structure has.
    Short {
        /// How many there are.
        len: usize,
    },
    /// A flag is set, and none is defined.
    Flags {
        /// The field.
        flags: u32,
    },
    /// There are more prefixes than there is room for.
    Count {
        /// The field.
        num_prefixes: u32,
    },
    /// A prefix is neither of IPv4 nor of IPv6.
    Family {
        /// The field.
        family: u8,
    },
    /// A prefix is longer than an address.
    Length {
        /// The field `family`.
        family: u8,
        /// The field `prefix_len`.
        len: u8,
    },
    /// The prefixes do not make a list.
    Hops(HopsError),
    /// A byte without meaning is not zero.
    NotZero,
}

impl fmt::Display for InfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { len } => write!(f, "{len} bytes instead of {}", layout::SIZE),
            Self::Flags { flags } => write!(f, "unknown flags {flags:#x}"),
            Self::Count { num_prefixes } => write!(f, "{num_prefixes} prefixes"),
            Self::Family { family } => write!(f, "a prefix of address family {family}"),
            Self::Length { family, len } => {
                write!(f, "a prefix of {len} bits in address family {family}")
            }
            Self::Hops(cause) => cause.fmt(f),
            Self::NotZero => write!(f, "a reserved byte is not zero"),
        }
    }
}

impl std::error::Error for InfoError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(text: &str) -> AllowedHops {
        text.parse().expect("a good list")
    }

    #[test]
    fn the_size_is_that_of_the_kernel() {
        assert_eq!(layout::SIZE, 328);
    }

    #[test]
    fn no_option_is_all_zero() {
        assert_eq!(encode(&AllowedHops::default()), [0; layout::SIZE]);
        assert_eq!(decode(&[0; layout::SIZE]), Ok(AllowedHops::default()));
    }

    #[test]
    fn every_byte_of_two_prefixes() {
        let bytes = encode(&hops("10.1.2.3/16,fd00::1:2/128"));
        assert_eq!(bytes[0..4], [0; 4]);
        assert_eq!(bytes[4..8], 2u32.to_ne_bytes());
        assert_eq!(
            bytes[8..28],
            [2, 16, 0, 0, 10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            bytes[28..48],
            [10, 128, 0, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2]
        );
        assert_eq!(bytes[48..], [0; layout::SIZE - 48]);
    }

    #[test]
    fn the_fields_that_cannot_be() {
        let good = encode(&hops("10.0.0.0/8,fd00::/8"));
        let with = |at: usize, value: u8| {
            let mut bytes = good;
            bytes[at] = value;
            decode(&bytes)
        };
        let low_byte = usize::from(cfg!(target_endian = "big")) * 3;
        assert_eq!(with(low_byte, 1), Err(InfoError::Flags { flags: 1 }));
        assert_eq!(
            with(4 + low_byte, 17),
            Err(InfoError::Count { num_prefixes: 17 })
        );
        assert_eq!(with(8, 3), Err(InfoError::Family { family: 3 }));
        assert_eq!(with(9, 33), Err(InfoError::Length { family: 2, len: 33 }));
        assert_eq!(
            with(29, 129),
            Err(InfoError::Length {
                family: 10,
                len: 129
            })
        );
    }

    #[test]
    fn bytes_without_meaning_must_be_zero() {
        let good = encode(&hops("10.0.0.0/8"));
        // Padding, a host bit, the tail of the address, the last byte of an unused prefix.
        for at in [10, 11, 13, 16, 27, 28, layout::SIZE - 1] {
            let mut bytes = good;
            bytes[at] = 1;
            assert_eq!(decode(&bytes), Err(InfoError::NotZero), "byte {at}");
        }
    }

    #[test]
    fn too_few_bytes() {
        let bytes = encode(&hops("10.0.0.0/8"));
        assert_eq!(decode(&[]), Err(InfoError::Short { len: 0 }));
        assert_eq!(decode(&bytes[..327]), Err(InfoError::Short { len: 327 }));
    }

    #[test]
    fn a_duplicate_is_not_read() {
        let mut bytes = encode(&hops("10.0.0.0/8,11.0.0.0/8"));
        bytes[32] = 10;
        assert!(matches!(
            decode(&bytes),
            Err(InfoError::Hops(HopsError::Duplicate { .. }))
        ));
    }
}
