// SPDX-License-Identifier: GPL-2.0

//! A load while it comes in: tables that no packet sees yet.

#![forbid(unsafe_code)]

use super::counts::Counts;
use super::memory::gfp;
use super::set::{AddressList, Backend, NextHop, Table, TableSet, MAX_BINDS};
use glb_core::director::classify::bind::{self, BindId, BuildError, Classifier, Entry, Shared};
use glb_core::director::flows::Spec;
use glb_core::director::ids::Roster;
use glb_core::director::keepers::Keepers;
use glb_core::director::reverse::services::{self, Ambiguous, Chained, Service, MAX_SERVICES};
use glb_core::director::{Forward, Leave, Select, Selector};
use glb_core::packet::addr::Addr;
use glb_core::siphash::SipKey;
use glb_kernel::base::vec::Append;
use glb_kernel::base::{memory, random, time};
use kernel::prelude::*;

/// Loads that may be under way in a namespace.
const MAX_LOADS: usize = 4;
/// Bytes that the loads under way in a namespace may take together.
pub(crate) const MAX_STAGED: u64 = 2 << 30;
/// Slots of the index of next hops: more than twice as many as there can be next hops.
const SLOTS: usize = 1 << 17;
/// Bytes that a bind takes while the classifier is built, and then some.
const BYTES_PER_BIND: u64 = 1024;

/// What the sender has said would come.
#[derive(Clone, Copy)]
pub(crate) struct Promise {
    pub(crate) tables: usize,
    pub(crate) binds: usize,
    pub(crate) row_bytes: u64,
    /// Words of classes.
    pub(crate) class_words: usize,
}

impl Promise {
    /// Bytes that such a load takes at its end, but for the services of tables that translate: how many there are shows then, and
    /// memory for them is asked for then ([`Load::services`]).
    pub(crate) fn bytes(&self) -> u64 {
        let each = core::mem::size_of::<Table>().saturating_add(core::mem::size_of::<Roster>());
        let tables = (self.tables as u64).saturating_mul(each as u64);
        let binds = (self.binds as u64).saturating_mul(BYTES_PER_BIND);
        let classes = (self.class_words as u64).saturating_mul(4);
        self.row_bytes
            .saturating_add(tables)
            .saturating_add(binds)
            .saturating_add(classes)
            .saturating_add(4 * SLOTS as u64)
    }
}

/// The loads that are under way in a namespace.
pub(crate) struct Staging {
    loads: KVec<KBox<Load>>,
}

