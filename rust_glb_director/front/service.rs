// SPDX-License-Identifier: GPL-2.0

//! The processing of a packet of a service, once its table is known.
//!
//! As in [`super::ingress`], most packets are alike. For each forward and each family there is a function, in which all of such a
//! packet's way is in registers, but for what is the kernel's. What these functions need is put together in a [`Door`], and the packet
//! is not in it: they read it again, in fewer steps than it takes to write it down and to fetch it. A packet whose backend is not
//! known in few steps asks a function apart, which answers a backend and nothing else: so its way is the same from there on.

#![forbid(unsafe_code)]

use crate::config::Config;
use crate::send::refuse::refuse;
use crate::send::{marked, of_service, rewritten, tunnelled};
use crate::tables::set::Table;
use crate::tables::world::{Bound, Loaded, Plan};
use glb_core::director::flows::Key;
use glb_core::director::select::hash::PacketHash;
use glb_core::director::{again, Leave, Tunnel, Verdict};
use glb_core::packet::ip::Family;
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::packet::skb::Skb;

/// By what a common packet comes to a service.
pub(super) struct Door<'p> {
    pub(super) world: Loaded<'p>,
    pub(super) config: &'p Config,
    pub(super) table: &'p Table,
}

/// A common packet.
#[inline(always)]
pub(super) fn common<'a>(door: &Door<'_>, hook: Hook<'_>, skb: Skb<'a>) -> Outcome<'a> {
    match hook.family {
        Family::V4 => of_forward::<false>(door, hook, skb),
        Family::V6 => of_forward::<true>(door, hook, skb),
    }
}

#[inline(never)]
fn of_forward<'a, const V6: bool>(door: &Door<'_>, hook: Hook<'_>, skb: Skb<'a>) -> Outcome<'a> {
    match door.table.forward.leave() {
        Leave::Tunnel(Tunnel::Gre) => in_gre::<V6>(door, hook, skb),
        Leave::Tunnel(Tunnel::Ipip) => in_ip::<V6>(door, hook, skb),
        Leave::Rewrite(_) => in_place::<V6>(door, hook, skb),
        Leave::Mark(_) => by_mark::<V6>(door, hook, skb),
        // It names all hops of its row.
        Leave::Tunnel(Tunnel::Gue) => named::<V6>(door, hook, skb),
    }
}

#[inline(never)]
fn in_gre<'a, const V6: bool>(door: &Door<'_>, hook: Hook<'_>, skb: Skb<'a>) -> Outcome<'a> {
    in_tunnel::<V6>(Tunnel::Gre, door, hook, skb)
}

#[inline(never)]
fn in_ip<'a, const V6: bool>(door: &Door<'_>, hook: Hook<'_>, skb: Skb<'a>) -> Outcome<'a> {
    in_tunnel::<V6>(Tunnel::Ipip, door, hook, skb)
}

#[inline(always)]
fn in_tunnel<'a, const V6: bool>(
    tunnel: Tunnel,
    door: &Door<'_>,
    hook: Hook<'_>,
    skb: Skb<'a>,
) -> Outcome<'a> {
    let hook = of_family::<V6>(hook);
    // Of the headers in front, those of IPv6 have a flow label.
    let has_label = door.table.addresses.family() == Family::V6;
    match plan::<V6>(door, &skb, has_label) {
        Ok(plan) => tunnelled((tunnel, plan), door.world.stats, hook, door.config, skb),
        Err(verdict) => refuse(door.world.stats, skb, verdict),
    }
}

#[inline(never)]
fn in_place<'a, const V6: bool>(door: &Door<'_>, hook: Hook<'_>, skb: Skb<'a>) -> Outcome<'a> {
    let hook = of_family::<V6>(hook);
    let Leave::Rewrite(edit) = door.table.forward.leave() else {
        return named::<V6>(door, hook, skb);
    };
    match plan::<V6>(door, &skb, false) {
        Ok(plan) => rewritten((edit, plan), door.world.stats, hook, door.config, skb),
        Err(verdict) => refuse(door.world.stats, skb, verdict),
    }
}

