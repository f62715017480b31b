// SPDX-License-Identifier: GPL-2.0

//! The connections of a proxy, counted by how their packets find it.

use super::own::Own;
use super::way::{ends, Way, Ways};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use std::collections::{BTreeMap, HashSet};

/// How the packets of a connection find the proxy that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// They come to it first.
    First,
    /// They are passed on to it.
    Later,
    /// They do not come to it.
    Never,
}

/// Connections whose packets go to one other proxy first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dependent {
    /// All of them.
    pub connections: u64,
    /// Of those, the ones whose packets name no hop that is this proxy: if directors have this table, they are lost.
    pub unreachable: u64,
}

/// The connections of one table.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// Connections whose packets come to this proxy first.
    pub first: u64,
    /// The others, by the proxy that their packets go to first.
    pub others: BTreeMap<Addr, Dependent>,
}

impl Counted {
    /// All connections whose first hop is another proxy.
    #[must_use]
    pub fn dependent(&self) -> Dependent {
        let mut all = Dependent::default();
        for one in self.others.values() {
            all.connections += one.connections;
            all.unreachable += one.unreachable;
        }
        all
    }
}

/// A connection, and whether a program of this machine listens on its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// From its client to its VIP.
    pub flow: FlowKey,
    /// A program listens on its port, so that it is not one that this machine opened.
    pub listened: bool,
    /// Its namespace has connections that are tracked: its local address may be the translation of a VIP.
    pub tracked: bool,
}

/// The connections of a proxy, counted.
pub struct Census<'a> {
    own: Vec<Option<Own>>,
    /// Addresses of the machine, whose own connections to a VIP pass no director.
    addresses: &'a HashSet<Addr>,
    /// Local ports whose connections come without a director.
    direct: &'a [u16],
    /// By the places of the tables.
    pub tables: Vec<Counted>,
    /// Connections that no table has: address and port, and how many. Those to the proxy's own address are among them where it
    /// may be the translation of a VIP.
    pub outside: BTreeMap<(Addr, u16), u64>,
    /// Connections from this machine to a VIP of its own.
    pub local: u64,
    hops: Vec<Addr>,
}

impl<'a> Census<'a> {
    /// Of a proxy ([`own()`](super::own())) on the machine with these addresses.
    #[must_use]
    pub fn new(own: Vec<Option<Own>>, addresses: &'a HashSet<Addr>) -> Self {
        Self {
            tables: vec![Counted::default(); own.len()],
            own,
            addresses,
            direct: &[],
            outside: BTreeMap::new(),
            local: 0,
            hops: Vec::new(),
        }
    }

    /// Connections to these ports of the machine come without a director, by the operator's word: none of them is outside.
    #[must_use]
    pub fn direct(mut self, ports: &'a [u16]) -> Self {
        self.direct = ports;
        self
    }

    /// Counts a connection. Returns where its packets go and how they find this proxy, if they belong to a table; their hops are
    /// in [`Self::hops`].
    pub fn take(
        &mut self,
        ways: &mut dyn Ways,
        seen: &Seen,
    ) -> Result<Option<(Way, Found)>, String> {
        let (client, vip) = ends(&seen.flow);
        let Some(way) = ways.way(&seen.flow, &mut self.hops)? else {
            let is_own = |own: &Option<Own>| own.is_some_and(|own| own.addr == vip);
            let may_be_vip = seen.tracked || !self.own.iter().any(is_own);
            let is_direct = self.direct.contains(&seen.flow.dst_port);
            if seen.listened
                && !is_direct
                && !is_loopback(client)
                && !is_loopback(vip)
                && may_be_vip
            {
                *self.outside.entry((vip, seen.flow.dst_port)).or_default() += 1;
            }
            return Ok(None);
        };
        if is_loopback(client) || self.addresses.contains(&client) {
            self.local += 1;
            return Ok(None);
        }
        let changed = || "the tables were replaced while connections were counted".to_owned();
        let own = self.own.get(way.table).ok_or_else(changed)?;
        let counted = self.tables.get_mut(way.table).ok_or_else(changed)?;
        let is_here = |addr: &Addr| own.is_some_and(|own| own.addr == *addr);
        let Some(first) = self.hops.first() else {
            return Err("a row without a hop".to_owned());
        };
        let found = match self.hops.iter().position(is_here) {
            Some(0) => Found::First,
            Some(_) => Found::Later,
            None => Found::Never,
        };
        if found == Found::First {
            counted.first += 1;
        } else {
            let other = counted.others.entry(*first).or_default();
            other.connections += 1;
            other.unreachable += u64::from(found == Found::Never);
        }
        Ok(Some((way, found)))
    }

    /// The hops of the connection that was counted last.
    #[must_use]
    pub fn hops(&self) -> &[Addr] {
        &self.hops
    }

    /// What the proxy is in each table.
    #[must_use]
    pub fn own(&self) -> &[Option<Own>] {
        &self.own
    }

    /// Connections that come to the proxy first, of the tables that it leaves ([`Own::is_leaving`]).
    #[must_use]
    pub fn leaving(&self) -> u64 {
        let of = |(own, counted): (&Option<Own>, &Counted)| {
            own.is_some_and(|own| own.is_leaving())
                .then_some(counted.first)
        };
        self.own.iter().zip(&self.tables).filter_map(of).sum()
    }

    /// All connections whose first hop is another proxy.
    #[must_use]
    pub fn dependent(&self) -> Dependent {
        let mut all = Dependent::default();
        for one in self.tables.iter().map(Counted::dependent) {
            all.connections += one.connections;
            all.unreachable += one.unreachable;
        }
        all
    }
}

fn is_loopback(addr: Addr) -> bool {
    match addr {
        Addr::V4(bytes) => bytes[0] == 127,
        Addr::V6(bytes) => u128::from_be_bytes(bytes) == 1,
    }
}
