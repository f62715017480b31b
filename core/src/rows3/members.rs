// SPDX-License-Identifier: GPL-2.0

//! Which backends are in a row: a function of the set of backends, not of their states.
//!
//! Backends of one domain stand in the order of their costs. The first of each domain are taken before the
//! second of any, and so on; within a round the cheapest first. Without domains that is weighted
//! rendezvous; with them, a row has as many domains as it can.
//!
//! Taking backends away never takes another one out of a row: the others of its domain move up in their
//! domain, hence are taken earlier; of the other domains nothing changes; and where a domain has lost a
//! backend, what stands at each of its places is more expensive than before or gone, so that nobody else
//! is overtaken (docs/rows-v3.md).

use super::cost::waiting_time;
use super::{Member, Set, Tier};
use crate::rendezvous::{row_digest, score};
use crate::siphash::SipKey;

/// Finds the members of all rows, cheapest first within a round, and their costs.
pub(super) fn find(
    seed: &SipKey,
    members: &[Member],
    set: Set,
    hops: usize,
    rows: &mut [u8],
    costs: &mut [u64],
) {
    let best = best_tier(members, set);
    let rows = rows.chunks_exact_mut(hops);
    let costs = costs.chunks_exact_mut(hops);
    let mut row = 0u32;
    for (indexes, costs) in rows.zip(costs) {
        let mut pool = Pool::new(seed, members, set, row);
        let mut last = (0, 0);
        for (index, cost) in indexes.iter_mut().zip(costs.iter_mut()) {
            last = pool.take().unwrap_or(last);
            (*index, *cost) = last;
        }
        // A row whose members are all bad: the best good one comes in for the last of them.
        let is_best = |index: u8| {
            let member = members.get(usize::from(index));
            member.is_some_and(|member| member.tier() == best)
        };
        if !indexes.iter().any(|index| is_best(*index)) {
            let good = core::iter::from_fn(|| pool.take()).find(|(index, _)| is_best(*index));
            let places = (indexes.last_mut(), costs.last_mut());
            if let (Some(good), (Some(index), Some(cost))) = (good, places) {
                (*index, *cost) = good;
            }
        }
        row = row.wrapping_add(1);
    }
}

/// The best tier of the set.
pub(super) fn best_tier(members: &[Member], set: Set) -> Tier {
    let of_set = members.iter().filter(|member| member.is_in(set));
    of_set.map(Member::tier).min().unwrap_or(Tier::Draining)
}

/// The backends that are not in the row yet.
struct Pool<'a> {
    members: &'a [Member],
    /// Cost of each backend; taken ones and those that are not of the set cost [`TAKEN`].
    costs: [u64; crate::backend::MAX_BACKENDS],
    /// How many of each backend's domain were taken, a copy for each backend.
    rounds: [u8; crate::backend::MAX_BACKENDS],
}

const TAKEN: u64 = u64::MAX;

impl<'a> Pool<'a> {
    fn new(seed: &SipKey, members: &'a [Member], set: Set, row: u32) -> Self {
        let digest = row_digest(seed, row);
        let mut costs = [TAKEN; crate::backend::MAX_BACKENDS];
        for (cost, member) in costs.iter_mut().zip(members) {
            if member.is_in(set) {
                let time = waiting_time(score(seed, digest, member.backend.addr));
                // The weight is not 0, which `build` has checked.
                *cost = time.checked_div(u64::from(member.weight)).unwrap_or(TAKEN);
            }
        }
        Self {
            members,
            costs,
            rounds: [0; crate::backend::MAX_BACKENDS],
        }
    }

    /// Takes the cheapest backend of the domains that were taken least.
    fn take(&mut self) -> Option<(u8, u64)> {
        let mut best: Option<(u8, u64, u8, &Member)> = None;
        let mut index = 0u8;
        let pool = self.members.iter().zip(&self.costs).zip(&self.rounds);
        for ((member, &cost), &round) in pool {
            let better = match best {
                Some((best_round, best_cost, ..)) => (round, cost) < (best_round, best_cost),
                None => true,
            };
            if cost != TAKEN && better {
                best = Some((round, cost, index, member));
            }
            index = index.wrapping_add(1);
        }
        let (_, cost, taken, of) = best?;
        if let Some(place) = self.costs.get_mut(usize::from(taken)) {
            *place = TAKEN;
        }
        for (round, member) in self.rounds.iter_mut().zip(self.members) {
            if member.domain == of.domain {
                *round = round.saturating_add(1);
            }
        }
        Some((taken, cost))
    }
}
