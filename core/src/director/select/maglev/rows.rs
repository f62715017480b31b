// SPDX-License-Identifier: GPL-2.0

//! Our table: who takes turns, and who is the next hop of a row without those before it.
//!
//! *Who.* Backends that are active or filling, are healthy and have a weight. If no such backend is healthy, they all take
//! turns; if there is none at all, those that drain do: traffic goes on flowing, as in the other tables.
//!
//! *In which order.* By permutation, then by address: as the order of the file cannot matter.
//!
//! *Hops.* The first hop of a row is its owner. If backends drain, fill or fail, the second is the owner without these
//! changes, who has the row's connections, unless that is the first. Each further hop is the owner of the row in the table
//! without the hops before it. So a fill is needed for each set of backends that begins some row. It ends as soon as the
//! rows that begin with that set have an owner, which spares most of the steps: they are walked for the last rows.

use super::fill::{prepare, Cursor, Fill, Steps};
use super::permutation::Permutation;
use super::size::{self, SizeError};
use crate::backend::{Backend, State, MAX_BACKENDS};
use crate::siphash::SipKey;
use crate::sort::sort;

/// Largest weight.
pub const MAX_WEIGHT: u16 = 1000;
/// Most hops of a row: what the packet format has room for with IPv4 hops.
pub const MAX_HOPS: usize = 31;

/// A backend of a Maglev table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Address, state, health.
    pub backend: Backend,
    /// Share of the rows relative to the others, 0 to [`MAX_WEIGHT`]; with 0 it gets no new flows.
    pub weight: u16,
}

/// What a table is built from.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// Its seed.
    pub seed: &'a SipKey,
    /// Its backends; rows have their indexes.
    pub members: &'a [Member],
    /// How many rows it has, a prime.
    pub size: u32,
    /// Hops of a row, 1 to [`MAX_HOPS`].
    pub hops: usize,
}

/// Room to work in; see the lengths.
pub struct Room<'a> {
    /// As many as members.
    pub cursors: &'a mut [Cursor],
    /// [`super::words_needed`] for the size.
    pub free: &'a mut [u64],
    /// As many as members; with one hop, none.
    pub without: &'a mut [Cursor],
    /// As many as rows; with one hop, none.
    pub owners: &'a mut [u8],
    /// As many as rows; with one hop, none.
    pub group: &'a mut [u32],
}

/// Why there are no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsError {
    /// No backend that is not inactive has a weight.
    NoBackend,
    /// More backends than an index of a byte can name.
    Backends,
    /// No hop, or more than [`MAX_HOPS`].
    Hops,
    /// The backend with this index has a weight above [`MAX_WEIGHT`].
    Weight(usize),
    /// The table cannot have as many rows.
    Size(SizeError),
    /// So many hops of so many backends in so many rows would take too long: more than [`MAX_WORK`].
    Work,
    /// A slice is shorter than it must be.
    Room,
}

/// The most rows that are looked at to build a table with several hops: some ten seconds (docs/maglev.md).
pub const MAX_WORK: u64 = 1 << 29;

/// The sum of the weights, divided by their greatest common divisor: what [`size::default_size`] asks for. All backends
/// count, whatever their state: a table must keep its size while a backend drains.
#[must_use]
pub fn reduced(members: &[Member]) -> u32 {
    let (mut sum, mut divisor) = (0u32, 0u32);
    for member in members {
        let weight = u32::from(member.weight);
        sum = sum.saturating_add(weight);
        let (mut a, mut b) = (divisor, weight);
        while let Some(rest) = a.checked_rem(b) {
            (a, b) = (b, rest);
        }
        divisor = a;
    }
    sum.checked_div(divisor).unwrap_or(0)
}

/// Builds the table into `rows`: `hops` indexes of backends for each row, the first hop first. Where there are fewer
/// backends than hops, the last one of a row is repeated. `pause` is called between parts of about a tenth of a
/// millisecond.
pub fn build(
    table: &Table<'_>,
    rows: &mut [u8],
    room: &mut Room<'_>,
    pause: &mut impl FnMut(),
) -> Result<(), RowsError> {
    let Table { size, hops, .. } = *table;
    let set = check(table)?;
    let len = (size as usize).checked_mul(hops).ok_or(RowsError::Hops)?;
    let rows = rows.get_mut(..len).ok_or(RowsError::Room)?;
    let cursors = seat(table, set, room.cursors).ok_or(RowsError::Room)?;
    if hops == 1 {
        return Fill::new(size, Steps::Prime, rows, room.free, cursors)
            .and_then(|fill| fill.run(pause))
            .ok_or(RowsError::Room);
    }
    let mut next = Next {
        size,
        hops,
        rows,
        free: room.free,
        without: room.without,
        owners: room.owners,
        group: room.group,
    };
    next.first_hops(cursors, pause).ok_or(RowsError::Room)?;
    if set != Set::Settled && has(table.members, Set::Settled) {
        // Others take turns here, and their cursors take the place of those before.
        let settled = seat(table, Set::Settled, room.cursors).ok_or(RowsError::Room)?;
        next.settled_hops(settled, pause).ok_or(RowsError::Room)?;
    }
    let cursors = seat(table, set, room.cursors).ok_or(RowsError::Room)?;
    next.further_hops(cursors, pause).ok_or(RowsError::Room)
}

