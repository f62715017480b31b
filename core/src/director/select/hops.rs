// SPDX-License-Identifier: GPL-2.0

//! The hops of one packet: where they stand in the tables, until the header wants them.

use super::hash::PacketHash;
use super::{maglev, Select};
use crate::director::forward::Others;
use crate::director::inspect::Candidate;
use crate::director::world::{Addresses, World};
use crate::packet::ip::Family;

/// The first hop, which becomes the outer destination, and those behind it, which stand in the header.
///
/// All are of one family and fit a header: tables that are otherwise are not loaded.
pub struct Hops<'w, W: World> {
    table: &'w W::Table,
    first: &'w W::Hop,
    behind: &'w [u8],
    /// The row of a second set of hash fields; without one it is empty.
    alt: &'w [u8],
}

impl<'w, W: World> Hops<'w, W> {
    /// The hops of the hash's row, and of a second hash's row behind it. A flow that is remembered with another backend than
    /// the row's first one has that backend in front, and as many hops.
    #[inline(always)]
    pub(in crate::director) fn new(
        world: &'w W,
        table: &'w W::Table,
        packet: Candidate,
        (hash, alt): (PacketHash, Option<PacketHash>),
    ) -> Option<Self> {
        let row_of = row(world, table, hash);
        let (first, behind) = match world.flow(table, packet, row_of.first().copied()) {
            None => {
                let (&first, behind) = row_of.split_first()?;
                (first, behind)
            }
            Some(remembered) => {
                let behind = row_of.get(..row_of.len().wrapping_sub(1));
                (remembered, behind.unwrap_or_default())
            }
        };
        Some(Self {
            table,
            first: world.hop(table, first)?,
            behind,
            alt: alt.map_or(&[], |hash| row(world, table, hash)),
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
}

/// The row that a hash selects.
#[inline(always)]
fn row<'w, W: World>(world: &'w W, table: &'w W::Table, hash: PacketHash) -> &'w [u8] {
    match world.select(table) {
        Select::Rows => world.row(table, hash.row()),
        Select::Maglev { size } => world.maglev_row(table, maglev::row(hash, size)),
    }
}

impl<W: World> Others for Hops<'_, W> {
    #[inline(always)]
    fn write(&self, family: Family, list: &mut [u8]) -> Option<()> {
        let rows = [self.behind, self.alt];
        match (family, W::addresses(self.table)) {
            (Family::V4, Addresses::V4(addrs)) => write_rows(addrs, rows, list),
            (Family::V6, Addresses::V6(addrs)) => write_rows(addrs, rows, list),
            _ => None,
        }
    }
}

/// Writes the addresses of the backends of two rows. A hop is a load and a store: rows of 31 hops are read for every packet.
#[inline(always)]
fn write_rows<const N: usize>(addrs: &[[u8; N]], rows: [&[u8]; 2], list: &mut [u8]) -> Option<()> {
    let mut rest = list;
    for row in rows {
        let (places, behind) = rest.split_at_mut_checked(row.len().wrapping_mul(N))?;
        for (place, &backend) in places.chunks_exact_mut(N).zip(row) {
            place.copy_from_slice(addrs.get(usize::from(backend))?);
        }
        rest = behind;
    }
    rest.is_empty().then_some(())
}
