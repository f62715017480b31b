// SPDX-License-Identifier: GPL-2.0

//! Attaching a device in a role; what the role geneve is told, and what it counts and remembers.

use crate::client::{addr, put_addr, request, Glb};
use crate::error::Error;
use crate::redirect::Prefix;
use crate::wire::{Attrs, Request};
use glb_core::director::Role;
use glb_core::netlink::glb::{
    command, counter, device, geneve_endpoint, geneve_flow, geneve_list, geneve_stats, prefix,
};
use glb_core::packet::addr::Addr;

/// What a device with the role is told; what is `None` is as the module has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gateway {
    /// UDP port.
    pub port: Option<u16>,
    /// Class of the three options.
    pub class: Option<u16>,
    /// Prefixes of allowed senders; none allows every sender.
    pub allow_from: Vec<Prefix>,
    /// Whether packets go on that have no socket here.
    pub pass: bool,
    /// Whether packets that would leave without a header are dropped.
    pub strict: bool,
    /// Flows that are remembered.
    pub max_flows: Option<u32>,
    /// Seconds without a packet after which one is forgotten.
    pub idle: Option<u16>,
    /// The same of TCP.
    pub tcp_idle: Option<u16>,
}

/// Counters: names and values, in the kernel's order.
pub type Counters = Vec<(String, u64)>;

/// The counters of the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayStats {
    /// Of packets that came in.
    pub came: Counters,
    /// Of packets that left.
    pub left: Counters,
    /// Of the flows of packets that came in; none if no device has the role.
    pub flows: Counters,
}

/// A flow whose header is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayFlow {
    /// The endpoint that it came by.
    pub endpoint: u64,
    /// Number of its protocol.
    pub proto: u8,
    /// Source of the packets that came; the port of TCP and UDP.
    pub src: (Addr, u16),
    /// Their destination.
    pub dst: (Addr, u16),
    /// The load balancer, and the UDP source port.
    pub outer_src: (Addr, u16),
    /// The outer destination.
    pub outer_dst: (Addr, u16),
    /// The options of the header.
    pub options: Vec<u8>,
    /// Seconds since the last packet.
    pub idle: u32,
    /// Whether a FIN or RST was seen.
    pub closing: bool,
}

/// An endpoint, and what was counted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id; `None`: all that have no counters of their own.
    pub id: Option<u64>,
    /// Packets that came.
    pub came_packets: u64,
    /// Bytes of their inner packets.
    pub came_bytes: u64,
    /// Packets that left.
    pub left_packets: u64,
    /// Their bytes.
    pub left_bytes: u64,
}

impl Gateway {
    /// Puts what is not as the module has it anyway.
    fn put(&self, request: &mut Request) {
        if let Some(port) = self.port {
            request.u16(device::PORT, port);
        }
        if let Some(class) = self.class {
            request.u16(device::CLASS, class);
        }
        for one in &self.allow_from {
            request.nest(device::ALLOW_FROM, |nest| {
                put_addr(nest, prefix::ADDRESS, &one.addr);
                nest.u8(prefix::PREFIX_LEN, one.len);
            });
        }
        if self.pass {
            request.u8(device::PASS, 1);
        }
        if self.strict {
            request.u8(device::STRICT, 1);
        }
        if let Some(flows) = self.max_flows {
            request.u32(device::MAX_FLOWS, flows);
        }
        if let Some(idle) = self.idle {
            request.u16(device::IDLE, idle);
        }
        if let Some(idle) = self.tcp_idle {
            request.u16(device::TCP_IDLE, idle);
        }
    }
}

impl Glb {
    /// Attaches a device by its name, in this role. What only the role geneve is told is `gateway`.
    pub fn attach(&mut self, name: &str, role: Role, gateway: &Gateway) -> Result<(), Error> {
        let mut request = request(command::ATTACH);
        request.text(device::IFNAME, name);
        // A module that has no other knows no attribute for it.
        if role != Role::default() {
            request.u8(device::ROLE, role.number());
        }
        gateway.put(&mut request);
        self.socket.ask(request, |_| {})
    }

    /// The devices with the role geneve by their names, and what they were told: everything is there.
    pub fn gateways(&mut self) -> Result<Vec<(String, Gateway)>, Error> {
        let devices = self.all(&request(command::DEVICE_GET), |attrs| {
            let is_gateway = attrs.u8(device::ROLE) == Role::Geneve.number();
            is_gateway.then(|| (attrs.text(device::IFNAME), told(attrs)))
        })?;
        Ok(devices.into_iter().flatten().collect())
    }

