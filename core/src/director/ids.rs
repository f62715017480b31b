// SPDX-License-Identifier: GPL-2.0

//! Ids of backends, which live across loads.
//!
//! A backend keeps its id as long as its address stays in the tables of one name: the order of the backends, their states and
//! all else of the table may change. An address that leaves and comes back is another backend. Ids are a table's own: the same
//! address in two tables has two ids, since a service that removes a backend must not end flows of another one.
//!
//! An id is a slot, of which a table has as many as it can have backends, and a generation that counts how often the slot was
//! given. What points to a backend, as the entries of a flow table do, holds a [`Tag`]: the slot, and the lowest bits of the
//! generation. The [`Roster`] of the loaded table says in two loads which backend a tag means now, if any.

use crate::backend::MAX_BACKENDS;

/// The id of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id {
    slot: u8,
    /// From 1, so that no id is 0.
    generation: u16,
}

impl Id {
    /// As one number, never 0.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u32 {
        (self.generation as u32) << 8 | self.slot as u32
    }

    /// As flows hold it.
    #[inline]
    #[must_use]
    pub const fn tag(self) -> Tag {
        Tag((self.generation & 3) << 8 | self.slot as u16)
    }
}

/// A short id, of ten bits. It stands for one backend as long as none that left is pointed to when its slot is given a fourth
/// time: the loader sweeps before the next load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(u16);

impl Tag {
    /// The tag in the low ten bits.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0x3ff)
    }

    /// Ten bits.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    #[inline]
    pub(super) const fn slot(self) -> u8 {
        // The cast keeps the low bits.
        self.0 as u8
    }
}

/// The ids of a table's backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// How often each slot was given.
    generations: [u16; MAX_BACKENDS],
    /// The backend of each slot that is in use.
    backends: [u8; MAX_BACKENDS],
    /// The slot of each backend.
    slots: [u8; MAX_BACKENDS],
    /// How many backends there are.
    len: u16,
}

impl Roster {
    /// Of a table without backends.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            generations: [0; MAX_BACKENDS],
            backends: [0; MAX_BACKENDS],
            slots: [0; MAX_BACKENDS],
            len: 0,
        }
    }

    /// Whether it has no backend.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gives ids to the `len` backends of a table that comes in the place of `old`'s. `same` says whether a backend of the
    /// new table (its index) has the address of one of the old (its index). Returns whether one of the old has left.
    pub fn succeed(&mut self, old: &Self, len: usize, same: impl Fn(u8, u8) -> bool) -> bool {
        self.generations = old.generations;
        // The cast is exact.
        self.len = len.min(MAX_BACKENDS) as u16;
        let mut stays = Places::new();
        let mut used = Places::new();
        let mut found = Places::new();
        for index in indexes(self.len) {
            let is = |of_old: &u8| !stays.has(*of_old) && same(index, *of_old);
            // Most often nothing has moved.
            let unmoved = Some(index).filter(|index| u16::from(*index) < old.len);
            let of_old = unmoved.filter(is).or_else(|| indexes(old.len).find(is));
            if let Some(of_old) = of_old {
                stays.add(of_old);
                found.add(index);
                if let Some(slot) = old.slot(of_old) {
                    used.add(slot);
                    self.set(index, slot);
                }
            }
        }
        let mut left = false;
        let mut of_those_that_left = Places::new();
        for of_old in indexes(old.len) {
            if !stays.has(of_old) {
                left = true;
                if let Some(slot) = old.slot(of_old) {
                    of_those_that_left.add(slot);
                }
            }
        }
        for index in indexes(self.len) {
            if found.has(index) {
                continue;
            }
            // A slot that has been free for a while, if there is one.
            let free = (0..=u8::MAX)
                .find(|slot| !used.has(*slot) && !of_those_that_left.has(*slot))
                .or_else(|| (0..=u8::MAX).find(|slot| !used.has(*slot)));
            // There are as many slots as backends.
            let Some(slot) = free else { break };
            used.add(slot);
            if let Some(generation) = self.generations.get_mut(usize::from(slot)) {
                *generation = generation.checked_add(1).unwrap_or(1);
            }
            self.set(index, slot);
        }
        left
    }

    fn set(&mut self, index: u8, slot: u8) {
        if let Some(place) = self.slots.get_mut(usize::from(index)) {
            *place = slot;
        }
        if let Some(place) = self.backends.get_mut(usize::from(slot)) {
            *place = index;
        }
    }

    #[inline(always)]
    fn slot(&self, index: u8) -> Option<u8> {
        if u16::from(index) >= self.len {
            return None;
        }
        self.slots.get(usize::from(index)).copied()
    }

    /// The id of a backend, by its index.
    #[inline(always)]
    #[must_use]
    pub fn id(&self, index: u8) -> Option<Id> {
        let slot = self.slot(index)?;
        let generation = *self.generations.get(usize::from(slot))?;
        Some(Id { slot, generation })
    }

    /// The index of the backend that a tag means, unless it has left.
    #[inline(always)]
    #[must_use]
    pub fn backend(&self, tag: Tag) -> Option<u8> {
        let slot = usize::from(tag.slot());
        let index = *self.backends.get(slot)?;
        // A slot that is in no use has a backend of another one, or none.
        let is_used = self.slot(index)? == tag.slot();
        let generation = *self.generations.get(slot)?;
        (is_used && generation & 3 == tag.0 >> 8).then_some(index)
    }
}

