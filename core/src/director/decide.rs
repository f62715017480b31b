// SPDX-License-Identifier: GPL-2.0

//! The one decision about a packet: which table it belongs to, which row, which hops, and the verdict that it gets if it
//! reaches the first of them.
//!
//! The module's `lookup`, `glbctl encap` and `glbctl lookup` and the fuzz targets all ask [`decide`]; the ingress hook asks its
//! halves, [`bind`] or [`bind_classed`] and one of those of [`Bound`], which leave out what common packets do not need. What they differ in is the
//! [`World`] that they decide on. `lab/director-agrees` holds the hook against `glbctl encap`.

use super::classify::by_class::{by_class, Bytes};
use super::classify::classify;
use super::flows::Key;
use super::forward::Forward;
use super::inspect::Candidate;
use super::select::hash::{hash_apart, packet_hash, PacketHash};
use super::select::{Hops, Selector};
use super::world::World;
use super::Verdict;
use crate::settings::Settings;

/// Where a packet goes.
pub struct Plan<'w, W: World> {
    /// The packet; a later fragment has the ports of its first one, if they are remembered.
    pub packet: Candidate,
    /// The table that it belongs to.
    pub table: &'w W::Table,
    /// What it is hashed to.
    pub hash: PacketHash,
    /// What it is hashed to by the second set of fields.
    pub alt_hash: Option<PacketHash>,
    /// Its hops.
    pub hops: Hops<'w, W>,
    /// The verdict if it gets to the first hop.
    pub verdict: Verdict,
}

impl<W: World> Plan<'_, W> {
    /// How the packet leaves.
    #[inline]
    pub fn forward(&self) -> Forward {
        W::forward(self.table)
    }

    /// The number of its row, for people: the hops are known without.
    #[must_use]
    pub fn row(&self, world: &W) -> u32 {
        let selector = world.selector(self.table).unwrap_or(Selector::GLB);
        selector.row(self.hash, self.packet.kind, &self.packet.key)
    }

    /// The number of the row by the second set of fields.
    #[must_use]
    pub fn alt_row(&self, world: &W) -> Option<u32> {
        let selector = world.selector(self.table).unwrap_or(Selector::GLB);
        self.alt_hash.and_then(|hash| selector.alt_row(hash))
    }
}

/// A packet whose table is known.
pub struct Bound<'w, W: World> {
    /// The packet; a later fragment has the ports of its first one, if they are remembered.
    pub packet: Candidate,
    /// The table that it belongs to.
    pub table: &'w W::Table,
    /// The verdict if it gets to the first hop.
    pub verdict: Verdict,
}

/// Decides where a packet goes: first to which table it belongs, then to which hops of it.
#[inline(always)]
pub fn decide<'w, W: World>(
    world: &'w W,
    settings: &Settings,
    packet: Candidate,
) -> Result<Plan<'w, W>, Verdict> {
    bind(world, settings, packet)?.decide(world, settings)
}

/// The same where there may be classes, which look at these bytes of the packet.
pub fn decide_classed<'w, W: World>(
    world: &'w W,
    settings: &Settings,
    packet: Candidate,
    bytes: Bytes<'_>,
) -> Result<Plan<'w, W>, Verdict> {
    bind_classed(world, settings, packet, bytes)?.decide(world, settings)
}

/// The first half of [`decide_classed`].
pub fn bind_classed<'w, W: World>(
    world: &'w W,
    settings: &Settings,
    packet: Candidate,
    bytes: Bytes<'_>,
) -> Result<Bound<'w, W>, Verdict> {
    match by_class(world, settings, packet, bytes)? {
        Some((table, verdict, packet)) => Ok(Bound {
            packet,
            table,
            verdict,
        }),
        None => bind(world, settings, packet),
    }
}

/// The first half of [`decide`].
#[inline(always)]
pub fn bind<'w, W: World>(
    world: &'w W,
    settings: &Settings,
    mut packet: Candidate,
) -> Result<Bound<'w, W>, Verdict> {
    let (table, verdict) = classify(world, settings, &mut packet)?;
    Ok(Bound {
        packet,
        table,
        verdict,
    })
}

