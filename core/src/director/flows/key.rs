// SPDX-License-Identifier: GPL-2.0

//! What of a packet is compared: 96 bits and a kind, in an entry of 128 bits.
//!
//! An IPv4 flow of TCP or UDP is held as it is: both addresses and both ports are 96 bits, and the kind tells the protocol. So is an IPv4
//! client. What is longer, or of another protocol, is held as a fingerprint: 96 bits of SipHash-1-3 with a secret key and a
//! result of 128 bits. Other 32 bits of the same result choose the bucket (docs/decisions/0014).

use crate::director::classify::bind::Proto;
use crate::netlink::glb::flows_by;
use crate::packet::flow::FlowKey;
use crate::packet::ip::Addrs;
use crate::siphash::{words_16, SipKey};

/// What an entry of a flow table stands for. The numbers and names are those of `flows-by` in `spec/glb.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum By {
    /// A flow: addresses, ports and protocol.
    #[default]
    Flow = flows_by::FLOW,
    /// A client: its address.
    Source = flows_by::SOURCE,
}

impl By {
    /// Both.
    pub const ALL: [Self; flows_by::NAMES.len()] = [Self::Flow, Self::Source];

    /// Its number: in the netlink family, and in binary tables of version 3.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The one of this number.
    #[inline]
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            flows_by::FLOW => Some(Self::Flow),
            flows_by::SOURCE => Some(Self::Source),
            _ => None,
        }
    }

    /// Its name in the JSON files.
    #[must_use]
    pub fn name(self) -> &'static str {
        let names = &flows_by::NAMES;
        names.get(usize::from(self.number())).copied().unwrap_or("")
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.name() == name)
    }
}

/// What the 96 bits of an entry are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// IPv4 addresses, and ports of TCP; or the address of an IPv4 client.
    V4Tcp = 1,
    /// IPv4 addresses, and ports of UDP.
    V4Udp = 2,
    /// A fingerprint.
    Fingerprint = 3,
}

impl Kind {
    #[inline]
    pub(super) const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            1 => Some(Self::V4Tcp),
            2 => Some(Self::V4Udp),
            3 => Some(Self::Fingerprint),
            _ => None,
        }
    }
}

/// A flow or a client, as an entry holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub(super) kind: Kind,
    /// Source and destination, or 64 bits of the fingerprint.
    pub(super) addrs: u64,
    /// Source and destination port, or 32 bits of the fingerprint.
    pub(super) ports: u32,
    /// Chooses the bucket: as even as a secret hash is.
    pub(super) place: u32,
}

impl Key {
    /// The key of a flow, or of its client.
    #[inline(always)]
    #[must_use]
    pub fn new(secret: &SipKey, by: By, proto: Proto, flow: &FlowKey) -> Self {
        match (by, &flow.addrs) {
            (By::Flow, Addrs::V4 { src, dst }) => {
                let kind = match proto {
                    Proto::Tcp => Kind::V4Tcp,
                    Proto::Udp => Kind::V4Udp,
                    Proto::Sctp => {
                        return Self::of_other(secret, (*src, *dst), ports(flow), proto.number())
                    }
                };
                let addrs =
                    u64::from(u32::from_be_bytes(*src)) << 32 | u64::from(u32::from_be_bytes(*dst));
                Self::v4(secret, kind, addrs, ports(flow))
            }
            (By::Source, Addrs::V4 { src, .. }) => {
                let addrs = u64::from(u32::from_be_bytes(*src)) << 32;
                Self::v4(secret, Kind::V4Tcp, addrs, 0)
            }
            (By::Flow, Addrs::V6 { src, dst }) => {
                Self::of_tuple(secret, (src, dst), ports(flow), proto.number())
            }
            (By::Source, Addrs::V6 { src, .. }) => {
                Self::fingerprint(secret.short_128(words_16(src), 16 << 56))
            }
        }
    }

    /// The key of a flow of the protocol with this number, which has no ports, or of its client.
    #[must_use]
    pub fn of_portless(secret: &SipKey, by: By, number: u8, flow: &FlowKey) -> Self {
        match (by, &flow.addrs) {
            // A client is one, whatever the protocol.
            (By::Source, _) => Self::new(secret, by, Proto::Tcp, flow),
            (By::Flow, Addrs::V6 { src, dst }) => Self::of_tuple(secret, (src, dst), 0, number),
            (By::Flow, Addrs::V4 { src, dst }) => Self::of_other(secret, (*src, *dst), 0, number),
        }
    }

