// SPDX-License-Identifier: GPL-2.0

//! Flows and the loaded tables: where a packet's flow goes, and what a set of tables takes over from the one before it.

#![forbid(unsafe_code)]

use super::flows::Flows;
use super::memory::gfp;
use super::set::{Backend, Table, TableSet};
use glb_core::backend::State;
use glb_core::director::flows::{self, follow, learn, Event, FlowTable, Key, Memory, Rules};
use glb_core::director::ids::{Roster, Tag};
use glb_core::director::Candidate;
use glb_core::siphash::SipKey;
use glb_kernel::base::vec::Append;
use glb_kernel::base::{memory, time};
use kernel::alloc::AllocError;
use kernel::prelude::*;

/// The flow table of a loaded table.
struct Service<'t> {
    table: &'t Table,
    flows: &'t Flows,
    rules: Rules,
    learns: bool,
    /// The backend that a new flow gets.
    first: Option<u8>,
}

impl<'t> Service<'t> {
    /// That of a table that remembers flows.
    #[inline(always)]
    fn of(table: &'t Table, flows: &'t Flows, learns: bool, first: Option<u8>) -> Option<Self> {
        let rules = table.flow_spec?.rules;
        Some(Self {
            table,
            flows,
            rules,
            learns,
            first,
        })
    }
}

impl Memory for Service<'_> {
    #[inline(always)]
    fn table(&self) -> FlowTable<'_> {
        self.flows.table(self.rules)
    }

    #[inline(always)]
    fn secret(&self) -> &SipKey {
        self.flows.secret()
    }

    #[inline(always)]
    fn rules(&self) -> Rules {
        self.rules
    }

    #[inline(always)]
    fn backend(&self, tag: Tag) -> Option<u8> {
        self.table.keepers.backend(tag)
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
        if let (Event::First, Some(counts)) = (event, &self.table.counts) {
            counts.count_flow(self.first);
        }
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
    let service = Service::of(table, flows, learns, first)?;
    follow(&service, &packet, first)
}

/// What of a table outlives it.
#[derive(Clone, Copy)]
pub(crate) enum Lasting {
    /// Its flows.
    Flows,
    /// The counters of its backends.
    Counters,
}

/// Why flow tables or counters are not there.
pub(crate) struct NoMemory {
    /// Index of the table.
    pub(crate) table: usize,
    /// Which of them.
    pub(crate) what: Lasting,
    /// Bytes that it wants.
    pub(crate) bytes: u64,
}

/// The key by which a packet's flow can be asked for in few steps.
#[inline(always)]
pub(super) fn key(table: &Table, flows: &Flows, learns: bool, packet: &Candidate) -> Option<Key> {
    let service = Service::of(table, flows, learns, None)?;
    flows::key(&service, packet)
}

/// The backend that the flow of a packet on its way is known with, if it is found at once by this key.
#[inline(always)]
pub(super) fn known(table: &Table, flows: &Flows, packet: &Candidate, key: &Key) -> Option<u8> {
    let learns = true;
    let service = Service::of(table, flows, learns, None)?;
    flows::known(&service, packet, key)
}

/// As [`remembered`], of a packet on its way whose flow has this key.
#[inline]
pub(super) fn learned(
    (table, flows): (&Table, &Flows),
    packet: &Candidate,
    key: &Key,
    first: Option<u8>,
) -> Option<u8> {
    let learns = true;
    let service = Service::of(table, flows, learns, first)?;
    learn(&service, packet, key, first)
}

impl TableSet {
    /// Makes the table `index` what comes behind its like in `old`: backends whose addresses stay keep their ids, and a table
    /// whose name stays keeps its flows. `taken` has the old tables that are somebody's already.
    pub(crate) fn succeed(&mut self, index: usize, old: &Self, taken: &mut [bool]) {
        let Some(table) = self.tables.get_mut(index) else {
            return;
        };
        let is_it = |at: &usize| {
            let of_old = old.tables.get(*at);
            taken.get(*at) == Some(&false)
                && of_old.is_some_and(|one| one.name[..] == table.name[..])
        };
        // Most often nothing has moved.
        let at = Some(index)
            .filter(is_it)
            .or_else(|| (0..old.tables.len()).find(is_it));
        let Some((at, of_old)) = at.and_then(|at| Some((at, old.tables.get(at)?))) else {
            return;
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
        table.rules_before = of_old.flow_spec.as_ref().map(|spec| spec.rules);
        if let (Some(counts), Some(of_old_ones)) = (&mut table.counts, &of_old.counts) {
            // Who has the same id is the same.
            let (roster, of_before) = (&table.roster, &of_old.roster);
            counts.succeed(of_old_ones, |index| {
                let id = roster.id(index)?;
                let before = of_before.backend(id.tag())?;
                (of_before.id(before) == Some(id)).then_some(before)
            });
        }
    }

    /// Gives ids to the backends of the tables that come behind none, and flow tables and counters to those that have yet none.
    pub(crate) fn complete(&mut self) -> Result<(), NoMemory> {
        let mut index = 0usize;
        for table in self.tables.iter_mut() {
            if table.roster.is_empty() {
                let none = Roster::new();
                table
                    .roster
                    .succeed(&none, table.backends.len(), |_, _| false);
            }
            let backends = &table.backends;
            table.keepers.fill(&table.roster, |index| {
                backends.get(usize::from(index)).is_some_and(keeps_flows)
            });
            // What is over by the old time is not to be young again by a longer one.
            if let (Some(spec), Some(flows), Some(before)) =
                (&table.flow_spec, &table.flows, table.rules_before)
            {
                if spec.rules.timeout > before.timeout {
                    flows.expire(before);
                }
            }
            time::pause();
            if let (Some(spec), None) = (&table.flow_spec, &table.flows) {
                let bytes = spec.bytes();
                let missing = NoMemory {
                    table: index,
                    what: Lasting::Flows,
                    bytes,
                };
                if bytes > memory::available() {
                    return Err(missing);
                }
                table.flows = Some(Flows::new(spec).map_err(|_| missing)?);
            }
            if let Some(counts) = &mut table.counts {
                let bytes = counts.missing();
                let missing = NoMemory {
                    table: index,
                    what: Lasting::Counters,
                    bytes,
                };
                if bytes > memory::available() {
                    return Err(missing);
                }
                counts.complete().map_err(|_| missing)?;
            }
            index = index.wrapping_add(1);
        }
        Ok(())
    }
}

/// A backend that is drained keeps its flows. One that is taken out of service, or that the health checks have given up, does
/// not: a client that goes on sending would never get another one.
fn keeps_flows(backend: &Backend) -> bool {
    backend.healthy && backend.state != State::Inactive
}

/// A set of places that are not taken.
pub(crate) fn places(len: usize) -> Result<KVVec<bool>, AllocError> {
    let mut places = KVVec::with_capacity(len, gfp())?;
    while places.len() < len {
        places.append(false, gfp())?;
    }
    Ok(places)
}
