// SPDX-License-Identifier: GPL-2.0

//! The packet hash: which row of its table a packet belongs to.
//!
//! The enabled fields of {source address, destination address, source port, destination port} are put one
//! behind the other as they stand in the packet, and hashed with the table's key. All directors of a fleet
//! must enable the same fields; a second set of "alternative" fields serves while a fleet changes over.

use crate::packet::flow::FlowKey;
use crate::packet::ip::Addrs;
use crate::siphash::SipKey;

/// The longest message that is hashed: two IPv6 addresses and two ports.
const MAX_LEN: usize = 36;

/// Rows of a table.
pub const ROWS: usize = 65_536;

/// Which fields of a packet are hashed: a set of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashFields(u8);

impl HashFields {
    /// The client's address.
    pub const SRC_ADDR: Self = Self(1);
    /// The bound address.
    pub const DST_ADDR: Self = Self(2);
    /// The client's port.
    pub const SRC_PORT: Self = Self(4);
    /// The bound port.
    pub const DST_PORT: Self = Self(8);

    /// The fields of a director whose configuration names none: the client's address alone.
    pub const DEFAULT: Self = Self::SRC_ADDR;

    /// The fields with these bits (1, 2, 4, 8 in the order above), or nothing if there is none or an
    /// unknown one: a hash over no field would send every packet to one row.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits == 0 || bits > 15 {
            None
        } else {
            Some(Self(bits))
        }
    }

    /// The bits: 1, 2, 4, 8 in the order of the constants.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Both sets together.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all fields of `other` are enabled.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether ports are hashed, so that a fragment without them cannot be hashed by itself.
    #[inline]
    #[must_use]
    pub const fn needs_ports(self) -> bool {
        self.0 & (Self::SRC_PORT.0 | Self::DST_PORT.0) != 0
    }
}

/// The hash of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PacketHash(pub u64);

impl PacketHash {
    /// The row of the table: the low 16 bits.
    #[inline]
    #[must_use]
    pub const fn row(self) -> u16 {
        // The cast keeps the low 16 bits, as the specification says.
        self.0 as u16
    }
}

/// Hashes the enabled fields of a packet.
#[inline(always)]
#[must_use]
pub fn packet_hash(key: &SipKey, fields: HashFields, flow: &FlowKey) -> PacketHash {
    // The default needs no message to be put together.
    if fields == HashFields::SRC_ADDR {
        return PacketHash(match &flow.addrs {
            Addrs::V4 { src, .. } => key.hash_4(*src),
            Addrs::V6 { src, .. } => key.hash_16(src),
        });
    }
    hash_apart(key, fields, flow)
}

/// The same, for any fields.
#[inline(always)]
#[must_use]
pub fn hash_apart(key: &SipKey, fields: HashFields, flow: &FlowKey) -> PacketHash {
    let ports = (flow.src_port, flow.dst_port);
    match flow.addrs {
        Addrs::V4 { src, dst } => of_fields(key, fields, src, dst, ports),
        Addrs::V6 { src, dst } => of_fields(key, fields, src, dst, ports),
    }
}

/// It takes addresses and ports by value, so that they stay in registers where it is not called (docs/decisions/0008).
#[inline(never)]
fn of_fields<const N: usize>(
    key: &SipKey,
    fields: HashFields,
    src: [u8; N],
    dst: [u8; N],
    (src_port, dst_port): (u16, u16),
) -> PacketHash {
    let mut message = Message::new();
    message.push_if(fields.contains(HashFields::SRC_ADDR), &src);
    message.push_if(fields.contains(HashFields::DST_ADDR), &dst);
    message.push_if(
        fields.contains(HashFields::SRC_PORT),
        &src_port.to_be_bytes(),
    );
    message.push_if(
        fields.contains(HashFields::DST_PORT),
        &dst_port.to_be_bytes(),
    );
    PacketHash(key.hash(message.bytes()))
}

/// The message of at most [`MAX_LEN`] bytes while it is put together.
struct Message {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Message {
    #[inline(always)]
    fn new() -> Self {
        Self {
            bytes: [0; MAX_LEN],
            len: 0,
        }
    }

    #[inline(always)]
    fn push_if<const N: usize>(&mut self, enabled: bool, field: &[u8; N]) {
        if !enabled {
            return;
        }
        let end = self.len.wrapping_add(N);
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            if let Some(place) = place.first_chunk_mut::<N>() {
                *place = *field;
                self.len = end;
            }
        }
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn key() -> SipKey {
        SipKey::new(&0x1234_5678_9012_3456_1234_5678_9012_3456_u128.to_be_bytes())
    }

    fn v4(src: [u8; 4]) -> FlowKey {
        FlowKey {
            addrs: Addrs::V4 {
                src,
                dst: [1, 1, 1, 1],
            },
            src_port: 45678,
            dst_port: 80,
        }
    }

    /// The vectors are digests: bytes in the order in which they come out of the hash.
    fn digest(hash: PacketHash) -> u64 {
        hash.0
    }

    #[test]
    fn vectors_of_the_specification() {
        let hash = packet_hash(&key(), HashFields::DEFAULT, &v4([10, 11, 12, 13]));
        assert_eq!(digest(hash), 0x0089_72f1_657a_5cbd);
        assert_eq!(hash.row(), 0x5cbd);
        let hash = packet_hash(&key(), HashFields::DEFAULT, &v4([127, 1, 0, 1]));
        assert_eq!(digest(hash), 0x920d_666b_6791_1c9a);
        let src: core::net::Ipv6Addr = "fd91:79d3:d621::1234".parse().unwrap();
        let flow = FlowKey {
            addrs: Addrs::V6 {
                src: src.octets(),
                dst: [9; 16],
            },
            src_port: 1,
            dst_port: 2,
        };
        let hash = packet_hash(&key(), HashFields::DEFAULT, &flow);
        assert_eq!(digest(hash), 0xc662_b558_57f2_198d);
    }

    #[test]
    fn every_set_of_fields_is_the_concatenation() {
        let flows = [
            v4([10, 11, 12, 13]),
            FlowKey {
                addrs: Addrs::V6 {
                    src: *b"0123456789abcdef",
                    dst: *b"ABCDEFGHIJKLMNOP",
                },
                src_port: 0x0102,
                dst_port: 0x0304,
            },
        ];
        for flow in flows {
            let (src, dst): (Vec<u8>, Vec<u8>) = match flow.addrs {
                Addrs::V4 { src, dst } => (src.to_vec(), dst.to_vec()),
                Addrs::V6 { src, dst } => (src.to_vec(), dst.to_vec()),
            };
            for bits in 1..16u8 {
                let mut message = Vec::new();
                if bits & 1 != 0 {
                    message.extend(&src);
                }
                if bits & 2 != 0 {
                    message.extend(&dst);
                }
                if bits & 4 != 0 {
                    message.extend(flow.src_port.to_be_bytes());
                }
                if bits & 8 != 0 {
                    message.extend(flow.dst_port.to_be_bytes());
                }
                let fields = HashFields::from_bits(bits).unwrap();
                assert_eq!(
                    packet_hash(&key(), fields, &flow).0,
                    key().hash(&message),
                    "{bits:04b}"
                );
            }
        }
    }

    #[test]
    fn no_field_is_refused() {
        assert_eq!(HashFields::from_bits(0), None);
        assert_eq!(HashFields::from_bits(16), None);
    }
}
