// SPDX-License-Identifier: GPL-2.0

//! Which flow a packet belongs to: what it says itself, or, of a fragment without ports, what the first one said.

#![forbid(unsafe_code)]

use crate::stats::Stats;
use glb_core::geneve::flows::{Part, Tuple, Turn};
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::Family;
use glb_core::packet::view::{Short, View};
use glb_kernel::packet::skb::Skb;

/// How often headers are made linear at most: IP and its extension headers, transport, embedded packet and its extension headers.
/// Each round gets further than the one before.
pub(super) const MAX_PULLS: usize = 32;

/// The flow of a packet.
#[derive(Clone, Copy)]
pub(super) struct Flow {
    /// Addresses, protocol and ports, in the packet's direction.
    pub(super) tuple: Tuple,
    /// What the packet does to its connection.
    pub(super) turn: Turn,
    /// Whether it is an ICMP error about the flow, and no packet of it.
    pub(super) is_error: bool,
}

/// There was no memory.
pub(super) struct NoMemory;

/// The flow of the IP packet of this family that stands from `at` to `end`. None: it is not known.
#[inline]
pub(super) fn find(
    skb: &mut Skb<'_>,
    (at, end): (usize, usize),
    family: Family,
    stats: &Stats,
) -> Result<Option<Flow>, NoMemory> {
    for _ in 0..MAX_PULLS {
        let view = View::new(skb.linear(), skb.len()).limit(end);
        match Part::read(view, at, family) {
            Ok(part) => return Ok(part.and_then(|part| of(part, stats))),
            Err(Short::Truncated) => return Ok(None),
            Err(Short::NeedLinear(len)) => skb.pull(len).map_err(|_| NoMemory)?,
        }
    }
    Ok(None)
}

#[inline]
fn of(part: Part, stats: &Stats) -> Option<Flow> {
    match part {
        Part::Packet(tuple, turn, fragment) => {
            if let Some(fragment) = fragment {
                let key = FlowKey {
                    addrs: tuple.addrs,
                    src_port: tuple.src_port,
                    dst_port: tuple.dst_port,
                };
                stats.record_fragment(&key, fragment);
            }
            let is_error = false;
            Some(Flow {
                tuple,
                turn,
                is_error,
            })
        }
        Part::Error(tuple) => Some(Flow {
            tuple,
            turn: Turn::Reports,
            is_error: true,
        }),
        Part::Later(addrs, proto, fragment) => {
            let (src_port, dst_port) = stats.ports_of_fragment(&addrs, fragment)?;
            Some(Flow {
                tuple: Tuple {
                    addrs,
                    proto,
                    src_port,
                    dst_port,
                },
                turn: Turn::Amid,
                is_error: false,
            })
        }
    }
}
