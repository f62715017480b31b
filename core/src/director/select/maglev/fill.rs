// SPDX-License-Identifier: GPL-2.0

//! The fill of a table: backends take turns, and each takes the first free row of its permutation (NSDI 2016).
//!
//! All tables of this room are filled here: ours, the compatible ones, the paper's example. What differs is who takes
//! turns in which order with which permutations.
//!
//! - *Weights.* In each round, each backend's credit grows by its weight. A backend whose credit reaches the largest weight
//!   pays that much and takes a row. Credits begin so that all take a row in the first round: where there are at least as
//!   many rows as backends, nobody is left without.
//! - *The end.* With f of M rows free, a backend walks over M / f rows to find one: of all steps, half are walked for the
//!   last rows. While f is above the root of M, or [`LAST`], walking is quicker. After that, all free rows are listed, and
//!   a backend takes the one that it is the fewest steps from ([`Near`]). The rows are the same.
//! - *Time.* [`Fill::part`] returns after some [`PART`] steps, so that a kernel can do something else in between.
//! - *Memory.* A bit for each row, a [`Cursor`] for each backend, and the list of the last rows. Nothing is allocated.

use super::near::{factors, Near};
use super::permutation::Permutation;

/// Free rows that are listed and no longer walked to, at most.
const LAST: usize = 256;
/// Steps of one part, about a tenth of a millisecond. One backend's walk to its row may exceed it, at most by the size.
const PART: u32 = 1 << 16;

/// Where a backend stands in its permutation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The row that it looks at next.
    at: u32,
    /// How far the next one is.
    skip: u32,
    /// What makes a distance a number of steps.
    factor: u32,
    /// How often it takes a turn.
    weight: u16,
    /// What it has saved for its next turn.
    credit: u16,
    /// Its index in the list of backends.
    index: u8,
}

impl Cursor {
    /// A backend at the beginning of its permutation.
    pub(super) fn new(permutation: Permutation, weight: u16, index: u8) -> Self {
        Self {
            at: permutation.offset,
            skip: permutation.skip,
            factor: 0,
            weight,
            credit: 0,
            index,
        }
    }

    pub(super) fn index(&self) -> u8 {
        self.index
    }

    /// Its permutation, if it stands at the beginning.
    pub(super) fn permutation(&self) -> Permutation {
        Permutation {
            offset: self.at,
            skip: self.skip,
        }
    }
}

/// Makes cursors ready for the end of fills of this prime size.
pub(super) fn prepare(size: u32, cursors: &mut [Cursor]) {
    factors(
        size,
        cursors,
        |cursor| cursor.skip,
        |cursor| &mut cursor.factor,
    );
}

/// Words of the bits of so many rows.
#[must_use]
pub const fn words_needed(size: u32) -> usize {
    size.div_ceil(u64::BITS) as usize
}

/// How free rows are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    /// The size is a prime, and the cursors were prepared: the last rows are computed.
    Prime,
    /// All rows are walked to.
    Walked,
}

/// A table while it is filled.
pub(super) struct Fill<'a> {
    size: u32,
    rows: &'a mut [u8],
    /// A bit for each row that is free.
    free: &'a mut [u64],
    /// Who takes turns, in their order.
    cursors: &'a mut [Cursor],
    /// The largest weight.
    largest: u16,
    /// How many rows are free.
    left: u32,
    /// Whose turn it is.
    turn: usize,
    /// For the last rows.
    near: Option<Near>,
    /// The last free rows, as many as are left, once they are listed.
    last: [u32; LAST],
    listed: bool,
    /// How many rows that is at most.
    most_listed: u32,
}

/// How many of the last rows are listed: the square root of the size, up to [`LAST`]. (The library's root has paths to a panic
/// where the kernel compiles it.)
pub(super) fn most_listed(size: u32) -> u32 {
    let mut root = 0u32;
    // The cast is exact, and so are the squares of up to 256.
    while root < LAST as u32 {
        let next = root.wrapping_add(1);
        if next.wrapping_mul(next) > size {
            break;
        }
        root = next;
    }
    root
}

