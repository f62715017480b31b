// SPDX-License-Identifier: GPL-2.0

//! `lookup`: where a packet would go.

#![forbid(unsafe_code)]

use super::row::{put_hops, put_number, LOOKUP_SIZE};
use crate::netlink::{Family, Request};
use crate::state::State;
use crate::tables::world::Loaded;
use glb_core::director::classify::by_class::{class_of, Bytes};
use glb_core::director::{decide_classed, Candidate, Kind, Verdict, World};
use glb_core::netlink::glb::{lookup as attr, operation};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::{proto, Addrs, Family as IpFamily};
use glb_kernel::base::rcu;
use glb_kernel::genl::{Attr, Command, Message, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

/// `lookup`: where a packet would go.
pub(in crate::netlink) struct Lookup;

impl Command for Lookup {
    type Family = Family;
    const SPEC: Spec = operation::LOOKUP;

    fn run(state: &State, request: &Request<'_>) -> Result {
        let sent = request.require(attr::DST)?;
        let dst = request.addr(&sent)?;
        let source = request.require(attr::SRC)?;
        let addrs = match (request.addr(&source)?, dst) {
            (Addr::V4(src), Addr::V4(dst)) => Addrs::V4 { src, dst },
            (Addr::V6(src), Addr::V6(dst)) => Addrs::V6 { src, dst },
            _ => {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&source),
                    "source and destination are of different families"
                ));
            }
        };
        let port = |kind| match request.get(kind) {
            Some(sent) => sent.u16(),
            None => Ok(0),
        };
        let kind = kind(request, addrs.family())?;
        let mut key = FlowKey {
            addrs,
            src_port: port(attr::SRC_PORT)?,
            dst_port: port(attr::DST_PORT)?,
        };
        if matches!(kind, Kind::Portless(_)) {
            (key.src_port, key.dst_port) = (0, 0);
        }
        let packet = Candidate {
            kind,
            key,
            hint: key.src_port,
            len: 0,
            fragment: None,
            flags: 0,
        };
        request.reply(LOOKUP_SIZE, |message| match request.is_admin() {
            true => answer::<true>(state, request, &sent, packet, message),
            // Who may not list the flows is not told which are known, either: neither by a backend, nor by whether there is one.
            false => answer::<false>(state, request, &sent, packet, message),
        })
    }
}

/// Answers where the packet would go to the address of `sent`; without `FLOWS`, if no flow were known.
fn answer<'a, const FLOWS: bool>(
    state: &State,
    request: &Request<'a>,
    sent: &Attr<'a>,
    packet: Candidate,
    message: &mut Message<'_>,
) -> Result {
    let rcu = rcu::Guard::new();
    let stats = state.stats();
    let world = state.tables(&rcu).map(|tables| Loaded::<'_, FLOWS> {
        tables,
        stats,
        learns: false,
    });
    let plan = match &world {
        // Bytes of its headers are not asked for.
        Some(world) => decide_classed(world, state.config(&rcu), packet, Bytes::default())
            .map(|plan| (world, plan)),
        None => Err(packet.unmatched()),
    };
    let (world, plan) = match plan {
        Ok(plan) => plan,
        Err(Verdict::PassedEcho) => {
            return Err(refuse!(
                request,
                ENOENT,
                None,
                "echo requests are left to this machine: forward-icmp-ping-responses is off"
            ))
        }
        Err(Verdict::DroppedNoHop) => {
            return Err(refuse!(
                request,
                ENOENT,
                None,
                "the packet's table has no usable row"
            ))
        }
        Err(_) => {
            return Err(refuse!(
                request,
                ENOENT,
                Some(sent),
                "no table has a bind for this packet, and no class has it"
            ))
        }
    };
    let (set, table) = (world.tables, plan.table);
    let mut numbered = (0u32..=u32::MAX).zip(set.tables.iter());
    if let Some((index, _)) = numbered.find(|(_, one)| core::ptr::eq(*one, table)) {
        message.u32(attr::TABLE, index)?;
    }
    message.text(attr::NAME, &table.name)?;
    message.u32(attr::GENERATION, table.generation)?;
    message.uint(attr::HASH, plan.hash.0)?;
    let row = plan.row(world);
    put_number(message, table, (attr::ROW, attr::ROW_NUMBER), row)?;
    message.u8(attr::FORWARD, table.forward.number())?;
    message.u8(attr::SELECT, table.selector.select.number())?;
    message.u8(attr::FLOW_HASH, table.selector.flow_hash.number())?;
    if let Some(dscp) = table.forward.dscp() {
        message.u8(attr::DSCP, dscp.value())?;
    }
    if let Some(port) = table.forward.target_port() {
        message.u16(attr::TARGET_PORT, port.get())?;
    }
    if let Some(offset) = table.forward.mark_offset() {
        message.u32(attr::MARK_OFFSET, offset.value())?;
    }
    let named = table.forward.named(table.any_row(row));
    match world.flow(table, plan.packet, named.first().copied()) {
        None => put_hops(message, Some(set), table, named)?,
        // The row's own first one is behind it, where packets name more than one.
        Some(remembered) => {
            message.u8(attr::KNOWN_FLOW, 1)?;
            put_hops(message, Some(set), table, &[remembered])?;
            let behind = named.get(..named.len().wrapping_sub(1));
            put_hops(message, Some(set), table, behind.unwrap_or_default())?;
        }
    }
    if let Some(second) = plan.alt_hash {
        message.uint(attr::ALT_HASH, second.0)?;
    }
    if let Some(found) = class_of(world.classes(), &packet, Bytes::default()) {
        message.u32(attr::CLASS, found.class)?;
    }
    if let Kind::Flow(proto) = packet.kind {
        let (header, has_inner) = world.classes().reads(proto, packet.key.dst_port);
        if header != 0 || has_inner {
            message.u8(attr::WANTS_BYTES, 1)?;
        }
    }
    if let Some(row) = plan.alt_row(world) {
        put_number(message, table, (attr::ALT_ROW, attr::ALT_ROW_NUMBER), row)?;
        put_hops(message, Some(set), table, table.any_row(row))?;
    }
    Ok(())
}

/// What kind of packet a request speaks of. Both numbers of ICMP speak of an echo request, whatever the family.
fn kind(request: &Request<'_>, family: IpFamily) -> Result<Kind> {
    let sent = request.require(attr::PROTO)?;
    match sent.u8()? {
        proto::ICMP | proto::ICMPV6 => Ok(Kind::Echo),
        number => Kind::of_protocol(number, family).ok_or_else(|| {
            refuse!(
                request,
                EINVAL,
                Some(&sent),
                "protocol {number}: an extension header of IPv6, behind which the protocol stands that counts"
            )
        }),
    }
}
