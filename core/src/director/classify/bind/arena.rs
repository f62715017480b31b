// SPDX-License-Identifier: GPL-2.0

//! What a classifier is built of, and where: entries, and the words that the caller provides.

use super::{Bind, BindId};

/// A bind and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it matches.
    pub bind: Bind,
    /// What the look-up answers.
    pub id: BindId,
}

/// Why a classifier cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildError {
    /// This bind has a prefix longer than its address, ports out of order, or the last name that there is.
    Bind(BindId),
    /// Fewer words than [`super::words_needed`] says, or more binds than offsets of 32 bits can name.
    Space,
}

/// Words that are given out from the start on.
pub(super) struct Arena<'a> {
    words: &'a mut [u32],
    len: usize,
}

impl<'a> Arena<'a> {
    pub(super) fn new(words: &'a mut [u32]) -> Self {
        Self { words, len: 0 }
    }

    /// Words that were taken.
    pub(super) fn used(&self) -> usize {
        self.len
    }

    /// The next `count` words, zero; returns their offset.
    pub(super) fn take(&mut self, count: usize) -> Result<u32, BuildError> {
        let at = self.len;
        let end = at.checked_add(count).ok_or(BuildError::Space)?;
        self.words
            .get_mut(at..end)
            .ok_or(BuildError::Space)?
            .fill(0);
        self.len = end;
        u32::try_from(at).map_err(|_| BuildError::Space)
    }

    pub(super) fn set<const N: usize>(&mut self, at: u32, new: [u32; N]) -> Result<(), BuildError> {
        let place = self.words.get_mut(at as usize..).ok_or(BuildError::Space)?;
        *place.first_chunk_mut().ok_or(BuildError::Space)? = new;
        Ok(())
    }

    pub(super) fn get<const N: usize>(&self, at: u32) -> Result<[u32; N], BuildError> {
        let place = self.words.get(at as usize..).ok_or(BuildError::Space)?;
        place.first_chunk().copied().ok_or(BuildError::Space)
    }
}
