// SPDX-License-Identifier: GPL-2.0

//! One good packet of a flow, with its checksums.

use std::net::{IpAddr, SocketAddr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// A packet. Its number is TCP's sequence number, or the begin of the datagram.
pub(super) struct Packet {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) transport: Transport,
    pub(super) number: u32,
    pub(super) payload: usize,
    pub(super) may_fragment: bool,
}

impl Packet {
    /// From the IP header on.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let transport = self.transport();
        let len = (transport.len() as u16).to_be_bytes();
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let total = (20 + transport.len() as u16).to_be_bytes();
                let [_, _, id_hi, id_lo] = self.number.to_be_bytes();
                let flags = if self.may_fragment { 0 } else { 0x40 };
                let mut ip = vec![0x45, 0, total[0], total[1], id_hi, id_lo, flags, 0];
                ip.extend([64, self.protocol(), 0, 0]);
                ip.extend(src.octets());
                ip.extend(dst.octets());
                let check = !sum(&[&ip]);
                ip[10..12].copy_from_slice(&check.to_be_bytes());
                ip.extend(transport);
                ip
            }
            (src, dst) => {
                let mut ip = vec![0x60, 0, 0, 0, len[0], len[1], self.protocol(), 64];
                ip.extend(octets(src));
                ip.extend(octets(dst));
                ip.extend(transport);
                ip
            }
        }
    }

    fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Tcp => 6,
            Transport::Udp => 17,
        }
    }

    /// The transport header and its payload.
    fn transport(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.from.port().to_be_bytes());
        out.extend(self.to.port().to_be_bytes());
        let number = self.number.to_be_bytes();
        let check_at = match self.transport {
            Transport::Tcp => {
                const ACK: u8 = 0x10;
                out.extend(number);
                out.extend([0, 0, 0, 1, 0x50, ACK, 0x20, 0, 0, 0, 0, 0]);
                16
            }
            Transport::Udp => {
                out.extend((12 + self.payload as u16).to_be_bytes());
                out.extend([0, 0]);
                out.extend(number);
                6
            }
        };
        out.extend((0..self.payload).map(|at| (at as u32).wrapping_add(self.number) as u8));
        let len = (out.len() as u32).to_be_bytes();
        let pseudo = [
            octets(self.from.ip()),
            octets(self.to.ip()),
            len.to_vec(),
            vec![0, self.protocol()],
        ]
        .concat();
        let check = match !sum(&[&pseudo, &out]) {
            // In UDP 0 says that there is none.
            0 => 0xffff,
            check => check,
        };
        out[check_at..check_at + 2].copy_from_slice(&check.to_be_bytes());
        out
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The ones' complement sum; all pieces but the last are of even length.
fn sum(pieces: &[&[u8]]) -> u16 {
    let words = pieces.iter().flat_map(|piece| piece.chunks(2));
    let mut sum: u32 = words
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&byte| u32::from(byte)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_verify() {
        for (from, to) in [
            ("10.11.0.1:1024", "1.1.1.1:80"),
            ("[fd11::1]:1024", "[fd91::1]:80"),
        ] {
            for transport in [Transport::Tcp, Transport::Udp] {
                let packet = Packet {
                    from: from.parse().unwrap(),
                    to: to.parse().unwrap(),
                    transport,
                    number: 0x0102_0304,
                    payload: 33,
                    may_fragment: false,
                };
                let bytes = packet.bytes();
                let (addresses, header) = match bytes[0] >> 4 {
                    4 => (12, 20),
                    _ => (8, 40),
                };
                let len = ((bytes.len() - header) as u32).to_be_bytes();
                let rest = [0, packet.protocol()];
                assert_eq!(sum(&[&len, &rest, &bytes[addresses..]]), 0xffff);
                if header == 20 {
                    assert_eq!(sum(&[&bytes[..20]]), 0xffff);
                    assert_eq!(
                        usize::from(u16::from_be_bytes([bytes[2], bytes[3]])),
                        bytes.len()
                    );
                }
            }
        }
    }
}
