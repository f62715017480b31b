// SPDX-License-Identifier: GPL-2.0

//! Packets of the echo checks: ICMP in IP in GUE (or, for old fleets, in GRE in FOU), and bare replies; and the checksums of
//! packets that are sent as they are.

use crate::logic::probe::Tunnel;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What makes an echo one of ours, and which it is.
pub(super) type Token = [u8; 16];

/// Marks the payload for people who look at packets.
const MARK: &[u8; 8] = b"glb-echo";
const PAYLOAD: usize = MARK.len() + size_of::<Token>();
const ICMP_HEADER: usize = 8;

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const ICMP_V6: u8 = 58;
const TTL: u8 = 64;

/// Source and destination of the packet inside, of one family.
#[derive(Debug, Clone, Copy)]
pub(super) enum Inner {
    V4 { src: Ipv4Addr, dst: Ipv4Addr },
    V6 { src: Ipv6Addr, dst: Ipv6Addr },
}

/// What one echo is known by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Echo {
    pub(super) id: u16,
    pub(super) seq: u16,
    pub(super) token: Token,
}

/// The payload of the UDP packet to the proxy. `outer` is its address there, which decides the type of the
/// (empty) list of hops.
pub(super) fn request(tunnel: Tunnel, outer: IpAddr, inner: Inner, echo: &Echo) -> Vec<u8> {
    let mut packet = Vec::with_capacity(96);
    match tunnel {
        Tunnel::Gue => {
            let protocol = match inner {
                Inner::V4 { .. } => 4,
                Inner::V6 { .. } => 41,
            };
            let hops = u8::from(outer.is_ipv6());
            // Version 0, one word of private data, no flags; no next hop.
            packet.extend([0x01, protocol, 0, 0, 0, hops, 0, 0]);
        }
        Tunnel::Fou => {
            let [high, low] = match inner {
                Inner::V4 { .. } => [0x08, 0x00],
                Inner::V6 { .. } => [0x86, 0xdd],
            };
            // GRE with a key, which is where the second hop was.
            packet.extend([0x20, 0x00, high, low, 0, 0, 0, 0]);
        }
    }
    match inner {
        Inner::V4 { src, dst } => {
            packet.extend(ip_header_v4(src, dst));
            packet.extend(icmp(ECHO_REQUEST, echo, 0));
        }
        Inner::V6 { src, dst } => {
            packet.extend(ip_header_v6(src, dst));
            let pseudo = sum(&src.octets()) + sum(&dst.octets());
            let pseudo = pseudo + (ICMP_HEADER + PAYLOAD) as u32 + u32::from(ICMP_V6);
            packet.extend(icmp(ECHO_REQUEST_V6, echo, pseudo));
        }
    }
    packet
}

fn ip_header_v4(src: Ipv4Addr, dst: Ipv4Addr) -> [u8; 20] {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[3] = (20 + ICMP_HEADER + PAYLOAD) as u8;
    // Don't fragment.
    header[6] = 0x40;
    header[8] = TTL;
    header[9] = ICMP;
    header[12..16].copy_from_slice(&src.octets());
    header[16..20].copy_from_slice(&dst.octets());
    let check = !fold(sum(&header));
    header[10..12].copy_from_slice(&check.to_be_bytes());
    header
}

fn ip_header_v6(src: Ipv6Addr, dst: Ipv6Addr) -> [u8; 40] {
    let mut header = [0; 40];
    header[0] = 0x60;
    header[5] = (ICMP_HEADER + PAYLOAD) as u8;
    header[6] = ICMP_V6;
    header[7] = TTL;
    header[8..24].copy_from_slice(&src.octets());
    header[24..40].copy_from_slice(&dst.octets());
    header
}

fn icmp(kind: u8, echo: &Echo, pseudo: u32) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(echo.id.to_be_bytes());
    message.extend(echo.seq.to_be_bytes());
    message.extend(MARK);
    message.extend(echo.token);
    let check = !fold(sum(&message) + pseudo);
    message[2..4].copy_from_slice(&check.to_be_bytes());
    message
}

/// The checksum of an IPv4 header, whatever stands in its field.
pub(super) fn header_checksum(header: &[u8]) -> Option<u16> {
    let (before, rest) = header.split_at_checked(10)?;
    Some(!fold(sum(before) + sum(rest.get(2..)?)))
}

/// The checksum of a TCP segment whose field is 0. `addrs` has the addresses of both ends.
pub(super) fn tcp_checksum(addrs: &[u8], segment: &[u8]) -> u16 {
    let last = segment.chunks_exact(2).remainder().first();
    let last = last.map_or(0, |byte| u32::from(*byte) << 8);
    // A packet has fewer bytes than 65,536.
    let length = segment.len() as u32;
    !fold(sum(addrs) + u32::from(TCP) + length + sum(segment) + last)
}

