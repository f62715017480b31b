// SPDX-License-Identifier: GPL-2.0

//! The word of an entry that is written last and read first.
//!
//! ```text
//! 63..32  ports of the key
//! 31..30  kind of the key; 0: the entry is vacant, or being written
//! 29..20  tag of the backend
//! 19      the connection is being closed; with kind 0: the entry is being written
//! 18..16  version: one more each time the entry gets another key or none
//! 15..0   second of the last packet
//! ```

use super::key::{Key, Kind};
use crate::director::ids::Tag;
use crate::director::inspect::Turn;

/// By how many seconds an entry may be ahead of a packet's clock. More than that is an age.
const FUTURE: u16 = 8;

/// The longest time without a packet that an entry can be kept, in seconds. The clock comes round after 65,536.
pub(super) const MAX_TIMEOUT: u16 = 43_200;

/// How long a connection is kept behind its FIN or RST, in seconds, if that is shorter.
const CLOSING_TIMEOUT: u16 = 10;

const CLOSING: u64 = 1 << 19;
const VERSION: u64 = 7 << 16;
const VERSION_ONE: u64 = 1 << 16;
const TIME: u64 = 0xffff;
const KEY: u64 = !0 << 30;
const TAG_SHIFT: u32 = 20;

/// The word of an entry beside its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta(pub(super) u64);

impl Meta {
    /// Key, version and backend as of `self`'s successor in the same entry.
    #[inline(always)]
    pub(super) const fn of(key: &Key, tag: Tag, turn: Turn, now: u16) -> Self {
        let closing = match turn {
            Turn::Ends => CLOSING,
            Turn::Amid | Turn::Opens => 0,
        };
        Self(Self::key_bits(key) | (tag.bits() as u64) << TAG_SHIFT | closing | now as u64)
    }

    #[inline(always)]
    const fn key_bits(key: &Key) -> u64 {
        (key.ports as u64) << 32 | (key.kind as u64) << 30
    }

    /// Whether the entry may have this key: all that this word has of it is equal.
    #[inline(always)]
    pub(super) const fn may_have(self, key: &Key) -> bool {
        self.0 & KEY == Self::key_bits(key)
    }

    /// Whether `other` was read from the same entry while it had the same key: what may differ is what a packet writes.
    #[inline(always)]
    pub(super) const fn has_same_key(self, other: Self) -> bool {
        (self.0 ^ other.0) & (KEY | VERSION) == 0
    }

    #[inline(always)]
    pub(super) const fn kind(self) -> Option<Kind> {
        // The cast keeps the low bits.
        Kind::from_bits((self.0 >> 30) as u8 & 3)
    }

