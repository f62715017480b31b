// SPDX-License-Identifier: GPL-2.0

//! Whether a TCP connection is on this machine.
//!
//! C headers: `include/net/inet_hashtables.h`, `include/net/inet6_hashtables.h`, `include/net/tcp.h`
//!
//! Look-ups run under RCU, which netfilter hooks hold. An established look-up takes a reference of any
//! kind of socket (full, TIME_WAIT, request) and [`Established`] gives it back in the way that fits each.
//! A listener is used under RCU without a reference, as the kernel itself does.

use crate::bindings;
use crate::net::Net;
use crate::packet::skb::Skb;
use crate::sockets::decap::Device;
use core::ptr::NonNull;
use glb_core::packet::flow::{Flow, FlowAt};
use glb_core::packet::ip::Family;
use glb_core::packet::view::View;
use kernel::ffi::c_int;

/// A socket that was found, with a reference.
struct Established(NonNull<bindings::sock>);

impl Drop for Established {
    fn drop(&mut self) {
        // SAFETY: The look-up took the reference that is given back here. The function looks at the
        // socket's state and takes the path for full, TIME_WAIT or request sockets.
        unsafe { bindings::sock_gen_put(self.0.as_ptr()) };
    }
}

/// Whether an established, TIME_WAIT or request socket has this connection.
#[inline]
pub fn is_established(net: &Net, flow: &Flow<'_>, device: Device) -> bool {
    established(net, flow, device).is_some()
}

/// The same without TIME_WAIT: whether a SYN of this connection has a socket that it belongs to, where nobody listens. A
/// connection in TIME_WAIT is reused by a listener.
pub fn is_open(net: &Net, flow: &Flow<'_>, device: Device) -> bool {
    established(net, flow, device).is_some_and(|socket| {
        // SAFETY: The reference keeps the socket, whose state may be read at any time.
        !unsafe { bindings::glb_tcp_in_time_wait(socket.0.as_ptr()) }
    })
}

#[inline(always)]
fn established(net: &Net, flow: &Flow<'_>, device: Device) -> Option<Established> {
    // SAFETY: RCU is held by the hook; addresses are passed by value or valid for the call.
    let socket = unsafe {
        match flow {
            Flow::V4(ends) => bindings::__inet_lookup_established(
                net.as_ptr(),
                u32::from_ne_bytes(*ends.client),
                ends.client_port.to_be(),
                u32::from_ne_bytes(*ends.vip),
                ends.vip_port,
                device.dif,
                device.sdif,
            ),
            Flow::V6(ends) => bindings::__inet6_lookup_established(
                net.as_ptr(),
                ends.client.as_ptr().cast(),
                ends.client_port.to_be(),
                ends.vip.as_ptr().cast(),
                ends.vip_port,
                device.dif,
                device.sdif,
            ),
        }
    };
    NonNull::new(socket).map(Established)
}

/// Whether a socket listens for this connection: bound to the VIP or to any address, and to the device, its routing domain or
/// none. One whose backlog is full listens too.
///
/// Programs that choose among the listeners of a group (SO_ATTACH_REUSEPORT_CBPF, _EBPF) are not run, since a look-up without
/// a packet takes any of them: that there is one is enough, and a program that counts or forwards sees each packet once.
/// Programs that say which socket a packet is for (BPF_SK_LOOKUP) are run, since nobody else knows.
pub fn has_listener(net: &Net, flow: &Flow<'_>, device: Device) -> bool {
    let (no_packet, no_offset) = (core::ptr::null_mut(), 0);
    // SAFETY: RCU is held by the hook; addresses are passed by value or valid for the call. Without a packet nothing reads one.
    // The listener, of which there is no reference, is not used.
    let listener = unsafe {
        match flow {
            Flow::V4(ends) => bindings::__inet_lookup_listener(
                net.as_ptr(),
                no_packet,
                no_offset,
                u32::from_ne_bytes(*ends.client),
                ends.client_port.to_be(),
                u32::from_ne_bytes(*ends.vip),
                ends.vip_port,
                device.dif,
                device.sdif,
            ),
            Flow::V6(ends) => bindings::inet6_lookup_listener(
                net.as_ptr(),
                no_packet,
                no_offset,
                ends.client.as_ptr().cast(),
                ends.client_port.to_be(),
                ends.vip.as_ptr().cast(),
                ends.vip_port,
                device.dif,
                device.sdif,
            ),
        }
    };
    !listener.is_null()
}

