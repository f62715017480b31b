// SPDX-License-Identifier: GPL-2.0

//! What the core decides on in a namespace: its loaded tables, and the fragments that it remembers.

#![forbid(unsafe_code)]

use super::follow::{key, known, learned, remembered};
use super::set::{NextHop, Table, TableSet};
use crate::stats::Stats;
use glb_core::director::classify::bind::Proto;
use glb_core::director::classify::flow::Classes;
use glb_core::director::flows::Key;
use glb_core::director::reverse::{Answers, Origin};
use glb_core::director::{self, Addresses, Candidate, Forward, Selector, World};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::{Addrs, Fragment};
use glb_core::siphash::SipKey;

/// The loaded tables, and what is remembered, as long as RCU holds them. Without `FLOWS` nothing is known of flows: so it is
/// for a question of somebody who may not list them.
#[derive(Clone, Copy)]
pub(crate) struct Loaded<'s, const FLOWS: bool = true> {
    pub(crate) tables: &'s TableSet,
    pub(crate) stats: &'s Stats,
    /// Whether flows are remembered: packets are, and questions are not.
    pub(crate) learns: bool,
}

/// A packet whose table is known.
pub(crate) type Bound<'w, 's> = director::Bound<'w, Loaded<'s>>;

/// Where a packet goes.
pub(crate) type Plan<'w, 's> = director::Plan<'w, Loaded<'s>>;

impl<const FLOWS: bool> Loaded<'_, FLOWS> {
    /// What is remembered of a packet's flow. A packet for which there is no backend at all is counted.
    #[inline]
    fn counted(&self, table: &Table, first: Option<u8>, found: Option<u8>) -> Option<u8> {
        if let (None, None, true, Some(counts)) = (first, found, self.learns, &table.counts) {
            counts.count_no_hop();
        }
        found
    }
}

impl<const FLOWS: bool> World for Loaded<'_, FLOWS> {
    type Table = Table;
    type Hop = NextHop;

    #[inline(always)]
    fn by_port(&self, dst: Addr, proto: Proto, port: u16) -> Option<&Table> {
        self.tables.classify(dst, proto, port)
    }

    #[inline]
    fn by_addr(&self, dst: Addr) -> Option<&Table> {
        self.tables.classify_addr(dst)
    }

    #[cold]
    #[inline(never)]
    fn by_proto(&self, dst: Addr, proto: Proto) -> Option<&Table> {
        self.tables.classify_proto(dst, proto)
    }

    // Apart from the way of packets with ports, which keeps its registers so (docs/decisions/0008).
    #[cold]
    #[inline(never)]
    fn by_all(&self, dst: Addr) -> Option<&Table> {
        self.tables.classify_all(dst)
    }

    #[inline]
    fn classes(&self) -> Classes<'_> {
        self.tables.classes()
    }

    #[inline]
    fn service(&self, service: u16) -> Option<&Table> {
        self.tables.tables.get(usize::from(service))
    }

    #[inline]
    fn forward(table: &Table) -> Forward {
        table.forward
    }

    #[inline]
    fn hash_key<'w>(&'w self, table: &'w Table) -> &'w SipKey {
        table.hash_key()
    }

    #[inline]
    fn row<'w>(&'w self, table: &'w Table, row: u16) -> &'w [u8] {
        table.row(row)
    }

    fn selector(&self, table: &Table) -> Option<Selector> {
        table.other_selector()
    }

    fn numbered_row<'w>(&'w self, table: &'w Table, row: u32) -> &'w [u8] {
        table.any_row(row)
    }

    #[inline]
    fn hop<'w>(&'w self, table: &'w Table, backend: u8) -> Option<&'w NextHop> {
        self.tables.hop(table, backend)
    }

    #[inline]
    fn addresses(table: &Table) -> Addresses<'_> {
        table.addresses.as_list()
    }

    fn flow(&self, table: &Table, packet: Candidate, first: Option<u8>) -> Option<u8> {
        if !FLOWS {
            return None;
        }
        let flows = table.flows.as_ref();
        let found = flows.and_then(|flows| remembered((table, flows), self.learns, packet, first));
        self.counted(table, first, found)
    }

    #[inline(always)]
    fn remembers(&self, table: &Table) -> bool {
        FLOWS && table.flows.is_some()
    }

    #[inline(always)]
    fn key(&self, table: &Table, packet: &Candidate) -> Option<Key> {
        match FLOWS {
            true => key(table, table.flows.as_deref()?, self.learns, packet),
            false => None,
        }
    }

    #[inline(always)]
    fn known(&self, table: &Table, packet: &Candidate, key: &Key) -> Option<u8> {
        known(table, table.flows.as_deref()?, packet, key)
    }

    #[inline]
    fn learn(
        &self,
        table: &Table,
        packet: Candidate,
        (key, first): (&Key, Option<u8>),
    ) -> Option<u8> {
        let flows = table.flows.as_ref();
        let found = flows.and_then(|flows| learned((table, flows), &packet, key, first));
        self.counted(table, first, found)
    }

    fn remember(&self, key: &FlowKey, fragment: Fragment) {
        self.stats.record_fragment(key, fragment);
    }

    fn remembered(&self, addrs: &Addrs, fragment: Fragment) -> Option<(u16, u16)> {
        self.stats.ports_of_fragment(addrs, fragment)
    }

    fn remember_service(&self, addrs: &Addrs, fragment: Fragment, service: u16) {
        let load = self.tables.generation;
        self.stats.record_service(addrs, fragment, (load, service));
    }

    fn remembered_service(&self, addrs: &Addrs, fragment: Fragment) -> Option<u16> {
        let load = self.tables.generation;
        self.stats.service_of_fragment(addrs, fragment, load)
    }
}

impl Answers for Loaded<'_> {
    #[inline(always)]
    fn origin(&self, backend: Addr, proto: Proto, port: u16) -> Option<Origin> {
        let bind = self.tables.services().bind(backend, proto, port)?;
        self.tables.origin_of(bind)
    }

    fn has_backend(&self, backend: Addr) -> bool {
        self.tables.services().has_backend(backend)
    }

    fn only_vip(&self, backend: Addr) -> Option<Addr> {
        let bind = self.tables.services().bind_of_only_vip(backend)?;
        Some(self.tables.origin_of(bind)?.vip)
    }

    fn remember(&self, key: &FlowKey, fragment: Fragment) {
        self.stats.record_fragment(key, fragment);
    }

    fn remembered(&self, addrs: &Addrs, fragment: Fragment) -> Option<(u16, u16)> {
        self.stats.ports_of_fragment(addrs, fragment)
    }
}
