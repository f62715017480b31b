// SPDX-License-Identifier: GPL-2.0

//! The sets of classes that a packet has, one of each dimension, while it is looked up.

use super::layout::{ALL, NONE, ONE};

/// The sets of a packet that are neither all classes nor one.
#[derive(Clone, Copy)]
pub(super) struct Sets<const N: usize> {
    all: [u32; N],
    len: usize,
    /// The rank that must be in all of them, if there is one that alone can be.
    one: Option<u32>,
}

impl<const N: usize> Sets<N> {
    pub(super) const NONE: Self = Self {
        all: [0; N],
        len: 0,
        one: None,
    };

    /// Adds a set; `None` if no class is in it, or none that can be in the others.
    #[inline(always)]
    pub(super) fn add(&mut self, set: u32) -> Option<()> {
        match set {
            ALL => {}
            NONE => return None,
            ONE.. => {
                let rank = set & !ONE;
                if self.one.is_some_and(|one| one != rank) {
                    return None;
                }
                self.one = Some(rank);
            }
            at => {
                *self.all.get_mut(self.len)? = at;
                self.len = self.len.wrapping_add(1);
            }
        }
        Some(())
    }
    /// Those that have several classes.
    #[inline(always)]
    pub(super) fn several(&self) -> Option<&[u32]> {
        self.all.get(..self.len)
    }

    /// The rank that alone can be in all of them, if there is one.
    #[inline(always)]
    pub(super) fn one(&self) -> Option<u32> {
        self.one
    }
}
