// SPDX-License-Identifier: GPL-2.0

//! Eight entries. Each flow has two buckets, which both of its directions and all endpoints share.

use super::entry::{Content, Way, WORDS};
use super::meta::{Limits, Meta};
use super::refusal::Refusal;
use super::slot::{Slot, Word};
use super::tuple::Turn;
use core::sync::atomic::AtomicU64;

/// Entries of a bucket.
pub const SLOTS: usize = 8;

/// How often a packet looks again where another CPU is writing.
const ROUNDS: usize = 8;

/// Seconds without a packet after which even a settled flow is given up, where there is no other room: who can have answers sent
/// to false senders can settle flows, and would keep the cache full for as long as they are remembered.
const SILENT: u32 = 60;

/// A bucket of the cache.
///
/// All bytes 0 are an empty bucket: whoever has zeroed memory has empty buckets.
#[repr(C)]
pub struct Bucket(pub(super) Entries<AtomicU64, SLOTS, WORDS>);

impl Bucket {
    /// An empty bucket.
    #[must_use]
    pub const fn new() -> Self {
        Self(Entries {
            metas: [const { AtomicU64::new(0) }; SLOTS],
            refused: AtomicU64::new(0),
            words: [const { [const { AtomicU64::new(0) }; WORDS] }; SLOTS],
        })
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self::new()
    }
}

/// The entries of a bucket: `S` of them with `N` words each. A model checker takes fewer.
#[repr(C)]
pub(super) struct Entries<W, const S: usize, const N: usize> {
    pub(super) metas: [W; S],
    pub(super) refused: W,
    pub(super) words: [[W; N]; S],
}

/// The time, and how long flows are remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) limits: Limits,
    pub(super) now: u32,
}

/// A packet's flow, as buckets see it.
pub(super) trait Sought<const N: usize> {
    /// Eight bits of its hash.
    fn tag(&self) -> u8;
    /// Whether an entry is of this flow.
    fn way(&self, content: &[u64; N]) -> Option<Way>;
    /// The endpoint of an entry.
    fn endpoint(content: &[u64; N]) -> u64;
    /// 32 bits of a secret hash of an endpoint.
    fn mark(&self, endpoint: u64) -> u32;
}

/// A packet that has come: the entry that it should have.
pub(super) struct Coming<'c, const N: usize> {
    pub(super) content: &'c [u64; N],
    pub(super) is_tcp: bool,
    pub(super) turn: Turn,
}

/// A packet that goes back.
pub(super) struct Going {
    /// Its endpoint, if that is known.
    pub(super) endpoint: Option<u64>,
    pub(super) turn: Turn,
}

impl Going {
    /// An entry after this packet, which travels so.
    #[inline]
    fn leaves(&self, entry: Meta, way: Way, now: u32) -> Meta {
        match way {
            Way::Same => entry.passed_on(self.turn, now),
            Way::Opposite => entry.answered(self.turn, now),
        }
    }
}

/// What became of a packet that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its flow was there.
    Known,
    /// Its flow is there from now on.
    First,
    /// Likewise, in the place of another one that had not got beyond its beginning, or has long been silent.
    Replaced,
    /// There is no room.
    Refused,
    /// Other CPUs have written entries of its buckets meanwhile, each time.
    Busy,
}

/// What is there for a packet that goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer<const N: usize> {
    /// This entry.
    Entry([u64; N]),
    /// Nothing.
    Nothing,
    /// Flows of several endpoints, or maybe.
    Several,
    /// Another CPU is writing it.
    Busy,
}

/// The two buckets of a flow; with one bucket in all, there is no second one.
pub(super) struct Pair<'b, W, const S: usize, const N: usize> {
    pub(super) first: &'b Entries<W, S, N>,
    pub(super) second: Option<&'b Entries<W, S, N>>,
}

/// An entry whose flow could be given up.
struct Candidate<'b, W, const S: usize, const N: usize> {
    bucket: &'b Entries<W, S, N>,
    slot: Slot<'b, W, N>,
    meta: Meta,
    /// Flows that have not got beyond their beginning go first, and of those the oldest.
    rank: (bool, u32),
}

