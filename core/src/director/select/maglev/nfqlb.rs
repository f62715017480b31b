// SPDX-License-Identifier: GPL-2.0

//! Tables and flow hashes of nfqlb (github/Nordix/nfqueue-loadbalancer), so that a fleet can be moved one machine at a time.
//!
//! A target there is a slot with a number, not an address: the permutation of slot i are the outcomes 2 i and 2 i + 1 of
//! glibc's `rand()` after `srand(1)`. Hence the slots of a table must be numbered as they are there.

use super::fill::{prepare, Cursor, Fill, Steps};
use super::permutation::Permutation;
use super::rows::RowsError;
use super::size::{prime_from, prime_up_to, SizeError, MAX_SIZE};
use crate::backend::MAX_BACKENDS;
use crate::packet::flow::FlowKey;
use crate::packet::ip::Addrs;

const IPPROTO_SCTP: u8 = 132;

/// The size of a table that nfqlb is told to make with `most` rows: the last prime up to it.
pub fn size(most: u32) -> Result<u32, SizeError> {
    if most > MAX_SIZE {
        return Err(SizeError::TooLarge);
    }
    prime_up_to(most)
        .filter(|size| *size > 2)
        .ok_or(SizeError::TooSmall(3))
}

/// The size of a table for so many slots, where nothing else is said: the first prime above 100 rows for each.
#[must_use]
pub fn default_size(slots: u16) -> u32 {
    prime_from(u32::from(slots).wrapping_mul(100).wrapping_add(1))
}

/// Builds the table of these slots, of which some are active, into `rows`: indexes of slots. `cursors` has room for all
/// slots, `free` for [`super::words_needed`] words.
pub fn build(
    size: u32,
    active: &[bool],
    rows: &mut [u8],
    (cursors, free): (&mut [Cursor], &mut [u64]),
    pause: &mut impl FnMut(),
) -> Result<(), RowsError> {
    if active.len() > MAX_BACKENDS {
        return Err(RowsError::Backends);
    }
    super::size::check(size, active.len()).map_err(RowsError::Size)?;
    let mut random = Rand::new();
    let mut seated = 0usize;
    for (active, index) in active.iter().zip(0u8..=u8::MAX) {
        let permutation = Permutation {
            offset: random.below(size),
            skip: random.below(size.wrapping_sub(1)).wrapping_add(1),
        };
        if *active {
            let place = cursors.get_mut(seated).ok_or(RowsError::Room)?;
            *place = Cursor::new(permutation, 1, index);
            seated = seated.wrapping_add(1);
        }
    }
    if seated == 0 {
        return Err(RowsError::NoBackend);
    }
    let cursors = cursors.get_mut(..seated).ok_or(RowsError::Room)?;
    prepare(size, cursors);
    Fill::new(size, Steps::Prime, rows, free, cursors)
        .and_then(|fill| fill.run(pause))
        .ok_or(RowsError::Room)
}

/// glibc's `rand()` after `srand(1)`: an additive feedback generator, x(i) = x(i - 3) + x(i - 31) modulo 2^32, of which the
/// low bit is dropped. The first words are x(i) = 16807 x(i - 1) modulo 2^31 - 1, and the first 310 outcomes are thrown away.
struct Rand {
    words: [u32; 31],
    /// Where the oldest word is.
    at: usize,
}

impl Rand {
    fn new() -> Self {
        let mut words = [0; 31];
        let mut word = 1u32;
        for place in &mut words {
            *place = word;
            // The cast is exact: a remainder of less than 32 bits.
            word = (u64::from(word).wrapping_mul(16_807) % 0x7fff_ffff) as u32;
        }
        // The word that is added to first is the fourth.
        let mut random = Self { words, at: 3 };
        for _ in 0..310 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u32 {
        let behind = if self.at < 3 {
            self.at.wrapping_add(28)
        } else {
            self.at.wrapping_sub(3)
        };
        let add = self.words.get(behind).copied().unwrap_or(0);
        let mut outcome = 0;
        if let Some(word) = self.words.get_mut(self.at) {
            *word = word.wrapping_add(add);
            outcome = *word >> 1;
        }
        self.at = if self.at >= 30 {
            0
        } else {
            self.at.wrapping_add(1)
        };
        outcome
    }

    fn below(&mut self, size: u32) -> u32 {
        self.next().checked_rem(size).unwrap_or(0)
    }
}

/// What of an SCTP packet is hashed: `hash_mode` there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sctp {
    /// What is hashed of every packet.
    Flow,
    /// The ports alone: an association with several addresses keeps its target.
    Ports,
}

