// SPDX-License-Identifier: GPL-2.0

//! Nested prefixes -> intervals of addresses that neither overlap nor leave a gap.

use super::class::Prefix;
use super::layout::DEEP;
use crate::packet::addr::Addr;
use alloc::vec::Vec;

/// The intervals of one family: where each begins, ascending from 0, and its set.
pub(super) struct Intervals {
    bits: u8,
    list: Vec<(u128, u32)>,
}

/// The intervals of both families.
pub(super) struct Both {
    pub(super) v4: Intervals,
    pub(super) v6: Intervals,
}

impl Both {
    /// One interval of each family, with this set.
    pub(super) fn new(set: u32) -> Self {
        let of = |bits| Intervals {
            bits,
            list: [(0, set)].into(),
        };
        Self {
            v4: of(32),
            v6: of(128),
        }
    }

    /// From the first address of a prefix on, addresses have this set. Prefixes come in ascending order.
    pub(super) fn begin(&mut self, prefix: Prefix, set: u32) {
        let first = number(prefix);
        self.of(prefix).begin(first, set);
    }

    /// Behind the last address of a prefix, they have this one.
    pub(super) fn end(&mut self, prefix: Prefix, set: u32) {
        let intervals = self.of(prefix);
        let size = 1u128.checked_shl(u32::from(intervals.bits - prefix.len));
        let next = size.and_then(|size| number(prefix).checked_add(size));
        let is_address = |next: &u128| intervals.bits == 128 || *next >> intervals.bits == 0;
        if let Some(next) = next.filter(is_address) {
            intervals.begin(next, set);
        }
    }

    fn of(&mut self, prefix: Prefix) -> &mut Intervals {
        match prefix.addr {
            Addr::V4(_) => &mut self.v4,
            Addr::V6(_) => &mut self.v6,
        }
    }
}

/// A prefix's first address.
fn number(prefix: Prefix) -> u128 {
    match prefix.addr.masked(prefix.len) {
        Addr::V4(bytes) => u32::from_be_bytes(bytes).into(),
        Addr::V6(bytes) => u128::from_be_bytes(bytes),
    }
}

impl Intervals {
    fn begin(&mut self, first: u128, set: u32) {
        // Of two that begin at one address, the one said later is in force.
        if self.list.last().is_some_and(|(at, _)| *at == first) {
            self.list.pop();
        }
        if self.list.last().is_none_or(|(_, before)| *before != set) {
            self.list.push((first, set));
        }
    }

    /// Whether all addresses have this set.
    pub(super) fn all_have(&self, set: u32) -> bool {
        self.list == [(0, set)]
    }

    /// For each value of the bits above the lowest `low`, in which the set changes: the value, and the intervals of those bits;
    /// and between them what is the same for many values. `deeper` writes intervals within one value, and says where.
    pub(super) fn by_high<E>(
        &self,
        low: u32,
        mut deeper: impl FnMut(&[(u64, u32)]) -> Result<u32, E>,
    ) -> Result<Vec<(u64, u32)>, E> {
        let last = u64::MAX >> (64 - (u32::from(self.bits) - low));
        // The casts keep the two halves, of at most 64 bits each.
        let high_of = |at: u128| (at >> low) as u64;
        let low_of = |at: u128| (at & ((1u128 << low) - 1)) as u64;
        let mut found: Vec<(u64, u32)> = Vec::new();
        // Of what is in front, the set that is in force.
        let mut before = self.list[0].1;
        for group in self
            .list
            .chunk_by(|(a, _), (b, _)| high_of(*a) == high_of(*b))
        {
            let high = high_of(group[0].0);
            let mut within: Vec<(u64, u32)> =
                group.iter().map(|(at, set)| (low_of(*at), *set)).collect();
            if within[0].0 != 0 {
                within.insert(0, (0, before));
            }
            let (_, behind) = within[within.len() - 1];
            if found.last().is_some_and(|(at, _)| *at == high) {
                found.pop();
            }
            match within[..] {
                [(_, set)] => found.push((high, set)),
                _ => {
                    found.push((high, DEEP | deeper(&within)?));
                    // The next value has nothing of its own, unless it comes.
                    if high != last {
                        found.push((high + 1, behind));
                    }
                }
            }
            before = behind;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn v4(addr: [u8; 4], len: u8) -> Prefix {
        Prefix {
            addr: Addr::V4(addr),
            len,
        }
    }

    #[test]
    fn prefixes_nest() {
        let mut both = Both::new(1);
        both.begin(v4([10, 0, 0, 0], 8), 2);
        both.begin(v4([10, 0, 0, 0], 9), 3);
        both.end(v4([10, 0, 0, 0], 9), 2);
        both.end(v4([10, 0, 0, 0], 8), 1);
        both.begin(v4([255, 255, 255, 255], 32), 4);
        both.end(v4([255, 255, 255, 255], 32), 1);
        let list = &both.v4.list;
        let at = |addr: [u8; 4]| u128::from(u32::from_be_bytes(addr));
        assert_eq!(
            *list,
            [
                (0, 1),
                (at([10, 0, 0, 0]), 3),
                (at([10, 128, 0, 0]), 2),
                (at([11, 0, 0, 0]), 1),
                (at([255; 4]), 4)
            ]
        );
        assert!(both.v6.all_have(1));
        let mut deep = Vec::new();
        let high = both.v4.by_high(16, |list| {
            deep.push(list.to_vec());
            Ok::<_, ()>(77)
        });
        assert_eq!(
            high,
            Ok(vec![
                (0, 1),
                (0x0a00, 3),
                (0x0a80, 2),
                (0x0b00, 1),
                (0xffff, DEEP | 77)
            ])
        );
        assert_eq!(deep, [vec![(0, 1), (0xffff, 4)]]);
    }

    #[test]
    fn all_of_ipv6_is_a_prefix_too() {
        let all = Prefix {
            addr: Addr::V6([0; 16]),
            len: 0,
        };
        let mut both = Both::new(1);
        both.begin(all, 2);
        both.end(all, 1);
        assert_eq!(both.v6.list, [(0, 2)]);
    }
}