    /// The counters of the role geneve.
    pub fn gateway_stats(&mut self) -> Result<GatewayStats, Error> {
        self.one(request(command::GENEVE_STATS_GET), |attrs| GatewayStats {
            came: counters(attrs, geneve_stats::CAME),
            left: counters(attrs, geneve_stats::LEFT),
            flows: counters(attrs, geneve_stats::FLOW),
        })
    }

    /// The flows whose headers are remembered.
    pub fn gateway_flows(&mut self) -> Result<Vec<GatewayFlow>, Error> {
        let parts = self.all(&request(command::GENEVE_FLOW_GET), |attrs| {
            let nests = attrs.all(geneve_list::FLOW);
            nests.map(|nest| flow(nest.nested())).collect::<Vec<_>>()
        })?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// How many flows are remembered. From `enough` on it is an estimate, by the share of the cache that they were found in.
    pub fn count_gateway_flows(self, enough: u64) -> Result<u64, Error> {
        let (mut count, mut done, mut buckets) = (0u64, 0, 0);
        self.socket
            .beginning(request(command::GENEVE_FLOW_GET), |attrs| {
                count += attrs.all(geneve_list::FLOW).count() as u64;
                done = u64::from(attrs.u32(geneve_list::DONE));
                buckets = u64::from(attrs.u32(geneve_list::BUCKETS));
                count < enough
            })?;
        Ok((count * buckets).checked_div(done).unwrap_or(count))
    }

    /// The endpoints that packets came from.
    pub fn gateway_endpoints(&mut self) -> Result<Vec<Endpoint>, Error> {
        self.all(&request(command::GENEVE_ENDPOINT_GET), |attrs| Endpoint {
            id: attrs.get(geneve_endpoint::ID).map(|id| id.number()),
            came_packets: attrs.uint(geneve_endpoint::CAME_PACKETS),
            came_bytes: attrs.uint(geneve_endpoint::CAME_BYTES),
            left_packets: attrs.uint(geneve_endpoint::LEFT_PACKETS),
            left_bytes: attrs.uint(geneve_endpoint::LEFT_BYTES),
        })
    }
}

fn told(attrs: Attrs<'_>) -> Gateway {
    let prefixes = attrs.all(device::ALLOW_FROM).map(|nest| nest.nested());
    Gateway {
        port: Some(attrs.u16(device::PORT)),
        class: Some(attrs.u16(device::CLASS)),
        allow_from: prefixes
            .map(|nest| Prefix {
                addr: addr(nest.get(prefix::ADDRESS)),
                len: nest.u8(prefix::PREFIX_LEN),
            })
            .collect(),
        pass: attrs.u8(device::PASS) != 0,
        strict: attrs.u8(device::STRICT) != 0,
        max_flows: Some(attrs.u32(device::MAX_FLOWS)),
        idle: Some(attrs.u16(device::IDLE)),
        tcp_idle: Some(attrs.u16(device::TCP_IDLE)),
    }
}

fn counters(attrs: Attrs<'_>, kind: u16) -> Counters {
    let nests = attrs.all(kind).map(|nest| nest.nested());
    nests
        .map(|nest| (nest.text(counter::NAME), nest.uint(counter::VALUE)))
        .collect()
}

fn flow(nest: Attrs<'_>) -> GatewayFlow {
    let end = |address, port| (addr(nest.get(address)), nest.u16(port));
    GatewayFlow {
        endpoint: nest.uint(geneve_flow::ENDPOINT),
        proto: nest.u8(geneve_flow::PROTO),
        src: end(geneve_flow::SRC, geneve_flow::SRC_PORT),
        dst: end(geneve_flow::DST, geneve_flow::DST_PORT),
        outer_src: end(geneve_flow::OUTER_SRC, geneve_flow::UDP_SRC_PORT),
        outer_dst: end(geneve_flow::OUTER_DST, geneve_flow::UDP_DST_PORT),
        options: nest
            .get(geneve_flow::OPTIONS)
            .map(|options| options.payload.to_vec())
            .unwrap_or_default(),
        idle: nest.u32(geneve_flow::IDLE),
        closing: nest.u8(geneve_flow::CLOSING) != 0,
    }
}
