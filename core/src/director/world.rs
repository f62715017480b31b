// SPDX-License-Identifier: GPL-2.0

//! What the decision about a packet is made on. The module's loaded tables are one [`World`], a table file is another.

use super::classify::bind::Proto;
use super::classify::flow::Classes;
use super::flows::Key;
use super::forward::Forward;
use super::inspect::Candidate;
use super::select::Selector;
use crate::packet::addr::Addr;
use crate::packet::flow::FlowKey;
use crate::packet::ip::{Addrs, Fragment};
use crate::siphash::SipKey;

/// What a decision is made on: the loaded tables, and what is remembered of earlier packets.
pub trait World {
    /// A table.
    type Table;
    /// A backend, as packets are sent to it.
    type Hop;

    /// The table that packets to this address and port belong to.
    fn by_port(&self, dst: Addr, proto: Proto, port: u16) -> Option<&Self::Table>;
    /// The table that echo requests to this address belong to.
    fn by_addr(&self, dst: Addr) -> Option<&Self::Table>;
    /// The table that fragments belong to of which the protocol is known, and no ports. A world whose binds do not nest need
    /// not tell protocols apart.
    fn by_proto(&self, dst: Addr, _proto: Proto) -> Option<&Self::Table> {
        self.by_addr(dst)
    }
    /// The table that takes all protocols of this address. A world without such tables need not say so.
    fn by_all(&self, _dst: Addr) -> Option<&Self::Table> {
        None
    }

    /// The classes, which are asked before binds are. A world without classes need not say so.
    fn classes(&self) -> Classes<'_> {
        Classes::NONE
    }
    /// The table that a class leads to.
    fn service(&self, _service: u16) -> Option<&Self::Table> {
        None
    }

    /// How the table's packets leave.
    fn forward(table: &Self::Table) -> Forward;
    /// Key of the table's packet hash.
    fn hash_key<'w>(&'w self, table: &'w Self::Table) -> &'w SipKey;
    /// Indexes of the backends of one of GLB's rows, the primary first; none if the table has other rows.
    fn row<'w>(&'w self, table: &'w Self::Table, row: u16) -> &'w [u8];
    /// How packets find their rows in a table with other rows than GLB's. Asked only where [`Self::row`] has none.
    fn selector(&self, _table: &Self::Table) -> Option<Selector> {
        None
    }
    /// Indexes of the backends of a row of such a table, the primary first.
    fn numbered_row<'w>(&'w self, _table: &'w Self::Table, _row: u32) -> &'w [u8] {
        &[]
    }
    /// The backend that the packet's flow is remembered with, by its index, if it is another than the first one of its row.
    /// Remembers the flow if it is not yet. Asked only where [`Self::row`] has none, so tables that remember no flows pay
    /// nothing for it.
    fn flow(&self, _table: &Self::Table, _packet: Candidate, _first: Option<u8>) -> Option<u8> {
        None
    }
    /// Whether the table may remember flows: [`Self::flow`] has nothing to say of another one's packets.
    fn remembers(&self, _table: &Self::Table) -> bool {
        true
    }
    /// The key by which the packet's flow can be asked for in few steps. A world need not have one.
    fn key(&self, _table: &Self::Table, _packet: &Candidate) -> Option<Key> {
        None
    }
    /// The backend that the flow with this key is remembered with, by its index, if it is found at once: [`Self::learn`] says the
    /// same, and is asked where this says nothing.
    fn known(&self, _table: &Self::Table, _packet: &Candidate, _key: &Key) -> Option<u8> {
        None
    }
    /// As [`Self::flow`], of a packet whose flow has this key.
    fn learn(
        &self,
        table: &Self::Table,
        packet: Candidate,
        (_key, first): (&Key, Option<u8>),
    ) -> Option<u8> {
        self.flow(table, packet, first)
    }
    /// A backend of the table, by its index.
    fn hop<'w>(&'w self, table: &'w Self::Table, backend: u8) -> Option<&'w Self::Hop>;
    /// Addresses of the table's backends, by the same indexes.
    fn addresses(table: &Self::Table) -> Addresses<'_>;

    /// Remembers the ports of a first fragment.
    fn remember(&self, key: &FlowKey, fragment: Fragment);
    /// The ports of the first fragment of this datagram, client's first, if they are remembered.
    fn remembered(&self, addrs: &Addrs, fragment: Fragment) -> Option<(u16, u16)>;
    /// Remembers that a first fragment had a class, which leads to this table; or, by a number that no table has, that it had
    /// none.
    fn remember_service(&self, _addrs: &Addrs, _fragment: Fragment, _service: u16) {}
    /// What [`Self::remember_service`] was told of the first fragment of this datagram, if it is remembered.
    fn remembered_service(&self, _addrs: &Addrs, _fragment: Fragment) -> Option<u16> {
        None
    }
}

/// Addresses of a table's backends by their index, as headers list them: of one family, since a list is.
#[derive(Clone, Copy)]
pub enum Addresses<'a> {
    /// IPv4.
    V4(&'a [[u8; 4]]),
    /// IPv6.
    V6(&'a [[u8; 16]]),
}
