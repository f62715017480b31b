// SPDX-License-Identifier: GPL-2.0

//! Attaching a device in a role; what the role geneve is told, and what it counts and remembers.

use crate::client::{addr, put_addr, request, Glb};
use crate::error::Error;
use crate::redirect::Prefix;
use crate::wire::{Attrs, Request};
use glb_core::director::Role;
use glb_core::netlink::glb::{
    command, counter, device, features, geneve_endpoint, geneve_flow, geneve_list, geneve_stats,
    prefix,
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
    /// Flows that are remembered, estimated if they are many, and entries for them; `None` if no device has the role, or the module
    /// is too old to say.
    pub usage: Option<Usage>,
}

/// How full the flow cache is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Flows that are remembered.
    pub in_use: u32,
    /// Entries: a fifth more than the flows that it was made for.
    pub room: u32,
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
        self.socket.ask(attach(name, role, gateway), |_| {})
    }

    /// Gives a device that is attached this role and these values instead. It is never without one of the two; after an error it
    /// is as before. Only a module that [`Self::can_replace`] says yes of knows it.
    pub fn replace(&mut self, name: &str, role: Role, gateway: &Gateway) -> Result<(), Error> {
        let mut request = attach(name, role, gateway);
        request.u8(device::REPLACE, 1);
        self.socket.ask(request, |_| {})
    }

    /// Whether the module knows [`Self::replace`].
    pub fn can_replace(&mut self) -> Result<bool, Error> {
        let said = self.one(request(command::FEATURES_GET), |attrs| {
            attrs.u8(features::REPLACE) != 0
        });
        match said {
            Err(error) if error.is_unknown() => Ok(false),
            other => other,
        }
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
            usage: attrs.get(geneve_stats::ROOM).map(|_| Usage {
                in_use: attrs.u32(geneve_stats::IN_USE),
                room: attrs.u32(geneve_stats::ROOM),
            }),
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

fn attach(name: &str, role: Role, gateway: &Gateway) -> Request {
    let mut request = request(command::ATTACH);
    request.text(device::IFNAME, name);
    // A module that has no other knows no attribute for it.
    if role != Role::default() {
        request.u8(device::ROLE, role.number());
    }
    gateway.put(&mut request);
    request
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
