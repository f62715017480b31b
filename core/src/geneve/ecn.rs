// SPDX-License-Identifier: GPL-2.0

//! What the congestion mark (ECN) of the outer header means for the inner packet (RFC 6040, section 4.2).
//!
//! A router between load balancer and appliance that is about to overflow marks the outer header. The mark must reach the end of
//! the inner connection, which alone can send more slowly.
//!
//! ```text
//!               outer   Not-ECT   ECT(0)    ECT(1)    CE
//! inner  Not-ECT        Not-ECT   Not-ECT   Not-ECT   lost
//!        ECT(0)         ECT(0)    ECT(0)    ECT(1)    CE
//!        ECT(1)         ECT(1)    ECT(1)    ECT(1)    CE
//!        CE             CE        CE        CE        CE
//! ```

use crate::packet::checksum::Delta;
use crate::packet::ip::Family;

const MASK: u8 = 3;
const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// What the inner header is to say instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    /// ECT(1).
    Ect1 = ECT_1,
    /// Congestion experienced.
    Ce = CE,
}

/// The packet met congestion, and its ends do not understand the mark: for them it has to be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

impl Mark {
    /// From TOS or traffic class of both headers; `None` leaves the inner one as it is.
    #[inline]
    pub const fn of(outer: u8, inner: u8) -> Result<Option<Self>, Lost> {
        match (outer & MASK, inner & MASK) {
            (CE, NOT_ECT) => Err(Lost),
            (CE, ECT_0 | ECT_1) => Ok(Some(Self::Ce)),
            (ECT_1, ECT_0) => Ok(Some(Self::Ect1)),
            _ => Ok(None),
        }
    }

    /// The codepoint.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Writes it into the IP packet of this family, for who has the packet at hand.
    pub fn write(self, packet: &mut [u8], family: Family) -> Option<()> {
        match family {
            Family::V4 => {
                let [version, tos, _, _, _, _, _, _, _, _, hi, lo, ..] = packet else {
                    return None;
                };
                let marked = *tos & !MASK | self.bits();
                let delta = Delta::NONE.replaced(&[*version, *tos], &[*version, marked]);
                [*hi, *lo] = delta.apply(u16::from_be_bytes([*hi, *lo])).to_be_bytes();
                *tos = marked;
            }
            Family::V6 => {
                let [_, second, ..] = packet else {
                    return None;
                };
                *second = *second & !(MASK << 4) | self.bits() << 4;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::checksum::{is_header_right, of_header};

    /// The table of the RFC, read a second time: rows and columns are Not-ECT, ECT(0), ECT(1), CE.
    #[test]
    fn the_table_of_rfc_6040() {
        const ORDER: [u8; 4] = [0b00, 0b10, 0b01, 0b11];
        const TABLE: [[Option<u8>; 4]; 4] = [
            [Some(0b00), Some(0b00), Some(0b00), None],
            [Some(0b10), Some(0b10), Some(0b01), Some(0b11)],
            [Some(0b01), Some(0b01), Some(0b01), Some(0b11)],
            [Some(0b11), Some(0b11), Some(0b11), Some(0b11)],
        ];
        for dscp in [0, 0xb8, 0xfc] {
            for (inner, row) in ORDER.iter().zip(TABLE) {
                for (outer, expected) in ORDER.iter().zip(row) {
                    let mark = Mark::of(dscp | outer, !dscp & 0xfc | inner);
                    let becomes = mark.map(|mark| mark.map_or(*inner, Mark::bits));
                    assert_eq!(becomes.ok(), expected, "{outer:02b} outside, {inner:02b}");
                }
            }
        }
    }

    #[test]
    fn only_the_mark_changes_and_the_checksum_is_right() {
        for tos in 0..=255u8 {
            for mark in [Mark::Ect1, Mark::Ce] {
                let mut v4 = [
                    69, tos, 0, 20, 0, 9, 64, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
                ];
                [v4[10], v4[11]] = of_header(&v4);
                mark.write(&mut v4, Family::V4).unwrap();
                assert_eq!(v4[1], tos & 0xfc | mark.bits());
                assert!(is_header_right(&v4));
                let mut v6 = [0x60 | tos >> 4, tos << 4 | 0xa, 0xbc, 0xde];
                mark.write(&mut v6, Family::V6).unwrap();
                let marked = tos & 0xfc | mark.bits();
                assert_eq!(v6, [0x60 | tos >> 4, marked << 4 | 0xa, 0xbc, 0xde]);
            }
        }
        assert_eq!(Mark::Ce.write(&mut [0x45; 11], Family::V4), None);
        assert_eq!(Mark::Ce.write(&mut [0x60], Family::V6), None);
    }
}