/// What a bucket has for a packet whose flow is known.
enum Refreshed {
    /// Its entry, which is of this second now.
    Yes,
    /// No entry with its tag.
    No,
    /// An entry with its tag that is not simply the flow's.
    Unlike,
}

/// What both buckets have for a packet that has come.
enum Place<'b, W, const S: usize, const N: usize> {
    /// The entry of its flow and endpoint.
    Own(Slot<'b, W, N>, Meta, [u64; N]),
    /// None, and this entry is free.
    Free(Slot<'b, W, N>, Meta),
    /// None, and this one's flow can be given up.
    Taken(Candidate<'b, W, S, N>),
    /// None, and no room.
    Full,
    /// Maybe: another CPU is writing.
    Busy,
}

impl<W: Word, const S: usize, const N: usize> Entries<W, S, N> {
    #[inline]
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot<'_, W, N>> {
        let pairs = self.metas.iter().zip(&self.words);
        pairs.map(|(meta, words)| Slot { meta, words })
    }

    /// What the bucket has given up, as long as that matters.
    #[inline]
    fn refusal(&self, clock: Clock) -> Refusal {
        let seen = Refusal(self.refused.load());
        if !seen.is_over(clock.limits.longest(), clock.now) {
            return seen;
        }
        self.refused.exchange(seen.0, Refusal::NONE.0);
        Refusal::NONE
    }

    /// Which entries have this tag now, a bit for each; the lowest is the first one's.
    #[inline(always)]
    fn tagged(&self, tag: u8) -> u32 {
        let mut bits = 0;
        for meta in self.metas.iter().rev() {
            bits = bits << 1 | u32::from(Meta(meta.load()).tag() == tag);
        }
        bits
    }

    /// The entry of a bit.
    #[inline(always)]
    fn slot(&self, bits: u32) -> Option<Slot<'_, W, N>> {
        // The cast is exact.
        let at = bits.trailing_zeros() as usize;
        Some(Slot {
            meta: self.metas.get(at)?,
            words: self.words.get(at)?,
        })
    }

    /// What [`Pair::refresh`] does in one of the buckets.
    #[inline(always)]
    fn refresh(&self, tag: u8, coming: &Coming<'_, N>, clock: Clock) -> Refreshed {
        // Flows take the first free entry: most are found in the first round.
        for slot in self.slots() {
            let meta = slot.meta();
            if meta.tag() != tag || !(meta.is_kept() || meta.is_claimed()) {
                continue;
            }
            if meta.is_claimed() {
                return Refreshed::Unlike;
            }
            let Some(meta) = slot.holds(meta, coming.content) else {
                return Refreshed::Unlike;
            };
            if meta.is_over(clock.limits, clock.now) {
                return Refreshed::Unlike;
            }
            slot.touch(meta, meta.come(coming.turn, clock.now).in_version_of(meta));
            return Refreshed::Yes;
        }
        Refreshed::No
    }

    /// Remembers a flow that is given up.
    #[cold]
    fn refuse(&self, refusal: Refusal, clock: Clock) {
        let lifetime = clock.limits.longest();
        for _ in 0..ROUNDS {
            let old = Refusal(self.refused.load());
            let new = old.with(refusal, lifetime, clock.now);
            if new == old || self.refused.exchange(old.0, new.0) {
                return;
            }
        }
        // It is hardly so often in vain. Then all flows are meant.
        self.refused.store(Refusal::of_all(clock.now).0);
    }
}

