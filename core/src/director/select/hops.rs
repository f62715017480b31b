// SPDX-License-Identifier: GPL-2.0

//! The hops of one packet: where they stand in the tables, until the header wants them.

use super::hash::PacketHash;
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
    /// Index of the first hop's backend.
    backend: u8,
    behind: &'w [u8],
    /// The row of a second set of hash fields; without one it is empty.
    alt: &'w [u8],
}

impl<W: World> Clone for Hops<'_, W> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: World> Copy for Hops<'_, W> {}

impl<'w, W: World> Hops<'w, W> {
    /// The hops of the hash's row of GLB's; nothing in a table that has other rows.
    #[inline(always)]
    pub(in crate::director) fn of_row(
        world: &'w W,
        table: &'w W::Table,
        hash: PacketHash,
    ) -> Option<Self> {
        let (&backend, behind) = world.row(table, hash.row()).split_first()?;
        Some(Self {
            table,
            first: world.hop(table, backend)?,
            backend,
            behind,
            alt: &[],
        })
    }

    /// The hops of the hash's row, and of a second hash's row behind it.
    ///
    /// A table that has no rows of GLB's may have others, and may remember flows. Only where there is none is it asked: what
    /// GLB's rows cost does not depend on which other selects there are (docs/decisions/0008).
    #[inline(always)]
    pub(in crate::director) fn new(
        world: &'w W,
        table: &'w W::Table,
        packet: &Candidate,
        hash: PacketHash,
        alt: Option<PacketHash>,
    ) -> Option<Self> {
        let Some((&backend, behind)) = world.row(table, hash.row()).split_first() else {
            // Copied here, so that it stays in registers where there are rows.
            let packet = *packet;
            return Self::by_selector(world, table, packet, hash, alt);
        };
        Some(Self {
            table,
            first: world.hop(table, backend)?,
            backend,
            behind,
            alt: alt.map_or(&[], |hash| world.row(table, hash.row())),
        })
    }

    /// This backend alone.
    #[inline(always)]
    pub(in crate::director) fn alone(
        world: &'w W,
        table: &'w W::Table,
        backend: u8,
    ) -> Option<Self> {
        Some(Self {
            table,
            first: world.hop(table, backend)?,
            backend,
            behind: &[],
            alt: &[],
        })
    }

    /// The hops of the rows that the table's selector names. A flow that is remembered with another backend than the row's
    /// first one has that backend in front, and as many hops.
    #[inline(never)]
    fn by_selector(
        world: &'w W,
        table: &'w W::Table,
        packet: Candidate,
        hash: PacketHash,
        alt: Option<PacketHash>,
    ) -> Option<Self> {
        let selector = world.selector(table)?;
        let row = world.numbered_row(table, selector.row(hash, packet.kind, &packet.key));
        let (backend, behind) = match world.flow(table, packet, row.first().copied()) {
            None => {
                let (&first, behind) = row.split_first()?;
                (first, behind)
            }
            Some(remembered) => {
                let behind = row.get(..row.len().wrapping_sub(1));
                (remembered, behind.unwrap_or_default())
            }
        };
        let alt = alt.and_then(|hash| selector.alt_row(hash));
        Some(Self {
            table,
            first: world.hop(table, backend)?,
            backend,
            behind,
            alt: alt.map_or(&[], |number| world.numbered_row(table, number)),
        })
    }

    /// The first hop.
    #[inline]
    #[must_use]
    pub fn first(&self) -> &'w W::Hop {
        self.first
    }

    /// Index of the first hop's backend in the table.
    #[inline]
    #[must_use]
    pub fn backend(&self) -> u8 {
        self.backend
    }

    /// How many hops are behind the first.
    #[inline]
    #[must_use]
    pub fn others(&self) -> u8 {
        // The casts are exact: a header has room for 30.
        (self.behind.len() as u8).wrapping_add(self.alt.len() as u8)
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
