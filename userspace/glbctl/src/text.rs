// SPDX-License-Identifier: GPL-2.0

//! Addresses and binds as people write them.

use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::packet::addr::Addr;
use std::net::IpAddr;

/// The address as people write it.
pub(crate) fn addr(addr: Addr) -> String {
    match addr {
        Addr::V4(bytes) => IpAddr::from(bytes).to_string(),
        Addr::V6(bytes) => IpAddr::from(bytes).to_string(),
    }
}

/// The bind as people write it: `tcp 1.1.1.0/24 port 80-90`.
pub(crate) fn bind(bind: &Bind) -> String {
    let proto = match bind.proto {
        Proto::Tcp => "tcp",
        Proto::Udp => "udp",
    };
    let mut text = format!("{proto} {}", addr(bind.addr));
    if bind.prefix_len != bind.addr.bits() {
        text += &format!("/{}", bind.prefix_len);
    }
    text += &format!(" port {}", bind.port_start);
    if bind.port_end != bind.port_start {
        text += &format!("-{}", bind.port_end);
    }
    text
}
