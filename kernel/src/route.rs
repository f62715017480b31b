// SPDX-License-Identifier: GPL-2.0

//! Sending a packet on to its (new) outer destination.
//!
//! C headers: `include/linux/netfilter_ipv4.h`, `include/linux/netfilter_ipv6.h`, `include/net/ip.h`

use crate::bindings;
use crate::net::Net;
use crate::skb::Skb;
use glb_core::ip::Family;

/// Why a packet could not be sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unroutable {
    /// There is no route.
    NoRoute,
    /// It does not fit the route's path.
    TooBig,
}

/// A packet that has a route to its outer destination.
pub struct Routed<'a> {
    skb: Skb<'a>,
    family: Family,
}

/// Finds a route to the packet's outer destination, from its outer source, in the routing domain (VRF)
/// that the packet arrived in. On failure the packet is given back, to be dropped.
#[inline]
pub fn route<'a>(
    net: &Net,
    skb: Skb<'a>,
    family: Family,
) -> Result<Routed<'a>, (Skb<'a>, Unroutable)> {
    // SAFETY: In a netfilter hook, with RCU held; the buffer has a route of its own and an IP header in
    // its linear part, as the functions want. No socket is named.
    let error = unsafe {
        match family {
            Family::V4 => bindings::ip_route_me_harder(
                net.as_ptr(),
                core::ptr::null_mut(),
                skb.as_ptr(),
                RTN_UNSPEC,
            ),
            Family::V6 => {
                bindings::ip6_route_me_harder(net.as_ptr(), core::ptr::null_mut(), skb.as_ptr())
            }
        }
    };
    if error != 0 {
        return Err((skb, Unroutable::NoRoute));
    }
    // SAFETY: The buffer is valid and has a route now.
    if !unsafe { bindings::glb_skb_fits_mtu(skb.as_ptr()) } {
        return Err((skb, Unroutable::TooBig));
    }
    Ok(Routed { skb, family })
}

/// `RTN_UNSPEC` of `include/uapi/linux/rtnetlink.h`: find the type of the source address out.
const RTN_UNSPEC: u32 = 0;

impl Routed<'_> {
    /// Sends the packet through the OUTPUT hook to the device. The packet is gone afterwards; the hook
    /// must answer "stolen".
    #[inline]
    pub fn send(self, net: &Net) {
        let skb = self.skb.as_ptr();
        // SAFETY: The buffer is valid, has a route, and is handed over; nobody uses it afterwards.
        unsafe {
            bindings::glb_skb_prepare_output(skb);
            match self.family {
                Family::V4 => bindings::ip_local_out(net.as_ptr(), core::ptr::null_mut(), skb),
                Family::V6 => bindings::ip6_local_out(net.as_ptr(), core::ptr::null_mut(), skb),
            };
        }
    }
}
