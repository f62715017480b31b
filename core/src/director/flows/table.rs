// SPDX-License-Identifier: GPL-2.0

//! The flow table of one service.

use super::bucket::{Clock, Entries, Outcome};
use super::key::{By, Key, Kind};
use super::meta::MAX_TIMEOUT;
use crate::director::classify::bind::Proto;
use crate::director::ids::Tag;
use crate::director::inspect::{self, Candidate, Turn};
use crate::netlink::glb;
use crate::packet::addr::Addr;
use crate::siphash::SipKey;
use core::sync::atomic::AtomicU64;

pub use super::bucket::ENTRIES;

/// A bucket: four entries in a cache line.
#[repr(C, align(64))]
pub struct Bucket(Entries<AtomicU64>);

const _: () = assert!(size_of::<Bucket>() == 64 && align_of::<Bucket>() == 64);

impl Bucket {
    /// A bucket without an entry.
    #[must_use]
    pub const fn new() -> Self {
        const fn nothing() -> super::bucket::Entry<AtomicU64> {
            super::bucket::Entry {
                meta: AtomicU64::new(0),
                addrs: AtomicU64::new(0),
            }
        }
        Self(Entries([nothing(), nothing(), nothing(), nothing()]))
    }

    /// Ends the entries of the backends that are wanted; says how many.
    pub fn release(&self, wanted: impl Fn(Tag) -> bool) -> usize {
        self.0.release(|meta| wanted(meta.tag()))
    }

    /// The same, and says how many of them were still remembered at this second.
    pub fn flush(&self, wanted: impl Fn(Tag) -> bool, rules: Rules, now: u16) -> usize {
        self.0
            .release(|meta| wanted(meta.tag()) && meta.is_over(rules.timeout, now));
        self.release(wanted)
    }

    /// Ends the entries whose time is over, before a longer time makes some of them younger.
    pub fn expire(&self, rules: Rules, now: u16) {
        self.0.release(|meta| meta.is_over(rules.timeout, now));
    }

    /// What is remembered here, at this second.
    pub fn list(&self, rules: Rules, now: u16) -> impl Iterator<Item = Listed> + '_ {
        let listed = move |entry| {
            let (addrs, meta) = Entries::read(entry)?;
            if meta.is_over(rules.timeout, now) {
                return None;
            }
            // The casts take the halves.
            let v4 = |proto| {
                let client = Addr::V4(((addrs >> 32) as u32).to_be_bytes());
                match rules.by {
                    By::Source => Who::Client(client),
                    By::Flow => Who::Flow {
                        proto,
                        client: (client, (meta.ports() >> 16) as u16),
                        bound: (Addr::V4((addrs as u32).to_be_bytes()), meta.ports() as u16),
                    },
                }
            };
            Some(Listed {
                who: match meta.kind()? {
                    Kind::V4Tcp => v4(Proto::Tcp),
                    Kind::V4Udp => v4(Proto::Udp),
                    Kind::Fingerprint => Who::Fingerprint(addrs, meta.ports()),
                },
                tag: meta.tag(),
                idle: meta.age(now),
                closing: meta.is_closing(),
            })
        };
        self.0 .0.iter().filter_map(listed)
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self::new()
    }
}

/// An entry, to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Whose it is.
    pub who: Who,
    /// The backend.
    pub tag: Tag,
    /// Seconds since the last packet.
    pub idle: u16,
    /// Whether a FIN or RST has been seen.
    pub closing: bool,
}

/// Whose an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A flow.
    Flow {
        /// Its protocol.
        proto: Proto,
        /// Client's address and port.
        client: (Addr, u16),
        /// Bound address and port.
        bound: (Addr, u16),
    },
    /// A client.
    Client(Addr),
    /// What only its fingerprint is known of.
    Fingerprint(u64, u32),
}

/// How a service remembers flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Seconds without a packet after which a flow is forgotten, 1 to [`Rules::MAX_TIMEOUT`].
    pub timeout: u16,
    /// What is remembered.
    pub by: By,
}

impl Rules {
    /// The longest timeout, seconds: twelve hours. The clock of the entries comes round after 18 hours.
    pub const MAX_TIMEOUT: u16 = MAX_TIMEOUT;
    /// The timeout, if none is given.
    pub const DEFAULT_TIMEOUT: u16 = 40;
    /// Most buckets: 64 MiB.
    pub const MAX_BUCKETS: u32 = glb::MAX_FLOW_BUCKETS;
    /// Buckets, if their number is not given: 1 MiB.
    pub const DEFAULT_BUCKETS: u32 = 16_384;
}

