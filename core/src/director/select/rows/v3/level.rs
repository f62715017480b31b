// SPDX-License-Identifier: GPL-2.0

//! Which member of a row is its first hop, so that all backends have their fair share of rows.
//!
//! Among a row's candidates the one with the lowest cost times handicap is first. Handicaps begin at 1 and
//! are adjusted: who has too many rows gets a higher one. They converge to values that depend on the set
//! alone, and change little when the set changes little, so few rows move that would not have to.

use super::members::best_tier;
use super::{Costed, Member, Set};
use crate::backend::MAX_BACKENDS;
use crate::director::select::hash::ROWS;

/// A handicap of 1.
const ONE: u64 = 1 << 24;
/// Bits of a cost that are dropped, so that a cost times a handicap fits 64 bits.
const DROPPED: u32 = 26;
/// The largest handicap either way: 16.
const MOST: u64 = ONE << 4;
const LEAST: u64 = ONE >> 4;

/// Adjustments. The first ones go far; the later ones are ever smaller, so that it does not matter on
/// which side of the last row a backend came to rest.
const STEPS: u32 = 48;

type Handicaps = [u64; MAX_BACKENDS];

/// Backends whose pairs are counted together: with more of them there are too few rows of a pair.
const MOST_PAIRED: usize = 64;

/// Room for two numbers of each row.
pub(super) struct Sorted<'a> {
    pub(super) one: &'a mut [u64],
    pub(super) other: &'a mut [u64],
}

/// Chooses the first hop of each row among its members.
#[inline(always)]
pub(super) fn choose(
    members: &[Member],
    set: Set,
    costed: &Costed<'_>,
    first: &mut [u8],
    sorted: &mut Sorted<'_>,
) {
    let mut eligible = [false; MAX_BACKENDS];
    let mut fair = [0u64; MAX_BACKENDS];
    shares(members, set, &mut eligible, &mut fair);
    let race = Race {
        hops: costed.hops,
        rows: costed.rows,
        costs: costed.costs,
        eligible: &eligible,
    };
    let mut handicaps = [ONE; MAX_BACKENDS];
    let pairs = Pairs::of(&race, sorted);
    for step in 0..STEPS {
        let loads = match &pairs {
            Some(pairs) => pairs.loads(&handicaps),
            None => {
                race.run(&handicaps, first);
                loads(first)
            }
        };
        adjust(&mut handicaps, &fair, &loads, step);
    }
    race.run(&handicaps, first);
}

/// Who takes part, and how many rows each should have, in units of 2^-16 rows.
fn shares(
    members: &[Member],
    set: Set,
    eligible: &mut [bool; MAX_BACKENDS],
    fair: &mut [u64; MAX_BACKENDS],
) {
    let best = best_tier(members, set);
    let takes_part = |member: &Member| member.is_in(set) && member.tier() == best;
    let total = members
        .iter()
        .filter(|member| takes_part(member))
        .fold(0u64, |sum, member| {
            sum.wrapping_add(u64::from(member.weight))
        });
    let places = eligible.iter_mut().zip(fair.iter_mut());
    for ((eligible, fair), member) in places.zip(members) {
        *eligible = takes_part(member);
        if *eligible {
            let rows = (ROWS as u64).wrapping_mul(u64::from(member.weight)) << 16;
            *fair = rows.checked_div(total).unwrap_or(0);
        }
    }
}

/// What decides who is first.
struct Race<'a> {
    hops: usize,
    rows: &'a [u8],
    costs: &'a [u64],
    eligible: &'a [bool; MAX_BACKENDS],
}

impl Race<'_> {
    /// How many members of a row race. The last one does only where there are two: who comes in later pushes
    /// the last one out, and must not push out the one that has the connections.
    fn candidates(&self) -> usize {
        self.hops.saturating_sub(1).max(2)
    }

    #[inline(always)]
    fn run(&self, handicaps: &Handicaps, first: &mut [u8]) {
        let rows = self.rows.chunks_exact(self.hops);
        let costs = self.costs.chunks_exact(self.hops);
        for ((row, costs), first) in rows.zip(costs).zip(first) {
            *first = self.winner(row, costs, handicaps);
        }
    }

    #[inline(always)]
    fn winner(&self, row: &[u8], costs: &[u64], handicaps: &Handicaps) -> u8 {
        let candidates = self.candidates();
        let mut winner = None;
        let mut lowest = u64::MAX;
        for (place, (&index, &cost)) in (0..self.hops).zip(row.iter().zip(costs)) {
            if place >= candidates && winner.is_some() {
                break;
            }
            let at = usize::from(index);
            let (Some(true), Some(handicap)) = (self.eligible.get(at), handicaps.get(at)) else {
                continue;
            };
            let handicapped = (cost >> DROPPED).saturating_mul(*handicap);
            if winner.is_none() || handicapped < lowest {
                winner = Some(index);
                lowest = handicapped;
            }
        }
        // `find` has seen to it that each row has an eligible member.
        winner.or(row.first().copied()).unwrap_or(0)
    }
}

/// Rows of each backend, in units of 2^-16 rows.
type Loads = [u64; MAX_BACKENDS];

/// The loads by who is first in each row.
fn loads(first: &[u8]) -> Loads {
    let mut loads = [0; MAX_BACKENDS];
    for &index in first {
        add(&mut loads, index, 1);
    }
    loads
}

#[inline(always)]
fn add(loads: &mut Loads, index: u8, rows: u64) {
    if let Some(load) = loads.get_mut(usize::from(index)) {
        *load = load.wrapping_add(rows << 16);
    }
}