impl Default for Roster {
    fn default() -> Self {
        Self::new()
    }
}

/// The numbers below this one, 256 at most.
fn indexes(len: u16) -> impl Iterator<Item = u8> {
    (0..=u8::MAX).take_while(move |index| u16::from(*index) < len)
}

/// A set of bytes.
struct Places([u64; 4]);

impl Places {
    const fn new() -> Self {
        Self([0; 4])
    }

    fn has(&self, place: u8) -> bool {
        let word = self.0.get(usize::from(place >> 6)).copied();
        word.unwrap_or(0).wrapping_shr(u32::from(place & 63)) & 1 != 0
    }

    fn add(&mut self, place: u8) {
        if let Some(word) = self.0.get_mut(usize::from(place >> 6)) {
            *word |= 1u64.wrapping_shl(u32::from(place & 63));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};
    use std::vec::Vec;

    /// The roster of these addresses behind that of those.
    fn next(old: (&Roster, &[u16]), new: &[u16]) -> (Roster, bool) {
        let mut roster = Roster::new();
        let left = roster.succeed(old.0, new.len(), |index, of_old| {
            new[usize::from(index)] == old.1[usize::from(of_old)]
        });
        (roster, left)
    }

    #[test]
    fn an_id_is_never_0() {
        let (roster, left) = next((&Roster::new(), &[]), &[7, 8]);
        assert!(!left);
        assert_eq!(
            [0, 1].map(|index| roster.id(index).map(Id::number)),
            [Some(0x100), Some(0x101)]
        );
        assert_eq!(roster.id(2), None);
        // A tag of no backend, such as that of memory that is all zero.
        assert_eq!(roster.backend(Tag::from_bits(0)), None);
        assert_eq!(Roster::new().backend(Tag::from_bits(0)), None);
    }

    #[test]
    fn all_backends_at_once_are_others() {
        let old: Vec<u16> = (0..256).collect();
        let new: Vec<u16> = (1000..1256).collect();
        let (first, _) = next((&Roster::new(), &[]), &old);
        let (second, left) = next((&first, &old), &new);
        assert!(left);
        for index in 0..=255 {
            let id = first.id(index).unwrap();
            assert_eq!(first.backend(id.tag()), Some(index));
            assert_eq!(second.backend(id.tag()), None);
        }
    }

    #[test]
    fn a_generation_comes_round_without_0() {
        let (mut roster, _) = next((&Roster::new(), &[]), &(0..256).collect::<Vec<_>>());
        let mut addresses: Vec<u16> = (0..256).collect();
        let mut last = roster.id(0).unwrap();
        for n in 0..70_000u32 {
            let mut new = addresses.clone();
            new[0] = 256 + (n % 2) as u16;
            let (after, left) = next((&roster, &addresses), &new);
            assert!(left);
            let id = after.id(0).unwrap();
            assert_ne!(id.number() >> 8, 0);
            assert_ne!(id.tag(), last.tag());
            (roster, addresses, last) = (after, new, id);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Against a map from addresses to ids, over loads.
        #[test]
        fn ids_live_as_long_as_addresses_stay(
            loads in vec(vec(0u16..40, 0..30), 1..20),
        ) {
            let (mut roster, mut addresses) = (Roster::new(), Vec::new());
            let mut known: HashMap<u16, Id> = HashMap::new();
            let mut given: HashSet<u32> = HashSet::new();
            for load in loads {
                let mut seen = HashSet::new();
                let new: Vec<u16> = load.into_iter().filter(|addr| seen.insert(*addr)).collect();
                let (after, left) = next((&roster, &addresses), &new);
                prop_assert_eq!(left, addresses.iter().any(|addr| !seen.contains(addr)));
                for (addr, id) in &known {
                    let index = new.iter().position(|one| one == addr);
                    prop_assert_eq!(after.backend(id.tag()).map(usize::from), index);
                }
                known.retain(|addr, _| seen.contains(addr));
                for (index, addr) in new.iter().enumerate() {
                    let id = after.id(index as u8).unwrap();
                    match known.get(addr) {
                        Some(before) => prop_assert_eq!(id, *before),
                        // A new one has an id that nobody ever had.
                        None => prop_assert!(given.insert(id.number())),
                    }
                    prop_assert_eq!(after.backend(id.tag()), Some(index as u8));
                    known.insert(*addr, id);
                }
                (roster, addresses) = (after, new);
            }
        }
    }

    #[test]
    fn an_address_twice_has_two_ids() {
        let addresses = [5, 5, 6];
        let (first, _) = next((&Roster::new(), &[]), &addresses);
        let (second, left) = next((&first, &addresses), &addresses);
        assert!(!left);
        assert_eq!(first, second);
        assert_ne!(first.id(0), first.id(1));
        let (third, left) = next((&second, &addresses), &[6, 5]);
        assert!(left);
        assert_eq!(third.id(0), first.id(2));
        assert_eq!(third.id(1), first.id(1));
    }
}