/// Whether a socket certainly listens for this connection, at less than half of the cost. Where it says no,
/// [`has_listener()`] has the answer.
#[inline]
pub fn listens(net: &Net, flow: &Flow<'_>, device: Device) -> bool {
    // SAFETY: RCU is held by the hook; the address is passed by value or valid for the call.
    unsafe {
        match flow {
            Flow::V4(ends) => bindings::glb_tcp_listens_v4(
                net.as_ptr(),
                u32::from_ne_bytes(*ends.vip),
                ends.vip_port,
                device.dif,
                device.sdif,
            ),
            Flow::V6(ends) => bindings::glb_tcp_listens_v6(
                net.as_ptr(),
                ends.vip.as_ptr().cast(),
                ends.vip_port,
                device.dif,
                device.sdif,
            ),
        }
    }
}

/// Whether the packet, which belongs to the connection at `at`, answers a SYN cookie that this machine sent: a listener
/// matches, cookies are being sent, and the acknowledged number is a valid one. The inner headers are linear up to the
/// TCP flags.
pub fn answers_cookie(net: &Net, skb: &mut Skb<'_>, at: &FlowAt, device: Device) -> bool {
    let Some(&data_offset) = skb.linear().get(at.transport.wrapping_add(12)) else {
        return false;
    };
    // A program that chooses among listeners (SO_ATTACH_REUSEPORT_CBPF) starts behind the TCP header.
    let payload = at
        .transport
        .wrapping_add(usize::from(data_offset >> 4) << 2) as c_int;
    let Ok(flow) = at.read(View::new(skb.linear(), skb.len())) else {
        return false;
    };
    // SAFETY: RCU is held by the hook and keeps the listener. The buffer is valid; the look-up may run a program that
    // reallocates its data, which is why it gets copies of the addresses, and the headers are taken from the buffer
    // only afterwards.
    let listener = unsafe {
        match flow {
            Flow::V4(ends) => bindings::__inet_lookup_listener(
                net.as_ptr(),
                skb.as_ptr(),
                payload,
                u32::from_ne_bytes(*ends.client),
                ends.client_port.to_be(),
                u32::from_ne_bytes(*ends.vip),
                ends.vip_port,
                device.dif,
                device.sdif,
            ),
            Flow::V6(ends) => {
                let (client, vip) = (*ends.client, *ends.vip);
                bindings::inet6_lookup_listener(
                    net.as_ptr(),
                    skb.as_ptr(),
                    payload,
                    client.as_ptr().cast(),
                    ends.client_port.to_be(),
                    vip.as_ptr().cast(),
                    ends.vip_port,
                    device.dif,
                    device.sdif,
                )
            }
        }
    };
    // SAFETY: `listener`, if any, is a listening TCP socket, kept by RCU.
    if listener.is_null() || !unsafe { bindings::glb_cookies_expected(net.as_ptr(), listener) } {
        return false;
    }
    let data = skb.linear();
    let (Some(ip_header), Some(tcp_header)) = (data.get(at.ip..), data.get(at.transport..)) else {
        return false;
    };
    let (ip_len, tcp_len) = match at.family {
        Family::V4 => (20, 12),
        Family::V6 => (40, 12),
    };
    if ip_header.len() < ip_len || tcp_header.len() < tcp_len {
        return false;
    }
    // SAFETY: The functions read the addresses of the IP header and ports and sequence numbers of the TCP
    // header, which were just seen to be there. Alignment does not matter on the architectures that
    // the kernel runs the module on (`CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS`).
    let mss = unsafe {
        match at.family {
            Family::V4 => {
                bindings::__cookie_v4_check(ip_header.as_ptr().cast(), tcp_header.as_ptr().cast())
            }
            Family::V6 => {
                bindings::__cookie_v6_check(ip_header.as_ptr().cast(), tcp_header.as_ptr().cast())
            }
        }
    };
    mss != 0
}
