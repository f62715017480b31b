// SPDX-License-Identifier: GPL-2.0

//! The loaded tables: which one a packet belongs to, its rows, its hops.
//!
//! A [`TableSet`] is built aside by `netlink::load` and never changed after it was published.

#![forbid(unsafe_code)]

use super::counts::{Counts, Meter};
use super::flows::Flows;
use glb_core::backend::State as BackendState;
use glb_core::director::classify::bind::{Bind, BindId, Classifier, Proto};
use glb_core::director::classify::flow::Classes;
use glb_core::director::flows::{Rules, Spec};
use glb_core::director::ids::Roster;
use glb_core::director::keepers::Keepers;
use glb_core::director::reverse::services::Services;
use glb_core::director::reverse::Origin;
use glb_core::director::{Addresses, Forward, Selector};
use glb_core::netlink::glb as netlink;
use glb_core::packet::addr::Addr;
use glb_core::packet::gue::max_hops;
use glb_core::packet::ip::Family;
use glb_core::siphash::SipKey;
use glb_kernel::base::vec::Append;
use glb_kernel::out::path::RouteCache;
use kernel::alloc::{AllocError, Flags};
use kernel::prelude::*;
use kernel::sync::Arc;

/// Most tables of a namespace.
pub(crate) const MAX_TABLES: usize = netlink::MAX_TABLES as usize;
/// Most binds of all tables together.
pub(crate) const MAX_BINDS: usize = netlink::MAX_BINDS as usize;

/// A table whose rows have more hops than [`max_hops`] allows for two rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooManyHops {
    /// Index of the table.
    pub(crate) table: usize,
    /// Hops of its rows.
    pub(crate) hops: u8,
    /// How many there may be.
    pub(crate) most: u8,
}

/// All tables of a namespace.
pub(crate) struct TableSet {
    /// Counts the loads of the namespace; never 0.
    pub(crate) generation: u32,
    /// Words of a [`Classifier`].
    pub(crate) classifier: KVVec<u32>,
    /// Words of the two look-ups of [`Services`]; none if no table translates.
    pub(crate) services: KVVec<u32>,
    pub(crate) with_one_vip: KVVec<u32>,
    /// Words of [`Classes`]; none if there are no classes.
    pub(crate) classes: KVVec<u32>,
    /// In the order in which they were sent.
    pub(crate) tables: KVVec<Table>,
    /// Every address of a backend once, over all tables whose packets take the same route there.
    pub(crate) next_hops: KVVec<NextHop>,
    /// Binds of all tables.
    pub(crate) num_binds: usize,
}

impl TableSet {
    /// The table that packets to this address and port belong to.
    #[inline(always)]
    pub(crate) fn classify(&self, dst: Addr, proto: Proto, port: u16) -> Option<&Table> {
        self.table_of(Classifier::new(&self.classifier).lookup(dst, proto, port)?)
    }

    /// The table that fragments belong to of which no ports are known.
    pub(crate) fn classify_proto(&self, dst: Addr, proto: Proto) -> Option<&Table> {
        self.table_of(Classifier::new(&self.classifier).lookup_proto(dst, proto)?)
    }

    /// The table that echo requests to this address belong to.
    #[inline]
    pub(crate) fn classify_addr(&self, dst: Addr) -> Option<&Table> {
        self.table_of(Classifier::new(&self.classifier).lookup_addr(dst)?)
    }

    /// The table that takes all protocols of this address.
    #[inline]
    pub(crate) fn classify_all(&self, dst: Addr) -> Option<&Table> {
        self.table_of(Classifier::new(&self.classifier).lookup_all(dst)?)
    }