/// The rows where two backends race, sorted by the two: as all rows of a pair have the same two handicaps, counting
/// who wins how many is a loop over vectors.
struct Pairs<'a> {
    /// The costs of each row's first member, and of its second.
    one: &'a [u64],
    other: &'a [u64],
    /// Where the rows of each pair end, by the numbers of the two.
    ends: [u32; MOST_PAIRED * MOST_PAIRED],
    /// The backends that have a number: those that are eligible.
    numbered: [u8; MOST_PAIRED],
    count: usize,
    /// The loads of the rows where nobody races.
    decided: Loads,
}

impl<'a> Pairs<'a> {
    /// Nothing where more than two race, or too many pairs.
    #[inline(always)]
    fn of(race: &Race<'_>, sorted: &'a mut Sorted<'_>) -> Option<Self> {
        if race.candidates() != 2 {
            return None;
        }
        let mut numbers = [None; MAX_BACKENDS];
        let mut numbered = [0; MOST_PAIRED];
        let mut count = 0usize;
        for ((index, number), _) in (0..=u8::MAX)
            .zip(&mut numbers)
            .zip(race.eligible)
            .filter(|(_, eligible)| **eligible)
        {
            *numbered.get_mut(count)? = index;
            *number = Some(count);
            count = count.wrapping_add(1);
        }
        let pair = |row: &[u8]| match row {
            [one, other, ..] => {
                let one = numbers.get(usize::from(*one)).copied()??;
                let other = numbers.get(usize::from(*other)).copied()??;
                Some(one.wrapping_mul(count).wrapping_add(other))
            }
            _ => None,
        };
        let mut ends = [0u32; MOST_PAIRED * MOST_PAIRED];
        let mut decided = [0; MAX_BACKENDS];
        let rows = || {
            race.rows
                .chunks_exact(race.hops)
                .zip(race.costs.chunks_exact(race.hops))
        };
        for (row, costs) in rows() {
            match pair(row).and_then(|pair| ends.get_mut(pair)) {
                Some(rows) => *rows = rows.wrapping_add(1),
                None => add(
                    &mut decided,
                    race.winner(row, costs, &[ONE; MAX_BACKENDS]),
                    1,
                ),
            }
        }
        // From how many to where they begin; placing the rows makes it where they end.
        let mut begin = 0u32;
        for end in &mut ends {
            (*end, begin) = (begin, begin.wrapping_add(*end));
        }
        for (row, costs) in rows() {
            let (Some(end), [one, other, ..]) =
                (pair(row).and_then(|pair| ends.get_mut(pair)), costs)
            else {
                continue;
            };
            let at = *end as usize;
            *end = end.wrapping_add(1);
            if let (Some(to_one), Some(to_other)) =
                (sorted.one.get_mut(at), sorted.other.get_mut(at))
            {
                (*to_one, *to_other) = (one >> DROPPED, other >> DROPPED);
            }
        }
        Some(Self {
            one: sorted.one,
            other: sorted.other,
            ends,
            numbered,
            count,
            decided,
        })
    }

    #[inline(always)]
    fn loads(&self, handicaps: &Handicaps) -> Loads {
        let mut loads = self.decided;
        let handicap = |index: u8| handicaps.get(usize::from(index)).copied().unwrap_or(ONE);
        let numbered = || self.numbered.iter().copied().take(self.count);
        let pairs = numbered().flat_map(|one| numbered().map(move |other| (one, other)));
        let mut begin = 0usize;
        for ((one, other), end) in pairs.zip(&self.ends) {
            let end = *end as usize;
            let rows = (self.one.get(begin..end), self.other.get(begin..end));
            let (Some(ones), Some(others)) = rows else {
                continue;
            };
            begin = end;
            let (by_one, by_other) = (handicap(one), handicap(other));
            let mut lost = 0u64;
            for (of_one, of_portless) in ones.iter().zip(others) {
                // The first of two equals wins, as in `Race::winner`.
                let wins = times(*of_portless, by_other) < times(*of_one, by_one);
                lost = lost.wrapping_add(u64::from(wins));
            }
            add(&mut loads, other, lost);
            add(&mut loads, one, (ones.len() as u64).wrapping_sub(lost));
        }
        loads
    }
}

/// A cost times a handicap, of which neither has more bits than the product has room for (see [`DROPPED`],
/// [`MOST`]). Vectors multiply 32 bits by 32.
#[inline(always)]
fn times(cost: u64, handicap: u64) -> u64 {
    const LOW: u64 = u32::MAX as u64;
    let (low, high) = (cost & LOW, cost >> 32);
    let handicap = handicap & LOW;
    low.wrapping_mul(handicap)
        .wrapping_add(high.wrapping_mul(handicap) << 32)
}

/// Raises the handicaps of those with too many rows, lowers those of the others.
fn adjust(handicaps: &mut Handicaps, fair: &[u64; MAX_BACKENDS], loads: &Loads, step: u32) {
    // The share of the error that is corrected: all of it in the first steps, 1/32 in the last.
    let shift = step.saturating_sub(8) / 8;
    for ((handicap, &fair), &load) in handicaps.iter_mut().zip(fair).zip(loads) {
        // Bounded, lest one step overshoot: at most a half.
        let error = |more: u64, less: u64| {
            let difference = more.saturating_sub(less) >> shift;
            let scaled = difference.saturating_mul(*handicap);
            scaled.checked_div(fair).unwrap_or(0).min(*handicap / 2)
        };
        let new = if load > fair {
            handicap.wrapping_add(error(load, fair))
        } else {
            handicap.wrapping_sub(error(fair, load))
        };
        *handicap = new.clamp(LEAST, MOST);
    }
}