impl<'a> Fill<'a> {
    /// A table of `size` rows that are all free. Nothing if a slice is too short, nobody takes turns, or a cursor is
    /// outside the table.
    pub(super) fn new(
        size: u32,
        steps: Steps,
        rows: &'a mut [u8],
        free: &'a mut [u64],
        cursors: &'a mut [Cursor],
    ) -> Option<Self> {
        let rows = rows.get_mut(..size as usize)?;
        let free = free.get_mut(..words_needed(size))?;
        let largest = cursors.iter().map(|cursor| cursor.weight).max()?;
        let outside =
            |cursor: &Cursor| cursor.at >= size || cursor.skip >= size || cursor.skip == 0;
        if largest == 0 || size < 2 || cursors.iter().any(outside) {
            return None;
        }
        for cursor in cursors.iter_mut() {
            cursor.credit = largest.wrapping_sub(cursor.weight);
        }
        free.fill(u64::MAX);
        let behind = size & (u64::BITS - 1);
        if let (Some(last), true) = (free.last_mut(), behind > 0) {
            *last = 1u64.wrapping_shl(behind).wrapping_sub(1);
        }
        Some(Self {
            size,
            rows,
            free,
            cursors,
            largest,
            left: size,
            turn: 0,
            near: match steps {
                Steps::Prime => Near::new(size),
                Steps::Walked => None,
            },
            last: [0; LAST],
            listed: false,
            most_listed: most_listed(size),
        })
    }

    /// Fills the table; `pause` is called between parts.
    pub(super) fn run(mut self, pause: &mut impl FnMut()) -> Option<()> {
        while self.part()? {
            pause();
        }
        Some(())
    }

    /// Whether the row is still free.
    pub(super) fn is_free(&self, row: u32) -> bool {
        let word = self.free.get((row >> 6) as usize).copied().unwrap_or(0);
        word & bit(row) != 0
    }

    /// Who has the row, if it is not free.
    pub(super) fn owner(&self, row: u32) -> Option<u8> {
        self.rows.get(row as usize).copied()
    }

    /// Fills a part. Says whether rows are left, or nothing if a permutation does not lead to them.
    pub(super) fn part(&mut self) -> Option<bool> {
        let mut steps = 0u32;
        while self.left > 0 && steps < PART {
            match self.near {
                Some(near) if self.left <= self.most_listed => {
                    self.list();
                    self.compute(near, &mut steps)?;
                }
                Some(_) => self.walk(self.most_listed, &mut steps)?,
                None => self.walk(0, &mut steps)?,
            }
        }
        Some(self.left > 0)
    }

    /// Turns that are walked, until so many rows are left or the part has ended.
    #[inline(always)]
    fn walk(&mut self, until: u32, steps: &mut u32) -> Option<()> {
        let (size, largest) = (self.size, self.largest);
        let mut left = self.left;
        let mut walked = *steps;
        let mut turn = self.turn;
        let round = self.cursors.get_mut(turn..)?;
        for cursor in round {
            if left <= until || walked >= PART {
                break;
            }
            turn = turn.wrapping_add(1);
            walked = walked.wrapping_add(1);
            if !has_turn(cursor, largest) {
                continue;
            }
            let step = Step::new(cursor.skip, size);
            let mut row = cursor.at;
            if self.free.get((row >> 6) as usize)? & bit(row) == 0 {
                let bound;
                (row, bound) = search(self.free, row, step, size)?;
                walked = walked.wrapping_add(size.wrapping_sub(bound));
            }
            *self.free.get_mut((row >> 6) as usize)? ^= bit(row);
            *self.rows.get_mut(row as usize)? = cursor.index;
            cursor.at = step.after(row);
            left = left.wrapping_sub(1);
        }
        self.turn = if turn >= self.cursors.len() { 0 } else { turn };
        self.left = left;
        *steps = walked;
        Some(())
    }

