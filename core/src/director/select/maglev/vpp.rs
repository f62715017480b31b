// SPDX-License-Identifier: GPL-2.0

//! Tables and flow hashes of VPP's load balancer (its plugin `lb`), so that a fleet can be moved one machine at a time.
//!
//! The size is a power of two, and every odd skip visits every row. A server of weight w is w replicas, each with a
//! permutation of its own: the replicas number 0 of all servers have the first turns, by ascending address, then the
//! replicas number 1 of those that have more than one, and so on. This is why many rows move when a server leaves: with the
//! default weight of 100, five servers are 500 replicas in 1,024 rows.

use super::fill::{Cursor, Fill, Steps};
use super::permutation::Permutation;
use super::rows::{RowsError, MAX_WEIGHT};
use super::size::{SizeError, MAX_SIZE};
use crate::backend::MAX_BACKENDS;
use crate::packet::addr::Addr;
use crate::packet::flow::FlowKey;
use crate::packet::ip::Addrs;
use crate::siphash::words_16;
use crate::sort::sort;

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub addr: Addr,
    /// Its replicas; with none it gets no new flows.
    pub weight: u16,
}

/// Replicas of all servers: one cursor each.
#[must_use]
pub fn cursors_needed(servers: &[Server]) -> usize {
    servers.iter().fold(0, |sum, server| {
        sum.wrapping_add(usize::from(server.weight))
    })
}

/// Whether a table may have this size: a power of two.
pub fn check(size: u32) -> Result<(), SizeError> {
    if size > MAX_SIZE {
        return Err(SizeError::TooLarge);
    }
    if size < 2 {
        return Err(SizeError::TooSmall(2));
    }
    match size.checked_next_power_of_two() {
        Some(power) if power == size => Ok(()),
        Some(power) if power <= MAX_SIZE => Err(SizeError::NotPowerOfTwo(power)),
        _ => Err(SizeError::NotPowerOfTwo(1 << MAX_SIZE.ilog2())),
    }
}

/// Builds the table of these servers into `rows`: indexes of servers. `cursors` has room for [`cursors_needed`], `free`
/// for [`super::words_needed`] words.
pub fn build(
    size: u32,
    servers: &[Server],
    rows: &mut [u8],
    (cursors, free): (&mut [Cursor], &mut [u64]),
    pause: &mut impl FnMut(),
) -> Result<(), RowsError> {
    if servers.len() > MAX_BACKENDS {
        return Err(RowsError::Backends);
    }
    check(size).map_err(RowsError::Size)?;
    let mut index = 0usize;
    for server in servers {
        if server.weight > MAX_WEIGHT {
            return Err(RowsError::Weight(index));
        }
        index = index.wrapping_add(1);
    }
    let needed = cursors_needed(servers);
    if needed == 0 {
        return Err(RowsError::NoBackend);
    }
    let cursors = cursors.get_mut(..needed).ok_or(RowsError::Room)?;
    seat(size, servers, cursors).ok_or(RowsError::Room)?;
    Fill::new(size, Steps::Walked, rows, free, cursors)
        .and_then(|fill| fill.run(pause))
        .ok_or(RowsError::Room)
}

/// The replicas in the order of their turns.
fn seat(size: u32, servers: &[Server], cursors: &mut [Cursor]) -> Option<()> {
    let mut order = [0u8; MAX_BACKENDS];
    let order = sorted(servers, &mut order)?;
    let mut places = cursors.iter_mut();
    for replica in 0..MAX_WEIGHT {
        for &index in order.iter() {
            let server = servers.get(usize::from(index))?;
            if server.weight > replica {
                let permutation = permutation(server.addr, replica, size);
                *places.next()? = Cursor::new(permutation, 1, index);
            }
        }
        if places.len() == 0 {
            break;
        }
    }
    Some(())
}

/// The servers' indexes by ascending address.
fn sorted<'o>(servers: &[Server], order: &'o mut [u8; MAX_BACKENDS]) -> Option<&'o [u8]> {
    let order = order.get_mut(..servers.len())?;
    let key = |index: u8| servers.get(usize::from(index)).map(|of| bytes(of.addr));
    for (place, index) in order.iter_mut().zip(0u8..=u8::MAX) {
        *place = index;
    }
    sort(order, |a, b| key(*a) < key(*b));
    Some(order)
}