/// Who takes turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// Active or filling, and healthy.
    Good,
    /// Active or filling.
    Willing,
    /// All that are not inactive.
    All,
    /// Active or draining, whatever the health: those who had the rows before the changes under way. If [`Set::Good`] is
    /// the same, nothing is under way.
    Settled,
}

impl Set {
    fn has(self, member: &Member) -> bool {
        let Backend { state, healthy, .. } = member.backend;
        let willing = matches!(state, State::Active | State::Filling);
        member.weight > 0
            && match self {
                Self::Good => willing && healthy,
                Self::Willing => willing,
                Self::All => state != State::Inactive,
                Self::Settled => matches!(state, State::Active | State::Draining),
            }
    }
}

fn has(members: &[Member], set: Set) -> bool {
    members.iter().any(|member| set.has(member))
}

/// Looks at everything that can be wrong, and says who takes turns.
fn check(table: &Table<'_>) -> Result<Set, RowsError> {
    let members = table.members;
    if !(1..=MAX_HOPS).contains(&table.hops) {
        return Err(RowsError::Hops);
    }
    if members.len() > MAX_BACKENDS {
        return Err(RowsError::Backends);
    }
    let mut index = 0usize;
    for member in members {
        if member.weight > MAX_WEIGHT {
            return Err(RowsError::Weight(index));
        }
        index = index.wrapping_add(1);
    }
    let settled = |set: Set| {
        let same = |member: &Member| set.has(member) == Set::Settled.has(member);
        if members.iter().all(same) {
            Set::Settled
        } else {
            set
        }
    };
    let mut sets = [Set::Good, Set::Willing, Set::All].into_iter();
    let set = sets.find(|set| has(members, *set)).map(settled);
    let set = set.ok_or(RowsError::NoBackend)?;
    // Who is down comes back, so that the table must have room for all.
    let takers = count(members.iter().filter(|member| Set::All.has(member)));
    size::check(table.size, takers).map_err(RowsError::Size)?;
    if work(table.size, table.hops, takers) > MAX_WORK {
        return Err(RowsError::Work);
    }
    Ok(set)
}

/// How many rows are looked at, at most, to find the hops behind the first: a place needs a fill for each way to choose the
/// hops before it, and no more than there are rows.
#[must_use]
pub fn work(size: u32, hops: usize, takers: usize) -> u64 {
    let size = u64::from(size);
    let (mut fills, mut ways) = (1u64, 1u64);
    for _ in 1..hops {
        // The cast is exact: there are at most 256.
        ways = ways.saturating_mul(takers as u64).min(size);
        fills = fills.saturating_add(ways);
    }
    fills.saturating_mul(size)
}

/// Cursors of those who take turns, in the order of their turns.
fn seat<'c>(table: &Table<'_>, set: Set, cursors: &'c mut [Cursor]) -> Option<&'c mut [Cursor]> {
    let mut seated = 0usize;
    for (member, index) in table.members.iter().zip(0u8..=u8::MAX) {
        if set.has(member) {
            let permutation = Permutation::new(table.seed, member.backend.addr, table.size);
            *cursors.get_mut(seated)? = Cursor::new(permutation, member.weight, index);
            seated = seated.wrapping_add(1);
        }
    }
    let cursors = cursors.get_mut(..seated)?;
    let addr = |of: &Cursor| {
        let member = table.members.get(usize::from(of.index()));
        member.map(|member| member.backend.addr)
    };
    sort(cursors, |a, b| {
        let order = a.permutation().cmp(&b.permutation());
        order.then_with(|| addr(a).cmp(&addr(b))).is_lt()
    });
    prepare(table.size, cursors);
    Some(cursors)
}

/// The rows while hops are added behind their first ones. A place that has none yet repeats the one before it.
struct Next<'a> {
    size: u32,
    hops: usize,
    rows: &'a mut [u8],
    free: &'a mut [u64],
    without: &'a mut [Cursor],
    owners: &'a mut [u8],
    group: &'a mut [u32],
}

