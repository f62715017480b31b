// SPDX-License-Identifier: GPL-2.0

//! The bytes of `struct xt_glbredirect_info`, which a rule of revision 1 carries to the kernel, and of
//! `struct xt_glbredirect_info_2`, which one of revision 2 carries. Both begin alike.
//!
//! The constants here repeat the C header `kernel/uapi/xt_GLBREDIRECT.h`; `kernel/libxt` compares each
//! with what bindgen reads from it, and does not compile when they differ. Numbers of more than one byte
//! are in the machine's order, as always between a kernel and its own userspace.

use crate::AllowedHops;
use crate::HopsError;
use crate::Namespaces;
use crate::NamespacesError;
use crate::Prefix;
use crate::Rule;
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

/// Where the fields of `struct xt_glbredirect_info_2` are that `struct xt_glbredirect_info` does not have, and what its flags
/// mean.
pub mod layout_2 {
    /// The size of `struct xt_glbredirect_info_2`.
    pub const SIZE: usize = OWN + 8;
    /// The offset of `num_namespaces`.
    pub const NUM_NAMESPACES: usize = super::layout::SIZE;
    /// The offset of `pad`.
    pub const PAD: usize = NUM_NAMESPACES + 4;
    /// The offset of `namespaces`.
    pub const NAMESPACES: usize = PAD + 4;
    /// The room for one name.
    pub const NAMESPACE_SIZE: usize = super::Namespaces::LONGEST + 1;
    /// The offset of `own`: the kernel's, behind all that userspace knows.
    pub const OWN: usize = NAMESPACES + super::Namespaces::MAX * NAMESPACE_SIZE;
    /// The flag of `--syn-listener`.
    pub const SYN_LISTENER: u32 = 1;
    /// The flag of `--udp`.
    pub const UDP: u32 = 2;
    /// The flag of `--conntrack`.
    pub const CONNTRACK: u32 = 4;
}

/// `struct xt_glbredirect_info`, as bytes.
pub type Bytes = [u8; layout::SIZE];

/// `struct xt_glbredirect_info_2`, as bytes.
pub type Bytes2 = [u8; layout_2::SIZE];

/// The bytes of revision 1 that stand for `hops`. Equal lists make equal bytes: all that has no meaning is zero.
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

