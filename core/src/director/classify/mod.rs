// SPDX-License-Identifier: GPL-2.0

//! Which table a packet belongs to, and what verdict it gets if it reaches a hop of it.
//!
//! ```text
//! bind      who serves this address and port: a look-up over the binds of all tables
//! flow      which service a packet belongs to by its addresses, ports and bytes: a look-up over classes
//! by_class  a packet's table by its class, where there are classes: before binds are asked
//! ```

pub mod bind;
pub mod by_class;
pub mod flow;

use super::inspect::{Candidate, Kind};
use super::select::Selector;
use super::world::World;
use super::Verdict;
use crate::packet::addr::Addr;
use crate::packet::flow::FlowKey;
use crate::packet::ip::{Addrs, Fragment};
use crate::settings::Settings;
use bind::Proto;

/// Finds the packet's table, and the verdict that it gets if it reaches a hop.
#[inline(always)]
pub(super) fn classify<'w, W: World>(
    world: &'w W,
    settings: &Settings,
    packet: &mut Candidate,
) -> Result<(&'w W::Table, Verdict), Verdict> {
    let bound = match packet.key.addrs {
        Addrs::V4 { dst, .. } => Addr::V4(dst),
        Addrs::V6 { dst, .. } => Addr::V6(dst),
    };
    let by_port = |proto: Proto, key: &FlowKey| by_port_apart(world, bound, proto, key.dst_port);
    let by_addr = || world.by_addr(bound).ok_or(Verdict::PassedNoMatchingBind);
    // By value, so that a packet that is named stays in registers.
    let other = |packet: &mut Candidate| {
        let (table, verdict, seen) = by_all(world, bound, *packet)?;
        *packet = seen;
        Ok((table, verdict))
    };
    match packet.kind {
        Kind::Flow(proto) => {
            let Some(table) = world.by_port(bound, proto, packet.key.dst_port) else {
                return match proto {
                    Proto::Tcp | Proto::Udp => Err(Verdict::PassedNoMatchingBind),
                    Proto::Sctp => other(packet),
                };
            };
            if let Some(fragment) = packet.fragment {
                world.remember(&packet.key, fragment);
            }
            Ok((table, Verdict::Encapsulated))
        }
        Kind::IcmpError(proto) => match by_port(proto, &packet.key) {
            Some(table) => Ok((table, Verdict::EncapsulatedIcmpError)),
            None => other(packet),
        },
        Kind::IcmpFailure(proto) => {
            // Other forwards leave it to the stack, which finds nothing that it could be about.
            let table = by_port_apart(world, bound, proto, packet.key.dst_port);
            match table.filter(|table| W::forward(table).takes_failures()) {
                Some(table) => Ok((table, Verdict::EncapsulatedIcmpError)),
                None => Err(Verdict::PassedUnknownFormat),
            }
        }
        Kind::Echo => {
            let table = by_addr()?;
            if settings.forward_icmp_ping_responses {
                Ok((table, Verdict::EncapsulatedEcho))
            } else {
                Err(Verdict::PassedEcho)
            }
        }
        Kind::EchoIcmpError => {
            // As any other failure: only some forwards know what to do with it.
            let table = world.by_addr(bound);
            match table.filter(|table| W::forward(table).takes_failures()) {
                Some(table) if settings.forward_icmp_ping_responses => {
                    Ok((table, Verdict::EncapsulatedIcmpError))
                }
                _ => Err(Verdict::PassedUnknownFormat),
            }
        }
        Kind::LaterFragment(proto) => {
            let known = packet
                .fragment
                .and_then(|fragment| world.remembered(&packet.key.addrs, fragment));
            if let Some((src_port, dst_port)) = known {
                // With the ports of the first fragment it takes the first fragment's way exactly.
                (packet.key.src_port, packet.key.dst_port) = (src_port, dst_port);
                packet.hint = src_port;
                return match by_port(proto, &packet.key) {
                    Some(table) => Ok((table, Verdict::EncapsulatedFragment)),
                    None => other(packet),
                };
            }
            // Whether a bind names it is not known, so it is like all other fragments without ports.
            if proto == Proto::Sctp {
                return other(packet);
            }
            let table = world.by_proto(bound, proto);
            let table = table.ok_or(Verdict::PassedNoMatchingBind)?;
            let selector = world.selector(table);
            if settings.hash_fields.needs_ports() || selector.is_some_and(Selector::needs_ports) {
                Err(Verdict::DroppedFragment)
            } else {
                Ok((table, Verdict::EncapsulatedFragment))
            }
        }
        Kind::Portless(_) | Kind::PortlessIcmpError(_) => other(packet),
    }
}

/// [`World::by_port`], which is in line for the packets of flows, apart for all others.
#[inline(never)]
fn by_port_apart<W: World>(world: &W, dst: Addr, proto: Proto, port: u16) -> Option<&W::Table> {
    world.by_port(dst, proto, port)
}

/// Finds the table of a packet that no bind names by its port: one of a protocol without ports, or of SCTP, which then is like
/// those: the packet as it is seen then comes with it.
#[cold]
#[inline(never)]
fn by_all<W: World>(
    world: &W,
    bound: Addr,
    packet: Candidate,
) -> Result<(&W::Table, Verdict, Candidate), Verdict> {
    let packet = packet.without_ports();
    let verdict = match (packet.kind, packet.fragment) {
        // Without ports all fragments are alike: each goes by its addresses, and nothing is remembered.
        (Kind::Portless(_), Some(Fragment { offset: 1.., .. })) => Verdict::EncapsulatedFragment,
        (Kind::Portless(_), _) => Verdict::Encapsulated,
        (Kind::PortlessIcmpError(_), _) => Verdict::EncapsulatedIcmpError,
        _ => return Err(Verdict::PassedNoMatchingBind),
    };
    // What no bind takes counts as not understood, as it did before binds could take it.
    let table = world.by_all(bound).ok_or(Verdict::PassedUnknownFormat)?;
    Ok((table, verdict, packet))
}
