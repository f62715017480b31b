// SPDX-License-Identifier: GPL-2.0

//! The flow cache of a namespace: whose header goes back with which packet (`core/src/geneve/flows`), and the counters of
//! endpoints. Packets of all CPUs write both. Beside them is what the kernel has answered and need not be asked again as long as
//! it would answer the same: routes (`kernel/shim/out/kept.h`) and addresses.

#![forbid(unsafe_code)]

use super::{spec, Cache};
use glb_core::geneve::endpoints::{Endpoints, PLACES};
use glb_core::geneve::flows::{self, Bucket, Event, Found, Tuple, Turn, SLOTS};
use glb_core::geneve::Envelope;
use glb_core::siphash::SipKey;
use glb_kernel::base::counters::Counters;
use glb_kernel::base::memory::{free_later, wait_for_freed};
use glb_kernel::base::vec::Append;
use glb_kernel::base::{random, time};
use glb_kernel::out::route::Routes;
use glb_kernel::sockets::here::Locals;
use kernel::alloc::flags::__GFP_NOWARN;
use kernel::prelude::*;
use kernel::sync::Arc;

/// Buckets between two pauses of process context, and between two of a list.
pub(crate) const PIECE: usize = 1024;

/// Counters of an endpoint: packets and bytes, of either direction.
pub(crate) const OF_ENDPOINT: usize = 4;

/// Which direction of an endpoint.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(crate) enum Direction {
    /// From the load balancer.
    Came = 0,
    /// To it.
    Left = 2,
}

/// The flow cache, and what is counted beside it.
pub(crate) struct Memory {
    /// What it was made for.
    pub(crate) cache: Cache,
    buckets: KVVec<Bucket>,
    /// Nobody outside knows it, so nobody can aim at buckets.
    secret: SipKey,
    events: Counters<{ Event::ALL.len() }>,
    endpoints: Endpoints,
    of_endpoints: Counters<{ PLACES * OF_ENDPOINT }>,
    /// The routes to the load balancers.
    pub(crate) routes: Routes,
    /// The addresses that packets come to.
    pub(crate) locals: Locals,
}

impl Memory {
    /// An empty one. What others had that have gone is free before, so no more than this one comes on top of those in use.
    pub(crate) fn new(cache: Cache) -> Result<Arc<Self>> {
        wait_for_freed();
        let gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
        let len = spec(cache.flows)?.buckets();
        let mut buckets = KVVec::with_capacity(len, gfp)?;
        let mut left = PIECE;
        while buckets.len() < len {
            buckets.append(Bucket::new(), gfp)?;
            left = left.wrapping_sub(1);
            if left == 0 {
                time::pause();
                left = PIECE;
            }
        }
        let memory = Self {
            cache,
            buckets,
            secret: SipKey::new(&random::bytes()),
            events: Counters::new()?,
            endpoints: Endpoints::new(),
            of_endpoints: Counters::new()?,
            routes: Routes::default(),
            locals: Locals::default(),
        };
        memory.routes.prepare()?;
        Ok(Arc::new(memory, GFP_KERNEL_ACCOUNT)?)
    }

    /// The cache at this second.
    #[inline]
    pub(crate) fn flows(&self) -> flows::Cache<'_> {
        flows::Cache {
            buckets: &self.buckets,
            secret: &self.secret,
            limits: self.cache.limits,
            now: now(),
        }
    }

    /// Remembers the header of a packet that has come. Not, if there is no room; the packet must not go on then.
    #[inline]
    #[must_use]
    pub(crate) fn record(
        &self,
        endpoint: u64,
        of: (&Tuple, Turn),
        envelope: &Envelope<'_>,
    ) -> bool {
        let (tuple, turn) = of;
        let event = self.flows().record(endpoint, tuple, turn, envelope);
        self.events.add_at(event.index(), 1);
        event.is_kept()
    }

    /// The header for a packet that goes back.
    #[inline]
    pub(crate) fn find(&self, tuple: &Tuple, turn: Turn) -> Found {
        self.flows().find(tuple, turn, None)
    }

    /// Counts a packet of an endpoint.
    #[inline]
    pub(crate) fn count(&self, endpoint: u64, direction: Direction, bytes: usize) {
        let place = self.endpoints.place(endpoint);
        let at = place
            .wrapping_mul(OF_ENDPOINT)
            .wrapping_add(direction as usize);
        self.of_endpoints.add_pair(at, bytes as u64);
    }

    /// The endpoint of a place, and its counters.
    pub(crate) fn endpoint(&self, place: usize) -> (Option<u64>, [u64; OF_ENDPOINT]) {
        let first = place.wrapping_mul(OF_ENDPOINT);
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| self.of_endpoints.sum(first.wrapping_add(at)));
        (self.endpoints.at(place), [a, b, c, d])
    }

    /// Some of the buckets, from this one on.
    pub(crate) fn piece(&self, first: usize) -> &[Bucket] {
        let rest = self.buckets.get(first..).unwrap_or_default();
        rest.get(..PIECE).unwrap_or(rest)
    }

    /// How many buckets there are.
    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// How many flows there are, or about so many.
    pub(crate) fn in_use(&self) -> usize {
        self.flows().in_use(time::pause)
    }

    /// How many there can be: the entries of all buckets.
    pub(crate) fn room(&self) -> usize {
        self.buckets.len().wrapping_mul(SLOTS)
    }

    /// What became of the flows of packets, each with its name.
    pub(crate) fn events(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Event::ALL
            .iter()
            .map(|event| (event.counter(), self.events.sum(event.index())))
    }
}

impl Drop for Memory {
    /// The last device may go while the RTNL lock is held, which all of the machine waits for, and the buckets are many: the worker
    /// frees them, without a grace period and without memory of its own.
    fn drop(&mut self) {
        free_later(core::mem::take(&mut self.buckets));
    }
}

/// The clock of the entries.
fn now() -> u32 {
    // The cast keeps the low bits: the clock comes round.
    time::seconds() as u32
}
