// SPDX-License-Identifier: GPL-2.0

//! The rule once more, as plainly as it can be written: what the fill and its hops are tested against.

use super::Member;
use crate::backend::State;
use crate::packet::addr::Addr;
use crate::siphash::SipKey;
use std::vec;
use std::vec::Vec;

/// Who has each row: backends with these offsets, skips and weights take turns in this order.
pub(super) fn textbook(size: usize, backends: &[(usize, usize, u32)]) -> Vec<usize> {
    let largest = backends.iter().map(|of| of.2).max().unwrap();
    let mut next: Vec<usize> = vec![0; backends.len()];
    let mut credit: Vec<u32> = backends.iter().map(|of| largest - of.2).collect();
    let mut entries: Vec<Option<usize>> = vec![None; size];
    let mut filled = 0;
    loop {
        for (index, (offset, skip, weight)) in backends.iter().enumerate() {
            credit[index] += weight;
            if credit[index] < largest {
                continue;
            }
            credit[index] -= largest;
            let mut row = (offset + next[index] * skip) % size;
            while entries[row].is_some() {
                next[index] += 1;
                row = (offset + next[index] * skip) % size;
            }
            entries[row] = Some(index);
            next[index] += 1;
            filled += 1;
            if filled == size {
                return entries.into_iter().flatten().collect();
            }
        }
    }
}

/// The index of each row's owner among `members`, if those with these indexes take turns.
fn owners(seed: &SipKey, members: &[Member], among: &[usize], size: usize) -> Vec<usize> {
    let mut turns: Vec<(usize, usize, Addr, usize)> = among
        .iter()
        .map(|&index| {
            let addr = members[index].backend.addr;
            let hash = match addr {
                Addr::V4(bytes) => seed.hash(&bytes),
                Addr::V6(bytes) => seed.hash(&bytes),
            };
            let part = |part: u64, count: usize| (part as u128 * count as u128 >> 32) as usize;
            let offset = part(hash >> 32, size);
            let skip = 1 + part(hash & 0xffff_ffff, size - 1);
            (offset, skip, addr, index)
        })
        .collect();
    turns.sort();
    let backends: Vec<(usize, usize, u32)> = turns
        .iter()
        .map(|turn| (turn.0, turn.1, u32::from(members[turn.3].weight)))
        .collect();
    let filled = textbook(size, &backends);
    filled.into_iter().map(|turn| turns[turn].3).collect()
}

fn indexes(members: &[Member], of: impl Fn(&Member) -> bool) -> Vec<usize> {
    (0..members.len())
        .filter(|index| members[*index].weight > 0 && of(&members[*index]))
        .collect()
}

/// All hops of all rows.
pub(super) fn rows(seed: &SipKey, members: &[Member], size: usize, hops: usize) -> Vec<Vec<usize>> {
    let willing = |of: &Member| matches!(of.backend.state, State::Active | State::Filling);
    let sets = [
        indexes(members, |of| willing(of) && of.backend.healthy),
        indexes(members, willing),
        indexes(members, |of| of.backend.state != State::Inactive),
    ];
    let set = sets.into_iter().find(|set| !set.is_empty()).unwrap();
    let settled = indexes(members, |of| {
        matches!(of.backend.state, State::Active | State::Draining)
    });
    let mut rows: Vec<Vec<usize>> = owners(seed, members, &set, size)
        .into_iter()
        .map(|owner| vec![owner])
        .collect();
    if hops > 1 && !settled.is_empty() {
        let before = owners(seed, members, &settled, size);
        for (row, owner) in rows.iter_mut().zip(before) {
            if row[0] != owner {
                row.push(owner);
            }
        }
    }
    let mut known = std::collections::HashMap::new();
    for (number, row) in rows.iter_mut().enumerate() {
        while row.len() < hops {
            let left: Vec<usize> = set.iter().copied().filter(|of| !row.contains(of)).collect();
            let next = if left.is_empty() {
                row[row.len() - 1]
            } else {
                let table = known
                    .entry(left)
                    .or_insert_with_key(|left| owners(seed, members, left, size));
                table[number]
            };
            row.push(next);
        }
    }
    rows
}