/// The sum of the 16-bit words of data of even length.
fn sum(data: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair[1]);
    data.chunks_exact(2).map(word).sum()
}

fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

/// The token of a reply, from what a raw ICMPv4 socket gives: the packet with its IP header.
pub(super) fn reply_v4(packet: &[u8]) -> Option<Token> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    token(packet.get(header..)?, ECHO_REPLY)
}

/// The token of a reply, from what a raw ICMPv6 socket gives: the message alone.
pub(super) fn reply_v6(message: &[u8]) -> Option<Token> {
    token(message, ECHO_REPLY_V6)
}

fn token(message: &[u8], kind: u8) -> Option<Token> {
    if *message.first()? != kind {
        return None;
    }
    let token = message.get(ICMP_HEADER..)?.strip_prefix(MARK)?;
    token.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An echo of this number.
    fn echo(id: u16, seq: u16) -> Echo {
        Echo {
            id,
            seq,
            token: *b"0123456789abcdef",
        }
    }

    fn hex(bytes: &[u8]) -> String {
        let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
        bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
            .collect()
    }

    #[test]
    fn gue_over_ipv4() {
        let inner = Inner::V4 {
            src: [192, 168, 50, 6].into(),
            dst: [10, 10, 10, 10].into(),
        };
        let outer = "192.168.50.10".parse().unwrap();
        let packet = request(Tunnel::Gue, outer, inner, &echo(0x1234, 7));
        // The checksums were computed apart from this code, with Python.
        let expected = [
            "0104000000000000",
            "450000340000400040013407c0a832060a0a0a0a",
            "08001f2112340007",
            "676c622d6563686f",
            "30313233343536373839616263646566",
        ];
        assert_eq!(hex(&packet), expected.concat());
    }

    #[test]
    fn gue_over_ipv6_and_fou() {
        let inner = Inner::V6 {
            src: "fd00::6".parse().unwrap(),
            dst: "fd00::a".parse().unwrap(),
        };
        let outer = "fd00::a".parse().unwrap();
        let packet = request(Tunnel::Gue, outer, inner, &echo(0x1234, 7));
        assert_eq!(hex(&packet[..8]), "0129000000010000");
        assert_eq!(hex(&packet[8..16]), "6000000000203a40");
        let inner = Inner::V4 {
            src: [1, 1, 1, 1].into(),
            dst: [2, 2, 2, 2].into(),
        };
        let packet = request(Tunnel::Fou, [2, 2, 2, 2].into(), inner, &echo(0, 0));
        assert_eq!(hex(&packet[..8]), "2000080000000000");
    }

    proptest! {
        /// Both checksums verify the way that a receiver does it.
        #[test]
        fn checksums_verify(src: [u8; 16], dst: [u8; 16], id: u16, seq: u16, token: Token) {
            let echo = Echo { id, seq, token };
            let short = |addr: [u8; 16]| Ipv4Addr::new(addr[0], addr[1], addr[2], addr[3]);
            let v4 = Inner::V4 { src: short(src), dst: short(dst) };
            let packet = request(Tunnel::Gue, short(dst).into(), v4, &echo);
            prop_assert_eq!(fold(sum(&packet[8..28])), 0xffff);
            prop_assert_eq!(fold(sum(&packet[28..])), 0xffff);
            let v6 = Inner::V6 { src: src.into(), dst: dst.into() };
            let packet = request(Tunnel::Gue, short(dst).into(), v6, &echo);
            let pseudo = sum(&src) + sum(&dst) + 32 + 58;
            prop_assert_eq!(fold(sum(&packet[48..]) + pseudo), 0xffff);
        }

        /// The reply that a host makes of the request is recognised; the request itself and cut ones are not.
        #[test]
        fn replies(token: Token, options in 0usize..=10, cut in 1usize..40) {
            let inner = Inner::V4 { src: [1, 1, 1, 1].into(), dst: [2, 2, 2, 2].into() };
            let request = request(Tunnel::Gue, [2, 2, 2, 2].into(), inner, &Echo { id: 1, seq: 1, token });
            let mut reply = vec![0x45 + options as u8; 1];
            reply.resize(20 + options * 4, 0);
            reply.extend(&request[28..]);
            prop_assert_eq!(reply_v4(&reply), None);
            reply[20 + options * 4] = ECHO_REPLY;
            prop_assert_eq!(reply_v4(&reply), Some(token));
            prop_assert_eq!(reply_v4(&reply[..reply.len() - cut.min(reply.len())]), None);
            let mut message = request[28..].to_vec();
            message[0] = ECHO_REPLY_V6;
            prop_assert_eq!(reply_v6(&message), Some(token));
        }

        /// Whatever comes in is survived.
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            reply_v4(&bytes);
            reply_v6(&bytes);
        }
    }
}
