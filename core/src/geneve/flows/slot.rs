// SPDX-License-Identifier: GPL-2.0

//! Publishing and reading an entry of several words without a lock.
//!
//! Who writes an entry owns it meanwhile:
//!
//! 1. exchanges the meta word that it has seen for a claimed one, of the next version;
//! 2. stores the other words (release);
//! 3. stores the new meta word (release).
//!
//! Who reads loads the meta word, the others, and the meta word again (acquire). If it has seen a word of step 2, then the second
//! load sees the claimed meta word of step 1 or a later one, whose version is another. So all that was read belongs together. The
//! version comes round after 2,097,152 writes of one entry.
//!
//! Between steps 1 and 2, who has claimed an entry looks at the others of the flow. Of two who claim at the same time, one at least
//! sees the claim of the other (a fence stands between), and gives up what it has claimed.

use super::meta::Meta;
use core::sync::atomic::{AtomicU64, Ordering};

/// A word that several CPUs share: `core`'s, or that of a model checker.
pub(super) trait Word {
    /// What it holds, and all that was written before that.
    fn load(&self) -> u64;
    /// Stores a value, behind all that was written before.
    fn store(&self, value: u64);
    /// Stores `new` if the word holds `old`.
    fn exchange(&self, old: u64, new: u64) -> bool;
    /// Nothing behind it is read before what stands in front of it can be seen by all.
    fn fence();
    /// Waits a moment for another CPU.
    fn pause();
}

impl Word for AtomicU64 {
    #[inline(always)]
    fn load(&self) -> u64 {
        AtomicU64::load(self, Ordering::Acquire)
    }

    #[inline(always)]
    fn store(&self, value: u64) {
        AtomicU64::store(self, value, Ordering::Release);
    }

    #[inline(always)]
    fn exchange(&self, old: u64, new: u64) -> bool {
        self.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    #[inline(always)]
    fn fence() {
        core::sync::atomic::fence(Ordering::SeqCst);
    }

    #[inline(always)]
    fn pause() {
        core::hint::spin_loop();
    }
}

/// An entry: its meta word, and the words of its content.
pub(super) struct Slot<'b, W, const N: usize> {
    pub(super) meta: &'b W,
    pub(super) words: &'b [W; N],
}

impl<W, const N: usize> Clone for Slot<'_, W, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W, const N: usize> Copy for Slot<'_, W, N> {}

impl<W: Word, const N: usize> Slot<'_, W, N> {
    #[inline(always)]
    pub(super) fn meta(&self) -> Meta {
        Meta(self.meta.load())
    }

    /// The content that the entry had with this meta word, and the meta word with which it still had it.
    #[inline(always)]
    pub(super) fn read(&self, seen: Meta) -> Option<(Meta, [u64; N])> {
        let mut content = [0; N];
        for (to, word) in content.iter_mut().zip(self.words) {
            *to = word.load();
        }
        let again = self.meta();
        (again.is_kept() && again.has_same_content(seen)).then_some((again, content))
    }

    /// The meta word with which the entry still had this content, if it is its content.
    #[inline(always)]
    pub(super) fn holds(&self, seen: Meta, content: &[u64; N]) -> Option<Meta> {
        for (word, wanted) in self.words.iter().zip(content) {
            if word.load() != *wanted {
                return None;
            }
        }
        let again = self.meta();
        (again.is_kept() && again.has_same_content(seen)).then_some(again)
    }

    /// Gives the entry another content, if it still has this meta word. What stands beside the content is said while the entry is
    /// claimed; if it cannot be said, the entry has no content from then on.
    #[inline(always)]
    pub(super) fn write(
        &self,
        seen: Meta,
        tag: u8,
        content: &[u64; N],
        beside: impl FnOnce() -> Option<Meta>,
    ) -> bool {
        let claimed = seen.claimed(tag);
        if !self.meta.exchange(seen.0, claimed.0) {
            return false;
        }
        let Some(new) = beside() else {
            self.meta.store(claimed.vacant().0);
            return false;
        };
        for (word, from) in self.words.iter().zip(content) {
            word.store(*from);
        }
        self.meta.store(new.in_version_of(claimed).0);
        true
    }

    /// Takes the content of an entry whose time is over, if it still has this meta word: it would not be over any more when the clock
    /// has come round.
    #[cold]
    pub(super) fn empty(&self, seen: Meta) -> bool {
        self.meta.exchange(seen.0, seen.vacant().0)
    }

    /// Changes what only the meta word says. If another CPU's packet is faster, that one has written it.
    #[inline(always)]
    pub(super) fn touch(&self, seen: Meta, new: Meta) {
        // Most packets find the second written.
        if new != seen {
            self.meta.exchange(seen.0, new.0);
        }
    }
}