    /// Of another protocol than TCP and UDP over IPv4.
    #[cold]
    #[inline(never)]
    fn of_other(secret: &SipKey, (src, dst): ([u8; 4], [u8; 4]), ports: u32, number: u8) -> Self {
        // No packet has such addresses: the stack drops them (`packet/valid.rs`).
        let (src, dst) = (mapped(src), mapped(dst));
        Self::of_tuple(secret, (&src, &dst), ports, number)
    }

    #[inline(always)]
    fn of_tuple(
        secret: &SipKey,
        (src, dst): (&[u8; 16], &[u8; 16]),
        ports: u32,
        number: u8,
    ) -> Self {
        let ([s0, s1], [d0, d1]) = (words_16(src), words_16(dst));
        let last = u64::from(ports) | u64::from(number) << 32;
        Self::fingerprint(secret.short_128([s0, s1, d0, d1], last | 37 << 56))
    }

    #[inline(always)]
    fn v4(secret: &SipKey, kind: Kind, addrs: u64, ports: u32) -> Self {
        // A message of 13 bytes: no hash of IPv6 has one of this length.
        let hash = secret.place_13(addrs, ports, kind as u8);
        Self {
            kind,
            addrs,
            ports,
            // The cast takes the upper half.
            place: (hash >> 32) as u32,
        }
    }

    #[inline(always)]
    fn fingerprint([first, second]: [u64; 2]) -> Self {
        Self {
            kind: Kind::Fingerprint,
            addrs: first,
            // The casts take the two halves.
            ports: second as u32,
            place: (second >> 32) as u32,
        }
    }

    /// Which of so many buckets.
    #[inline]
    pub(super) fn bucket(self, buckets: usize) -> usize {
        // The cast is exact: the product's upper half is below the number of buckets. Any number of buckets is filled
        // evenly, not only a power of two.
        (u64::from(self.place).wrapping_mul(buckets as u64) >> 32) as usize
    }
}

/// An IPv4 address as IPv6 maps it.
const fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

