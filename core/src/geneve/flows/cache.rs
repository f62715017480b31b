// SPDX-License-Identifier: GPL-2.0

//! All buckets, at one second.

use super::bucket::{Answer, Bucket, Clock, Coming, Going, Outcome, Pair, Sought, SLOTS};
use super::entry::{self, halves, Content, Held, Key, Unpacked, Way, WORDS};
use super::meta::Limits;
use super::tuple::{Tuple, Turn};
use crate::geneve::envelope::Envelope;
use crate::packet::ip::Addrs;
use crate::siphash::SipKey;

/// Most flows of a cache: the kernel gives no more than 2 GiB at once.
pub const MAX_FLOWS: u32 = 13_000_000;

/// Buckets that are looked at to say how many flows there are: all of a cache for up to 218,453 flows.
const SAMPLE: usize = 32_768;

/// Buckets of such a sample between two pauses.
const PAUSE: usize = 1024;

/// How large a cache is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    buckets: u32,
}

/// More flows than [`MAX_FLOWS`], or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl Spec {
    /// Of a cache for so many flows.
    pub const fn for_flows(flows: u32) -> Result<Self, TooMany> {
        if flows == 0 || flows > MAX_FLOWS {
            return Err(TooMany);
        }
        // A fifth more entries than flows: then hardly any flow finds both of its buckets full.
        let entries = flows as u64 * 6 / 5;
        Ok(Self {
            // At most 1,950,000.
            buckets: entries.div_ceil(SLOTS as u64) as u32,
        })
    }

    /// Its buckets.
    #[must_use]
    pub const fn buckets(self) -> usize {
        self.buckets as usize
    }

    /// Their bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.buckets as u64 * size_of::<Bucket>() as u64
    }
}

/// The flow cache at one second.
#[derive(Clone, Copy)]
pub struct Cache<'a> {
    /// One at least.
    pub buckets: &'a [Bucket],
    /// Nobody outside knows it.
    pub secret: &'a SipKey,
    /// How long flows are remembered.
    pub limits: Limits,
    /// The second, by a clock that does not go back.
    pub now: u32,
}

/// What became of the flow of a packet that has come; each packet with a flow is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Event {
    /// It was known.
    Known,
    /// It is known from now on.
    First,
    /// Likewise, in the place of another one of which no packet had come since it had been answered, or none for a minute.
    Replaced,
    /// There is no room for it.
    Refused,
    /// Its header has more options than an entry holds.
    TooLong,
    /// Other CPUs were at its entries, each time that it was looked at.
    Busy,
}

impl Event {
    /// All of them, in the order of the counters.
    pub const ALL: [Self; 6] = [
        Self::Known,
        Self::First,
        Self::Replaced,
        Self::Refused,
        Self::TooLong,
        Self::Busy,
    ];

    /// Name of its counter.
    #[must_use]
    pub const fn counter(self) -> &'static str {
        match self {
            Self::Known => "known_flow_packets",
            Self::First => "first_flow_packets",
            Self::Replaced => "replaced_flow_packets",
            Self::Refused => "refused_flow_packets",
            Self::TooLong => "too_long_flow_packets",
            Self::Busy => "busy_flow_packets",
        }
    }

    /// Whether the flow has an entry, and so a way back.
    #[inline]
    #[must_use]
    pub const fn is_kept(self) -> bool {
        match self {
            Self::Known | Self::First | Self::Replaced => true,
            Self::Refused | Self::TooLong | Self::Busy => false,
        }
    }

    /// Position of its counter.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What there is for a packet that goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The header of its flow.
    Header(Held),
    /// Nothing: its flow came without a header, or has been forgotten.
    Nothing,
    /// Flows of several endpoints have these addresses and ports, or may have: no header is certain.
    Several,
    /// Another CPU has been writing the entry for too long.
    Busy,
}

/// An entry, to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Flow, endpoint and header.
    pub held: Unpacked,
    /// Seconds since the last packet.
    pub idle: u32,
    /// Whether a FIN or RST has been seen.
    pub closing: bool,
}

/// A flow, and what its hash says.
struct Hashed<'a> {
    key: Key,
    hash: u64,
    secret: &'a SipKey,
}

impl Sought<WORDS> for Hashed<'_> {
    #[inline]
    fn tag(&self) -> u8 {
        // The cast keeps the low bits, which choose no bucket.
        self.hash as u8
    }

    #[inline]
    fn way(&self, content: &Content) -> Option<Way> {
        self.key.way(content)
    }

    #[inline]
    fn endpoint(content: &Content) -> u64 {
        entry::endpoint(content)
    }

    #[inline]
    fn mark(&self, endpoint: u64) -> u32 {
        // The cast takes the upper half.
        (self.secret.hash_8(endpoint.to_be_bytes()) >> 32) as u32
    }
}