/// The bytes of revision 2 that stand for `rule`. Equal rules make equal bytes.
pub fn encode_2(rule: &Rule) -> Bytes2 {
    let mut bytes = [0; layout_2::SIZE];
    bytes[..layout::SIZE].copy_from_slice(&encode(&rule.hops));
    let flags = [
        (rule.syn_listener, layout_2::SYN_LISTENER),
        (rule.udp, layout_2::UDP),
        (rule.conntrack, layout_2::CONNTRACK),
    ];
    let flags: u32 = flags
        .iter()
        .map(|&(is_on, flag)| u32::from(is_on) * flag)
        .sum();
    bytes[layout::FLAGS..][..4].copy_from_slice(&flags.to_ne_bytes());
    let mut count = 0u32;
    for (slot, name) in bytes[layout_2::NAMESPACES..layout_2::OWN]
        .chunks_exact_mut(layout_2::NAMESPACE_SIZE)
        .zip(rule.namespaces.names())
    {
        slot[..name.len()].copy_from_slice(name.as_bytes());
        count += 1;
    }
    bytes[layout_2::NUM_NAMESPACES..][..4].copy_from_slice(&count.to_ne_bytes());
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

/// The list that `data` of revision 1, of which any alignment at the end is ignored, stands for.
///
/// Only what [`encode`] can make is read. Bytes of anybody else (a later version of this plugin, another
/// program) might restrict the rule in a way that is unknown here, and to leave that out of a saved rule
/// would widen it when it is restored.
pub fn decode(data: &[u8]) -> Result<AllowedHops, InfoError> {
    let bytes: &Bytes = data.first_chunk().ok_or(InfoError::Short {
        len: data.len(),
        size: layout::SIZE,
    })?;
    let flags = word(bytes, layout::FLAGS);
    if flags != 0 {
        return Err(InfoError::Flags { flags });
    }
    let hops = decode_hops(bytes)?;
    // One comparison finds every byte that should have been zero.
    if encode(&hops) == *bytes {
        Ok(hops)
    } else {
        Err(InfoError::NotZero)
    }
}

/// The rule that `data` of revision 2 stands for. Only what [`encode_2`] can make is read.
pub fn decode_2(data: &[u8]) -> Result<Rule, InfoError> {
    let bytes: &Bytes2 = data.first_chunk().ok_or(InfoError::Short {
        len: data.len(),
        size: layout_2::SIZE,
    })?;
    let flags = word(bytes, layout::FLAGS);
    if flags & !(layout_2::SYN_LISTENER | layout_2::UDP | layout_2::CONNTRACK) != 0 {
        return Err(InfoError::Flags { flags });
    }
    let mut rule = Rule {
        hops: decode_hops(&bytes[..layout::SIZE])?,
        syn_listener: flags & layout_2::SYN_LISTENER != 0,
        udp: flags & layout_2::UDP != 0,
        conntrack: flags & layout_2::CONNTRACK != 0,
        ..Rule::default()
    };
    let num_namespaces = word(bytes, layout_2::NUM_NAMESPACES);
    let count = usize::try_from(num_namespaces)
        .ok()
        .filter(|&count| count <= Namespaces::MAX)
        .ok_or(InfoError::NameCount { num_namespaces })?;
    for slot in bytes[layout_2::NAMESPACES..layout_2::OWN]
        .chunks_exact(layout_2::NAMESPACE_SIZE)
        .take(count)
    {
        let end = slot.iter().position(|&byte| byte == 0);
        let name = String::from_utf8_lossy(&slot[..end.unwrap_or(slot.len())]);
        rule.namespaces.push(&name).map_err(InfoError::Namespaces)?;
    }
    if encode_2(&rule) == *bytes {
        Ok(rule)
    } else {
        Err(InfoError::NotZero)
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The prefixes of either structure.
fn decode_hops(bytes: &[u8]) -> Result<AllowedHops, InfoError> {
    let num_prefixes = word(bytes, layout::NUM_PREFIXES);
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
    Ok(hops)
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
        /// How many the structure has.
        size: usize,
    },
    /// A flag is set that is not defined.
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
    /// There are more names than there is room for.
    NameCount {
        /// The field.
        num_namespaces: u32,
    },
    /// The names do not make a list.
    Namespaces(NamespacesError),
    /// A byte without meaning is not zero.
    NotZero,
}

impl fmt::Display for InfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { len, size } => write!(f, "{len} bytes instead of {size}"),
            Self::Flags { flags } => write!(f, "unknown flags {flags:#x}"),
            Self::Count { num_prefixes } => write!(f, "{num_prefixes} prefixes"),
            Self::Family { family } => write!(f, "a prefix of address family {family}"),
            Self::Length { family, len } => {
                write!(f, "a prefix of {len} bits in address family {family}")
            }
            Self::Hops(cause) => cause.fmt(f),
            Self::NameCount { num_namespaces } => write!(f, "{num_namespaces} network namespaces"),
            Self::Namespaces(cause) => cause.fmt(f),
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
        let short = |len, size| Err(InfoError::Short { len, size });
        assert_eq!(decode(&[]), short(0, 328));
        assert_eq!(decode(&bytes[..327]), short(327, 328));
        assert_eq!(
            decode_2(&bytes).map(|rule| rule.hops),
            short(328, layout_2::SIZE)
        );
    }

    fn rule() -> Rule {
        Rule {
            hops: hops("10.0.0.0/8"),
            syn_listener: true,
            udp: false,
            conntrack: true,
            namespaces: "web,b".parse().expect("two names"),
        }
    }

    #[test]
    fn every_byte_of_revision_2() {
        let bytes = encode_2(&rule());
        assert_eq!(bytes.len(), 1368);
        assert_eq!(bytes[0..4], 5u32.to_ne_bytes());
        assert_eq!(bytes[4..328], encode(&hops("10.0.0.0/8"))[4..]);
        assert_eq!(bytes[328..332], 2u32.to_ne_bytes());
        assert_eq!(bytes[332..336], [0; 4]);
        assert_eq!(bytes[336..339], *b"web");
        assert_eq!(bytes[339..400], [0; 61]);
        assert_eq!(bytes[400], b'b');
        assert_eq!(bytes[401..], [0; 1368 - 401]);
        assert_eq!(decode_2(&bytes), Ok(rule()));
        assert_eq!(decode_2(&[0; 1368]), Ok(Rule::default()));
    }

    #[test]
    fn what_revision_2_cannot_be() {
        let with = |at: usize, value: u8| {
            let mut bytes = encode_2(&rule());
            bytes[at] = value;
            decode_2(&bytes)
        };
        let low_byte = usize::from(cfg!(target_endian = "big")) * 3;
        assert_eq!(with(low_byte, 9), Err(InfoError::Flags { flags: 9 }));
        assert_eq!(
            with(328 + low_byte, 17),
            Err(InfoError::NameCount { num_namespaces: 17 })
        );
        let empty = NamespacesError::EmptyItem;
        assert_eq!(with(336, 0), Err(InfoError::Namespaces(empty)));
        assert!(matches!(with(336, b'/'), Err(InfoError::Namespaces(_))));
        // Padding, behind a name, an unused name, the kernel's own.
        for at in [332, 398, 399, 464, 1359, 1360, 1367] {
            assert_eq!(with(at, 1), Err(InfoError::NotZero), "byte {at}");
        }
        // All of the room is the name, without a zero.
        let mut bytes = encode_2(&rule());
        bytes[336..400].fill(b'n');
        assert!(matches!(decode_2(&bytes), Err(InfoError::Namespaces(_))));
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