    /// Ports of the key.
    #[inline(always)]
    pub(super) const fn ports(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The backend.
    #[inline(always)]
    pub(super) const fn tag(self) -> Tag {
        // The cast keeps the low bits, of which a tag takes ten.
        Tag::from_bits((self.0 >> TAG_SHIFT) as u16)
    }

    #[inline(always)]
    pub(super) const fn is_closing(self) -> bool {
        self.kind().is_some() && self.0 & CLOSING != 0
    }

    /// Whether another CPU writes the entry.
    #[inline(always)]
    pub(super) const fn is_claimed(self) -> bool {
        self.kind().is_none() && self.0 & CLOSING != 0
    }

    /// The entry while it is being written.
    #[inline(always)]
    pub(super) const fn claimed(self) -> Self {
        Self(self.next_version() | CLOSING)
    }

    /// The entry without a key.
    #[inline(always)]
    pub(super) const fn vacant(self) -> Self {
        Self(self.next_version())
    }

    #[inline(always)]
    const fn next_version(self) -> u64 {
        self.0.wrapping_add(VERSION_ONE) & VERSION
    }

    /// With the version of another.
    #[inline(always)]
    pub(super) const fn in_version_of(self, other: Self) -> Self {
        Self(self.0 & !VERSION | other.0 & VERSION)
    }

    /// Seconds since the last packet.
    #[inline(always)]
    pub(super) const fn age(self, now: u16) -> u16 {
        // The cast keeps the time.
        let age = now.wrapping_sub(self.0 as u16);
        // Another CPU may have read the clock a moment later.
        if age > u16::MAX - FUTURE {
            0
        } else {
            age
        }
    }

    /// Whether the entry's time is over, or it has no key.
    #[inline(always)]
    pub(super) const fn is_over(self, timeout: u16, now: u16) -> bool {
        match self.kind() {
            None => !self.is_claimed(),
            Some(_) => self.is_late(timeout, now),
        }
    }

    /// The same of an entry that has a key.
    #[inline(always)]
    pub(super) const fn is_late(self, timeout: u16, now: u16) -> bool {
        let timeout = if self.0 & CLOSING != 0 && timeout > CLOSING_TIMEOUT {
            CLOSING_TIMEOUT
        } else {
            timeout
        };
        self.age(now) > timeout
    }

    /// After a packet of the flow.
    #[inline(always)]
    pub(super) const fn touched(self, turn: Turn, now: u16) -> Self {
        let bits = match turn {
            Turn::Amid => self.0,
            Turn::Opens => self.0 & !CLOSING,
            Turn::Ends => self.0 | CLOSING,
        };
        match self.age(now) {
            0 => Self(bits),
            _ => Self(bits & !TIME | now as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_A: Key = Key {
        kind: Kind::V4Tcp,
        addrs: 1,
        ports: 0xffff_ffff,
        place: 0,
    };

    #[test]
    fn fields_do_not_touch_each_other() {
        for (tag, now, turn) in [
            (0, 0, Turn::Amid),
            (0x3ff, 0xffff, Turn::Ends),
            (0x155, 0x8000, Turn::Opens),
        ] {
            let tag = Tag::from_bits(tag);
            let mut old = Meta(0);
            for _ in 0..9 {
                old = old.vacant();
                let meta = Meta::of(&KEY_A, tag, turn, now).in_version_of(old.claimed());
                assert!(meta.may_have(&KEY_A));
                assert_eq!(meta.tag(), tag);
                assert_eq!(meta.age(now), 0);
                assert_eq!(meta.is_closing(), turn == Turn::Ends);
                assert!(!meta.is_claimed());
                assert!(meta.has_same_key(meta.touched(Turn::Ends, now.wrapping_add(9))));
                assert!(!meta.has_same_key(meta.vacant()));
                assert!(meta.claimed().is_claimed());
                assert!(!meta.claimed().is_over(1, now));
                assert!(meta.vacant().is_over(MAX_TIMEOUT, now));
            }
        }
    }

    #[test]
    fn time_comes_round() {
        let tag = Tag::from_bits(1);
        for start in [0, 30_000, 65_530] {
            let meta = Meta::of(&KEY_A, tag, Turn::Amid, start);
            let at = |seconds: u16| start.wrapping_add(seconds);
            assert!(!meta.is_over(40, at(40)));
            assert!(meta.is_over(40, at(41)));
            assert!(!meta.is_over(MAX_TIMEOUT, at(MAX_TIMEOUT)));
            assert!(meta.is_over(MAX_TIMEOUT, at(MAX_TIMEOUT + 1)));
            assert!(meta.is_over(40, at(u16::MAX - FUTURE)));
            // A packet whose CPU has an older time.
            assert!(!meta.is_over(40, start.wrapping_sub(1)));
            assert_eq!(meta.touched(Turn::Amid, start.wrapping_sub(1)), meta);
        }
    }

    #[test]
    fn a_fin_shortens_and_a_syn_lengthens() {
        let tag = Tag::from_bits(1);
        let meta = Meta::of(&KEY_A, tag, Turn::Amid, 100).touched(Turn::Ends, 120);
        assert!(!meta.is_over(40, 120 + CLOSING_TIMEOUT));
        assert!(meta.is_over(40, 121 + CLOSING_TIMEOUT));
        assert!(meta.is_over(3, 124));
        // The answer to the other side's FIN does not open it again.
        let meta = meta.touched(Turn::Amid, 125);
        assert!(meta.is_closing());
        assert!(!meta.is_over(40, 125 + CLOSING_TIMEOUT));
        let meta = meta.touched(Turn::Opens, 125);
        assert!(!meta.is_closing());
        assert!(!meta.is_over(40, 165));
    }
}