impl<'a> Cache<'a> {
    /// Remembers the header of a packet that has come: at this endpoint, of this flow, doing this to its connection. What has no entry
    /// then ([`Event::is_kept`]) must not be let in: its answer would leave in the header of another endpoint that has the same flow.
    pub fn record(
        &self,
        endpoint: u64,
        tuple: &Tuple,
        turn: Turn,
        envelope: &Envelope<'_>,
    ) -> Event {
        let Some(content) = entry::pack(tuple, endpoint, envelope) else {
            return Event::TooLong;
        };
        let hashed = self.hashed(tuple);
        let Some(pair) = self.pair(hashed.hash) else {
            return Event::Refused;
        };
        let coming = Coming {
            content: &content,
            is_tcp: tuple.is_tcp(),
            turn,
        };
        match pair.record(&hashed, &coming, self.clock()) {
            Outcome::Known => Event::Known,
            Outcome::First => Event::First,
            Outcome::Replaced => Event::Replaced,
            Outcome::Refused => Event::Refused,
            Outcome::Busy => Event::Busy,
        }
    }

    /// The header for a packet that goes back. Who knows its endpoint gets that one's; who does not gets one if only one endpoint
    /// can be meant.
    pub fn find(&self, tuple: &Tuple, turn: Turn, endpoint: Option<u64>) -> Found {
        let hashed = self.hashed(tuple);
        let Some(pair) = self.pair(hashed.hash) else {
            return Found::Nothing;
        };
        match pair.find(&hashed, &Going { endpoint, turn }, self.clock()) {
            Answer::Entry(content) => Found::Header(Held::new(content)),
            Answer::Nothing => Found::Nothing,
            Answer::Several => Found::Several,
            Answer::Busy => Found::Busy,
        }
    }

    /// How many flows there are. Of a large cache a sample is looked at, which is spread evenly over it: the hash of flows is
    /// secret, so nobody can fill what is looked at, or what is not. `pause` is called now and then.
    pub fn in_use(&self, mut pause: impl FnMut()) -> usize {
        let len = self.buckets.len();
        let step = len.div_ceil(SAMPLE);
        let (mut at, mut seen, mut found) = (0usize, 0usize, 0usize);
        while let Some(bucket) = self.buckets.get(at) {
            found = found.wrapping_add(bucket.in_use(self.clock()));
            seen = seen.wrapping_add(1);
            at = at.wrapping_add(step);
            if seen % PAUSE == 0 {
                pause();
            }
        }
        // At most eight times the sample, times 1,950,000.
        let all = (found as u64).wrapping_mul(len as u64);
        all.checked_div(seen as u64).unwrap_or(0) as usize
    }

    /// The flows of a bucket.
    pub fn listed(&self, bucket: &'a Bucket) -> impl Iterator<Item = Listed> + 'a {
        let now = self.now;
        bucket
            .entries(self.clock())
            .filter_map(move |(meta, content)| {
                Some(Listed {
                    held: Held::new(content).unpack()?,
                    idle: meta.age(now),
                    closing: meta.is_closing(),
                })
            })
    }

    #[inline]
    fn clock(&self) -> Clock {
        Clock {
            limits: self.limits,
            now: self.now,
        }
    }

    #[inline]
    fn hashed(&self, tuple: &Tuple) -> Hashed<'a> {
        Hashed {
            key: Key::new(tuple),
            hash: hash(self.secret, tuple),
            secret: self.secret,
        }
    }

    /// Any number of buckets is filled evenly, not only a power of two.
    #[inline]
    fn pair(&self, hash: u64) -> Option<Pair<'a, core::sync::atomic::AtomicU64, SLOTS, WORDS>> {
        let count = self.buckets.len();
        // The casts are exact: the products' upper halves are below the number of buckets, and that is below 2^32.
        let at = |half: u32| (u64::from(half).wrapping_mul(count as u64) >> 32) as usize;
        let first = at((hash >> 32) as u32);
        let mut second = at(hash as u32);
        if second == first {
            second = second.wrapping_add(1);
            if second >= count {
                second = 0;
            }
        }
        let second = (second != first)
            .then(|| self.buckets.get(second))
            .flatten();
        Some(Pair {
            first: &self.buckets.get(first)?.0,
            second: second.map(|bucket| &bucket.0),
        })
    }
}

/// What chooses the buckets of a flow, the same for both directions: the ends in their order, and the protocol. No more than a place
/// depends on it, as entries are compared as a whole.
#[inline]
fn hash(secret: &SipKey, tuple: &Tuple) -> u64 {
    let last = |a: u64, b: u64, len: u64| {
        (a & 0xffff) << 16 | b & 0xffff | u64::from(tuple.proto) << 32 | len << 56
    };
    let (src_port, dst_port) = (u64::from(tuple.src_port), u64::from(tuple.dst_port));
    match &tuple.addrs {
        Addrs::V4 { src, dst } => {
            let end = |addr: &[u8; 4], port| u64::from(u32::from_be_bytes(*addr)) << 16 | port;
            let (a, b) = in_order(end(src, src_port), end(dst, dst_port));
            secret.place([a >> 16 << 32 | b >> 16], last(a, b, 13))
        }
        Addrs::V6 { src, dst } => {
            let ([s0, s1], [d0, d1]) = (halves(src), halves(dst));
            let (a, b) = in_order((s0, s1, src_port), (d0, d1, dst_port));
            secret.place([a.0, a.1, b.0, b.1], last(a.2, b.2, 37))
        }
    }
}

#[inline]
fn in_order<T: Ord>(a: T, b: T) -> (T, T) {
    if b < a {
        (b, a)
    } else {
        (a, b)
    }
}