/// An address as it stands in 16 bytes: an IPv4 address is the last four.
fn bytes(addr: Addr) -> [u8; 16] {
    match addr {
        Addr::V4([a, b, c, d]) => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d],
        Addr::V6(bytes) => bytes,
    }
}

/// The permutation of a replica: the exclusive or of both halves of the address, as words of x86, plus its number, hashed.
fn permutation(addr: Addr, replica: u16, size: u32) -> Permutation {
    let [low, high] = words_16(&bytes(addr));
    let hash = xxhash((low ^ high).wrapping_add(u64::from(replica)));
    let mask = size.wrapping_sub(1);
    // The casts keep the high and the low half.
    Permutation {
        offset: (hash >> 32) as u32 & mask,
        skip: (hash as u32 | 1) & mask,
    }
}

/// xxHash64 (Collet) of one word, with VPP's seed.
fn xxhash(word: u64) -> u64 {
    const SEED: u64 = 0x9e37_79b9_7f4a_7c13;
    const PRIMES: [u64; 5] = [
        0x9e37_79b1_85eb_ca87,
        0xc2b2_ae3d_27d4_eb4f,
        0x1656_67b1_9e37_79f9,
        0x85eb_ca77_c2b2_ae63,
        0x27d4_eb2f_1656_67c5,
    ];
    let [one, two, three, four, five] = PRIMES;
    let lane = word.wrapping_mul(two).rotate_left(31).wrapping_mul(one);
    let mut hash = SEED.wrapping_add(five).wrapping_add(8) ^ lane;
    hash = hash.rotate_left(27).wrapping_mul(one).wrapping_add(four);
    hash = (hash ^ hash >> 33).wrapping_mul(two);
    hash = (hash ^ hash >> 29).wrapping_mul(three);
    hash ^ hash >> 32
}

/// What of a packet is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Addresses and ports.
    Flow,
    /// Addresses, of the client and of the VIP: `src_ip_sticky` there.
    Addresses,
}

/// The hash of a packet, as VPP computes it on x86 with SSE 4.2: CRC-32C of five words, without inversions.
#[inline]
#[must_use]
pub fn flow_hash(flow: &FlowKey, by: By) -> u32 {
    let ports = match by {
        By::Flow => {
            let [s0, s1] = flow.src_port.to_be_bytes();
            let [d0, d1] = flow.dst_port.to_be_bytes();
            u64::from(u32::from_le_bytes([d0, d1, s0, s1]))
        }
        By::Addresses => 0,
    };
    let words = match &flow.addrs {
        Addrs::V4 { src, dst } => {
            let (src, dst) = (u32::from_le_bytes(*src), u32::from_le_bytes(*dst));
            [u64::from(dst) << 32 | u64::from(src), ports, 0, 0, 0]
        }
        Addrs::V6 { src, dst } => {
            let [s0, s1] = words_16(src);
            let [d0, d1] = words_16(dst);
            [s0, s1, d0, d1, ports]
        }
    };
    words.into_iter().fold(0, crc32c)
}

/// The row of a packet with this hash, in a table with a size that [`check`] has found right.
#[inline]
#[must_use]
pub fn row(hash: u32, size: u32) -> u32 {
    hash & size.wrapping_sub(1)
}

/// The remainder of eight more bytes, by one table for each.
#[inline(always)]
fn crc32c(crc: u32, word: u64) -> u32 {
    let bytes = (word ^ u64::from(crc)).to_le_bytes();
    let of = |(byte, table): (u8, &[u32; 256])| table.get(usize::from(byte)).copied().unwrap_or(0);
    bytes
        .into_iter()
        .zip(&CRC_TABLES)
        .fold(0, |crc, at| crc ^ of(at))
}

/// Remainders of each byte with 7, 6, ... 0 bytes behind it. Made by the compiler, which would find an index out of bounds.
static CRC_TABLES: [[u32; 256]; 8] = {
    const REVERSED: u32 = 0x82f6_3b78;
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 64 {
            crc = crc >> 1 ^ REVERSED * (crc & 1);
            bit += 1;
            if bit & 7 == 0 {
                tables[8 - bit / 8][byte] = crc;
            }
        }
        byte += 1;
    }
    tables
};

#[cfg(test)]
#[path = "vpp_tests.rs"]
mod tests;
