// SPDX-License-Identifier: GPL-2.0

//! Which table a packet belongs to, and what verdict it gets if it reaches a hop of it.
//!
//! ```text
//! bind   who serves this address and port: a look-up over the binds of all tables
//! flow   which service a packet belongs to by its addresses, ports and bytes: a look-up over classes
//! ```

pub mod bind;
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
    let by_port = |proto: Proto, key: &FlowKey| {
        world
            .by_port(bound, proto, key.dst_port)
            .ok_or(Verdict::PassedNoMatchingBind)
    };
    let by_addr = || world.by_addr(bound).ok_or(Verdict::PassedNoMatchingBind);
    // What no bind takes counts as not understood, as it did before binds could take it.
    let by_all = || world.by_all(bound).ok_or(Verdict::PassedUnknownFormat);
    match packet.kind {
        Kind::Flow(proto) => {
            let table = by_port(proto, &packet.key)?;
            if let Some(fragment) = packet.fragment {
                world.remember(&packet.key, fragment);
            }
            Ok((table, Verdict::Encapsulated))
        }
        Kind::IcmpError(proto) => {
            Ok((by_port(proto, &packet.key)?, Verdict::EncapsulatedIcmpError))
        }
        Kind::Echo => {
            let table = by_addr()?;
            if settings.forward_icmp_ping_responses {
                Ok((table, Verdict::EncapsulatedEcho))
            } else {
                Err(Verdict::PassedEcho)
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
                return Ok((by_port(proto, &packet.key)?, Verdict::EncapsulatedFragment));
            }
            let table = by_addr()?;
            let selector = world.selector(table);
            if settings.hash_fields.needs_ports() || selector.is_some_and(Selector::needs_ports) {
                Err(Verdict::DroppedFragment)
            } else {
                Ok((table, Verdict::EncapsulatedFragment))
            }
        }
        // Without ports all fragments are alike: each goes by its addresses, and nothing is remembered.
        Kind::Portless(_) => match packet.fragment {
            Some(Fragment { offset: 1.., .. }) => Ok((by_all()?, Verdict::EncapsulatedFragment)),
            _ => Ok((by_all()?, Verdict::Encapsulated)),
        },
        Kind::PortlessIcmpError(_) => Ok((by_all()?, Verdict::EncapsulatedIcmpError)),
    }
}
