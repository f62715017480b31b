// SPDX-License-Identifier: GPL-2.0

//! Which member of a row is its first hop, so that all backends have their fair share of rows.
//!
//! Among a row's candidates the one with the lowest cost times handicap is first. Handicaps begin at 1 and
//! are adjusted: who has too many rows gets a higher one. They converge to values that depend on the set
//! alone, and change little when the set changes little, so few rows move that would not have to.

use super::members::best_tier;
use super::{Member, Set};
use crate::backend::MAX_BACKENDS;
use crate::hash::ROWS;

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

/// Chooses the first hop of each row among its members.
pub(super) fn choose(
    members: &[Member],
    set: Set,
    hops: usize,
    rows: &[u8],
    costs: &[u64],
    first: &mut [u8],
) {
    let mut eligible = [false; MAX_BACKENDS];
    let mut fair = [0u64; MAX_BACKENDS];
    shares(members, set, &mut eligible, &mut fair);
    let race = Race {
        hops,
        rows,
        costs,
        eligible: &eligible,
    };
    let mut handicaps = [ONE; MAX_BACKENDS];
    for step in 0..STEPS {
        race.run(&handicaps, first);
        adjust(&mut handicaps, &fair, first, step);
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
    fn run(&self, handicaps: &Handicaps, first: &mut [u8]) {
        let rows = self.rows.chunks_exact(self.hops);
        let costs = self.costs.chunks_exact(self.hops);
        for ((row, costs), first) in rows.zip(costs).zip(first) {
            *first = self.winner(row, costs, handicaps);
        }
    }

    /// The last member is a candidate only where there are two: who comes in later pushes the last one
    /// out, and must not push out the one that has the connections.
    #[inline(always)]
    fn winner(&self, row: &[u8], costs: &[u64], handicaps: &Handicaps) -> u8 {
        let candidates = self.hops.saturating_sub(1).max(2);
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

/// Raises the handicaps of those with too many rows, lowers those of the others.
fn adjust(handicaps: &mut Handicaps, fair: &[u64; MAX_BACKENDS], first: &[u8], step: u32) {
    let mut loads = [0u64; MAX_BACKENDS];
    for &index in first {
        if let Some(load) = loads.get_mut(usize::from(index)) {
            *load = load.wrapping_add(1 << 16);
        }
    }
    // The share of the error that is corrected: all of it in the first steps, 1/32 in the last.
    let shift = step.saturating_sub(8) / 8;
    for ((handicap, &fair), &load) in handicaps.iter_mut().zip(fair).zip(&loads) {
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
