// SPDX-License-Identifier: GPL-2.0

//! Addresses and binds as people write them, and what several commands say of flow tables.

use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::flows::Spec;
use glb_core::packet::addr::Addr;
use std::net::IpAddr;

/// The address as people write it.
pub(crate) fn addr(addr: Addr) -> String {
    match addr {
        Addr::V4(bytes) => IpAddr::from(bytes).to_string(),
        Addr::V6(bytes) => IpAddr::from(bytes).to_string(),
    }
}

/// What a bind calls its protocol.
pub(crate) fn proto(proto: Option<Proto>) -> &'static str {
    proto.map_or("any", Proto::name)
}

/// The bind as people write it: `tcp 1.1.1.0/24 port 80-90`, `any 1.1.1.0/24`.
pub(crate) fn bind(bind: &Bind) -> String {
    let mut text = format!("{} {}", proto(bind.proto), addr(bind.addr));
    if bind.prefix_len != bind.addr.bits() {
        text += &format!("/{}", bind.prefix_len);
    }
    if bind.proto.is_none() {
        return text;
    }
    text += &format!(" port {}", bind.port_start);
    if bind.port_end != bind.port_start {
        text += &format!("-{}", bind.port_end);
    }
    text
}

/// Which connections break although their table remembers flows.
pub(crate) fn not_kept(spec: Spec) -> String {
    format!(
        "Those break that it could not track (untracked_flow_packets), that send no packet for {} s, or that ECMP moves to another \
         director, whose flow table does not know them",
        spec.rules.timeout
    )
}
