// SPDX-License-Identifier: GPL-2.0

//! The word of an entry that is written last and read first.
//!
//! ```text
//! 63..43  version: one more each time the entry is claimed
//! 42      another endpoint has, or may have, the same flow
//! 41..16  second of the last packet
//! 15..8   tag: eight bits of the flow's hash
//! 7..0    flags
//! ```

use super::tuple::Turn;

/// The entry has a flow.
const KEPT: u64 = 1 << 0;
/// The entry is being written: it has no flow that anybody may use.
const CLAIMED: u64 = 1 << 1;
/// The flow is a TCP connection.
const TCP: u64 = 1 << 2;
/// A packet has gone back, in the other direction.
const REPLIED: u64 = 1 << 3;
/// A packet has come after one had gone back: whoever sends, gets what is sent back.
const SETTLED: u64 = 1 << 4;
/// A FIN has been seen in the direction in which packets come.
const FIN_COME: u64 = 1 << 5;
/// A FIN has been seen in the other direction.
const FIN_GONE: u64 = 1 << 6;
/// A RST has been seen.
const RESET: u64 = 1 << 7;

const FINS: u64 = FIN_COME | FIN_GONE;
const CLOSING: u64 = FINS | RESET;
const TAG_SHIFT: u32 = 8;
const TIME_SHIFT: u32 = 16;
const TIME_BITS: u64 = (1 << 26) - 1;
const TIME: u64 = TIME_BITS << TIME_SHIFT;
/// Another endpoint had a flow with the same addresses and ports while this one was there, or may have had one before.
const SHARED: u64 = 1 << 42;
const VERSION_ONE: u64 = 1 << 43;
const VERSION: u64 = !0 << 43;

/// By how many seconds an entry may be ahead of a packet's clock. More than that is an age.
const FUTURE: u64 = 8;

/// Seconds that a connection is kept after the FIN of one side.
const HALF_CLOSED: u32 = 120;
/// Seconds that a connection is kept after both FINs, or a RST.
const CLOSED: u32 = 10;

/// How long a flow is remembered without a packet, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    idle: u16,
    tcp_idle: u16,
}

/// Which limit is out of its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// That of flows in general.
    Idle,
    /// That of TCP.
    TcpIdle,
}

impl Limits {
    /// Seconds, if nothing is said: as the load balancer has it.
    pub const DEFAULT_IDLE: u16 = 350;
    /// The longest time, seconds.
    pub const MAX_IDLE: u16 = 6000;

    /// As the load balancer has them, unless it is told otherwise.
    pub const DEFAULT: Self = Self {
        idle: Self::DEFAULT_IDLE,
        tcp_idle: Self::DEFAULT_IDLE,
    };

    /// Limits of flows in general and of TCP, each 1 to [`Self::MAX_IDLE`].
    pub const fn new(idle: u16, tcp_idle: u16) -> Result<Self, Unfit> {
        if idle == 0 || idle > Self::MAX_IDLE {
            return Err(Unfit::Idle);
        }
        if tcp_idle == 0 || tcp_idle > Self::MAX_IDLE {
            return Err(Unfit::TcpIdle);
        }
        Ok(Self { idle, tcp_idle })
    }

    /// That of flows in general.
    #[must_use]
    pub const fn idle(self) -> u16 {
        self.idle
    }

    /// That of TCP.
    #[must_use]
    pub const fn tcp_idle(self) -> u16 {
        self.tcp_idle
    }

    /// The longer one.
    #[inline]
    pub(super) fn longest(self) -> u16 {
        self.idle.max(self.tcp_idle)
    }
}

/// The word of an entry beside its flow and header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta(pub(super) u64);

impl Meta {
    /// After the first packet of a flow.
    #[inline]
    pub(super) const fn first(tag: u8, is_tcp: bool, turn: Turn, now: u32) -> Self {
        let tcp = if is_tcp { TCP } else { 0 };
        Self(KEPT | tcp | (tag as u64) << TAG_SHIFT | come(turn)).at(now)
    }

    #[inline]
    const fn at(self, now: u32) -> Self {
        Self(self.0 & !TIME | (now as u64 & TIME_BITS) << TIME_SHIFT)
    }

    /// After a packet of the flow has come.
    #[inline]
    pub(super) const fn come(self, turn: Turn, now: u32) -> Self {
        let kept = match turn {
            // Another connection with the same ports. That a packet has gone back says nothing about it.
            Turn::Opens if self.0 & CLOSING != 0 => self.0 & !(CLOSING | REPLIED | SETTLED),
            // A SYN that is sent again shows that its sender has not got the answer.
            Turn::Opens => self.0,
            _ if self.0 & REPLIED != 0 => self.0 | SETTLED,
            _ => self.0,
        };
        Self(kept | come(turn)).touched(now)
    }

