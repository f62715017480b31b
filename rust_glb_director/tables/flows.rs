// SPDX-License-Identifier: GPL-2.0

//! The flow table of a service: memory that all loads of one table name share.
//!
//! Tables are immutable, flow tables are not: packets of all CPUs write them (`core/src/director/flows/`). A load takes the flow
//! table over from the old table of the same name, unless another number of buckets or another key is wanted. The last set of
//! tables that has it frees it.

#![forbid(unsafe_code)]

use super::set::{Table, TableSet};
use super::staging::gfp;
use glb_core::backend::State;
use glb_core::director::flows::{follow, Bucket, By, Event, FlowTable, Memory, Rules, Spec};
use glb_core::director::ids::Tag;
use glb_core::director::Candidate;
use glb_core::siphash::SipKey;
use glb_kernel::base::counters::Counters;
use glb_kernel::base::vec::Append;
use glb_kernel::base::{random, time};
use kernel::alloc::AllocError;
use kernel::prelude::*;
use kernel::sync::Arc;

/// Buckets between two pauses of process context.
pub(crate) const PIECE: usize = 4096;

/// Bytes of the flow tables of one load, at most.
pub(crate) const MAX_BYTES: u64 = 1 << 30;

/// Flows of a service, and how its packets were counted.
pub(crate) struct Flows {
    buckets: KVVec<Bucket>,
    by: By,
    /// Nobody outside knows it, so nobody can aim at buckets or make fingerprints that are equal.
    secret: SipKey,
    counters: Counters<{ Event::ALL.len() }>,
}

impl Flows {
    /// An empty one.
    pub(crate) fn new(spec: &Spec) -> Result<Arc<Self>> {
        let len = spec.buckets as usize;
        let mut buckets = KVVec::with_capacity(len, gfp())?;
        let mut left = PIECE;
        while buckets.len() < len {
            buckets.append(Bucket::new(), gfp())?;
            left = left.wrapping_sub(1);
            if left == 0 {
                time::pause();
                left = PIECE;
            }
        }
        let flows = Self {
            buckets,
            by: spec.rules.by,
            secret: SipKey::new(&random::bytes()),
            counters: Counters::new()?,
        };
        Ok(Arc::new(flows, gfp())?)
    }

    /// Whether a table that wants this can have it. The timeout is the table's own.
    pub(crate) fn suits(&self, spec: &Spec) -> bool {
        self.buckets.len() == spec.buckets as usize && self.by == spec.rules.by
    }

    /// Buckets.
    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Some of the buckets, from this one on.
    pub(crate) fn piece(&self, first: usize) -> &[Bucket] {
        let rest = self.buckets.get(first..).unwrap_or_default();
        rest.get(..PIECE).unwrap_or(rest)
    }

    /// The counters, each with its name.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Event::ALL
            .iter()
            .map(|event| (event.counter(), self.counters.sum(event.index())))
    }

    fn count(&self, event: Event) {
        match event {
            Event::Known => self.counters.add::<{ Event::Known as usize }>(1),
            Event::First => self.counters.add::<{ Event::First as usize }>(1),
            Event::Untracked => self.counters.add::<{ Event::Untracked as usize }>(1),
            Event::NoBackend => self.counters.add::<{ Event::NoBackend as usize }>(1),
        }
    }
}

/// The clock of the entries.
pub(crate) fn now() -> u16 {
    // The cast keeps the low bits: the clock comes round.
    (time::milliseconds() / 1000) as u16
}

/// The flow table of a loaded table.
struct Service<'t> {
    table: &'t Table,
    flows: &'t Flows,
    rules: Rules,
    learns: bool,
}

