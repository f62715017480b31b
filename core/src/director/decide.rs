// SPDX-License-Identifier: GPL-2.0

//! The one decision about a packet: which table it belongs to, which row, which hops, and the verdict that it gets if it
//! reaches the first of them.
//!
//! The module's ingress hook and its `lookup`, `glbctl encap` and `glbctl lookup` and the fuzz targets all ask [`decide`];
//! what they differ in is the [`World`] that they decide on.

use super::classify::classify;
use super::forward::Forward;
use super::inspect::Candidate;
use super::select::hash::{packet_hash, PacketHash};
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

/// Decides where a packet goes. In line where it is asked, so that a plan stays in registers: 210 instructions a packet
/// (docs/decisions/0008).
#[inline(always)]
pub fn decide<'w, W: World>(
    world: &'w W,
    settings: &Settings,
    mut packet: Candidate,
) -> Result<Plan<'w, W>, Verdict> {
    let (table, verdict) = classify(world, settings, &mut packet)?;
    let key = world.hash_key(table);
    let hash = packet_hash(key, settings.hash_fields, &packet.key);
    // A fleet that changes its hash fields names the hops of both, where packets name further hops at all.
    let alt_hash = settings
        .alt_hash_fields
        .filter(|_| W::forward(table).lists_hops())
        .map(|fields| packet_hash(key, fields, &packet.key));
    let hops = Hops::new(world, table, &packet, hash, alt_hash).ok_or(Verdict::DroppedNoHop)?;
    Ok(Plan {
        packet,
        table,
        hash,
        alt_hash,
        hops,
        verdict,
    })
}