    /// After a packet has gone back in the entry's own direction: an appliance that forwards has passed it on. That nobody has
    /// answered it shows nothing.
    #[inline]
    pub(super) const fn passed_on(self, turn: Turn, now: u32) -> Self {
        Self(self.0 | come(turn)).touched(now)
    }

    /// After a packet has gone back in the other direction: an answer.
    #[inline]
    pub(super) const fn answered(self, turn: Turn, now: u32) -> Self {
        let bits = match turn {
            // Another connection with the same ports, which the other side opens.
            Turn::Opens if self.0 & CLOSING != 0 => self.0 & !(CLOSING | SETTLED) | REPLIED,
            Turn::Opens | Turn::Amid => self.0 | REPLIED,
            Turn::Ends => self.0 | REPLIED | FIN_GONE,
            Turn::Resets => self.0 | REPLIED | RESET,
            // Anybody who is sent something may have to refuse it.
            Turn::Reports => self.0,
        };
        Self(bits).touched(now)
    }

    /// With this second, unless the word has it or another CPU's clock is ahead.
    #[inline]
    const fn touched(self, now: u32) -> Self {
        match self.age(now) {
            0 => self,
            _ => self.at(now),
        }
    }

    /// Seconds since the last packet.
    #[inline]
    pub(super) const fn age(self, now: u32) -> u32 {
        let then = self.0 >> TIME_SHIFT & TIME_BITS;
        let age = (now as u64).wrapping_sub(then) & TIME_BITS;
        // Another CPU may have read the clock a moment later. The cast is exact.
        if age > TIME_BITS - FUTURE {
            0
        } else {
            age as u32
        }
    }

    /// Whether the entry's flow is forgotten by now.
    #[inline]
    pub(super) fn is_over(self, limits: Limits, now: u32) -> bool {
        let limit = u32::from(match self.0 & TCP {
            0 => limits.idle,
            _ => limits.tcp_idle,
        });
        let limit = match self.0 & CLOSING {
            0 => limit,
            FIN_COME | FIN_GONE => limit.min(HALF_CLOSED),
            _ => limit.min(CLOSED),
        };
        self.age(now) > limit
    }

    #[inline]
    pub(super) const fn is_kept(self) -> bool {
        self.0 & KEPT != 0
    }

    #[inline]
    pub(super) const fn is_claimed(self) -> bool {
        self.0 & CLAIMED != 0
    }

    #[inline]
    pub(super) const fn is_settled(self) -> bool {
        self.0 & SETTLED != 0
    }

    /// Whether another endpoint has, or may have, the same flow.
    #[inline]
    pub(super) const fn is_shared(self) -> bool {
        self.0 & SHARED != 0
    }

    /// The same, where another endpoint has, or may have, the same flow.
    #[inline]
    pub(super) const fn shared(self) -> Self {
        Self(self.0 | SHARED)
    }

    /// Whether the connection has seen its end.
    #[inline]
    pub(super) const fn is_closing(self) -> bool {
        self.0 & CLOSING != 0
    }

    #[inline]
    pub(super) const fn tag(self) -> u8 {
        // The cast keeps the low bits.
        (self.0 >> TAG_SHIFT) as u8
    }

    /// The entry while a flow with this tag is being written.
    #[inline]
    pub(super) const fn claimed(self, tag: u8) -> Self {
        let version = self.0.wrapping_add(VERSION_ONE) & VERSION;
        Self(version | (tag as u64) << TAG_SHIFT | CLAIMED)
    }

    /// The entry without a flow.
    #[inline]
    pub(super) const fn vacant(self) -> Self {
        Self(self.0.wrapping_add(VERSION_ONE) & VERSION)
    }

    /// With the version of another.
    #[inline]
    pub(super) const fn in_version_of(self, other: Self) -> Self {
        Self(self.0 & !VERSION | other.0 & VERSION)
    }

    /// Whether `other` was read from the same entry while it had the same flow and header.
    #[inline]
    pub(super) const fn has_same_content(self, other: Self) -> bool {
        (self.0 ^ other.0) & (VERSION | KEPT | CLAIMED) == 0
    }
}

