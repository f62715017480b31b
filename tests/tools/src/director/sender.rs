// SPDX-License-Identifier: GPL-2.0

//! Raw sockets that take whole IP packets, so that every byte of the outer header is the director's.

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// `IPPROTO_RAW` of `in.h`: the packet has its IP header.
const IPPROTO_RAW: i32 = 255;

pub(super) struct Sender {
    v4: Option<Socket>,
    v6: Option<Socket>,
}

impl Sender {
    pub(super) fn new(v4: bool, v6: bool) -> Result<Self> {
        let socket = |domain| {
            Socket::new(domain, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))
                .context("cannot open a raw socket")
        };
        Ok(Self {
            v4: v4.then(|| socket(Domain::IPV4)).transpose()?,
            v6: v6.then(|| socket(Domain::IPV6)).transpose()?,
        })
    }

    pub(super) fn send(&self, packet: &[u8], to: IpAddr) -> io::Result<()> {
        let socket = match to {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        let socket = socket.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        // Port 0: an IPv6 raw socket refuses one that is not its protocol.
        socket.send_to(packet, &SockAddr::from(SocketAddr::new(to, 0)))?;
        Ok(())
    }
}
