// SPDX-License-Identifier: GPL-2.0

//! Where things stand in a classifier's words.
//!
//! A classifier is one slice of 32-bit words, so that it is one allocation, can be built aside and be
//! published by one pointer. Offsets count words from its start.
//!
//! ```text
//! header    for each family: offset of its slots, number of slots - 1, offset of its lengths, number of them
//! lengths   the prefix lengths in use, ascending
//! slots     a hash table from (prefix, length) to node; linear probing
//!             IPv4: prefix, (node << 7 | udp << 6 | length + 1), first interval
//!             IPv6: prefix in four words, length + 1, (node << 1 | udp), first interval
//!           length + 1 is 0 in an empty slot; a first interval that is empty says nothing
//! nodes     one for each prefix: parent, the bind that has what has no ports, then (offset, count) of its TCP and of its UDP
//!           ports, the bind that takes all protocols, and where (offset, count) of its SCTP ports stand, 0 without any
//! ports     few:  intervals that do not overlap: (first << 16 | last), bind
//!           many: top, pages, binds (see below)
//! ```
//!
//! Many intervals are kept as the ports where the answer changes. A set of ports is a bit map of 256 bits
//! for the high bytes that contain a change (`top`), and one of 256 bits for the low bytes of each of
//! those (`page`). Counting bits gives the index of the answer, so that the cost is the same for ten
//! intervals and for ten thousand. Each bit map stands with the running counts of its words:
//!
//! ```text
//! top       8 words of bits, 2 words of counts (a byte for each word of bits)
//! page      8 words of bits, 2 words of counts, index of its first answer, high byte
//! ```

/// Words of the header.
pub(super) const HEADER: usize = 8;
/// Words of the header that belong to one family.
pub(super) const FAMILY_HEADER: usize = 4;
/// Words of an IPv4 slot.
pub(super) const SLOT_V4: usize = 4;
/// Words of an IPv6 slot.
pub(super) const SLOT_V6: usize = 8;
/// Words of a node.
pub(super) const NODE: usize = 8;
/// Words of a pair (offset, count) that stands outside of its node.
pub(super) const PORTS: usize = 2;
/// Words of an interval.
pub(super) const INTERVAL: usize = 2;
/// Words of `top`.
pub(super) const TOP: usize = 10;
/// Words of a page.
pub(super) const PAGE: usize = 12;
/// Most intervals that are looked through one by one: a cache line of them.
pub(super) const FEW: usize = 8;
/// In a node, instead of the count of intervals: the ports are kept as pages.
pub(super) const MANY: u32 = u32::MAX;
/// Instead of a bind: none.
pub(super) const NONE: u32 = u32::MAX;
/// The interval of all ports.
pub(super) const ALL_PORTS: u32 = 0xffff;

/// Words of a bit map of 256 bits.
pub(super) const MAP: usize = 8;

/// What a slot knows: the node of the longest prefix, and the first interval of its ports, so that the
/// common look-up reads one cache line and not three.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// Offset of the node, 0 for none.
    pub(super) node: u32,
    /// Whether the interval is of UDP ports.
    pub(super) udp: bool,
    /// First and last port of the interval.
    pub(super) ends: u32,
    /// Bind of the interval.
    pub(super) bind: u32,
}

impl Found {
    /// Without an interval: the first port is behind the last.
    #[inline(always)]
    pub(super) fn node(node: u32) -> Self {
        Self {
            node,
            udp: false,
            ends: 1 << 16,
            bind: NONE,
        }
    }

    /// A slot's prefix, tag and knowledge.
    #[inline(always)]
    pub(super) fn from_v4(&[prefix, packed, ends, bind]: &[u32; SLOT_V4]) -> (u32, u32, Self) {
        let found = Self {
            node: packed >> 7,
            udp: packed & 1 << 6 != 0,
            ends,
            bind,
        };
        (prefix, packed & 0x3f, found)
    }

    /// As [`Self::from_v4`].
    #[inline(always)]
    pub(super) fn from_v6(
        &[a, b, c, d, tag, packed, ends, bind]: &[u32; SLOT_V6],
    ) -> ([u32; 4], u32, Self) {
        let found = Self {
            node: packed >> 1,
            udp: packed & 1 != 0,
            ends,
            bind,
        };
        ([a, b, c, d], tag, found)
    }

    /// The slot, unless the node's offset is too large for it.
    pub(super) fn to_v4(self, prefix: u32, tag: u32) -> Option<[u32; SLOT_V4]> {
        let packed = self.node.checked_mul(1 << 7)? | u32::from(self.udp) << 6 | tag;
        Some([prefix, packed, self.ends, self.bind])
    }

    /// As [`Self::to_v4`].
    pub(super) fn to_v6(self, [a, b, c, d]: [u32; 4], tag: u32) -> Option<[u32; SLOT_V6]> {
        let packed = self.node.checked_mul(2)? | u32::from(self.udp);
        Some([a, b, c, d, tag, packed, self.ends, self.bind])
    }
}

/// The words of an address.
#[inline(always)]
pub(super) fn words_of(bytes: [u8; 16]) -> [u32; 4] {
    let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3] = bytes;
    [
        u32::from_be_bytes([a0, a1, a2, a3]),
        u32::from_be_bytes([b0, b1, b2, b3]),
        u32::from_be_bytes([c0, c1, c2, c3]),
        u32::from_be_bytes([d0, d1, d2, d3]),
    ]
}

/// The slot where the search for a prefix begins. The keys are the operator's binds, not the packets', so
/// a cheap multiplicative hash does; the high bits are its good ones.
#[inline(always)]
pub(super) fn first_slot_v4(prefix: u32, len: u8, mask: u32) -> u32 {
    let key = u64::from(prefix) | u64::from(len) << 32;
    spread(key.wrapping_mul(0x9e37_79b9_7f4a_7c15)) & mask
}

/// As [`first_slot_v4`].
#[inline(always)]
pub(super) fn first_slot_v6(prefix: u128, len: u8, mask: u32) -> u32 {
    // The casts take the two halves.
    let high = (prefix >> 64) as u64;
    let low = prefix as u64;
    let mixed = high
        .wrapping_add(u64::from(len))
        .wrapping_mul(0xff51_afd7_ed55_8ccd);
    spread((mixed ^ mixed >> 32 ^ low).wrapping_mul(0x9e37_79b9_7f4a_7c15)) & mask
}

#[inline(always)]
fn spread(product: u64) -> u32 {
    // The cast keeps the high half, folded with what is above it.
    (product >> 32 ^ product >> 52) as u32
}