/// What the operator wants of a service's flow table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Buckets, 1 to [`Rules::MAX_BUCKETS`].
    pub buckets: u32,
    /// How flows are remembered.
    pub rules: Rules,
}

impl Spec {
    /// Bytes of the flow tables of one load together, at most.
    pub const MAX_BYTES: u64 = 1 << 30;

    /// Buckets of each of `tables` tables that do not say how many they want, where those of the others take `others` bytes:
    /// the default, or, if these are more than [`Self::MAX_BYTES`], the largest power of two that fits. So the number changes
    /// seldom when tables come: a table that gets another one forgets its flows. `None` if nothing fits.
    #[must_use]
    pub fn share(tables: usize, others: u64) -> Option<u32> {
        let free = Self::MAX_BYTES.checked_sub(others)?;
        let mut buckets = Rules::DEFAULT_BUCKETS;
        while buckets > 0 {
            let each = u64::from(buckets).wrapping_mul(size_of::<Bucket>() as u64);
            if each
                .checked_mul(tables as u64)
                .is_some_and(|all| all <= free)
            {
                return Some(buckets);
            }
            buckets >>= 1;
        }
        None
    }

    /// The spec of these numbers, or which of them is wrong.
    pub const fn new(buckets: u32, timeout: u16, by: By) -> Result<Self, Unfit> {
        if buckets == 0 || buckets > Rules::MAX_BUCKETS {
            return Err(Unfit::Buckets);
        }
        if timeout == 0 || timeout > Rules::MAX_TIMEOUT {
            return Err(Unfit::Timeout);
        }
        let rules = Rules { timeout, by };
        Ok(Self { buckets, rules })
    }

    /// Bytes of the buckets.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        (self.buckets as u64).wrapping_mul(size_of::<Bucket>() as u64)
    }
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            buckets: Rules::DEFAULT_BUCKETS,
            rules: Rules {
                timeout: Rules::DEFAULT_TIMEOUT,
                by: By::default(),
            },
        }
    }
}

/// What of a [`Spec`] is out of its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The number of buckets.
    Buckets,
    /// The timeout.
    Timeout,
}

/// The flow table of a service, at one second.
#[derive(Clone, Copy)]
pub struct FlowTable<'a> {
    /// 1 to [`Rules::MAX_BUCKETS`] of them.
    pub buckets: &'a [Bucket],
    /// Nobody outside knows it.
    pub secret: &'a SipKey,
    /// How flows are remembered.
    pub rules: Rules,
    /// The second.
    pub now: u16,
}

impl<'a> FlowTable<'a> {
    #[inline]
    fn bucket(&self, key: &Key) -> Option<&'a Entries<AtomicU64>> {
        let bucket = self.buckets.get(key.bucket(self.buckets.len()))?;
        Some(&bucket.0)
    }

    #[inline]
    fn clock(&self) -> Clock {
        Clock {
            timeout: self.rules.timeout,
            now: self.now,
        }
    }
}

/// What became of a packet of a service with a flow table; each packet is one of these but ICMP messages, and later fragments
/// of TCP and UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Event {
    /// Its flow was known.
    Known,
    /// Its flow was not known, and is now.
    First,
    /// Its flow was not known, and there is no room: it goes by its row.
    Untracked,
    /// Its flow was not known, and the table has no backend for it. Nothing is kept.
    NoBackend,
}

impl Event {
    /// All of them, in the order of the counters.
    pub const ALL: [Self; 4] = [Self::Known, Self::First, Self::Untracked, Self::NoBackend];

    /// Name of its counter.
    #[must_use]
    pub const fn counter(self) -> &'static str {
        match self {
            Self::Known => "known_flow_packets",
            Self::First => "first_flow_packets",
            Self::Untracked => "untracked_flow_packets",
            Self::NoBackend => "no_backend_flow_packets",
        }
    }

    /// Position of its counter.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A flow table, the backends that it points to, and whether it learns.