impl<'w, W: World> Bound<'w, W> {
    /// What the packet is hashed to.
    #[inline(always)]
    pub fn hash(&self, world: &W, settings: &Settings) -> PacketHash {
        let key = world.hash_key(self.table);
        packet_hash(key, settings.hash_fields, &self.packet.key)
    }

    /// The second half of [`decide`]. In line where it is asked, so that a plan stays in registers (docs/decisions/0008).
    #[inline(always)]
    pub fn decide(self, world: &'w W, settings: &Settings) -> Result<Plan<'w, W>, Verdict> {
        let hash = self.hash(world, settings);
        // A fleet that changes its hash fields names the hops of both, where packets name further hops at all.
        let alt_hash = settings
            .alt_hash_fields
            .filter(|_| W::forward(self.table).lists_hops())
            .map(|fields| hash_apart(world.hash_key(self.table), fields, &self.packet.key));
        let hops = Hops::new(world, self.table, &self.packet, hash, alt_hash)
            .ok_or(Verdict::DroppedNoHop)?;
        Ok(self.plan(hash, alt_hash, hops))
    }

    /// The same where the table has GLB's rows, and there is no second set of hash fields.
    #[inline(always)]
    pub fn decide_by_rows(self, world: &'w W, settings: &Settings) -> Result<Plan<'w, W>, Verdict> {
        let hash = self.hash(world, settings);
        let hops = Hops::of_row(world, self.table, hash).ok_or(Verdict::DroppedNoHop)?;
        Ok(self.plan(hash, None, hops))
    }

    /// The key by which its flow can be asked for in few steps.
    #[inline(always)]
    #[must_use]
    pub fn key(&self, world: &'w W) -> Option<Key> {
        world.key(self.table, &self.packet)
    }

    /// The backend that the packet goes to, where the table has other rows than GLB's, if that can be said in few steps: of a flow
    /// that is known by its [`key`](Self::key), which needs no row; and in a table that remembers none, of a packet whose row is that
    /// of its `hash`. Of another one nothing is counted: [`Self::other_backend`] does.
    #[inline(always)]
    #[must_use]
    pub fn backend(&self, world: &'w W, hash: PacketHash, key: Option<&Key>) -> Option<u8> {
        if world.remembers(self.table) {
            return world.known(self.table, &self.packet, key?);
        }
        let row = world.selector(self.table)?.row_of_hash(hash)?;
        world.numbered_row(self.table, row).first().copied()
    }

    /// The same where [`Self::backend`] has not said it.
    #[inline]
    #[must_use]
    pub fn other_backend(&self, world: &'w W, hash: PacketHash, key: Option<&Key>) -> Option<u8> {
        let (table, packet) = (self.table, self.packet);
        let selector = world.selector(table)?;
        let row = match selector.row_of_hash(hash) {
            Some(row) => row,
            None => selector.row(hash, packet.kind, &packet.key),
        };
        let first = world.numbered_row(table, row).first().copied();
        let remembered = match key {
            Some(key) => world.learn(table, packet, (key, first)),
            None => world.flow(table, packet, first),
        };
        remembered.or(first)
    }

    /// The plan of a packet that goes to this backend and names no further hop. Nothing depends on the hash but what stands in front
    /// of the packet.
    #[inline(always)]
    pub fn toward(
        self,
        world: &'w W,
        backend: u8,
        hash: PacketHash,
    ) -> Result<Plan<'w, W>, Verdict> {
        let hops = Hops::alone(world, self.table, backend).ok_or(Verdict::DroppedNoHop)?;
        Ok(self.plan(hash, None, hops))
    }

    #[inline(always)]
    fn plan(
        self,
        hash: PacketHash,
        alt_hash: Option<PacketHash>,
        hops: Hops<'w, W>,
    ) -> Plan<'w, W> {
        Plan {
            packet: self.packet,
            table: self.table,
            hash,
            alt_hash,
            hops,
            verdict: self.verdict,
        }
    }
}

impl<W: World> Clone for Plan<'_, W> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: World> Copy for Plan<'_, W> {}
