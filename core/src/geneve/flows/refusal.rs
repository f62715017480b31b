// SPDX-License-Identifier: GPL-2.0

//! What a bucket remembers of flows that it has given up for others.
//!
//! Two endpoints may have flows with the same addresses and ports. If one of them has been given up, and the other one gets an entry
//! later, then who asks without an endpoint must not get the one for the other. So a bucket remembers, in one word, the tag and the
//! endpoint of what it has given up: of one flow exactly, of several what they have in common.
//!
//! ```text
//! 63..32  32 bits of a secret hash of the endpoint
//! 31..12  time, in units of 8 seconds
//! 11..4   tag of the flow
//! 2       flows of several endpoints
//! 1       flows with several tags
//! 0       there is one
//! ```

const SET: u64 = 1 << 0;
const ANY_TAG: u64 = 1 << 1;
const ANY_ENDPOINT: u64 = 1 << 2;
const TAG_SHIFT: u32 = 4;
const TAG: u64 = 0xff << TAG_SHIFT;
const TIME_SHIFT: u32 = 12;
const TIME_BITS: u64 = (1 << 20) - 1;
const TIME: u64 = TIME_BITS << TIME_SHIFT;
const ENDPOINT: u64 = 0xffff_ffff << 32;

/// Seconds of a unit, as a shift.
const UNIT: u32 = 3;

/// By how many units the word may be ahead of a packet's clock. More than that is an age.
const FUTURE: u64 = 1;

/// The word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) u64);

impl Refusal {
    /// Of no flow.
    pub(super) const NONE: Self = Self(0);

    /// Of a flow at this second.
    #[inline]
    pub(super) const fn new(tag: u8, endpoint: u32, now: u32) -> Self {
        let time = (now >> UNIT) as u64 & TIME_BITS;
        let (tag, endpoint) = ((tag as u64) << TAG_SHIFT, (endpoint as u64) << 32);
        Self(SET | tag | time << TIME_SHIFT | endpoint)
    }

    /// Of all flows at this second.
    #[inline]
    pub(super) const fn of_all(now: u32) -> Self {
        Self(Self::new(0, 0, now).0 | ANY_TAG | ANY_ENDPOINT)
    }

    /// With another, later one.
    #[inline]
    pub(super) const fn with(self, later: Self, lifetime: u16, now: u32) -> Self {
        if !self.is_there(lifetime, now) {
            return later;
        }
        let differs = self.0 ^ later.0;
        let tag = if differs & TAG != 0 { ANY_TAG } else { 0 };
        let endpoint = if differs & ENDPOINT != 0 {
            ANY_ENDPOINT
        } else {
            0
        };
        Self(later.0 | self.0 & (ANY_TAG | ANY_ENDPOINT) | tag | endpoint)
    }

    /// Whether there is none.
    #[inline]
    pub(super) const fn is_none(self) -> bool {
        self.0 & SET == 0
    }

    /// Whether a flow with this tag and another endpoint may be among those that were given up.
    #[inline]
    pub(super) const fn concerns(self, tag: u8, endpoint: u32, lifetime: u16, now: u32) -> bool {
        let same = Self::new(tag, endpoint, 0).0 ^ self.0;
        let tag = self.0 & ANY_TAG != 0 || same & TAG == 0;
        let other_endpoint = self.0 & ANY_ENDPOINT != 0 || same & ENDPOINT != 0;
        tag && other_endpoint && self.is_there(lifetime, now)
    }

    /// Whether it is longer ago than any flow lives: then it is as good as none, and is to be one before the clock comes round.
    #[inline]
    pub(super) const fn is_over(self, lifetime: u16, now: u32) -> bool {
        self.0 & SET != 0 && !self.is_there(lifetime, now)
    }

    #[inline]
    const fn is_there(self, lifetime: u16, now: u32) -> bool {
        let then = (self.0 & TIME) >> TIME_SHIFT;
        let age = ((now >> UNIT) as u64).wrapping_sub(then) & TIME_BITS;
        // Another CPU may have read the clock a moment later.
        let is_young = age > TIME_BITS - FUTURE || age <= (lifetime as u64 >> UNIT).wrapping_add(1);
        self.0 & SET != 0 && is_young
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_concerns_the_same_tag_of_other_endpoints_for_its_time() {
        for now in [0, 5, u32::MAX - 3] {
            let one = Refusal::NONE.with(Refusal::new(7, 1, now), 350, now);
            let at = |after: u32| one.concerns(7, 2, 350, now.wrapping_add(after));
            assert!(at(0) && at(350) && !at(400));
            assert!(!one.concerns(7, 1, 350, now));
            assert!(!one.concerns(8, 2, 350, now));
        }
        assert!(!Refusal::NONE.concerns(0, 1, 350, 0));
        assert!(Refusal::NONE.is_none() && !Refusal::new(0, 0, 0).is_none());
    }

    /// All times of the word: what is over stays over, and is not merged with what comes later, until the clock comes round.
    #[test]
    fn what_is_over_stays_over() {
        let one = Refusal::new(7, 1, 0);
        let later = |now| Refusal::new(8, 2, now);
        for unit in 0..=TIME_BITS as u32 {
            let now = unit << UNIT;
            let is_there = unit <= 350 / 8 + 1 || unit == TIME_BITS as u32;
            assert_eq!(one.concerns(7, 2, 350, now), is_there, "{unit}");
            assert_eq!(one.is_over(350, now), !is_there, "{unit}");
            let merged = one.with(later(now), 350, now);
            assert_eq!(merged == later(now), !is_there, "{unit}");
        }
        assert!(!Refusal::NONE.is_over(350, 1 << 20));
    }

    #[test]
    fn of_several_what_they_have_in_common() {
        let one = Refusal::new(7, 1, 0);
        let tags = one.with(Refusal::new(8, 1, 0), 350, 0);
        assert!(tags.concerns(9, 2, 350, 0) && !tags.concerns(9, 1, 350, 0));
        let endpoints = one.with(Refusal::new(7, 2, 0), 350, 0);
        assert!(endpoints.concerns(7, 1, 350, 0) && !endpoints.concerns(8, 1, 350, 0));
        let both = tags.with(Refusal::new(7, 2, 0), 350, 0);
        assert!(both.concerns(9, 1, 350, 0));
        // What was is not forgotten by one more of the same.
        assert!(both.with(one, 350, 0).concerns(9, 1, 350, 0));
        assert_eq!(both.with(one, 350, 1000), one);
        assert!(Refusal::of_all(0).concerns(3, 3, 350, 8));
    }
}
