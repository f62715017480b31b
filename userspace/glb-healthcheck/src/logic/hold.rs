// SPDX-License-Identifier: GPL-2.0

//! Holding back: however many backends of a table fail, only a share of them is marked down.
//!
//! When most backends fail at once, usually the checker itself is cut off. Otherwise, the few remaining backends
//! would be overloaded. Therefore only the allowed number is marked down, those that failed first; the others
//! stay up and are reported. Because of this order, a backend that is marked down does not come back when
//! another one fails.

use std::time::Instant;

/// How many of `count` backends may be marked down.
pub(crate) fn most_down(count: usize, percent: u8) -> usize {
    count * usize::from(percent) / 100
}

/// Which backends are marked down: for each, whether it is. `down_since` holds for each backend since when
/// it fails; `count` is the number of backends that the share is taken of.
pub(crate) fn marked_down(down_since: &[Option<Instant>], count: usize, percent: u8) -> Vec<bool> {
    let mut failing: Vec<(Instant, usize)> = down_since
        .iter()
        .enumerate()
        .filter_map(|(index, since)| Some(((*since)?, index)))
        .collect();
    failing.sort_unstable();
    let mut marked = vec![false; down_since.len()];
    for (_, index) in failing.into_iter().take(most_down(count, percent)) {
        marked[index] = true;
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn shares() {
        let shares = |percent| [1, 2, 3, 4, 5].map(|count| most_down(count, percent));
        assert_eq!(shares(50), [0, 1, 1, 2, 2]);
        assert_eq!(shares(0), [0; 5]);
        assert_eq!(shares(100), [1, 2, 3, 4, 5]);
    }

    proptest! {
        /// Only failing backends are marked, never more than the share, all of them if they fit it; and
        /// those that failed before others are marked before them.
        #[test]
        fn never_more_than_the_share(
            times in prop::collection::vec(prop::option::of(0u64..50), 1..256),
            percent in 0u8..=100,
        ) {
            let base = Instant::now();
            let since: Vec<_> = times.iter().map(|t| t.map(|t| base + Duration::from_secs(t))).collect();
            let marked = marked_down(&since, since.len(), percent);
            let down = marked.iter().filter(|down| **down).count();
            let failing = since.iter().flatten().count();
            prop_assert_eq!(down, failing.min(since.len() * usize::from(percent) / 100));
            let last = since.iter().zip(&marked).filter(|(_, down)| **down).map(|(since, _)| *since).max();
            for (since, down) in since.iter().zip(&marked) {
                prop_assert!(since.is_some() || !down);
                if let (Some(since), Some(Some(last)), false) = (since, last, down) {
                    prop_assert!(*since >= last);
                }
            }
        }

        /// One more failing backend never brings back another.
        #[test]
        fn a_new_failure_brings_nobody_back(
            times in prop::collection::vec(prop::option::of(0u64..50), 1..64),
            at in any::<prop::sample::Index>(),
        ) {
            let base = Instant::now();
            let mut since: Vec<_> = times.iter().map(|t| t.map(|t| base + Duration::from_secs(t))).collect();
            let before = marked_down(&since, since.len(), 50);
            let at = at.index(since.len());
            since[at].get_or_insert(base + Duration::from_secs(60));
            let after = marked_down(&since, since.len(), 50);
            for (before, after) in before.iter().zip(&after) {
                prop_assert!(!before || *after);
            }
        }
    }
}
