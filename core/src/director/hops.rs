// SPDX-License-Identifier: GPL-2.0

//! The hops of one packet: where they stand in the tables, until the header wants them.

use super::decide::World;
use crate::addr::Addr;

/// The first hop, which becomes the outer destination, and those behind it, which stand in the header.
///
/// All are of one family and fit a header: tables that are otherwise are not loaded.
pub struct Hops<'w, W: World> {
    world: &'w W,
    table: &'w W::Table,
    first: &'w W::Hop,
    behind: &'w [u8],
    /// The row of a second set of hash fields; without one it is empty.
    alt: &'w [u8],
}

impl<'w, W: World> Hops<'w, W> {
    /// The hops of `row`, and of a second row behind it.
    #[inline(always)]
    pub(super) fn new(
        world: &'w W,
        table: &'w W::Table,
        row: u16,
        alt: Option<u16>,
    ) -> Option<Self> {
        let (&first, behind) = world.row(table, row).split_first()?;
        Some(Self {
            world,
            table,
            first: world.hop(table, first)?,
            behind,
            alt: alt.map_or(&[], |row| world.row(table, row)),
        })
    }

    /// The first hop.
    #[inline]
    #[must_use]
    pub fn first(&self) -> &'w W::Hop {
        self.first
    }

    /// How many hops are behind the first.
    #[inline]
    #[must_use]
    pub fn others(&self) -> u8 {
        // The casts are exact: a header has room for 30.
        (self.behind.len() as u8).wrapping_add(self.alt.len() as u8)
    }

    /// Addresses of the hops behind the first.
    #[inline]
    fn addrs(&self) -> impl Iterator<Item = Addr> + '_ {
        let backends = self.behind.iter().chain(self.alt);
        backends.filter_map(|&backend| Some(W::addr(self.world.hop(self.table, backend)?)))
    }
}

/// The hops behind the first, as a header lists them.
pub trait Others {
    /// Those behind an IPv4 first one.
    fn v4(&self) -> impl Iterator<Item = [u8; 4]> + '_;
    /// Those behind an IPv6 first one.
    fn v6(&self) -> impl Iterator<Item = [u8; 16]> + '_;
}

impl<W: World> Others for Hops<'_, W> {
    #[inline]
    fn v4(&self) -> impl Iterator<Item = [u8; 4]> + '_ {
        self.addrs().filter_map(v4)
    }

    #[inline]
    fn v6(&self) -> impl Iterator<Item = [u8; 16]> + '_ {
        self.addrs().filter_map(v6)
    }
}

impl Others for [Addr] {
    fn v4(&self) -> impl Iterator<Item = [u8; 4]> + '_ {
        self.iter().copied().filter_map(v4)
    }

    fn v6(&self) -> impl Iterator<Item = [u8; 16]> + '_ {
        self.iter().copied().filter_map(v6)
    }
}

#[inline]
fn v4(addr: Addr) -> Option<[u8; 4]> {
    match addr {
        Addr::V4(addr) => Some(addr),
        Addr::V6(_) => None,
    }
}

#[inline]
fn v6(addr: Addr) -> Option<[u8; 16]> {
    match addr {
        Addr::V6(addr) => Some(addr),
        Addr::V4(_) => None,
    }
}
