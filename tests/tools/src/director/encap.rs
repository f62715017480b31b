// SPDX-License-Identifier: GPL-2.0

//! A client's packet with the tunnel headers in front, as a director sends it.

use crate::tunnel::{Hops, Inner, Source};
use glb_core::director::select::hash::{packet_hash, HashFields};
use glb_core::director::{inspect, source_port};
use glb_core::packet::ip::Family;
use glb_core::packet::view::View;
use glb_core::siphash::SipKey;

/// The key of the specification's vectors: which one it is decides only the source port here.
const KEY: [u8; 16] = [
    0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56,
];

pub(super) struct Encapsulator {
    source: Source,
    pub(super) hops: Hops,
    port: u16,
    udp_checksum: bool,
    key: SipKey,
}

impl Encapsulator {
    pub(super) fn new(source: Source, hops: Hops, port: u16, udp_checksum: bool) -> Self {
        Self {
            source,
            hops,
            port,
            udp_checksum,
            key: SipKey::new(&KEY),
        }
    }

    /// Puts the tunnel packet for `packet` into `out`. `None`: not a packet for a director.
    pub(super) fn encapsulate(&self, packet: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let family = match packet.first()? >> 4 {
            4 => Family::V4,
            6 => Family::V6,
            _ => return None,
        };
        let candidate = inspect(View::whole(packet), family).ok()?;
        let inner = Inner {
            family,
            packet: packet.get(..candidate.len)?,
        };
        let hash = packet_hash(&self.key, HashFields::DEFAULT, &candidate.key);
        let ports = (source_port(hash, candidate.hint), self.port);
        self.hops.encapsulate(self.source, ports, inner, out)?;
        match (self.source, self.udp_checksum) {
            (_, false) => {}
            (Source::V4(_), true) => fill_checksum(out, 12, 20),
            (Source::V6(_), true) => fill_checksum(out, 8, 40),
        }
        Some(())
    }
}

/// Fills the UDP checksum in, over everything from the addresses on and the rest of the pseudo header.
fn fill_checksum(packet: &mut [u8], addresses: usize, udp: usize) {
    let length = (packet.len() - udp) as u64;
    let mut sum = length + 17;
    for pair in packet[addresses..].chunks(2) {
        sum += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&byte| u64::from(byte));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // A computed 0 is sent as all ones; 0 says that there is no checksum.
    let check = match !(sum as u16) {
        0 => 0xffff,
        check => check,
    };
    packet[udp + 6..udp + 8].copy_from_slice(&check.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known packet (`glb-packets vectors`): a SYN, and what a director makes of it.
    #[test]
    fn vector() {
        let [syn, want] = crate::capture::specification::<2>();
        let hops = Hops::V4(vec![[3, 4, 5, 6], [2, 3, 4, 5]]);
        let mut out = Vec::new();
        Encapsulator::new(Source::V4([65; 4]), hops, 19523, false)
            .encapsulate(&syn, &mut out)
            .unwrap();
        assert_eq!(out, want);
    }

    #[test]
    fn checksum_verifies() {
        let mut packet = vec![7; 20 + 8 + 11];
        packet[26..28].copy_from_slice(&[0, 0]);
        fill_checksum(&mut packet, 12, 20);
        let mut sum = 19 + 17;
        for pair in packet[12..].chunks(2) {
            sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&byte| u32::from(byte));
        }
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }
}