    /// The classes.
    #[inline]
    pub(crate) fn classes(&self) -> Classes<'_> {
        // Words that are none of these were refused.
        Classes::new(&self.classes).unwrap_or(Classes::NONE)
    }

    /// Whether there are classes.
    #[inline(always)]
    pub(crate) fn has_classes(&self) -> bool {
        !self.classes.is_empty()
    }

    /// Number of words of compiled classes; at most [`MAX_WORDS`](glb_core::director::classify::flow::MAX_WORDS).
    pub(crate) fn num_class_words(&self) -> usize {
        self.classes.len()
    }

    /// Bytes that the set takes, about.
    pub(crate) fn bytes(&self) -> u64 {
        let words = self
            .classifier
            .len()
            .saturating_add(self.services.len())
            .saturating_add(self.with_one_vip.len())
            .saturating_add(self.classes.len())
            .saturating_mul(4);
        let hops = self
            .next_hops
            .len()
            .saturating_mul(core::mem::size_of::<NextHop>());
        let rest = self
            .tables
            .iter()
            .fold(words.saturating_add(hops), |sum, table| {
                let binds = table
                    .binds
                    .len()
                    .saturating_mul(core::mem::size_of::<Bind>());
                sum.saturating_add(core::mem::size_of::<Table>())
                    .saturating_add(core::mem::size_of::<Roster>())
                    .saturating_add(binds)
                    .saturating_add(table.rows.len())
                    .saturating_add(table.numbered.len())
                    .saturating_add(table.flow_spec.map_or(0, |spec| spec.bytes()) as usize)
                    .saturating_add(table.counts.as_ref().map_or(0, Counts::bytes) as usize)
            });
        rest as u64
    }

    /// The first table whose hops of two rows do not fit one header.
    pub(crate) fn too_long_for_two(&self) -> Option<TooManyHops> {
        for (index, table) in (0..).zip(self.tables.iter()) {
            let most = max_hops(table.addresses.family(), true);
            if table.hops > most {
                return Some(TooManyHops {
                    table: index,
                    hops: table.hops,
                    most,
                });
            }
        }
        None
    }

    /// The services of all tables that translate.
    #[inline]
    pub(crate) fn services(&self) -> Services<'_> {
        Services::new(&self.services, &self.with_one_vip)
    }

    /// Whether any table translates.
    #[inline]
    pub(crate) fn has_services(&self) -> bool {
        !self.services.is_empty()
    }

    /// Where the answers to packets of this bind come from.
    #[inline(always)]
    pub(crate) fn origin_of(&self, id: BindId) -> Option<Origin> {
        let table = self.table_of(id)?;
        let bind = table.binds.get(usize::from(id.bind))?;
        Some(Origin::of(table.forward, bind))
    }

    #[inline]
    fn table_of(&self, bind: BindId) -> Option<&Table> {
        self.tables.get(usize::from(bind.table))
    }

    /// The next hop of a table's backend.
    #[inline]
    pub(crate) fn hop(&self, table: &Table, backend: u8) -> Option<&NextHop> {
        self.next_hop(table.backends.get(usize::from(backend))?.next_hop)
    }

    /// A next hop by its index.
    #[inline]
    pub(crate) fn next_hop(&self, index: u16) -> Option<&NextHop> {
        self.next_hops.get(usize::from(index))
    }
}

/// A backend's address, as the packets of some tables go there.
pub(crate) struct NextHop {
    /// Where it is.
    pub(crate) addr: Addr,
    /// TOS or traffic class, without ECN, of the packets whose route is remembered.
    pub(crate) tos: u8,
    /// The way there.
    pub(crate) route: RouteCache,
}

impl NextHop {
    /// One that no packet went to yet.
    pub(crate) fn new(addr: Addr, tos: u8) -> Result<Self, AllocError> {
        let route = RouteCache::new()?;
        Ok(Self { addr, tos, route })
    }
}

/// A backend of a table.
#[derive(Clone, Copy)]
pub(crate) struct Backend {
    /// Index of its address in [`TableSet::next_hops`].
    pub(crate) next_hop: u16,
    /// What the operator wants of it. The rows have taken it into account, and so do the keepers.
    pub(crate) state: BackendState,
    /// What the health checks found; likewise.
    pub(crate) healthy: bool,
    /// Its own among the table's backends: the forward `mark` makes the mark of it.
    pub(crate) identifier: u8,
}

/// Addresses of a table's backends, by their index.
pub(crate) enum AddressList {
    /// IPv4.
    V4(KVec<[u8; 4]>),
    /// IPv6.
    V6(KVec<[u8; 16]>),
}

impl AddressList {
    /// For backends of the family of this one.
    pub(crate) fn of(first: Addr) -> Self {
        match first {
            Addr::V4(_) => Self::V4(KVec::new()),
            Addr::V6(_) => Self::V6(KVec::new()),
        }
    }

