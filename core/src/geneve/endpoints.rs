// SPDX-License-Identifier: GPL-2.0

//! The endpoints that packets come from: each of the first ones has a place of its own, for its counters. What comes from others
//! is counted in one more place, so that nobody who sends has memory grow.
//!
//! Contexts: packet paths on all CPUs at once. A place that is taken stays taken.

use core::sync::atomic::{AtomicU64, Ordering};

/// Endpoints that have a place.
pub const MAX_ENDPOINTS: usize = 64;

/// Places in all: the last one is of all other endpoints.
pub const PLACES: usize = MAX_ENDPOINTS + 1;

/// The place of all endpoints that have none of their own.
pub const OTHERS: usize = MAX_ENDPOINTS;

/// Which place is whose.
pub struct Endpoints {
    /// The ids; 0 is a free place. The endpoint 0, which no load balancer has, is one of the others.
    ids: [AtomicU64; MAX_ENDPOINTS],
}

impl Default for Endpoints {
    fn default() -> Self {
        Self::new()
    }
}

impl Endpoints {
    /// No place is taken.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ids: [const { AtomicU64::new(0) }; MAX_ENDPOINTS],
        }
    }

    /// The place of an endpoint. One that has none takes the first free one.
    #[inline]
    pub fn place(&self, endpoint: u64) -> usize {
        if endpoint == 0 {
            return OTHERS;
        }
        let mut at = 0usize;
        for id in &self.ids {
            let taken = id.load(Ordering::Relaxed);
            if taken == endpoint || taken == 0 && Self::take(id, endpoint) {
                return at;
            }
            at = at.wrapping_add(1);
        }
        OTHERS
    }

    /// Whether the place is this endpoint's from now on: another CPU may have been faster, for the same endpoint or another.
    #[cold]
    fn take(id: &AtomicU64, endpoint: u64) -> bool {
        match id.compare_exchange(0, endpoint, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(taken) => taken == endpoint,
        }
    }

    /// The endpoint of a place, if it is taken.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<u64> {
        let id = self.ids.get(place)?.load(Ordering::Relaxed);
        (id != 0).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_place_and_the_others_have_one() {
        let endpoints = Endpoints::new();
        assert_eq!(endpoints.place(0), OTHERS);
        for id in 1..=MAX_ENDPOINTS as u64 {
            assert_eq!(endpoints.place(id), id as usize - 1);
            assert_eq!(endpoints.place(id), id as usize - 1);
        }
        assert_eq!(endpoints.place(u64::MAX), OTHERS);
        assert_eq!(endpoints.at(0), Some(1));
        assert_eq!(endpoints.at(OTHERS), None);
        assert_eq!(Endpoints::new().at(0), None);
    }

    #[test]
    fn many_threads_give_one_place_to_an_endpoint() {
        let endpoints = Endpoints::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for id in 1..=200 {
                        let place = endpoints.place(id);
                        assert!(place == OTHERS || endpoints.at(place) == Some(id));
                    }
                });
            }
        });
        let mut taken: std::vec::Vec<u64> = (0..MAX_ENDPOINTS)
            .filter_map(|at| endpoints.at(at))
            .collect();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), MAX_ENDPOINTS);
    }
}
