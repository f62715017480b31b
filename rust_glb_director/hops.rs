// SPDX-License-Identifier: GPL-2.0

//! The hops of one packet: where they stand in the tables, until the header wants them.

#![forbid(unsafe_code)]

use crate::tables::{NextHop, Table, TableSet};
use glb_core::addr::Addr;

/// The first hop, which becomes the outer destination, and those behind it, which stand in the header.
///
/// All are of one family and fit a header: tables that are otherwise are not loaded.
pub(crate) struct Hops<'t> {
    tables: &'t TableSet,
    table: &'t Table,
    first: &'t NextHop,
    behind: &'t [u8],
    /// The row of a second set of hash fields; without one it is empty.
    alt: &'t [u8],
}

impl<'t> Hops<'t> {
    /// The hops of `row`, and of a second row behind it.
    #[inline]
    pub(crate) fn new(
        tables: &'t TableSet,
        table: &'t Table,
        row: u16,
        alt: Option<u16>,
    ) -> Option<Self> {
        let (&first, behind) = table.row(row).split_first()?;
        Some(Self {
            tables,
            table,
            first: tables.hop(table, first)?,
            behind,
            alt: alt.map_or(&[], |row| table.row(row)),
        })
    }

    /// The first hop.
    #[inline]
    pub(crate) fn first(&self) -> &'t NextHop {
        self.first
    }

    /// How many hops are behind the first.
    #[inline]
    pub(crate) fn others(&self) -> u8 {
        // The casts are exact: a header has room for 30.
        (self.behind.len() as u8).wrapping_add(self.alt.len() as u8)
    }

    /// The hops behind an IPv4 first one.
    #[inline]
    pub(crate) fn others_v4(&self) -> impl Iterator<Item = [u8; 4]> + '_ {
        self.addrs().filter_map(|addr| match addr {
            Addr::V4(addr) => Some(addr),
            Addr::V6(_) => None,
        })
    }

    /// The hops behind an IPv6 first one.
    #[inline]
    pub(crate) fn others_v6(&self) -> impl Iterator<Item = [u8; 16]> + '_ {
        self.addrs().filter_map(|addr| match addr {
            Addr::V6(addr) => Some(addr),
            Addr::V4(_) => None,
        })
    }

    #[inline]
    fn addrs(&self) -> impl Iterator<Item = Addr> + '_ {
        let backends = self.behind.iter().chain(self.alt);
        backends.filter_map(|&backend| Some(self.tables.hop(self.table, backend)?.addr))
    }
}