impl<'b, W: Word, const S: usize, const N: usize> Pair<'b, W, S, N> {
    #[inline]
    fn buckets(&self) -> impl Iterator<Item = &'b Entries<W, S, N>> {
        core::iter::once(self.first).chain(self.second)
    }

    /// Remembers the header of a packet that has come.
    #[inline]
    pub(super) fn record<K: Sought<N>>(
        &self,
        sought: &K,
        coming: &Coming<'_, N>,
        clock: Clock,
    ) -> Outcome {
        if self.refresh(sought.tag(), coming, clock).is_some() {
            return Outcome::Known;
        }
        for _ in 0..ROUNDS {
            match self.place(sought, coming.content, clock) {
                Place::Own(slot, meta, _) if meta.is_over(clock.limits, clock.now) => {
                    if self.begin(sought, coming, (slot, meta), clock) {
                        return Outcome::First;
                    }
                }
                Place::Own(slot, meta, content) => {
                    let new = meta.come(coming.turn, clock.now);
                    if content == *coming.content {
                        slot.touch(meta, new);
                        return Outcome::Known;
                    }
                    if slot.write(meta, sought.tag(), coming.content, || Some(new)) {
                        return Outcome::Known;
                    }
                }
                Place::Free(slot, meta) => {
                    if self.begin(sought, coming, (slot, meta), clock) {
                        return Outcome::First;
                    }
                }
                Place::Taken(old) => {
                    // Who asks for the old flow from now on must know that it was there.
                    if let Some((_, content)) = old.slot.read(old.meta) {
                        let mark = sought.mark(K::endpoint(&content));
                        let refusal = Refusal::new(old.meta.tag(), mark, clock.now);
                        old.bucket.refuse(refusal, clock);
                        if self.begin(sought, coming, (old.slot, old.meta), clock) {
                            return Outcome::Replaced;
                        }
                    }
                }
                Place::Full => return Outcome::Refused,
                Place::Busy => {}
            }
            W::pause();
        }
        Outcome::Busy
    }

    /// Gives a new flow this entry, if it still has this meta word, and if it can be seen whether the flow is another endpoint's, too.
    #[inline]
    fn begin<K: Sought<N>>(
        &self,
        sought: &K,
        coming: &Coming<'_, N>,
        (slot, seen): (Slot<'b, W, N>, Meta),
        clock: Clock,
    ) -> bool {
        let fresh = Meta::first(sought.tag(), coming.is_tcp, coming.turn, clock.now);
        slot.write(seen, sought.tag(), coming.content, || {
            Some(match self.is_shared(sought, coming.content, slot, clock)? {
                true => fresh.shared(),
                false => fresh,
            })
        })
    }

    /// Whether another endpoint has, or may have had, the flow for which `own` has been claimed. The entries of other endpoints say so
    /// from now on, too: what becomes of one of them matters for all. None: another CPU is writing, and nobody knows yet.
    #[inline]
    fn is_shared<K: Sought<N>>(
        &self,
        sought: &K,
        content: &[u64; N],
        own: Slot<'b, W, N>,
        clock: Clock,
    ) -> Option<bool> {
        W::fence();
        let endpoint = K::endpoint(content);
        let mut is_shared = false;
        for bucket in self.buckets() {
            for slot in bucket.slots() {
                let meta = slot.meta();
                if meta.tag() != sought.tag() || core::ptr::eq(slot.meta, own.meta) {
                    continue;
                }
                if meta.is_claimed() {
                    return None;
                }
                if !meta.is_kept() {
                    continue;
                }
                if meta.is_over(clock.limits, clock.now) {
                    // A CPU whose clock is behind may still have touched it.
                    if !slot.empty(meta) {
                        return None;
                    }
                    continue;
                }
                let (meta, held) = slot.read(meta)?;
                if sought.way(&held).is_none() || K::endpoint(&held) == endpoint {
                    continue;
                }
                is_shared = true;
                if !meta.is_shared() && !slot.meta.exchange(meta.0, meta.shared().0) {
                    return None;
                }
            }
        }
        Some(is_shared || self.may_be_another(sought, content, clock))
    }

    /// The usual case, in few steps: the first entry with the flow's tag is the flow's, and has this very header. `None`: what is to
    /// be done is still to be found, and nothing was changed.
    #[inline]
    fn refresh(&self, tag: u8, coming: &Coming<'_, N>, clock: Clock) -> Option<()> {
        match self.first.refresh(tag, coming, clock) {
            Refreshed::No => match self.second?.refresh(tag, coming, clock) {
                Refreshed::Yes => Some(()),
                Refreshed::No | Refreshed::Unlike => None,
            },
            Refreshed::Yes => Some(()),
            Refreshed::Unlike => None,
        }
    }

    #[inline]
    fn place<K: Sought<N>>(
        &self,
        sought: &K,
        content: &[u64; N],
        clock: Clock,
    ) -> Place<'b, W, S, N> {
        let endpoint = K::endpoint(content);
        let mut busy = false;
        // The free entry of the emptier bucket, so that both fill evenly.
        let mut free: Option<(Slot<'b, W, N>, Meta)> = None;
        let mut most = 0usize;
        let mut taken: Option<Candidate<'b, W, S, N>> = None;
        for bucket in self.buckets() {
            let mut here = None;
            let mut count = 0usize;
            for slot in bucket.slots() {
                let meta = slot.meta();
                if meta.tag() == sought.tag() && meta.is_claimed() {
                    busy = true;
                    continue;
                }
                if meta.is_claimed() {
                    continue;
                }
                if meta.tag() == sought.tag() && meta.is_kept() {
                    match slot.read(meta) {
                        Some((meta, held))
                            if sought.way(&held) == Some(Way::Same)
                                && K::endpoint(&held) == endpoint =>
                        {
                            return Place::Own(slot, meta, held);
                        }
                        Some(_) => {}
                        None => {
                            busy = true;
                            continue;
                        }
                    }
                }
                let is_over = meta.is_kept() && meta.is_over(clock.limits, clock.now);
                if is_over || !meta.is_kept() {
                    count = count.wrapping_add(1);
                    // The first one: it is found soonest.
                    if here.is_none() {
                        here = Some((slot, meta));
                    } else if is_over {
                        slot.empty(meta);
                    }
                    continue;
                }
                let age = meta.age(clock.now);
                if !meta.is_settled() || age >= SILENT {
                    let rank = (!meta.is_settled(), age);
                    if taken.as_ref().is_none_or(|other| rank > other.rank) {
                        taken = Some(Candidate {
                            bucket,
                            slot,
                            meta,
                            rank,
                        });
                    }
                }
            }
            if count > most {
                most = count;
                free = here;
            }
        }
        match (free, taken) {
            _ if busy => Place::Busy,
            (Some((slot, meta)), _) => Place::Free(slot, meta),
            (None, Some(candidate)) => Place::Taken(candidate),
            (None, None) => Place::Full,
        }
    }

    /// Whether the flow of an entry may have been given up at another endpoint. It is asked after the entries: whoever gives an entry
    /// up says so first.
    #[inline]
    fn may_be_another<K: Sought<N>>(&self, sought: &K, content: &[u64; N], clock: Clock) -> bool {
        let refusal = |bucket: &Entries<W, S, N>| bucket.refusal(clock);
        let (first, second) = (refusal(self.first), self.second.map(refusal));
        // Most buckets never give a flow up.
        if first.is_none() && second.is_none_or(Refusal::is_none) {
            return false;
        }
        let (tag, mark) = (sought.tag(), sought.mark(K::endpoint(content)));
        let concerns =
            |refusal: Refusal| refusal.concerns(tag, mark, clock.limits.longest(), clock.now);
        concerns(first) || second.is_some_and(concerns)
    }

    /// The entry for a packet that goes back: that of its own direction, or else that of the other one.
    #[inline]
    pub(super) fn find<K: Sought<N>>(&self, sought: &K, going: &Going, clock: Clock) -> Answer<N> {
        match self.sole(sought, going, clock) {
            Some(answer) => answer,
            None => self.find_by_looking(sought, going, clock),
        }
    }

    /// The usual cases, in few steps: one entry has the flow's tag, and it is the flow's; or none has it. `None`: there is more to be
    /// looked at, and nothing was changed.
    #[inline(always)]
    fn sole<K: Sought<N>>(&self, sought: &K, going: &Going, clock: Clock) -> Option<Answer<N>> {
        let tag = sought.tag();
        let second = self.second.map_or(0, |second| second.tagged(tag));
        let (bucket, bits) = match (self.first.tagged(tag), second) {
            (0, 0) => return Some(Answer::Nothing),
            (bits, 0) => (self.first, bits),
            (0, bits) => (self.second?, bits),
            _ => return None,
        };
        if !bits.is_power_of_two() {
            return None;
        }
        let slot = bucket.slot(bits)?;
        let meta = slot.meta();
        if meta.tag() != tag || !meta.is_kept() || meta.is_over(clock.limits, clock.now) {
            return None;
        }
        let (meta, content) = slot.read(meta)?;
        let way = sought.way(&content)?;
        let is_other = match going.endpoint {
            Some(wanted) => wanted != K::endpoint(&content),
            None => meta.is_shared() && self.may_be_another(sought, &content, clock),
        };
        if is_other {
            return None;
        }
        slot.touch(meta, going.leaves(meta, way, clock.now));
        Some(Answer::Entry(content))
    }

    #[cold]
    #[inline(never)]
    fn find_by_looking<K: Sought<N>>(&self, sought: &K, going: &Going, clock: Clock) -> Answer<N> {
        for _ in 0..ROUNDS {
            match self.look(sought, going, clock) {
                Answer::Busy => W::pause(),
                answer => return answer,
            }
        }
        Answer::Busy
    }

    #[inline]
    fn look<K: Sought<N>>(&self, sought: &K, going: &Going, clock: Clock) -> Answer<N> {
        let tag = sought.tag();
        let mut found: Option<(Slot<'b, W, N>, Meta, [u64; N], Way)> = None;
        // Beside one of its own direction, the entry of the other one.
        let mut opposite: Option<(Slot<'b, W, N>, Meta)> = None;
        let mut several = false;
        for bucket in self.buckets() {
            for slot in bucket.slots() {
                let meta = slot.meta();
                if meta.tag() != tag {
                    continue;
                }
                if meta.is_claimed() {
                    return Answer::Busy;
                }
                if !meta.is_kept() {
                    continue;
                }
                if meta.is_over(clock.limits, clock.now) {
                    slot.empty(meta);
                    continue;
                }
                let Some((meta, content)) = slot.read(meta) else {
                    return Answer::Busy;
                };
                let Some(way) = sought.way(&content) else {
                    continue;
                };
                let endpoint = K::endpoint(&content);
                if going.endpoint.is_some_and(|wanted| wanted != endpoint) {
                    continue;
                }
                match (&found, way) {
                    (Some((_, _, other, _)), _) if K::endpoint(other) != endpoint => several = true,
                    (Some((_, _, _, Way::Same)), Way::Opposite) => opposite = Some((slot, meta)),
                    (Some((first, seen, _, Way::Opposite)), Way::Same) => {
                        opposite = Some((*first, *seen));
                        found = Some((slot, meta, content, way));
                    }
                    (Some(_), _) => {}
                    (None, _) => found = Some((slot, meta, content, way)),
                }
            }
        }
        let Some((slot, meta, content, way)) = found else {
            return Answer::Nothing;
        };
        let is_certain = going.endpoint.is_some()
            || !meta.is_shared()
            || !self.may_be_another(sought, &content, clock);
        if several || !is_certain {
            return Answer::Several;
        }
        slot.touch(meta, going.leaves(meta, way, clock.now));
        // What is passed on answers what came in the other direction.
        if let Some((slot, meta)) = opposite {
            slot.touch(meta, going.leaves(meta, Way::Opposite, clock.now));
        }
        Answer::Entry(content)
    }
}

impl Bucket {
    /// How many entries are not over: their meta words say it, which are one cache line.
    pub(super) fn in_use(&self, clock: Clock) -> usize {
        let current = |slot: &Slot<'_, AtomicU64, WORDS>| {
            let meta = slot.meta();
            meta.is_kept() && !meta.is_over(clock.limits, clock.now)
        };
        // No sum of a filter's count: it could not overflow, but the compiler does not know.
        let mut count = 0usize;
        for slot in self.0.slots() {
            count = count.wrapping_add(usize::from(current(&slot)));
        }
        count
    }

    /// The entries that are not over, each with its meta word.
    pub(super) fn entries(&self, clock: Clock) -> impl Iterator<Item = (Meta, Content)> + '_ {
        let current = move |slot: Slot<'_, AtomicU64, WORDS>| {
            let meta = slot.meta();
            if !meta.is_kept() || meta.is_over(clock.limits, clock.now) {
                return None;
            }
            // What is being written is left out.
            slot.read(meta)
        };
        self.0.slots().filter_map(current)
    }
}
