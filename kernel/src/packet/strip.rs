// SPDX-License-Identifier: GPL-2.0

//! A packet out of the headers that it came in.
//!
//! C headers: `include/linux/skbuff.h`, `include/net/ip_tunnels.h`
//!
//! Contexts: the ingress hook of a device. The kernel reads a packet's protocol behind that hook, so a packet that is accepted there
//! goes up the stack as what it is by then, on the same device and in the same routing domain.

use super::skb::Skb;
use crate::bindings;
use crate::net::Net;
use glb_core::geneve::{Mark, Narrow};
use glb_core::packet::ip::Family;
use kernel::prelude::*;

/// Why a checksum is not known to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// It is wrong.
    Checksum,
    /// It is an aggregate that is longer than its datagram.
    Length,
    /// There was no memory.
    NoMemory,
}

impl Skb<'_> {
    /// Whether the frame had a VLAN tag that is still to be followed: it is a packet of another device.
    #[inline]
    pub fn is_tagged(&self) -> bool {
        // SAFETY: The buffer is valid.
        unsafe { bindings::glb_skb_is_tagged(self.as_ptr()) }
    }

    /// Whether the checksum of the UDP header at `udp` is right, or 0, of a datagram that ends at `end`; all behind it is cut off.
    /// A checksum that a device or this machine vouches for is.
    #[inline]
    pub fn validate_udp(&mut self, udp: usize, end: usize, family: Family) -> Result<(), Invalid> {
        let (Ok(udp), Ok(end)) = (u32::try_from(udp), u32::try_from(end)) else {
            return Err(Invalid::NoMemory);
        };
        // SAFETY: The buffer is valid, nobody borrows its bytes, and its network header is at its start, as it is at the hook of a
        // device. The function checks the lengths.
        match unsafe { bindings::glb_udp_validate(self.as_ptr(), udp, end, family == Family::V6) } {
            0 => Ok(()),
            error if error == -(kernel::bindings::EBADMSG as i32) => Err(Invalid::Checksum),
            error if error == -(kernel::bindings::EMSGSIZE as i32) => Err(Invalid::Length),
            _ => Err(Invalid::NoMemory),
        }
    }

    /// Takes the first `len` bytes off. What is behind them is of this family, and gets the congestion mark, if there is one. On
    /// failure it is given back, to be dropped.
    #[inline]
    pub fn strip(self, len: usize, inner: Family, mark: Option<Mark>) -> Result<Self, Self> {
        let Ok(len) = u32::try_from(len) else {
            return Err(self);
        };
        let mark = mark.map_or(0, Mark::bits);
        // SAFETY: The buffer is valid, has a device, and nobody borrows its bytes; the function checks the length.
        if unsafe { bindings::glb_strip(self.as_ptr(), len, inner == Family::V6, mark) } == 0 {
            Ok(self)
        } else {
            Err(self)
        }
    }

    /// Whether the checksum of the ICMP error is right.
    #[cold]
    pub fn is_right(&mut self, error: &Narrow) -> bool {
        let (Ok(icmp), Ok(end)) = (u32::try_from(error.icmp), u32::try_from(error.end)) else {
            return false;
        };
        // SAFETY: The buffer is valid and nobody borrows its bytes; the function checks the lengths.
        unsafe { bindings::glb_icmp_is_right(self.as_ptr(), icmp, end) }
    }

    /// Believes the ICMP error: the route of the packet that it is about has a smaller MTU from now on, in the routing domain of the
    /// device.
    #[cold]
    pub fn narrow_path(&mut self, net: &Net, error: &Narrow) {
        let Ok(about) = u32::try_from(error.about_at) else {
            return;
        };
        // SAFETY: The namespace is live and the buffer valid, at the hook of a device, under RCU; nobody borrows its bytes, and the
        // function checks the length. The packet in question is whole as far as its header goes: the core has read it.
        unsafe {
            bindings::glb_narrow_path(net.as_ptr(), self.as_ptr(), about, error.mtu.into());
        }
    }

    /// Tells the sender of a packet that leaves by a device that only `mtu` bytes fit.
    #[cold]
    pub fn tell_too_big(&self, mtu: u32, family: Family) {
        // SAFETY: At the egress hook, where the packet has its route and its IP header is linear; the buffer is only read, but for
        // the part of it that is each layer's own.
        unsafe { bindings::glb_egress_too_big(self.as_ptr(), mtu, family == Family::V6) };
    }
}