impl Next<'_> {
    /// The owners of all rows.
    fn first_hops(&mut self, cursors: &[Cursor], pause: &mut impl FnMut()) -> Option<()> {
        self.fill(cursors, pause)?;
        for (row, owner) in self
            .rows
            .chunks_exact_mut(self.hops.max(1))
            .zip(&*self.owners)
        {
            row.fill(*owner);
        }
        Some(())
    }

    /// The owners before the changes under way.
    fn settled_hops(&mut self, settled: &[Cursor], pause: &mut impl FnMut()) -> Option<()> {
        self.fill(settled, pause)?;
        for (row, owner) in self
            .rows
            .chunks_exact_mut(self.hops.max(1))
            .zip(&*self.owners)
        {
            if let Some(behind) = row.get_mut(1..) {
                behind.fill(*owner);
            }
        }
        Some(())
    }

    fn fill(&mut self, cursors: &[Cursor], pause: &mut impl FnMut()) -> Option<()> {
        let without = self.without.get_mut(..cursors.len())?;
        copy(without, cursors.iter());
        Fill::new(self.size, Steps::Prime, self.owners, self.free, without)?.run(pause)
    }

    /// All other hops: place by place, those of one first hop at a time.
    fn further_hops(&mut self, cursors: &[Cursor], pause: &mut impl FnMut()) -> Option<()> {
        for first in cursors.iter().map(Cursor::index) {
            for place in 1..self.hops {
                let group = self.list(first, place)?;
                pause();
                self.place(group, place, cursors, pause)?;
            }
        }
        Some(())
    }

    /// Lists the rows with this first hop that have none yet at this place, those with the same hops side by side. Says
    /// how many there are.
    fn list(&mut self, first: u8, place: usize) -> Option<usize> {
        let mut found = 0usize;
        let mut number = 0u32;
        for row in self.rows.chunks_exact(self.hops.max(1)) {
            if row.first() == Some(&first) && is_open(row, place) {
                *self.group.get_mut(found)? = number;
                found = found.wrapping_add(1);
            }
            number = number.wrapping_add(1);
        }
        let (rows, hops) = (&*self.rows, self.hops);
        let key = |number: &u32| before(rows, hops, *number, place);
        sort(self.group.get_mut(..found)?, |a, b| key(a) < key(b));
        Some(found)
    }

    /// Finds the hop of this place for the rows that are listed.
    fn place(
        &mut self,
        group: usize,
        place: usize,
        cursors: &[Cursor],
        pause: &mut impl FnMut(),
    ) -> Option<()> {
        let mut rest = self.group.get(..group)?;
        while let Some(first) = rest.first() {
            let set = before(self.rows, self.hops, *first, place);
            let mut alike = 0usize;
            for number in rest {
                if before(self.rows, self.hops, *number, place) != set {
                    break;
                }
                alike = alike.wrapping_add(1);
            }
            let (wanted, behind) = rest.split_at_checked(alike)?;
            rest = behind;
            let others = || cursors.iter().filter(|cursor| !set.has(cursor.index()));
            let left = count(others());
            if left == 0 {
                continue;
            }
            let without = self.without.get_mut(..left)?;
            copy(without, others());
            let mut fill = Fill::new(self.size, Steps::Prime, self.owners, self.free, without)?;
            // Filled until all that are wanted have an owner; the last one that has none is looked at.
            let mut open = wanted;
            loop {
                while let Some((last, others)) = open.split_last() {
                    if fill.is_free(*last) {
                        break;
                    }
                    open = others;
                }
                if open.is_empty() {
                    break;
                }
                fill.part()?;
                pause();
            }
            for number in wanted {
                let owner = fill.owner(*number)?;
                let begin = (*number as usize).wrapping_mul(self.hops);
                let row = self.rows.get_mut(begin..begin.wrapping_add(self.hops))?;
                row.get_mut(place..)?.fill(owner);
            }
        }
        Some(())
    }
}

/// Whether the row has no hop of its own at this place.
fn is_open(row: &[u8], place: usize) -> bool {
    row.get(place) == row.get(place.wrapping_sub(1))
}

/// How many there are. The standard library's counts may panic, as far as a compiler can see.
fn count<T>(of: impl Iterator<Item = T>) -> usize {
    of.fold(0, |sum, _| sum.wrapping_add(1))
}

fn copy<'c>(to: &mut [Cursor], from: impl Iterator<Item = &'c Cursor>) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// A set of backends: a bit for each index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Backends([u64; MAX_BACKENDS / 64]);

impl Backends {
    fn has(&self, index: u8) -> bool {
        let word = self.0.get(usize::from(index >> 6)).copied().unwrap_or(0);
        word.wrapping_shr(u32::from(index & 63)) & 1 == 1
    }
}

/// The hops of a row before this place.
fn before(rows: &[u8], hops: usize, number: u32, place: usize) -> Backends {
    let mut set = Backends([0; MAX_BACKENDS / 64]);
    let begin = (number as usize).wrapping_mul(hops);
    for &index in rows.get(begin..begin.wrapping_add(place)).unwrap_or(&[]) {
        if let Some(word) = set.0.get_mut(usize::from(index >> 6)) {
            *word |= 1u64.wrapping_shl(u32::from(index & 63));
        }
    }
    set
}
