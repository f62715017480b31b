// SPDX-License-Identifier: GPL-2.0

//! `lookup`: where a packet would go.

#![forbid(unsafe_code)]

use super::row::{put_hops, LOOKUP_SIZE};
use crate::netlink::{Family, Request};
use crate::state::State;
use crate::tables::{Table, TableSet};
use glb_core::addr::Addr;
use glb_core::bind::Proto;
use glb_core::hash::{packet_hash, FlowKey, HashFields, PacketHash};
use glb_core::ip::{proto, Addrs};
use glb_core::netlink::{lookup as attr, operation};
use glb_kernel::genl::{Attr, Command, Spec};
use glb_kernel::rcu;
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
        let flow = FlowKey {
            addrs,
            src_port: port(attr::SRC_PORT)?,
            dst_port: port(attr::DST_PORT)?,
        };
        let protocol = request.require(attr::PROTO)?;
        request.reply(LOOKUP_SIZE, |message| {
            let rcu = rcu::Guard::new();
            let set = state.tables(&rcu);
            let table = classify(set, request, dst, &protocol, flow.dst_port)?;
            let Some((set, table, index)) = table else {
                return Err(refuse!(
                    request,
                    ENOENT,
                    Some(&sent),
                    "no table has a bind for this packet"
                ));
            };
            message.u32(attr::TABLE, index)?;
            message.text(attr::NAME, &table.name)?;
            message.u32(attr::GENERATION, table.generation)?;
            let config = state.config(&rcu);
            let hash =
                |fields: HashFields| -> PacketHash { packet_hash(table.hash_key(), fields, &flow) };
            let first = hash(config.hash_fields);
            message.uint(attr::HASH, first.0)?;
            message.u16(attr::ROW, first.row())?;
            if let Some(fields) = config.alt_hash_fields {
                let second = hash(fields);
                message.uint(attr::ALT_HASH, second.0)?;
                message.u16(attr::ALT_ROW, second.row())?;
                put_hops(message, Some(set), table, first.row())?;
                return put_hops(message, Some(set), table, second.row());
            }
            put_hops(message, Some(set), table, first.row())
        })
    }
}

/// The table of a packet, and its index.
fn classify<'s, 'a>(
    set: Option<&'s TableSet>,
    request: &Request<'a>,
    dst: Addr,
    protocol: &Attr<'a>,
    port: u16,
) -> Result<Option<(&'s TableSet, &'s Table, u32)>> {
    let Some(set) = set else { return Ok(None) };
    let found = match protocol.u8()? {
        proto::ICMP | proto::ICMPV6 => set.classify_addr(dst),
        number => {
            let proto = Proto::from_number(number).ok_or_else(|| {
                refuse!(
                    request,
                    EINVAL,
                    Some(protocol),
                    "protocol {number}: must be TCP, UDP, ICMP or ICMPv6"
                )
            })?;
            set.classify(dst, proto, port)
        }
    };
    let Some(table) = found else { return Ok(None) };
    let index = set.tables.iter().position(|one| core::ptr::eq(one, table));
    // The cast is exact: the number of tables is bounded.
    Ok(index.map(|index| (set, table, index as u32)))
}
