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
use super::{all_alone, Costed, Member, Set, Tier, MAX_HOPS};
use crate::backend::MAX_BACKENDS;
use crate::director::select::rows::scores::{Lanes, LANES};
use crate::siphash::SipKey;

/// Finds the members of all rows, cheapest first within a round, and their costs.
#[inline(always)]
pub(super) fn find(seed: &SipKey, members: &[Member], set: Set, costed: &mut Costed<'_>) {
    let hops = costed.hops;
    let best = best_tier(members, set);
    let is_best = |member: &Member| member.is_in(set) && member.tier() == best;
    let all_best = members.iter().all(|one| !one.is_in(set) || is_best(one));
    let alone = all_alone(members, set);
    let mut block = Block {
        members,
        set,
        costs: [[TAKEN; LANES]; MAX_BACKENDS],
    };
    let mut cheapest = Cheapest::new();
    let lines = hops.saturating_mul(LANES);
    let rows = costed.rows.chunks_exact_mut(lines);
    let costs = costed.costs.chunks_exact_mut(lines);
    let mut first_row = 0u32;
    for (rows, costs) in rows.zip(costs) {
        block.fill(seed, first_row);
        first_row = first_row.wrapping_add(LANES as u32);
        if alone {
            cheapest.find(&block, hops);
        }
        let rows = rows.chunks_exact_mut(hops);
        let costs = costs.chunks_exact_mut(hops);
        for (lane, (indexes, costs)) in (0..LANES).zip(rows.zip(costs)) {
            if alone {
                cheapest.write(lane, indexes, costs);
            } else {
                block.by_domains(lane, indexes, costs);
            }
            if all_best {
                continue;
            }
            // A row whose members are all bad: the best good one comes in for the last of them.
            let good = |index: &u8| members.get(usize::from(*index)).is_some_and(is_best);
            if !indexes.iter().any(good) {
                let found = block.best_good(lane, indexes, is_best);
                let places = (indexes.last_mut(), costs.last_mut());
                if let (Some(found), (Some(index), Some(cost))) = (found, places) {
                    (*index, *cost) = found;
                }
            }
        }
    }
}

/// The best tier of the set.
pub(super) fn best_tier(members: &[Member], set: Set) -> Tier {
    let of_set = members.iter().filter(|member| member.is_in(set));
    of_set.map(Member::tier).min().unwrap_or(Tier::Draining)
}

/// What the backends cost in [`LANES`] rows.
struct Block<'a> {
    members: &'a [Member],
    set: Set,
    /// Backend by backend; those that are not of the set cost [`TAKEN`].
    costs: [[u64; LANES]; MAX_BACKENDS],
}

/// More than any backend costs.
const TAKEN: u64 = u64::MAX;

impl Block<'_> {
    /// The costs in this row and those behind it.
    #[inline(always)]
    fn fill(&mut self, seed: &SipKey, row: u32) {
        let start = Lanes::rows(seed, row);
        for (costs, member) in self.costs.iter_mut().zip(self.members) {
            if !member.is_in(self.set) {
                continue;
            }
            let scores = start.scores(member.backend.addr);
            for (cost, score) in costs.iter_mut().zip(scores) {
                *cost = waiting_time(score);
            }
            // Divisions are slow, and most backends weigh 1.
            if member.weight != 1 {
                for cost in costs {
                    // The weight is not 0, which `build` has checked.
                    *cost = cost.checked_div(u64::from(member.weight)).unwrap_or(TAKEN);
                }
            }
        }
    }

    /// The members of a row where backends share domains.
    fn by_domains(&self, lane: usize, indexes: &mut [u8], costs: &mut [u64]) {
        let mut pool = Pool::new(self, lane);
        let mut last = (0, 0);
        for (index, cost) in indexes.iter_mut().zip(costs) {
            last = pool.take().unwrap_or(last);
            (*index, *cost) = last;
        }
    }

    /// Who is the first of the good ones behind these members of a row, none of which is good.
    fn best_good(
        &self,
        lane: usize,
        indexes: &[u8],
        is_good: impl Fn(&Member) -> bool,
    ) -> Option<(u8, u64)> {
        let mut pool = Pool::new(self, lane);
        for _ in indexes {
            pool.take();
        }
        let good = |index: u8| self.members.get(usize::from(index)).is_some_and(&is_good);
        core::iter::from_fn(|| pool.take()).find(|(index, _)| good(*index))
    }
}

/// The cheapest backends of [`LANES`] rows, in order; where there are no shared domains, they are the members.
struct Cheapest {
    costs: [[u64; LANES]; MAX_HOPS],
    indexes: [[u64; LANES]; MAX_HOPS],
}

impl Cheapest {
    fn new() -> Self {
        Self {
            costs: [[TAKEN; LANES]; MAX_HOPS],
            indexes: [[0; LANES]; MAX_HOPS],
        }
    }

    #[inline(always)]
    fn find(&mut self, block: &Block<'_>, hops: usize) {
        for costs in self.costs.iter_mut().take(hops) {
            *costs = [TAKEN; LANES];
        }
        let mut next = 0u64;
        for (costs, member) in block.costs.iter().zip(block.members) {
            let mut index = [next; LANES];
            next = next.wrapping_add(1);
            if !member.is_in(block.set) {
                continue;
            }
            let mut cost = *costs;
            // It takes the place of the first one that costs more, which takes that of the next one.
            let places = self.costs.iter_mut().zip(&mut self.indexes).take(hops);
            for (place_costs, place_indexes) in places {
                let place = place_costs.iter_mut().zip(place_indexes);
                for ((place_cost, place_index), (cost, index)) in
                    place.zip(cost.iter_mut().zip(&mut index))
                {
                    // Masks and not branches, which no vector could take.
                    let cheaper = u64::from(*cost < *place_cost).wrapping_neg();
                    let costs = (*cost ^ *place_cost) & cheaper;
                    let indexes = (*index ^ *place_index) & cheaper;
                    *place_cost ^= costs;
                    *cost ^= costs;
                    *place_index ^= indexes;
                    *index ^= indexes;
                }
            }
        }
    }

    /// The members of one of the rows. Where there are fewer than hops, the last one is repeated.
    #[inline(always)]
    fn write(&self, lane: usize, indexes: &mut [u8], costs: &mut [u64]) {
        let mut last = (0, 0);
        let found = self.costs.iter().zip(&self.indexes);
        for ((index, cost), (found_costs, found_indexes)) in
            indexes.iter_mut().zip(costs).zip(found)
        {
            let found = (found_indexes.get(lane), found_costs.get(lane));
            if let (Some(&found_index), Some(&found_cost)) = found {
                if found_cost != TAKEN {
                    // The cast is exact: there are no more backends than a byte can name.
                    last = (found_index as u8, found_cost);
                }
            }
            (*index, *cost) = last;
        }
    }
}

/// The backends that are not in the row yet.
struct Pool<'a> {
    members: &'a [Member],
    /// Cost of each backend; taken ones and those that are not of the set cost [`TAKEN`].
    costs: [u64; MAX_BACKENDS],
    /// How many of each backend's domain were taken, a copy for each backend.
    rounds: [u8; MAX_BACKENDS],
}

impl<'a> Pool<'a> {
    fn new(block: &Block<'a>, lane: usize) -> Self {
        let mut costs = [TAKEN; MAX_BACKENDS];
        for ((cost, of_block), _) in costs.iter_mut().zip(&block.costs).zip(block.members) {
            *cost = of_block.get(lane).copied().unwrap_or(TAKEN);
        }
        Self {
            members: block.members,
            costs,
            rounds: [0; MAX_BACKENDS],
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
