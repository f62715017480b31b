// SPDX-License-Identifier: GPL-2.0

//! Dampening: one lost packet does not make a backend unhealthy.

/// What is believed of a target: the first result counts at once, unless something was believed before;
/// afterwards it takes a number of consecutive opposite results to change it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Damper {
    believed: Option<bool>,
    opposite: u64,
}

impl Damper {
    /// For a target of which this was believed before, if anything.
    pub(crate) fn new(believed: Option<bool>) -> Self {
        Self {
            believed,
            opposite: 0,
        }
    }

    /// Takes in a result; whether it changed what is believed.
    pub(crate) fn observe(&mut self, good: bool, trigger: u64) -> bool {
        if self.believed == Some(good) {
            self.opposite = 0;
            return false;
        }
        self.opposite += 1;
        if self.believed.is_some() && self.opposite < trigger {
            return false;
        }
        self.believed = Some(good);
        self.opposite = 0;
        true
    }

    /// What is believed, once there was a result.
    pub(crate) fn believed(&self) -> Option<bool> {
        self.believed
    }

    /// How many results in a row spoke against what is believed.
    pub(crate) fn opposite(&self) -> u64 {
        self.opposite
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn beliefs(results: &[bool], trigger: u64) -> Vec<bool> {
        let mut damper = Damper::default();
        results
            .iter()
            .map(|&good| {
                damper.observe(good, trigger);
                damper.believed().unwrap()
            })
            .collect()
    }

    #[test]
    fn as_deployed() {
        let (o, x) = (true, false);
        assert_eq!(beliefs(&[x, o, o, o], 3), [x, x, x, o]);
        assert_eq!(beliefs(&[o, x, x, o, x, x, x], 3), [o, o, o, o, o, o, x]);
        assert_eq!(beliefs(&[o, x, o], 1), [o, x, o]);
    }

    #[test]
    fn what_was_believed_before_is_dampened_too() {
        for before in [true, false] {
            let mut damper = Damper::new(Some(before));
            assert!(!damper.observe(!before, 3) && !damper.observe(!before, 3));
            assert_eq!(damper.believed(), Some(before));
            assert!(damper.observe(!before, 3));
        }
    }

    proptest! {
        /// What is believed after each result is what the definition says of the results so far: the last
        /// run of at least `trigger` equal results, or the first result if there was no such run.
        #[test]
        fn equals_the_definition(results in prop::collection::vec(any::<bool>(), 1..200), trigger in 1u64..6) {
            let told = beliefs(&results, trigger);
            for end in 1..=results.len() {
                let seen = &results[..end];
                let run = seen
                    .windows(trigger as usize)
                    .rev()
                    .find(|run| run.iter().all(|good| *good == run[0]));
                prop_assert_eq!(told[end - 1], run.map_or(seen[0], |run| run[0]));
            }
        }
    }
}