/// The hash of a packet with ports.
#[inline]
#[must_use]
pub fn flow_hash(flow: &FlowKey, proto: u8, sctp: Sctp) -> u32 {
    let ports = |hash: Hash| {
        hash.add(&flow.src_port.to_be_bytes())
            .add(&flow.dst_port.to_be_bytes())
    };
    if proto == IPPROTO_SCTP && sctp == Sctp::Ports {
        return ports(Hash::START).0;
    }
    // A word of 0, and the protocol in the byte order of the processors that nfqlb runs on.
    let protocol = [0, 0, proto, 0];
    ports(Hash::START.add_addrs(&flow.addrs).add(&protocol)).0
}

/// The hash of a fragment, which selects the load balancer that keeps its first one.
#[inline]
#[must_use]
pub fn fragment_hash(addrs: &Addrs) -> u32 {
    Hash::START.add_addrs(addrs).0
}

/// The row of a packet with this hash.
#[inline]
#[must_use]
pub fn row(hash: u32, size: u32) -> u32 {
    hash.checked_rem(size).unwrap_or(0)
}

/// Bernstein's hash, while it runs: times 33, plus a byte.
#[derive(Clone, Copy)]
struct Hash(u32);

impl Hash {
    const START: Self = Self(5_381);

    #[inline(always)]
    fn add(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| {
            hash.wrapping_mul(33).wrapping_add(u32::from(*byte))
        }))
    }

    /// Both addresses, those of IPv4 as mapped ones.
    #[inline(always)]
    fn add_addrs(self, addrs: &Addrs) -> Self {
        const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        match addrs {
            Addrs::V4 { src, dst } => self.add(&MAPPED).add(src).add(&MAPPED).add(dst),
            Addrs::V6 { src, dst } => self.add(src).add(dst),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// The table of 32 slots, of which these are active.
    fn table(size: u32, active: &[bool]) -> Vec<u8> {
        let mut rows = vec![0xee; size as usize];
        let (mut cursors, mut free) = (vec![Cursor::default(); 32], vec![0; 16]);
        let room = (&mut cursors[..], &mut free[..]);
        build(size, active, &mut rows, room, &mut || ()).unwrap();
        rows
    }

    fn first_four() -> [bool; 32] {
        core::array::from_fn(|slot| slot < 4)
    }

    #[test]
    fn rand_begins_as_everybody_knows() {
        let mut random = Rand::new();
        let outcomes: [u32; 4] = core::array::from_fn(|_| random.next());
        assert_eq!(
            outcomes,
            [1_804_289_383, 846_930_886, 1_681_692_777, 1_714_636_915]
        );
    }

    #[test]
    fn the_table_of_four_targets() {
        const BEGIN: [u8; 40] = [
            2, 0, 0, 2, 2, 1, 0, 1, 0, 0, 1, 2, 3, 1, 2, 1, 3, 0, 2, 0, 3, 0, 2, 3, 2, 3, 1, 0, 2,
            2, 0, 1, 2, 3, 1, 3, 1, 3, 0, 1,
        ];
        let mut random = Rand::new();
        for of in [(537, 215), (36, 8), (707, 104), (539, 37)] {
            assert_eq!((random.below(997), random.below(996) + 1), of);
        }
        let rows = table(997, &first_four());
        assert_eq!(rows[..40], BEGIN);
        let count = |slot| rows.iter().filter(|of| **of == slot).count();
        assert_eq!([0, 1, 2, 3].map(count), [250, 249, 249, 249]);
    }

    #[test]
    fn moves_when_one_leaves() {
        let before = table(997, &first_four());
        for (gone, needless) in (0u8..).zip([8, 6, 4, 5]) {
            let mut active = first_four();
            active[usize::from(gone)] = false;
            let after = table(997, &active);
            assert!(!after.contains(&gone));
            let moved = before.iter().zip(&after);
            let moved = moved.filter(|(old, new)| **old != gone && old != new);
            assert_eq!(moved.count(), needless);
        }
    }

    fn v4(src: [u8; 4], dst: [u8; 4], src_port: u16, dst_port: u16) -> FlowKey {
        FlowKey {
            addrs: Addrs::V4 { src, dst },
            src_port,
            dst_port,
        }
    }

    fn v6(src: [u16; 8], src_port: u16, dst_port: u16) -> FlowKey {
        let bytes = |words: [u16; 8]| {
            u128::from_be_bytes(core::array::from_fn(|i| words[i / 2].to_be_bytes()[i % 2]))
        };
        FlowKey {
            addrs: Addrs::V6 {
                src: bytes(src).to_be_bytes(),
                dst: bytes([0x1000, 0, 0, 0, 0, 0, 0, 0]).to_be_bytes(),
            },
            src_port,
            dst_port,
        }
    }

    #[test]
    fn flows() {
        let rows = table(997, &first_four());
        let vip = [10, 0, 0, 0];
        let client = [0x1000, 0, 0, 0, 0, 1, 0x1400, 1];
        let sctp4 = v4([192, 168, 2, 221], vip, 30_000, 6_000);
        let sctp6 = v6([0x1000, 0, 0, 0, 0, 1, 0xc0a8, 0x6dd], 30_000, 6_000);
        for (flow, proto, mode, hash, index, target) in [
            (
                v4([20, 0, 0, 1], vip, 40_000, 5_001),
                6,
                Sctp::Flow,
                784_815_678,
                209,
                0,
            ),
            (
                v4([20, 0, 0, 2], vip, 40_001, 5_001),
                6,
                Sctp::Ports,
                3_672_092_032,
                455,
                0,
            ),
            (
                v4([20, 0, 0, 1], vip, 40_000, 5_001),
                17,
                Sctp::Flow,
                1_215_305_001,
                884,
                1,
            ),
            (
                v6(client, 40_000, 5_001),
                6,
                Sctp::Flow,
                3_105_152_601,
                89,
                2,
            ),
            (sctp4, 132, Sctp::Flow, 537_870_850, 317, 1),
            (sctp4, 132, Sctp::Ports, 2_090_731_377, 443, 0),
            (sctp6, 132, Sctp::Flow, 1_726_453_409, 353, 3),
            (sctp6, 132, Sctp::Ports, 2_090_731_377, 443, 0),
        ] {
            let found = flow_hash(&flow, proto, mode);
            assert_eq!(found, hash, "{flow:?}");
            assert_eq!(row(found, 997), index);
            assert_eq!(rows[index as usize], target);
        }
    }

    #[test]
    fn fragments_are_known_by_their_addresses() {
        let of = |src_port| v4([20, 0, 0, 1], [10, 0, 0, 0], src_port, 5_001);
        let begin = fragment_hash(&of(1).addrs);
        assert_eq!(begin, fragment_hash(&of(2).addrs));
        // The hash of the flow goes on from there.
        let go_on = [0, 0, 6, 0, 0, 1, 0x13, 0x89];
        assert_eq!(Hash(begin).add(&go_on).0, flow_hash(&of(1), 6, Sctp::Flow));
    }

    #[test]
    fn sizes() {
        assert_eq!(size(1_000), Ok(997));
        assert_eq!(size(MAX_SIZE), Ok(MAX_SIZE));
        // 101 and 25,601 are primes.
        assert_eq!([1, 2, 10, 256].map(default_size), [101, 211, 1_009, 25_601]);
        assert_eq!(size(2), Err(SizeError::TooSmall(3)));
        assert_eq!(size(MAX_SIZE + 1), Err(SizeError::TooLarge));
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let mut rows = vec![0; 997];
        let (mut cursors, mut free) = (vec![Cursor::default(); 257], vec![0; 16]);
        let mut tried = |size, active: &[bool], cursors_len: usize| {
            let room = (&mut cursors[..cursors_len], &mut free[..]);
            build(size, active, &mut rows, room, &mut || ())
        };
        assert_eq!(tried(997, &[false; 3], 3), Err(RowsError::NoBackend));
        assert_eq!(tried(997, &[], 3), Err(RowsError::NoBackend));
        assert_eq!(tried(997, &[true; 257], 257), Err(RowsError::Backends));
        assert_eq!(tried(997, &[true; 3], 2), Err(RowsError::Room));
        assert_eq!(
            tried(996, &[true; 3], 3),
            Err(RowsError::Size(SizeError::NotPrime(997)))
        );
        assert_eq!(tried(1_009, &[true; 3], 3), Err(RowsError::Room));
        assert_eq!(tried(997, &[true; 256], 256), Ok(()));
    }
}