#[inline]
const fn come(turn: Turn) -> u64 {
    match turn {
        Turn::Opens | Turn::Amid | Turn::Reports => 0,
        Turn::Ends => FIN_COME,
        Turn::Resets => RESET,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Limits = Limits {
        idle: 40,
        tcp_idle: 400,
    };

    fn first(is_tcp: bool, now: u32) -> Meta {
        Meta::first(0xa5, is_tcp, Turn::Opens, now)
    }

    #[test]
    fn limits() {
        assert_eq!(Limits::new(350, 6000).map(Limits::longest), Ok(6000));
        assert_eq!(Limits::new(0, 350), Err(Unfit::Idle));
        assert_eq!(Limits::new(6001, 350), Err(Unfit::Idle));
        assert_eq!(Limits::new(350, 0), Err(Unfit::TcpIdle));
        assert_eq!(Limits::new(350, 6001), Err(Unfit::TcpIdle));
    }

    #[test]
    fn fields_do_not_touch_each_other() {
        let mut old = Meta(0);
        for now in [0, 1, u32::MAX, 1 << 26] {
            let claimed = old.claimed(0xa5);
            assert!(claimed.is_claimed() && !claimed.is_kept());
            let meta = first(true, now).in_version_of(claimed);
            assert!(meta.is_kept() && !meta.is_claimed() && !meta.is_settled());
            assert_eq!((meta.tag(), claimed.tag(), meta.age(now)), (0xa5, 0xa5, 0));
            let gone = meta.answered(Turn::Ends, now.wrapping_add(9)).shared();
            assert!(gone.is_shared() && !meta.is_shared() && gone.age(now.wrapping_add(9)) == 0);
            assert!(meta.has_same_content(gone.come(Turn::Amid, now)));
            assert!(!meta.has_same_content(meta.claimed(0xa5)));
            assert!(!meta.has_same_content(old) && !claimed.has_same_content(meta));
            let vacant = gone.vacant();
            assert!(!vacant.is_kept() && !vacant.is_claimed() && !vacant.is_shared());
            assert!(!vacant.has_same_content(gone));
            old = meta;
        }
    }

    #[test]
    fn time_comes_round() {
        for start in [0, 5000, (1 << 26) - 20, u32::MAX - 20] {
            for (is_tcp, limit) in [(false, 40), (true, 400)] {
                let meta = first(is_tcp, start);
                assert!(!meta.is_over(SHORT, start.wrapping_add(limit)));
                assert!(meta.is_over(SHORT, start.wrapping_add(limit + 1)));
                // A CPU whose clock is behind.
                assert!(!meta.is_over(SHORT, start.wrapping_sub(1)));
                assert_eq!(meta.come(Turn::Amid, start.wrapping_sub(1)), meta);
                let later = meta.come(Turn::Amid, start.wrapping_add(30));
                assert!(!later.is_over(SHORT, start.wrapping_add(30 + limit)));
            }
        }
    }

    /// All seconds of the word: an entry that nobody touches is over from its limit on until the clock comes round.
    #[test]
    fn what_is_over_stays_over() {
        let meta = first(false, 1000);
        let mut after = 41u32;
        while after < (1 << 26) - 8 {
            assert!(meta.is_over(SHORT, 1000 + after), "{after}");
            after += 97;
        }
        assert_eq!(meta.age(1000 + (1 << 25) + 1), (1 << 25) + 1);
        assert!(meta.is_over(SHORT, 1000 + (1 << 26) - 9));
    }

    #[test]
    fn ends_of_a_connection() {
        let over = |meta: Meta| (0..1000).find(|age| meta.is_over(SHORT, age + 1));
        let open = first(true, 0);
        assert_eq!(over(open), Some(400));
        let half = open.come(Turn::Ends, 0);
        assert_eq!(over(half), Some(HALF_CLOSED));
        assert_eq!(over(open.answered(Turn::Ends, 0)), Some(HALF_CLOSED));
        // The same FIN once more is not the other side's.
        assert_eq!(over(half.come(Turn::Ends, 0)), Some(HALF_CLOSED));
        assert_eq!(over(half.passed_on(Turn::Ends, 0)), Some(HALF_CLOSED));
        let closed = half.answered(Turn::Ends, 0);
        assert_eq!(over(closed), Some(CLOSED));
        assert_eq!(over(closed.come(Turn::Amid, 0)), Some(CLOSED));
        for reset in [open.come(Turn::Resets, 0), open.answered(Turn::Resets, 0)] {
            assert_eq!(over(reset), Some(CLOSED));
            assert!(reset.is_closing());
            // The next connection with the same ports, whichever side opens it.
            for next in [reset.come(Turn::Opens, 0), reset.answered(Turn::Opens, 0)] {
                assert_eq!(over(next), Some(400));
                assert!(!next.is_closing() && !next.is_settled());
            }
        }
    }

    #[test]
    fn a_flow_is_settled_when_its_sender_has_got_something() {
        let syn = first(true, 0);
        let answered = syn.answered(Turn::Amid, 0);
        assert!(!answered.is_settled());
        assert!(!answered.come(Turn::Opens, 0).is_settled());
        assert!(answered.come(Turn::Amid, 0).is_settled());
        assert!(!syn.come(Turn::Amid, 0).is_settled());
        // That it was passed on, again and again, is no answer; nor is an error.
        let mut flood = syn;
        for now in 0..3 {
            flood = flood.passed_on(Turn::Amid, now).come(Turn::Amid, now);
            flood = flood.answered(Turn::Reports, now).come(Turn::Amid, now);
        }
        assert!(!flood.is_settled());
        let answered = flood.answered(Turn::Amid, 3);
        assert!(!answered.is_settled() && answered.come(Turn::Amid, 3).is_settled());
    }
}
