// SPDX-License-Identifier: GPL-2.0

//! Four entries of 128 bits that all CPUs read and write without a lock.
//!
//! An entry is two words: the addresses of its key, and a [`Meta`] with the rest. Who gives an entry another key owns it
//! meanwhile:
//!
//! 1. exchanges the meta word that it has seen for a claimed one, of the next version, which no key matches;
//! 2. stores the addresses (release);
//! 3. stores the new meta word (release).
//!
//! Who reads an entry loads the meta word, the addresses, and the meta word again (acquire). If it has seen addresses of step
//! 2, then the second load sees the claimed word of step 1 or a later one, whose version is another. So key and backend always
//! belong together. A version comes round after eight keys; each of them ends by its time or by a sweep, which takes seconds
//! at least, and the two loads are a few instructions of a CPU that takes no other work meanwhile.
//!
//! All else (time, FIN, another backend for the same key) is an exchange of the meta word alone, which fails if anything of it
//! has changed.

use super::key::Key;
use super::meta::Meta;
use crate::director::ids::Tag;
use crate::director::inspect::Turn;
use core::sync::atomic::{AtomicU64, Ordering};

/// Entries of a bucket.
pub const ENTRIES: usize = 4;

/// A word that several CPUs share: `core`'s, or that of a model checker.
pub(super) trait Word {
    /// What it holds, and all that was written before that.
    fn load(&self) -> u64;
    /// Stores a value, behind all that was written before.
    fn store(&self, value: u64);
    /// Stores `new` if the word holds `old`.
    fn exchange(&self, old: u64, new: u64) -> bool;
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
}

/// An entry.
#[repr(C)]
pub(super) struct Entry<W> {
    pub(super) meta: W,
    pub(super) addrs: W,
}

/// The entries of a bucket.
#[repr(C)]
pub(super) struct Entries<W>(pub(super) [Entry<W>; ENTRIES]);

impl<W: Word> Entry<W> {
    /// Writes that a packet came, where the entry has this meta word.
    #[inline(always)]
    pub(super) fn touch(&self, meta: Meta, turn: Turn, clock: Clock) {
        let touched = meta.touched(turn, clock.now);
        // Most packets find the second written. If another CPU's packet is faster, that one has written it.
        if touched != meta {
            self.meta.exchange(meta.0, touched.0);
        }
    }
}

/// The time, and how long entries are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Seconds without a packet.
    pub(super) timeout: u16,
    /// This second.
    pub(super) now: u16,
}

/// What the bucket has of a key.
enum Sought<'b, W> {
    /// This entry.
    Found(&'b Entry<W>, Meta),
    /// None; this entry can be had.
    Free(&'b Entry<W>, Meta),
    /// None, and all entries are in use.
    Full,
    /// An entry is being written, maybe with this key.
    Busy,
}

/// What became of a packet's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has this backend.
    Known(Tag),
    /// It has the backend that was offered, from now on.
    First,
    /// It has none.
    Untracked,
}