pub trait Memory {
    /// The table, at this second.
    fn table(&self) -> FlowTable<'_>;
    /// The table's secret.
    fn secret(&self) -> &SipKey;
    /// The table's rules.
    fn rules(&self) -> Rules;
    /// The backend that a tag means, by its index, if it keeps its flows.
    fn backend(&self, tag: Tag) -> Option<u8>;
    /// The tag of a backend.
    fn tag(&self, backend: u8) -> Option<Tag>;
    /// Whether the packet is on its way; otherwise the question is what would become of it, and nothing is written.
    fn learns(&self) -> bool;
    /// Counts a packet.
    fn count(&self, event: Event);
}

/// The key of a packet whose flow is asked for in few steps: of TCP or UDP, on its way.
#[inline(always)]
pub fn key<M: Memory>(memory: &M, packet: &Candidate) -> Option<Key> {
    match packet.kind {
        inspect::Kind::Flow(proto) if memory.learns() => {
            let (secret, by) = (memory.secret(), memory.rules().by);
            Some(Key::new(secret, by, proto, &packet.key))
        }
        _ => None,
    }
}

/// The backend that the flow with this [`key`] is remembered with, if it is found at once, as nearly always. Of another one nothing is
/// said, nothing is written and nothing is counted: [`learn`] does, which does the same with this one.
#[inline(always)]
pub fn known<M: Memory>(memory: &M, packet: &Candidate, key: &Key) -> Option<u8> {
    let table = memory.table();
    let turn = match table.rules.by {
        By::Flow => packet.turn(),
        By::Source => Turn::Amid,
    };
    let bucket = table.bucket(key)?;
    let (entry, meta) = bucket.known(key, table.clock())?;
    let backend = memory.backend(meta.tag())?;
    entry.touch(meta, turn, table.clock());
    memory.count(Event::Known);
    Some(backend)
}

/// The backend that a packet's flow is remembered with, if it is another than `first`, the first one of its row. A flow that is
/// not remembered is from now on.
#[inline]
pub fn follow<M: Memory>(memory: &M, packet: &Candidate, first: Option<u8>) -> Option<u8> {
    let table = memory.table();
    let by = table.rules.by;
    let (proto, is_flow) = match packet.kind {
        inspect::Kind::Flow(proto) => (Ok(proto), true),
        inspect::Kind::IcmpError(proto)
        | inspect::Kind::IcmpFailure(proto)
        | inspect::Kind::LaterFragment(proto) => (Ok(proto), false),
        inspect::Kind::Portless(number) => (Err(number), true),
        inspect::Kind::PortlessIcmpError(number) => (Err(number), false),
        // An echo request has no flow, but a client.
        inspect::Kind::Echo | inspect::Kind::EchoIcmpError => match by {
            By::Flow => return None,
            By::Source => (Ok(Proto::Tcp), false),
        },
    };
    let key = match proto {
        Ok(proto) => Key::new(table.secret, by, proto, &packet.key),
        Err(number) => Key::of_portless(table.secret, by, number, &packet.key),
    };
    if is_flow && memory.learns() {
        return learn(memory, packet, &key, first);
    }
    let offered = first.and_then(|first| memory.tag(first));
    let keeps = |tag| memory.backend(tag).is_some() || offered == Some(tag);
    let bucket = table.bucket(&key)?;
    let tag = bucket.peek(&key, table.clock()).filter(|tag| keeps(*tag));
    // Where it is the row's own, there is nothing to change.
    let tag = tag.filter(|tag| offered != Some(*tag))?;
    memory.backend(tag)
}

/// The same of a packet whose flow has this key, and that is on its way.
#[inline]
pub fn learn<M: Memory>(
    memory: &M,
    packet: &Candidate,
    key: &Key,
    first: Option<u8>,
) -> Option<u8> {
    let table = memory.table();
    let offered = first.and_then(|first| memory.tag(first));
    let keeps = |tag| memory.backend(tag).is_some() || offered == Some(tag);
    // A client has other connections than the one that ends.
    let turn = match table.rules.by {
        By::Flow => packet.turn(),
        By::Source => Turn::Amid,
    };
    let bucket = table.bucket(key)?;
    let outcome = bucket.follow((key, turn), table.clock(), offered, keeps);
    memory.count(match outcome {
        Outcome::Known(_) => Event::Known,
        Outcome::First => Event::First,
        Outcome::Untracked if first.is_none() => Event::NoBackend,
        Outcome::Untracked => Event::Untracked,
    });
    let Outcome::Known(tag) = outcome else {
        return None;
    };
    // Where it is the row's own, there is nothing to change.
    match offered == Some(tag) {
        true => None,
        false => memory.backend(tag),
    }
}
