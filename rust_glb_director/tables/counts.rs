// SPDX-License-Identifier: GPL-2.0

//! The counters of a service and of its backends, which live across loads.
//!
//! A service is a table with something that deployed directors do not have: another select, another forward, or flows. GLB's own
//! tables have no counters but those of the director, and pay nothing for these.
//!
//! A backend's counters belong to its id (`core/src/director/ids.rs`): a load takes them over as long as the address stays in
//! tables of this name, and they end with the last tables that have it. A backend takes one cache line on each CPU, which no
//! other CPU writes. All memory is there before the tables are published. It is made and freed in process context, which pauses
//! in between: the allocator of per-CPU memory has one lock for the whole machine.

#![forbid(unsafe_code)]

use super::memory::gfp;
use glb_core::director::{counts, Verdict};
use glb_kernel::base::counters::Counters;
use glb_kernel::base::time;
use glb_kernel::base::vec::Append;
use kernel::alloc::AllocError;
use kernel::prelude::*;
use kernel::sync::Arc;

/// Backends between two pauses of process context.
const PIECE: usize = 64;

/// What went to a backend, and what did not.
pub(crate) struct Meter {
    counters: Counters<{ counts::COUNT }>,
}

impl Meter {
    fn new() -> Result<Arc<Self>> {
        let counters = Counters::new()?;
        Ok(Arc::new(Self { counters }, gfp())?)
    }

    /// Counts a packet.
    #[inline]
    pub(crate) fn count(&self, verdict: Verdict) {
        if let Some(place) = counts::place(verdict) {
            self.counters.count_one(place);
        }
    }

    /// Counts the bytes of a packet that was sent.
    #[inline]
    pub(crate) fn count_bytes(&self, bytes: usize) {
        self.counters.add::<{ counts::BYTES }>(bytes as u64);
    }

    /// The counters themselves, where a packet that is sent is counted at several places at once.
    #[inline(always)]
    pub(crate) fn counters(&self) -> &Counters<{ counts::COUNT }> {
        const { assert!(counts::PACKETS == 0 && counts::BYTES == 1) };
        &self.counters
    }

    /// Counts a flow that is remembered with the backend from now on.
    fn count_flow(&self) {
        self.counters.add::<{ counts::FLOWS }>(1);
    }

    /// Every counter: its name and its value.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let places = (0..counts::COUNT).zip(counts::NAMES.iter());
        places.map(|(place, name)| (*name, self.counters.sum(place)))
    }
}

/// What of a service is no backend's: packets for which there is none.
struct OfService {
    no_hop: Counters<1>,
}

/// The counters of a service.
pub(crate) struct Counts {
    /// There as soon as the table is loaded.
    service: Option<Arc<OfService>>,
    /// Those of the backends, by their indexes; likewise.
    backends: KVec<Option<Arc<Meter>>>,
}

impl Counts {
    /// Of a table with so many backends, which is not loaded yet.
    pub(crate) fn new(backends: usize) -> Result<Self, AllocError> {
        let mut places = KVec::with_capacity(backends, gfp())?;
        while places.len() < backends {
            places.append(None, gfp())?;
        }
        Ok(Self {
            service: None,
            backends: places,
        })
    }

    /// Takes over the counters of the table that this one's comes behind. `before` says which of its backends one of this
    /// table was, by their indexes.
    pub(crate) fn succeed(&mut self, old: &Self, before: impl Fn(u8) -> Option<u8>) {
        self.service = old.service.clone();
        for (index, place) in (0..=u8::MAX).zip(self.backends.iter_mut()) {
            let of_old = before(index).and_then(|index| old.backends.get(usize::from(index)));
            *place = of_old.cloned().flatten();
        }
    }

    /// Bytes of the counters that are not there yet.
    pub(crate) fn missing(&self) -> u64 {
        let service = match self.service {
            None => Counters::<1>::bytes(),
            Some(_) => 0,
        };
        let each = Counters::<{ counts::COUNT }>::bytes();
        self.backends
            .iter()
            .filter(|place| place.is_none())
            .fold(service, |sum, _| sum.saturating_add(each))
    }

    /// Makes them.
    pub(crate) fn complete(&mut self) -> Result {
        if self.service.is_none() {
            let no_hop = Counters::new()?;
            self.service = Some(Arc::new(OfService { no_hop }, gfp())?);
        }
        for piece in self.backends.chunks_mut(PIECE) {
            for place in piece.iter_mut().filter(|place| place.is_none()) {
                *place = Some(Meter::new()?);
            }
            time::pause();
        }
        Ok(())
    }

    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> u64 {
        (self.backends.len() as u64)
            .saturating_mul(Counters::<{ counts::COUNT }>::bytes())
            .saturating_add(Counters::<1>::bytes())
    }

    /// Those of a backend.
    #[inline]
    pub(crate) fn backend(&self, index: u8) -> Option<&Meter> {
        self.backends.get(usize::from(index))?.as_deref()
    }

    /// Counts a flow that is remembered with a backend from now on.
    pub(super) fn count_flow(&self, backend: Option<u8>) {
        if let Some(meter) = backend.and_then(|index| self.backend(index)) {
            meter.count_flow();
        }
    }

    /// Counts a packet for which there is no backend.
    pub(super) fn count_no_hop(&self) {
        if let Some(service) = &self.service {
            service.no_hop.add::<0>(1);
        }
    }

    /// What is no backend's: name and value.
    pub(crate) fn no_hop(&self) -> (&'static str, u64) {
        let service = self.service.as_ref();
        let value = service.map_or(0, |service| service.no_hop.sum(0));
        (Verdict::DroppedNoHop.counter(), value)
    }
}

impl Drop for Counts {
    /// Of tables that no packet looks at: in process context, as all that frees per-CPU memory.
    fn drop(&mut self) {
        for piece in self.backends.chunks_mut(PIECE) {
            piece.iter_mut().for_each(|place| *place = None);
            time::pause();
        }
    }
}