impl Staging {
    pub(crate) const fn new() -> Self {
        Self { loads: KVec::new() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.loads.len()
    }

    /// Bytes that they take at their ends.
    pub(crate) fn bytes(&self) -> u64 {
        self.loads
            .iter()
            .fold(0u64, |sum, load| sum.saturating_add(load.promise.bytes()))
    }

    /// Begins a load; `ENOSPC` if there are as many as there may be.
    pub(crate) fn begin(&mut self, load: KBox<Load>) -> Result {
        if self.loads.len() >= MAX_LOADS {
            return Err(ENOSPC);
        }
        Ok(self.loads.append(load, GFP_KERNEL_ACCOUNT)?)
    }

    /// The load of a socket with this number.
    pub(crate) fn find(&mut self, socket: u32, id: u32) -> Option<&mut Load> {
        self.loads
            .iter_mut()
            .find(|load| load.socket == socket && load.id == id)
            .map(|load| &mut **load)
    }

    /// Takes the load of a socket out.
    pub(crate) fn take(&mut self, socket: u32, id: u32) -> Option<KBox<Load>> {
        self.take_if(|load| load.socket == socket && load.id == id)
    }

    /// Takes any load of a socket out.
    pub(crate) fn take_any(&mut self, socket: u32) -> Option<KBox<Load>> {
        self.take_if(|load| load.socket == socket)
    }

    fn take_if(&mut self, wanted: impl Fn(&Load) -> bool) -> Option<KBox<Load>> {
        let at = self.loads.iter().position(|load| wanted(load))?;
        // The one wanted goes to the end, from where it is taken.
        if let Some([wanted, rest @ ..]) = self.loads.get_mut(at..) {
            if let Some(last) = rest.last_mut() {
                core::mem::swap(wanted, last);
            }
        }
        self.loads.pop()
    }
}

/// Why a part of a load is refused.
pub(crate) enum Refusal {
    /// No memory.
    Memory,
    /// More than [`MAX_NEXT_HOPS`] different addresses.
    NextHops,
}

impl From<kernel::alloc::AllocError> for Refusal {
    fn from(_: kernel::alloc::AllocError) -> Self {
        Self::Memory
    }
}

/// A load while it comes in.
pub(crate) struct Load {
    pub(crate) id: u32,
    pub(crate) socket: u32,
    pub(crate) promise: Promise,
    pub(crate) tables: KVVec<Table>,
    /// Words of classes, as far as they have come.
    pub(crate) classes: KVVec<u32>,
    next_hops: NextHops,
    /// Binds of all tables.
    pub(crate) num_binds: usize,
    /// Bytes of all rows that the tables will have.
    pub(crate) row_bytes: u64,
    /// Bytes of their flow tables.
    pub(crate) flow_bytes: u64,
    /// Backends of those that are services, each of which has counters.
    pub(crate) num_counted: usize,
}

impl Load {
    pub(crate) fn new(socket: u32, promise: Promise) -> Result<KBox<Self>> {
        Ok(KBox::new(
            Self {
                // Not 0, so that no one who has none gets it right by accident.
                id: u32::from_ne_bytes(random::bytes()) | 1,
                socket,
                promise,
                tables: KVVec::with_capacity(promise.tables, gfp())?,
                classes: KVVec::with_capacity(promise.class_words, gfp())?,
                next_hops: NextHops::new()?,
                num_binds: 0,
                row_bytes: 0,
                flow_bytes: 0,
                num_counted: 0,
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }

    /// The index among the next hops of an address to which packets leave by this forward.
    pub(crate) fn next_hop(&mut self, addr: Addr, forward: Forward) -> Result<u16, Refusal> {
        let tos = match forward.leave() {
            Leave::Tunnel(_) | Leave::Mark(_) => 0,
            Leave::Rewrite(edit) => edit.tos(0),
        };
        self.next_hops.index_of(addr, tos)
    }

    /// Makes the set of tables. Which bind is wrong is said, if one is.
    pub(crate) fn finish(mut self: KBox<Self>) -> Result<TableSet, Unfinished> {
        let mut entries: KVVec<Entry> = KVVec::with_capacity(self.num_binds, gfp())?;
        for (table, index) in self.tables.iter().zip(0u16..=u16::MAX) {
            for (bind, of_table) in table.binds.iter().zip(0u16..=u16::MAX) {
                let id = BindId {
                    table: index,
                    bind: of_table,
                };
                entries.append(Entry { bind: *bind, id }, gfp())?;
            }
        }
        let classifier = classifier(&mut entries)?;
        time::pause();
        let remembers = |table: u16| {
            let table = self.tables.get(usize::from(table));
            table.is_some_and(|table| table.flow_spec.is_some())
        };
        if let Some(at) = bind::shared(&mut entries, |a, b| remembers(a) != remembers(b)) {
            return Err(Unfinished::Flows(at));
        }
        let (services, with_one_vip) = self.services(&classifier)?;
        Ok(TableSet {
            generation: 0,
            classifier,
            services,
            with_one_vip,
            classes: core::mem::take(&mut self.classes),
            tables: core::mem::take(&mut self.tables),
            next_hops: core::mem::take(&mut self.next_hops.list),
            num_binds: self.num_binds,
        })
    }
}

/// The words of a classifier.
fn classifier(entries: &mut KVVec<Entry>) -> Result<KVVec<u32>, Unfinished> {
    let mut room = zeroes(bind::words_needed(entries))?;
    let used = bind::build(entries, &mut room).map_err(|error| match error {
        BuildError::Bind(id) => Unfinished::Bind(id),
        BuildError::Space => Unfinished::Space,
    })?;
    let mut classifier = KVVec::with_capacity(used, gfp())?;
    let words = room.get(..used).ok_or(Unfinished::Space)?;
    classifier.append_slice(words, gfp())?;
    Ok(classifier)
}

impl Load {
    /// The words of both look-ups of the way back; none if no table translates.
    fn services(&self, binds: &[u32]) -> Result<(KVVec<u32>, KVVec<u32>), Unfinished> {
        let mut services: KVVec<Service> = KVVec::new();
        let mut num_services = 0u64;
        for (table, index) in self.tables.iter().zip(0u16..=u16::MAX) {
            if table.forward.translates() {
                let of_table =
                    (table.binds.len() as u64).saturating_mul(table.backends.len() as u64);
                num_services = num_services.saturating_add(of_table);
            }
            if num_services > MAX_SERVICES as u64 {
                return Err(Unfinished::Services(index));
            }
        }
        if num_services.saturating_mul(BYTES_PER_BIND) > memory::available() {
            return Err(Unfinished::Memory);
        }
        for (table, index) in self.tables.iter().zip(0u16..=u16::MAX) {
            if !table.forward.translates() {
                continue;
            }
            for (bind, of_table) in table.binds.iter().zip(0u16..=u16::MAX) {
                let id = BindId {
                    table: index,
                    bind: of_table,
                };
                for backend in 0..=u8::MAX {
                    let Some(backend) = table.addresses.get(backend) else {
                        break;
                    };
                    services.append(Service::new(table.forward, bind, id, backend), gfp())?;
                }
            }
            time::pause();
        }
        if services.is_empty() {
            return Ok((KVVec::new(), KVVec::new()));
        }
        services::check(&mut services).map_err(Unfinished::Ambiguous)?;
        time::pause();
        if let Some(chained) = services::chained(&services, Classifier::new(binds)) {
            return Err(Unfinished::Chained(chained));
        }
        let mut entries = KVVec::with_capacity(services.len(), gfp())?;
        for service in services.iter() {
            entries.append(service.entry(), gfp())?;
        }
        let by_port = classifier(&mut entries)?;
        time::pause();
        let mut entries = KVVec::new();
        for entry in services::with_one_vip(&services) {
            entries.append(entry, gfp())?;
        }
        Ok((by_port, classifier(&mut entries)?))
    }
}

/// Why a load does not make a set of tables.
pub(crate) enum Unfinished {
    /// No memory.
    Memory,
    /// A bind is wrong in itself.
    Bind(BindId),
    /// The classifier has become too large.
    Space,
    /// With this table there are more services than there may be.
    Services(u16),
    /// Answers could be of either of two services.
    Ambiguous(Ambiguous),
    /// Two tables have one bind, and only one of them remembers flows.
    Flows(Shared),
    /// Answers would have two sources.
    Chained(Chained),
}

impl From<kernel::alloc::AllocError> for Unfinished {
    fn from(_: kernel::alloc::AllocError) -> Self {
        Self::Memory
    }
}

fn zeroes<T: Copy + Default>(len: usize) -> Result<KVVec<T>, kernel::alloc::AllocError> {
    let mut vec = KVVec::with_capacity(len, gfp())?;
    let piece = [T::default(); 256];
    let mut left = len;
    while left > 0 {
        let some = piece.get(..left).unwrap_or(&piece);
        vec.append_slice(some, gfp())?;
        left = left.saturating_sub(some.len());
    }
    Ok(vec)
}

/// Addresses, each once for a TOS, found by a hash table with linear probing. Its key is random, as the addresses
/// come from outside.
struct NextHops {
    list: KVVec<NextHop>,
    /// Index in the list, plus one; 0 in an empty slot.
    slots: KVVec<u16>,
    key: SipKey,
}

impl NextHops {
    fn new() -> Result<Self, kernel::alloc::AllocError> {
        Ok(Self {
            list: KVVec::new(),
            slots: zeroes(SLOTS)?,
            key: SipKey::new(&random::bytes()),
        })
    }

    fn index_of(&mut self, addr: Addr, tos: u8) -> Result<u16, Refusal> {
        let hash = match addr {
            Addr::V4(bytes) => self.key.hash_4(bytes),
            Addr::V6(bytes) => self.key.hash_16(&bytes),
        };
        // The cast keeps the low bits. A table of slots that is at most half full has room beside them.
        let mut at = (hash as usize).wrapping_add(usize::from(tos));
        for _ in 0..SLOTS {
            let slot = self
                .slots
                .get_mut(at & (SLOTS - 1))
                .ok_or(Refusal::Memory)?;
            match slot.checked_sub(1) {
                Some(index) => {
                    let found = self.list.get(usize::from(index));
                    if found.is_some_and(|hop| hop.addr == addr && hop.tos == tos) {
                        return Ok(index);
                    }
                }
                None => {
                    let index = u16::try_from(self.list.len()).map_err(|_| Refusal::NextHops)?;
                    let code = index.checked_add(1).ok_or(Refusal::NextHops)?;
                    self.list.append(NextHop::new(addr, tos)?, gfp())?;
                    *slot = code;
                    return Ok(index);
                }
            }
            at = at.wrapping_add(1);
        }
        Err(Refusal::NextHops)
    }
}

/// What a table's rows are, and how its packets leave.
pub(crate) struct Form {
    pub(crate) hops: u8,
    pub(crate) forward: Forward,
    pub(crate) selector: Selector,
    pub(crate) flows: Option<Spec>,
}

impl Form {
    /// Bytes of all rows.
    pub(crate) fn row_bytes(&self) -> u64 {
        u64::from(self.hops).wrapping_mul(u64::from(self.selector.rows))
    }

    /// Whether it is one of GLB's own, as deployed directors have them.
    pub(crate) fn is_plain(&self) -> bool {
        let Self {
            forward,
            selector,
            flows,
            ..
        } = self;
        selector.select == Select::Rows && *forward == Forward::Gue && flows.is_none()
    }
}

/// A table without rows, with room for them.
pub(crate) fn table(
    name: &[u8],
    hash_key: &[u8; 16],
    form: Form,
    (backends, addresses): (KVec<Backend>, AddressList),
) -> Result<Table> {
    let mut own_name = KVec::with_capacity(name.len(), gfp())?;
    own_name.append_slice(name, gfp())?;
    // The cast is exact: no more than were promised.
    let room = KVVec::with_capacity(form.row_bytes() as usize, gfp())?;
    let (rows, numbered, counts) = if form.is_plain() {
        (room, KVVec::new(), None)
    } else {
        (KVVec::new(), room, Some(Counts::new(backends.len())?))
    };
    Ok(Table {
        name: own_name,
        generation: 0,
        hash_key: SipKey::new(hash_key),
        backends,
        addresses,
        binds: KVVec::new(),
        hops: form.hops,
        forward: form.forward,
        selector: form.selector,
        rows,
        numbered,
        counts,
        roster: KBox::new(Roster::new(), gfp())?,
        keepers: KBox::new(Keepers::none(), gfp())?,
        flow_spec: form.flows,
        flows: None,
        sweep: false,
        rules_before: None,
    })
}

const _: () = assert!(MAX_BINDS <= 65_536 && SLOTS > 2 * 65_535);