#[inline]
fn ports(flow: &FlowKey) -> u32 {
    u32::from(flow.src_port) << 16 | u32::from(flow.dst_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::vec::Vec;

    const SECRET: SipKey = SipKey::new(b"0123456789abcdef");

    fn v4(src: u32, dst: u32, src_port: u16, dst_port: u16) -> FlowKey {
        FlowKey {
            addrs: Addrs::V4 {
                src: src.to_be_bytes(),
                dst: dst.to_be_bytes(),
            },
            src_port,
            dst_port,
        }
    }

    fn v6(src: u128, dst: u128, src_port: u16, dst_port: u16) -> FlowKey {
        FlowKey {
            addrs: Addrs::V6 {
                src: src.to_be_bytes(),
                dst: dst.to_be_bytes(),
            },
            src_port,
            dst_port,
        }
    }

    /// What of a key is compared.
    fn compared(key: Key) -> (u8, u64, u32) {
        (key.kind as u8, key.addrs, key.ports)
    }

    #[test]
    fn numbers_and_names() {
        for by in By::ALL {
            assert_eq!(By::from_number(by.number()), Some(by));
            assert_eq!(By::from_name(by.name()), Some(by));
        }
        assert_eq!(By::from_number(2), None);
        assert_eq!(By::from_name("client"), None);
    }

    #[test]
    fn each_field_of_the_tuple_tells_flows_apart() {
        let mut keys = HashSet::new();
        let mut count = 0;
        for proto in Proto::ALL {
            let flows = [v4(1, 2, 3, 4), v6(1, 2, 3, 4)];
            for flow in flows {
                keys.insert(compared(Key::new(&SECRET, By::Flow, proto, &flow)));
                count += 1;
            }
            for bit in 0..32 {
                for flow in [v4(1 ^ 1 << bit, 2, 3, 4), v4(1, 2 ^ 1 << bit, 3, 4)] {
                    keys.insert(compared(Key::new(&SECRET, By::Flow, proto, &flow)));
                    count += 1;
                }
            }
            for bit in 0..128 {
                for flow in [v6(1 ^ 1 << bit, 2, 3, 4), v6(1, 2 ^ 1 << bit, 3, 4)] {
                    keys.insert(compared(Key::new(&SECRET, By::Flow, proto, &flow)));
                    count += 1;
                }
            }
            for bit in 0..16 {
                for flow in [
                    v4(1, 2, 3 ^ 1 << bit, 4),
                    v4(1, 2, 3, 4 ^ 1 << bit),
                    v6(1, 2, 3 ^ 1 << bit, 4),
                    v6(1, 2, 3, 4 ^ 1 << bit),
                ] {
                    keys.insert(compared(Key::new(&SECRET, By::Flow, proto, &flow)));
                    count += 1;
                }
            }
        }
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn protocols_without_ports_have_flows_of_their_own() {
        let mut keys = HashSet::new();
        let mut count = 0;
        for (src, dst) in [(1, 2), (2, 1), (1, 3)] {
            for proto in [Proto::Tcp, Proto::Udp] {
                for flow in [v4(src, dst, 0, 0), v6(src.into(), dst.into(), 0, 0)] {
                    keys.insert(compared(Key::new(&SECRET, By::Flow, proto, &flow)));
                    count += 1;
                }
            }
            for number in [1, 47, 50, 132, 255] {
                for flow in [v4(src, dst, 0, 0), v6(src.into(), dst.into(), 0, 0)] {
                    keys.insert(compared(Key::of_portless(&SECRET, By::Flow, number, &flow)));
                    count += 1;
                }
            }
        }
        assert_eq!(keys.len(), count);
        for flow in [v4(7, 2, 0, 0), v6(7, 2, 0, 0)] {
            let client = Key::new(&SECRET, By::Source, Proto::Udp, &flow);
            assert_eq!(Key::of_portless(&SECRET, By::Source, 50, &flow), client);
        }
    }

    #[test]
    fn by_source_only_the_client_counts() {
        let key = |flow: &FlowKey, proto| Key::new(&SECRET, By::Source, proto, flow);
        assert_eq!(
            key(&v4(7, 2, 3, 4), Proto::Tcp),
            key(&v4(7, 20, 30, 40), Proto::Udp)
        );
        assert_eq!(
            key(&v6(7, 2, 3, 4), Proto::Tcp),
            key(&v6(7, 20, 30, 40), Proto::Udp)
        );
        assert_ne!(
            key(&v4(7, 2, 3, 4), Proto::Tcp),
            key(&v4(8, 2, 3, 4), Proto::Tcp)
        );
        assert_ne!(
            key(&v6(7, 2, 3, 4), Proto::Tcp),
            key(&v6(8, 2, 3, 4), Proto::Tcp)
        );
    }

    #[test]
    fn without_the_secret_nothing_is_known_of_place_and_fingerprint() {
        let other = SipKey::new(b"0123456789abcdeg");
        let (four, six) = (v4(1, 2, 3, 4), v6(1, 2, 3, 4));
        let place = |secret, flow| Key::new(secret, By::Flow, Proto::Tcp, flow).place;
        assert_ne!(place(&SECRET, &four), place(&other, &four));
        let six = |secret| Key::new(secret, By::Flow, Proto::Tcp, &six);
        assert_ne!(six(&SECRET), six(&other));
    }

    #[test]
    fn any_number_of_buckets_is_filled_evenly() {
        for buckets in [1, 3, 1000, 1 << 10] {
            let mut counts = std::vec![0u32; buckets];
            let flows = 1000 * buckets as u32;
            for n in 0..flows {
                // Addresses and ports one behind the other, as clients behind one NAT have them.
                let flow = v4(0x0a00_0001 + (n >> 16), 2, n as u16, 80);
                counts[Key::new(&SECRET, By::Flow, Proto::Tcp, &flow).bucket(buckets)] += 1;
            }
            // Six standard deviations of a binomial distribution.
            let spread: Vec<_> = counts.iter().filter(|n| n.abs_diff(1000) > 190).collect();
            assert!(spread.is_empty(), "{buckets}: {spread:?}");
        }
    }
}
