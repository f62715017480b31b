// SPDX-License-Identifier: GPL-2.0

//! `geneve-stats-get`, `geneve-flow-get`, `geneve-endpoint-get`: what the role geneve counts and remembers.

#![forbid(unsafe_code)]

use super::{Family, Request};
use crate::front::devices;
use crate::state::State;
use glb_core::geneve::endpoints::{OTHERS, PLACES};
use glb_core::geneve::flows::Listed;
use glb_core::geneve::{back, Verdict};
use glb_core::netlink::glb::{
    counter, geneve_endpoint, geneve_flow as flow, geneve_list, geneve_stats, operation,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::Addrs;
use glb_kernel::genl::{Command, Cursor, Dump, Message, Spec};
use kernel::prelude::*;

/// Flows of a message, but for those of the last bucket: several messages fit a buffer of netlink's least size.
const FLOWS_A_MESSAGE: usize = 8;

/// Room for the counters: a name of up to 40 bytes, a value, and three headers each.
const STATS_SIZE: usize = (Verdict::COUNT + back::Verdict::COUNT + 8) * 72;

/// `geneve-stats-get`
pub(super) struct StatsGet;

impl Command for StatsGet {
    type Family = Family;
    const SPEC: Spec = operation::GENEVE_STATS_GET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        const OF: [u16; 2] = [counter::NAME, counter::VALUE];
        request.reply(STATS_SIZE, |message| {
            let stats = state.gateway_stats();
            for (name, value) in stats.of_coming() {
                message.counter(geneve_stats::CAME, OF, name, value)?;
            }
            for (name, value) in stats.of_leaving() {
                message.counter(geneve_stats::LEFT, OF, name, value)?;
            }
            if let Some(memory) = devices::memory(request.net(), request.registered()) {
                for (name, value) in memory.events() {
                    message.counter(geneve_stats::FLOW, OF, name, value)?;
                }
                // The casts are exact: the number of buckets is bounded.
                message.u32(geneve_stats::IN_USE, memory.in_use() as u32)?;
                message.u32(geneve_stats::ROOM, memory.room() as u32)?;
            }
            Ok(())
        })
    }
}

/// `geneve-flow-get`
pub(super) struct FlowGet;

impl Dump for FlowGet {
    type Family = Family;
    const SPEC: Spec = operation::GENEVE_FLOW_GET;

    fn generation(_: &State) -> u32 {
        0
    }

    fn next(
        _: &State,
        request: &Request<'_>,
        [first, _]: &mut Cursor,
        message: &mut Message<'_>,
    ) -> Result<bool> {
        let Some(memory) = devices::memory(request.net(), request.registered()) else {
            return Ok(false);
        };
        if *first >= memory.len() {
            return Ok(false);
        }
        // The casts are exact: the number of buckets is bounded.
        message.u32(geneve_list::BUCKETS, memory.len() as u32)?;
        let cache = memory.flows();
        let mut count = 0usize;
        for bucket in memory.piece(*first) {
            for listed in cache.listed(bucket) {
                message.nest(geneve_list::FLOW, |message| put(message, &listed))?;
                count = count.wrapping_add(1);
            }
            *first = first.wrapping_add(1);
            if count >= FLOWS_A_MESSAGE {
                break;
            }
        }
        message.u32(geneve_list::DONE, *first as u32)?;
        Ok(true)
    }
}

fn put(message: &mut Message<'_>, listed: &Listed) -> Result {
    let (held, envelope) = (&listed.held, listed.held.envelope());
    let (src, dst) = ends(&held.tuple.addrs);
    let (outer_src, outer_dst) = ends(&envelope.outer);
    let [p0, p1, p2, p3] = envelope.ports;
    message.uint(flow::ENDPOINT, held.endpoint)?;
    message.u8(flow::PROTO, held.tuple.proto)?;
    message.addr(flow::SRC, &src)?;
    message.u16(flow::SRC_PORT, held.tuple.src_port)?;
    message.addr(flow::DST, &dst)?;
    message.u16(flow::DST_PORT, held.tuple.dst_port)?;
    message.addr(flow::OUTER_SRC, &outer_src)?;
    message.addr(flow::OUTER_DST, &outer_dst)?;
    message.u16(flow::UDP_SRC_PORT, u16::from_be_bytes([p0, p1]))?;
    message.u16(flow::UDP_DST_PORT, u16::from_be_bytes([p2, p3]))?;
    message.bytes(flow::OPTIONS, envelope.options)?;
    message.u32(flow::IDLE, listed.idle)?;
    message.u8(flow::CLOSING, u8::from(listed.closing))
}

fn ends(addrs: &Addrs) -> (Addr, Addr) {
    match *addrs {
        Addrs::V4 { src, dst } => (Addr::V4(src), Addr::V4(dst)),
        Addrs::V6 { src, dst } => (Addr::V6(src), Addr::V6(dst)),
    }
}

/// `geneve-endpoint-get`
pub(super) struct EndpointGet;

impl Dump for EndpointGet {
    type Family = Family;
    const SPEC: Spec = operation::GENEVE_ENDPOINT_GET;

    fn generation(_: &State) -> u32 {
        0
    }

    fn next(
        _: &State,
        request: &Request<'_>,
        [place, _]: &mut Cursor,
        message: &mut Message<'_>,
    ) -> Result<bool> {
        let Some(memory) = devices::memory(request.net(), request.registered()) else {
            return Ok(false);
        };
        while *place < PLACES {
            let at = *place;
            *place = place.wrapping_add(1);
            let (id, counts) = memory.endpoint(at);
            let [came, came_bytes, left, left_bytes] = counts;
            match id {
                Some(id) => message.uint(geneve_endpoint::ID, id)?,
                None if at == OTHERS && (came | left) != 0 => {}
                None => continue,
            }
            message.uint(geneve_endpoint::CAME_PACKETS, came)?;
            message.uint(geneve_endpoint::CAME_BYTES, came_bytes)?;
            message.uint(geneve_endpoint::LEFT_PACKETS, left)?;
            message.uint(geneve_endpoint::LEFT_BYTES, left_bytes)?;
            return Ok(true);
        }
        Ok(false)
    }
}
