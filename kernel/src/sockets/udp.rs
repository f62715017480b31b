// SPDX-License-Identifier: GPL-2.0

//! Whether a UDP socket is on this machine.
//!
//! C header: `include/net/udp.h`
//!
//! Look-ups run under RCU, which netfilter hooks hold, and which keeps the socket that is found. No reference is taken.

use crate::bindings;
use crate::net::Net;
use crate::sockets::decap::Device;
use core::ptr::NonNull;
use glb_core::packet::flow::Flow;

/// Whether a socket that is connected to the client has this flow. One that is not connected takes datagrams of everybody, and
/// says nothing about this one.
///
/// Programs that choose among the sockets of a group are not run; see [`has_listener()`](super::tcp::has_listener). Where no
/// socket is connected, programs that say which socket a packet is for (BPF_SK_LOOKUP) are.
pub fn is_connected(net: &Net, flow: &Flow<'_>, device: Device) -> bool {
    look_up(net, flow, device).is_some_and(|socket| {
        // SAFETY: `socket` is a UDP socket, kept by RCU. A connected one outscores all others, so it is the one found, and the
        // look-up has compared both of its ends.
        unsafe { bindings::glb_udp_is_connected(socket.as_ptr()) }
    })
}

/// Whether a socket takes the datagrams of this flow, connected or not.
pub fn has_socket(net: &Net, flow: &Flow<'_>, device: Device) -> bool {
    look_up(net, flow, device).is_some()
}

#[inline(always)]
fn look_up(net: &Net, flow: &Flow<'_>, device: Device) -> Option<NonNull<bindings::sock>> {
    let no_packet = core::ptr::null_mut();
    // SAFETY: RCU is held by the hook; addresses are passed by value or valid for the call. Without a packet nothing reads one.
    let socket = unsafe {
        match flow {
            Flow::V4(ends) => bindings::__udp4_lib_lookup(
                net.as_ptr(),
                u32::from_ne_bytes(*ends.client),
                ends.client_port.to_be(),
                u32::from_ne_bytes(*ends.vip),
                ends.vip_port.to_be(),
                device.dif,
                device.sdif,
                no_packet,
            ),
            Flow::V6(ends) => bindings::__udp6_lib_lookup(
                net.as_ptr(),
                ends.client.as_ptr().cast(),
                ends.client_port.to_be(),
                ends.vip.as_ptr().cast(),
                ends.vip_port.to_be(),
                device.dif,
                device.sdif,
                no_packet,
            ),
        }
    };
    NonNull::new(socket)
}
