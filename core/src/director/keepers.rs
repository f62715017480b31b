// SPDX-License-Identifier: GPL-2.0

//! Which backends of a loaded table keep their flows, by the tags that flows hold.
//!
//! Each packet of a known flow asks. So the answer stands in one word of the tag's slot, where roster, health and state would be
//! four. It is made when a table is complete, and does not change as long as the table is loaded.

use super::ids::{Roster, Tag};
use crate::backend::MAX_BACKENDS;

/// The slot's backend keeps its flows. The tag's bits of the generation are below, and its index in the low byte.
const KEEPS: u16 = 1 << 15;
const GENERATION: u16 = 3 << 8;

/// The backends that keep their flows, by their slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keepers([u16; MAX_BACKENDS]);

impl Keepers {
    /// Of a table that is not complete: nobody keeps anything.
    #[must_use]
    pub const fn none() -> Self {
        Self([0; MAX_BACKENDS])
    }

    /// Makes it those of the roster's backends for which `keeps`, by their indexes.
    pub fn fill(&mut self, roster: &Roster, keeps: impl Fn(u8) -> bool) {
        self.0 = [0; MAX_BACKENDS];
        for index in (0..=u8::MAX).filter(|index| keeps(*index)) {
            let Some(id) = roster.id(index) else { continue };
            let tag = id.tag();
            if let Some(place) = self.0.get_mut(usize::from(tag.slot())) {
                *place = KEEPS | tag.bits() & GENERATION | u16::from(index);
            }
        }
    }

    /// The index of the backend that a tag means, if it keeps its flows.
    #[inline(always)]
    #[must_use]
    pub fn backend(&self, tag: Tag) -> Option<u8> {
        let word = *self.0.get(usize::from(tag.slot()))?;
        // The cast keeps the index.
        (word & !0xff == KEEPS | tag.bits() & GENERATION).then_some(word as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        /// As the roster says it, of those that keep their flows, for each tag that there can be.
        #[test]
        fn as_the_roster_says(loads in vec(vec((0u16..600, any::<bool>()), 0..256), 1..6)) {
            let (mut roster, mut before) = (Roster::new(), Vec::new());
            let mut keepers = Keepers::none();
            for load in loads {
                let mut after = Roster::new();
                after.succeed(&roster, load.len(), |new, old| {
                    let old: &(u16, bool) = &before[usize::from(old)];
                    load[usize::from(new)].0 == old.0
                });
                (roster, before) = (after, load);
                let keeps = |index| before.get(usize::from(index)).is_some_and(|one| one.1);
                keepers.fill(&roster, keeps);
                for bits in 0..1 << 10 {
                    let tag = Tag::from_bits(bits);
                    let said = roster.backend(tag).filter(|index| keeps(*index));
                    prop_assert_eq!(keepers.backend(tag), said);
                }
            }
        }
    }

    #[test]
    fn nobody_keeps_what_is_not_complete() {
        for bits in 0..1 << 10 {
            assert_eq!(Keepers::none().backend(Tag::from_bits(bits)), None);
        }
    }
}