impl Memory for Service<'_> {
    #[inline]
    fn table(&self) -> FlowTable<'_> {
        FlowTable {
            buckets: &self.flows.buckets,
            secret: &self.flows.secret,
            rules: self.rules,
            now: now(),
        }
    }

    /// A backend that is drained keeps its flows. One that is taken out of service, or that the health checks have given up,
    /// does not: a client that goes on sending would never get another one.
    #[inline]
    fn backend(&self, tag: Tag) -> Option<u8> {
        let index = self.table.roster.backend(tag)?;
        let backend = self.table.backends.get(usize::from(index))?;
        (backend.healthy && backend.state != State::Inactive).then_some(index)
    }

    #[inline]
    fn tag(&self, backend: u8) -> Option<Tag> {
        Some(self.table.roster.id(backend)?.tag())
    }

    #[inline]
    fn learns(&self) -> bool {
        self.learns
    }

    #[inline]
    fn count(&self, event: Event) {
        self.flows.count(event);
    }
}

/// The backend that a packet's flow is remembered with, if it is another than the row's first one.
///
/// Tables without flows pay for a look at a pointer; all else is kept out of their way (docs/decisions/0008).
#[inline(never)]
pub(super) fn remembered(
    (table, flows): (&Table, &Flows),
    learns: bool,
    packet: Candidate,
    first: Option<u8>,
) -> Option<u8> {
    let rules = table.flow_spec?.rules;
    let service = Service {
        table,
        flows,
        rules,
        learns,
    };
    follow(&service, &packet, first)
}

/// Why flow tables are not there.
pub(crate) struct NoMemory {
    /// Index of the table.
    pub(crate) table: usize,
    /// Bytes that it wants.
    pub(crate) bytes: u64,
}

impl TableSet {
    /// Makes `self` what comes behind `old`: backends whose addresses stay keep their ids, and tables whose names stay keep
    /// their flows.
    pub(crate) fn succeed(&mut self, old: &Self, taken: &mut [bool]) {
        let mut index = 0usize;
        for table in self.tables.iter_mut() {
            let is_it = |at: &usize| {
                let of_old = old.tables.get(*at);
                taken.get(*at) == Some(&false)
                    && of_old.is_some_and(|one| one.name[..] == table.name[..])
            };
            // Most often nothing has moved.
            let at = Some(index)
                .filter(is_it)
                .or_else(|| (0..old.tables.len()).find(is_it));
            index = index.wrapping_add(1);
            let Some((at, of_old)) = at.and_then(|at| Some((at, old.tables.get(at)?))) else {
                continue;
            };
            if let Some(taken) = taken.get_mut(at) {
                *taken = true;
            }
            let (addresses, of_before) = (&table.addresses, &of_old.addresses);
            let same = |new, old| match (addresses.get(new), of_before.get(old)) {
                (Some(new), Some(old)) => new == old,
                _ => false,
            };
            table.sweep = table
                .roster
                .succeed(&of_old.roster, table.backends.len(), same);
            let flows = of_old.flows.as_ref();
            table.flows = table
                .flow_spec
                .as_ref()
                .and_then(|spec| flows.filter(|flows| flows.suits(spec)))
                .cloned();
        }
    }

    /// Gives ids to the backends of the tables that come behind none, and flow tables to those that have yet none.
    pub(crate) fn complete(&mut self) -> Result<(), NoMemory> {
        let mut index = 0usize;
        for table in self.tables.iter_mut() {
            if table.roster.is_empty() {
                let none = glb_core::director::ids::Roster::new();
                table
                    .roster
                    .succeed(&none, table.backends.len(), |_, _| false);
            }
            if let (Some(spec), None) = (&table.flow_spec, &table.flows) {
                let bytes = spec.bytes();
                let missing = NoMemory {
                    table: index,
                    bytes,
                };
                if bytes > glb_kernel::base::memory::available() {
                    return Err(missing);
                }
                table.flows = Some(Flows::new(spec).map_err(|_| missing)?);
            }
            index = index.wrapping_add(1);
        }
        Ok(())
    }
}

/// A set of places that are not taken.
pub(crate) fn places(len: usize) -> Result<KVVec<bool>, AllocError> {
    let mut places = KVVec::with_capacity(len, gfp())?;
    while places.len() < len {
        places.append(false, gfp())?;
    }
    Ok(places)
}
