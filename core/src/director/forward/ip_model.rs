// SPDX-License-Identifier: GPL-2.0

//! An IP header as tests make it, field by field: nothing of it is what the code under test computes with.

use crate::packet::ip::proto;
use std::vec::Vec;

/// An IP header, of the family that its addresses have.
pub(super) struct Ip<'p> {
    pub(super) src: &'p [u8],
    pub(super) dst: &'p [u8],
    pub(super) tos: u8,
    pub(super) ttl: u8,
    /// Of IPv4, in words; of IPv6, destination options in units of 8 bytes.
    pub(super) options: usize,
    /// Offset in units of 8 bytes, and whether more fragments follow.
    pub(super) fragment: Option<(u16, bool)>,
}

impl Ip<'_> {
    /// The packet with this payload.
    pub(super) fn around(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        match self.src.len() {
            4 => self.v4(protocol, payload),
            _ => self.v6(protocol, payload),
        }
    }

    fn v4(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let words = 5 + self.options;
        let place = match self.fragment {
            Some((offset, more)) => offset | if more { 0x2000 } else { 0 },
            None => 0x4000,
        };
        let mut head = std::vec![0x40 | words as u8, self.tos];
        head.extend(((words * 4 + payload.len()) as u16).to_be_bytes());
        head.extend([0x12, 0x34]);
        head.extend(place.to_be_bytes());
        head.extend([self.ttl, protocol, 0, 0]);
        head.extend([self.src, self.dst, &std::vec![1; self.options * 4]].concat());
        let check = !ones_sum(&[&head]);
        head[10..12].copy_from_slice(&check.to_be_bytes());
        [&head, payload].concat()
    }

    fn v6(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let (mut behind, mut next) = (Vec::new(), protocol);
        if self.fragment.is_some() {
            next = proto::FRAGMENT;
        }
        if self.options > 0 {
            let padding = self.options * 8 - 4;
            behind.extend([next, self.options as u8 - 1, 1, padding as u8]);
            behind.extend(std::vec![0; padding]);
            next = proto::DSTOPTS;
        }
        if let Some((offset, more)) = self.fragment {
            behind.extend([protocol, 0]);
            behind.extend((offset << 3 | u16::from(more)).to_be_bytes());
            behind.extend([9, 8, 7, 6]);
        }
        behind.extend(payload);
        let mut head = std::vec![0x60 | self.tos >> 4, self.tos << 4 | 0x0a, 0xbc, 0xde];
        head.extend((behind.len() as u16).to_be_bytes());
        head.extend([next, self.ttl]);
        [&head, self.src, self.dst, &behind].concat()
    }
}

/// The sum of what is there, in 16-bit words, as RFC 1071 says it.
pub(super) fn ones_sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for pair in parts.concat().chunks(2) {
        sum += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// What a transport checksum covers beside its packet.
pub(super) fn pseudo((src, dst): (&[u8], &[u8]), proto: u8, len: usize) -> Vec<u8> {
    let mut bytes = [src, dst].concat();
    bytes.extend([0, proto]);
    bytes.extend((len as u16).to_be_bytes());
    bytes
}