#[inline(never)]
fn by_mark<'a, const V6: bool>(door: &Door<'_>, hook: Hook<'_>, skb: Skb<'a>) -> Outcome<'a> {
    let Leave::Mark(offset) = door.table.forward.leave() else {
        return named::<V6>(door, hook, skb);
    };
    match plan::<V6>(door, &skb, false) {
        Ok(plan) => marked((offset, plan), door.world.stats, door.config, skb),
        Err(verdict) => refuse(door.world.stats, skb, verdict),
    }
}

/// The hook, of whose family the compiler knows here.
#[inline(always)]
fn of_family<const V6: bool>(hook: Hook<'_>) -> Hook<'_> {
    let family = family::<V6>();
    Hook { family, ..hook }
}

#[inline(always)]
const fn family<const V6: bool>() -> Family {
    match V6 {
        false => Family::V4,
        true => Family::V6,
    }
}

/// The packet and its table, as they were found.
#[inline(always)]
fn bound<'d, const V6: bool>(door: &'d Door<'_>, skb: &Skb<'_>) -> Option<Bound<'d, 'd>> {
    let packet = again(View::new(skb.linear(), skb.len()), family::<V6>())?;
    Some(Bound {
        packet,
        table: door.table,
        verdict: Verdict::Encapsulated,
    })
}

/// Where a packet goes that names no further hops. It is hashed where what is put in front of it depends on that, and where the
/// table remembers no flows.
#[inline(always)]
fn plan<'d, const V6: bool>(
    door: &'d Door<'_>,
    skb: &Skb<'_>,
    is_hashed: bool,
) -> Result<Plan<'d, 'd>, Verdict> {
    // It is there: it has been read.
    let bound = bound::<V6>(door, skb).ok_or(Verdict::PassedUnknownFormat)?;
    let hash = match is_hashed || door.table.flows.is_none() {
        true => Some(bound.hash(&door.world, door.config)),
        false => None,
    };
    let hashed = hash.unwrap_or(PacketHash(0));
    let key = bound.key(&door.world);
    let backend = match bound.backend(&door.world, hashed, key.as_ref()) {
        Some(backend) => Some(backend),
        None => other_backend::<V6>(door, skb, &Missed { hash, key }),
    };
    let backend = backend.ok_or(Verdict::DroppedNoHop)?;
    bound.toward(&door.world, backend, hashed)
}

/// What is known of a packet whose backend is not.
struct Missed {
    hash: Option<PacketHash>,
    key: Option<Key>,
}

/// The backend of a packet about which there is more to be said: the first one of a flow, or one whose row is selected by
/// something else than its own hash.
#[inline(never)]
fn other_backend<const V6: bool>(
    door: &Door<'_>,
    skb: &Skb<'_>,
    Missed { hash, key }: &Missed,
) -> Option<u8> {
    let bound = bound::<V6>(door, skb)?;
    let hash = match hash {
        Some(hash) => *hash,
        None => bound.hash(&door.world, door.config),
    };
    bound.other_backend(&door.world, hash, key.as_ref())
}

/// A packet whose header names all hops of its row.
#[inline(never)]
fn named<'a, const V6: bool>(door: &Door<'_>, hook: Hook<'_>, skb: Skb<'a>) -> Outcome<'a> {
    let hook = of_family::<V6>(hook);
    match bound::<V6>(door, &skb) {
        Some(bound) => any(door.world, door.config, hook, skb, bound),
        None => refuse(door.world.stats, skb, Verdict::PassedUnknownFormat),
    }
}

/// Any packet.
#[inline(never)]
pub(super) fn any<'a>(
    world: Loaded<'_>,
    config: &Config,
    hook: Hook<'_>,
    skb: Skb<'a>,
    Bound {
        packet,
        table,
        verdict,
    }: Bound<'_, '_>,
) -> Outcome<'a> {
    // Of the copy of the world that is here.
    let bound = Bound {
        packet,
        table,
        verdict,
    };
    match bound.decide(&world, config) {
        Ok(plan) => of_service(world.stats, hook, config, skb, plan),
        Err(verdict) => refuse(world.stats, skb, verdict),
    }
}
