// SPDX-License-Identifier: GPL-2.0

//! What the operator has set in a namespace.

#![forbid(unsafe_code)]

use glb_core::hash::HashFields;

/// The port of GUE.
pub(crate) const UDP_PORT: u16 = 19523;

/// Settings of a namespace; immutable once published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Config {
    /// Source of outer IPv4 headers; without one the route's own.
    pub(crate) source_v4: Option<[u8; 4]>,
    /// Source of outer IPv6 headers; without one the route's own.
    pub(crate) source_v6: Option<[u8; 16]>,
    /// Where all packets are sent, past routes and neighbours.
    pub(crate) gateway_mac: Option<[u8; 6]>,
    /// What the packet hash looks at.
    pub(crate) hash_fields: HashFields,
    /// A second set, whose hops are appended while a fleet changes over.
    pub(crate) alt_hash_fields: Option<HashFields>,
    /// Whether echo requests to bound addresses go to a backend.
    pub(crate) forward_icmp_ping_responses: bool,
    /// Destination port of the outer UDP header.
    pub(crate) udp_port: u16,
    /// Whether the outer UDP header has a checksum. Without one it says 0, as deployed directors do.
    pub(crate) udp_checksum: bool,
    /// Whether TCP packets that do not fit are cut into shorter ones.
    pub(crate) segment_tcp: bool,
}

impl Config {
    /// As deployed directors run whose configuration says nothing.
    pub(crate) const DEFAULT: Self = Self {
        source_v4: None,
        source_v6: None,
        gateway_mac: None,
        hash_fields: HashFields::DEFAULT,
        alt_hash_fields: None,
        forward_icmp_ping_responses: true,
        udp_port: UDP_PORT,
        udp_checksum: false,
        segment_tcp: false,
    };
}
