// SPDX-License-Identifier: GPL-2.0

//! The rows of a version 3 table: more hops, weights, failure domains, health, and even loads
//! (docs/rows-v3.md has the reasons and the proof).
//!
//! A row is made in two steps that must not be mixed up:
//!
//! 1. *Which* backends are its hops depends on the set of backends alone, by weighted rendezvous
//!    (`members`). Taking backends away never removes another one from a row.
//! 2. *Which of them is first* depends on health, on states and on the loads of all backends
//!    (`level`): each backend has a handicap that is adjusted until all have their fair share.
//!
//! Whatever the second step does, connections find their proxy, since it is still a hop of the row.
//!
//! All arithmetic is in integers, so that all processors build the same rows.

mod cost;
mod level;
mod members;
mod order;

use crate::backend::{Backend, State, MAX_BACKENDS};
use crate::director::select::hash::ROWS;
use crate::siphash::SipKey;
use level::Sorted;

/// Most hops of a row: what the packet format has room for with IPv4 hops.
pub const MAX_HOPS: usize = 31;
/// Fewest hops of a row.
pub const MIN_HOPS: usize = 2;
/// Largest weight.
pub const MAX_WEIGHT: u16 = 1000;

/// A backend as the version 3 rule sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Address, state, health.
    pub backend: Backend,
    /// Share of the rows relative to the others, 1 to [`MAX_WEIGHT`].
    pub weight: u16,
    /// What fails together: the same number for all backends of a rack or zone. A backend that shares
    /// its fate with no other has a number of its own.
    pub domain: u16,
}

/// Room to work in; see the lengths.
pub struct Room<'a> {
    /// [`ROWS`] times the number of hops.
    pub costs: &'a mut [u64],
    /// [`ROWS`].
    pub first: &'a mut [u8],
    /// [`ROWS`].
    pub before: &'a mut [u8],
    /// Twice [`ROWS`].
    pub sorted: &'a mut [u64],
}

/// Why there are no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsError {
    /// All backends are inactive, or there is none.
    NoBackend,
    /// More backends than an index of a byte can name.
    Backends,
    /// Fewer than [`MIN_HOPS`] hops or more than [`MAX_HOPS`].
    Hops,
    /// The backend with this index has a weight of 0, or above [`MAX_WEIGHT`].
    Weight(usize),
    /// A slice is shorter than it must be.
    Room,
}

/// How willingly a backend gets new connections. Only the best tier that any backend is in gets some: if
/// every active backend is said to be unhealthy, traffic goes on flowing to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    Good,
    Unhealthy,
    Draining,
}

impl Member {
    fn tier(&self) -> Tier {
        match (self.backend.state, self.backend.healthy) {
            (State::Draining | State::Inactive, _) => Tier::Draining,
            (_, true) => Tier::Good,
            (_, false) => Tier::Unhealthy,
        }
    }

    fn is_in(&self, set: Set) -> bool {
        match self.backend.state {
            State::Inactive => false,
            State::Filling => set == Set::All,
            State::Active | State::Draining => true,
        }
    }
}

/// Which backends may be in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// All that are not inactive.
    All,
    /// Those that were there before the filling ones came.
    Before,
}

/// All rows while they are built, with the cost of each hop.
struct Costed<'a> {
    hops: usize,
    rows: &'a mut [u8],
    costs: &'a mut [u64],
}

/// Whether no two members of the set are of one domain.
fn all_alone(members: &[Member], set: Set) -> bool {
    let mut rest = members;
    while let Some((member, behind)) = rest.split_first() {
        let with = |other: &Member| other.is_in(set) && other.domain == member.domain;
        if member.is_in(set) && behind.iter().any(with) {
            return false;
        }
        rest = behind;
    }
    true
}

/// Builds all rows into `rows`: [`ROWS`] times `hops` indexes of backends, best first. Where there are
/// fewer backends than hops, the last one of a row is repeated.
///
/// Inlined wherever it is called, so that a caller who knows that the processor has wider vectors can have
/// it compiled for them.
#[inline(always)]
pub fn build(
    seed: &SipKey,
    members: &[Member],
    hops: usize,
    rows: &mut [u8],
    room: &mut Room<'_>,
) -> Result<(), RowsError> {
    check(members, hops)?;
    let len = ROWS.checked_mul(hops).ok_or(RowsError::Hops)?;
    let mut costed = Costed {
        hops,
        rows: rows.get_mut(..len).ok_or(RowsError::Room)?,
        costs: room.costs.get_mut(..len).ok_or(RowsError::Room)?,
    };
    let first = room.first.get_mut(..ROWS).ok_or(RowsError::Room)?;
    let before = room.before.get_mut(..ROWS).ok_or(RowsError::Room)?;
    let both = room.sorted.get_mut(..2 * ROWS).ok_or(RowsError::Room)?;
    let (one, other) = both.split_at_mut_checked(ROWS).ok_or(RowsError::Room)?;
    let mut sorted = Sorted { one, other };

    let has = |set| members.iter().any(|member| member.is_in(set));
    if !has(Set::All) {
        return Err(RowsError::NoBackend);
    }
    let filling = has(Set::Before)
        && members
            .iter()
            .any(|member| member.backend.state == State::Filling);
    if filling {
        members::find(seed, members, Set::Before, &mut costed);
        level::choose(members, Set::Before, &costed, before, &mut sorted);
    }
    members::find(seed, members, Set::All, &mut costed);
    level::choose(members, Set::All, &costed, first, &mut sorted);
    if !filling {
        // Nobody stood in a row before whom the row does not have now.
        for (before, first) in before.iter_mut().zip(first.iter()) {
            *before = *first;
        }
    }
    order::arrange(members, filling, &mut costed, first, before);
    Ok(())
}

fn check(members: &[Member], hops: usize) -> Result<(), RowsError> {
    if !(MIN_HOPS..=MAX_HOPS).contains(&hops) {
        return Err(RowsError::Hops);
    }
    if members.len() > MAX_BACKENDS {
        return Err(RowsError::Backends);
    }
    let bad = |member: &Member| member.weight == 0 || member.weight > MAX_WEIGHT;
    match members.iter().position(bad) {
        Some(index) => Err(RowsError::Weight(index)),
        None => Ok(()),
    }
}