impl<W: Word> Entries<W> {
    #[inline(always)]
    fn seek(&self, key: &Key, clock: Clock) -> Sought<'_, W> {
        let mut rest = Sought::Full;
        for entry in &self.0 {
            let seen = Meta(entry.meta.load());
            if seen.may_have(key) && entry.addrs.load() == key.addrs {
                let again = Meta(entry.meta.load());
                if seen.has_same_key(again) {
                    return Sought::Found(entry, again);
                }
                rest = Sought::Busy;
            } else if seen.is_claimed() {
                rest = Sought::Busy;
            } else if matches!(rest, Sought::Full) && seen.is_over(clock.timeout, clock.now) {
                rest = Sought::Free(entry, seen);
            }
        }
        rest
    }

    /// The entry of a key whose time is not over, and its meta word: what [`Self::follow`] finds nearly always, in few steps. It
    /// may say no of an entry that is there.
    #[inline(always)]
    pub(super) fn known(&self, key: &Key, clock: Clock) -> Option<(&Entry<W>, Meta)> {
        let has = |entry: &Entry<W>| {
            let seen = Meta(entry.meta.load());
            // Of many flows the ports are equal, and of clients that are kept whole there are none.
            (seen.may_have(key) && entry.addrs.load() == key.addrs).then_some(seen)
        };
        let [a, b, c, d] = &self.0;
        let (entry, seen) = if let Some(seen) = has(a) {
            (a, seen)
        } else if let Some(seen) = has(b) {
            (b, seen)
        } else if let Some(seen) = has(c) {
            (c, seen)
        } else {
            (d, has(d)?)
        };
        let meta = Meta(entry.meta.load());
        // It has a key, which is the one that is sought.
        if !seen.has_same_key(meta) || meta.is_late(clock.timeout, clock.now) {
            return None;
        }
        Some((entry, meta))
    }

    /// The backend of a key whose time is not over. Writes nothing.
    #[inline]
    pub(super) fn peek(&self, key: &Key, clock: Clock) -> Option<Tag> {
        match self.seek(key, clock) {
            Sought::Found(_, meta) if !meta.is_over(clock.timeout, clock.now) => Some(meta.tag()),
            _ => None,
        }
    }

    /// The backend of a packet's key, if it has one that is to be kept; otherwise it gets the one that is offered.
    #[inline(always)]
    pub(super) fn follow(
        &self,
        (key, turn): (&Key, Turn),
        clock: Clock,
        offered: Option<Tag>,
        keeps: impl Fn(Tag) -> bool,
    ) -> Outcome {
        // Who loses a race looks once more, so that the first two packets of a flow agree.
        for _ in 0..2 {
            match self.seek(key, clock) {
                Sought::Found(entry, meta) => {
                    let tag = meta.tag();
                    if !meta.is_over(clock.timeout, clock.now) && keeps(tag) {
                        entry.touch(meta, turn, clock);
                        return Outcome::Known(tag);
                    }
                    let Some(tag) = offered else {
                        return Outcome::Untracked;
                    };
                    // The key stays, and with it the version.
                    let new = Meta::of(key, tag, turn, clock.now).in_version_of(meta);
                    if entry.meta.exchange(meta.0, new.0) {
                        return Outcome::First;
                    }
                }
                Sought::Free(entry, meta) => {
                    let Some(tag) = offered else {
                        return Outcome::Untracked;
                    };
                    let claimed = meta.claimed();
                    if entry.meta.exchange(meta.0, claimed.0) {
                        entry.addrs.store(key.addrs);
                        let new = Meta::of(key, tag, turn, clock.now).in_version_of(claimed);
                        entry.meta.store(new.0);
                        return Outcome::First;
                    }
                }
                Sought::Full => return Outcome::Untracked,
                Sought::Busy => {}
            }
        }
        Outcome::Untracked
    }

    /// An entry's key and the rest, if it has one: addresses and meta word.
    pub(super) fn read(entry: &Entry<W>) -> Option<(u64, Meta)> {
        // What is written again and again is left out.
        for _ in 0..4 {
            let seen = Meta(entry.meta.load());
            seen.kind()?;
            let addrs = entry.addrs.load();
            let again = Meta(entry.meta.load());
            if seen.has_same_key(again) {
                return Some((addrs, again));
            }
        }
        None
    }

    /// Ends the entries that are wanted; says how many.
    pub(super) fn release(&self, wanted: impl Fn(Meta) -> bool) -> usize {
        let mut released = 0usize;
        for entry in &self.0 {
            // A packet writes an entry once a second, or when a connection begins or ends. So the exchange hardly ever fails.
            for _ in 0..256 {
                let seen = Meta(entry.meta.load());
                if seen.kind().is_none() || !wanted(seen) {
                    break;
                }
                if entry.meta.exchange(seen.0, seen.vacant().0) {
                    released = released.wrapping_add(1);
                    break;
                }
            }
        }
        released
    }
}