    /// Adds the next one; `false` if it is not of the family of the others.
    pub(crate) fn push(&mut self, addr: Addr, flags: Flags) -> Result<bool, AllocError> {
        match (self, addr) {
            (Self::V4(list), Addr::V4(addr)) => list.append(addr, flags)?,
            (Self::V6(list), Addr::V6(addr)) => list.append(addr, flags)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// As headers list them.
    #[inline]
    pub(crate) fn as_list(&self) -> Addresses<'_> {
        match self {
            Self::V4(list) => Addresses::V4(list),
            Self::V6(list) => Addresses::V6(list),
        }
    }

    /// The address of a backend.
    pub(crate) fn get(&self, index: u8) -> Option<Addr> {
        let index = usize::from(index);
        match self {
            Self::V4(list) => list.get(index).copied().map(Addr::V4),
            Self::V6(list) => list.get(index).copied().map(Addr::V6),
        }
    }

    /// Their family.
    pub(crate) fn family(&self) -> Family {
        match self {
            Self::V4(_) => Family::V4,
            Self::V6(_) => Family::V6,
        }
    }
}

/// A table.
pub(crate) struct Table {
    /// Its name; UTF-8, may be empty.
    pub(crate) name: KVec<u8>,
    /// The load that it came with.
    pub(crate) generation: u32,
    /// Key of the packet hash.
    pub(crate) hash_key: SipKey,
    /// At most 256, all of one family.
    pub(crate) backends: KVec<Backend>,
    /// Their addresses, as headers list them.
    pub(crate) addresses: AddressList,
    /// What belongs to it; kept to be shown.
    pub(crate) binds: KVVec<Bind>,
    /// Hops of a row: 1 or 2 ([`Selector::least_hops`]) to 31, with IPv6 backends to 8.
    pub(crate) hops: u8,
    /// How its packets leave.
    pub(crate) forward: Forward,
    /// How its packets find their rows.
    pub(crate) selector: Selector,
    /// `hops` indexes of backends for each of GLB's rows. A service has none here: that is how packets of other tables need
    /// not ask for what only services have.
    pub(crate) rows: KVVec<u8>,
    /// Likewise for each row of a service.
    pub(crate) numbered: KVVec<u8>,
    /// What is counted of the table, if it is a service.
    pub(crate) counts: Option<Counts>,
    /// Ids of the backends, by their indexes.
    pub(crate) roster: KBox<Roster>,
    /// Which of them keep their flows; there as soon as the table is loaded.
    pub(crate) keepers: KBox<Keepers>,
    /// How it remembers flows, if it does.
    pub(crate) flow_spec: Option<Spec>,
    /// The flows; there as soon as the table is loaded.
    pub(crate) flows: Option<Arc<Flows>>,
    /// Whether backends left with this load, so that their flows are to be ended.
    pub(crate) sweep: bool,
    /// How the table of the same name before it remembered flows.
    pub(crate) rules_before: Option<Rules>,
}

impl Table {
    /// Key of the packet hash.
    #[inline]
    pub(crate) fn hash_key(&self) -> &SipKey {
        &self.hash_key
    }

    /// The backends of a row, the primary first. Not empty.
    #[inline]
    pub(crate) fn row(&self, row: u16) -> &[u8] {
        let hops = usize::from(self.hops);
        let at = usize::from(row).wrapping_mul(hops);
        self.rows
            .get(at..)
            .and_then(|rows| rows.get(..hops))
            .unwrap_or_default()
    }

    /// Whether it is one of GLB's own, so that its rows stand where packets look first.
    fn is_plain(&self) -> bool {
        self.counts.is_none()
    }

    /// Whether it is a service: that one has no rows where GLB's own stand. The packet path asks this, as rows are near.
    #[inline]
    pub(crate) fn is_service(&self) -> bool {
        self.rows.is_empty()
    }

    /// The counters of a backend of a service.
    #[inline]
    pub(crate) fn meter(&self, backend: u8) -> Option<&Meter> {
        self.counts.as_ref()?.backend(backend)
    }

    /// How packets find their rows where there may be more to it than GLB's rows.
    pub(crate) fn other_selector(&self) -> Option<Selector> {
        (!self.is_plain()).then_some(self.selector)
    }

    /// All rows, whatever the select.
    pub(crate) fn all_rows(&self) -> &KVVec<u8> {
        if self.is_plain() {
            &self.rows
        } else {
            &self.numbered
        }
    }

    /// Likewise, while the table is loaded.
    pub(crate) fn all_rows_mut(&mut self) -> &mut KVVec<u8> {
        if self.is_plain() {
            &mut self.rows
        } else {
            &mut self.numbered
        }
    }

    /// The backends of a row by its number, whatever the select; none if there is no such row.
    pub(crate) fn any_row(&self, number: u32) -> &[u8] {
        let hops = usize::from(self.hops);
        (number as usize)
            .checked_mul(hops)
            .and_then(|at| self.all_rows().get(at..))
            .and_then(|rows| rows.get(..hops))
            .unwrap_or_default()
    }
}