    /// Lists the rows that are left.
    fn list(&mut self) {
        if self.listed {
            return;
        }
        self.listed = true;
        let mut places = self.last.iter_mut();
        let mut first = 0u32;
        for word in self.free.iter() {
            let mut bits = *word;
            while bits != 0 {
                if let Some(place) = places.next() {
                    *place = first.wrapping_add(bits.trailing_zeros());
                }
                bits &= bits.wrapping_sub(1);
            }
            first = first.wrapping_add(u64::BITS);
        }
    }

    /// The turns of a round in which the last rows are taken.
    #[inline(always)]
    fn compute(&mut self, near: Near, steps: &mut u32) -> Option<()> {
        let largest = self.largest;
        let mut turn = self.turn;
        let round = self.cursors.get_mut(turn..)?;
        for cursor in round {
            if self.left == 0 || *steps >= PART {
                break;
            }
            turn = turn.wrapping_add(1);
            *steps = steps.wrapping_add(1);
            if !has_turn(cursor, largest) {
                continue;
            }
            let last = self.last.get_mut(..self.left as usize)?;
            *steps = steps.wrapping_add(self.left);
            let (at, factor) = (cursor.at, cursor.factor);
            // The fewest steps, and behind them in the word the place in the list.
            let mut nearest = u64::MAX;
            let mut place = 0u64;
            for &row in last.iter() {
                let steps = u64::from(near.steps(row, at, factor));
                nearest = nearest.min(steps << 32 | place);
                place = place.wrapping_add(1);
            }
            // The cast keeps the place.
            let nearest = nearest as u32 as usize;
            let row = *last.get(nearest)?;
            // Who is last in the list fills the gap.
            let &end = last.last()?;
            *last.get_mut(nearest)? = end;
            cursor.at = Step::new(cursor.skip, self.size).after(row);
            *self.free.get_mut((row >> 6) as usize)? ^= bit(row);
            *self.rows.get_mut(row as usize)? = cursor.index;
            self.left = self.left.wrapping_sub(1);
        }
        self.turn = if turn >= self.cursors.len() { 0 } else { turn };
        Some(())
    }
}

/// Whether it is the backend's turn in this round, for which it pays.
#[inline(always)]
fn has_turn(cursor: &mut Cursor, largest: u16) -> bool {
    let credit = cursor.credit.wrapping_add(cursor.weight);
    let has = credit >= largest;
    cursor.credit = if has {
        credit.wrapping_sub(largest)
    } else {
        credit
    };
    has
}

/// A step by a skip: both sums, with and without a turn around the end, are there before it is known which is right.
#[derive(Clone, Copy)]
struct Step {
    skip: u32,
    around: u32,
}

impl Step {
    #[inline(always)]
    fn new(skip: u32, size: u32) -> Self {
        Self {
            skip,
            around: skip.wrapping_sub(size),
        }
    }

    /// The row one skip behind.
    #[inline(always)]
    fn after(self, row: u32) -> u32 {
        match row.overflowing_add(self.around) {
            (row, true) => row,
            _ => row.wrapping_add(self.skip),
        }
    }
}

/// The first free row behind this one, and what is left of a bound that begins at the number of rows. Nothing if the
/// permutation misses all free rows. Not in line, so that everything is in registers here.
#[inline(never)]
fn search(free: &[u64], row: u32, step: Step, bound: u32) -> Option<(u32, u32)> {
    let mut row = row;
    let mut bound = bound;
    while bound > 0 {
        bound = bound.wrapping_sub(1);
        row = step.after(row);
        if free.get((row >> 6) as usize)? & bit(row) != 0 {
            return Some((row, bound));
        }
    }
    None
}

/// The row's bit in its word.
#[inline(always)]
fn bit(row: u32) -> u64 {
    1u64.wrapping_shl(row & (u64::BITS - 1))
}
