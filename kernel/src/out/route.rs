// SPDX-License-Identifier: GPL-2.0

//! Sending a packet on to its (new) outer destination.
//!
//! C headers: `include/linux/netfilter_ipv4.h`, `include/linux/netfilter_ipv6.h`, `include/net/ip.h`

use crate::bindings;
use crate::net::Net;
use crate::packet::skb::Skb;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};
use glb_core::packet::ip::Family;
use kernel::prelude::*;

/// The routes that each CPU found last. They take memory, so only namespaces that pass packets on have them: by default there is no
/// table yet.
#[derive(Default)]
pub struct Routes {
    /// INVARIANT: null, or a table that is this object's; once it is there, it stays.
    percpu: AtomicPtr<bindings::glb_routes>,
}

impl Routes {
    /// Sees to it that there is a table. May sleep.
    pub fn prepare(&self) -> Result {
        if !self.percpu.load(Ordering::Acquire).is_null() {
            return Ok(());
        }
        // SAFETY: Process context.
        let new = NonNull::new(unsafe { bindings::glb_routes_alloc() }).ok_or(ENOMEM)?;
        let null = core::ptr::null_mut();
        let (release, acquire) = (Ordering::AcqRel, Ordering::Acquire);
        let put = self
            .percpu
            .compare_exchange(null, new.as_ptr(), release, acquire);
        if put.is_err() {
            // SAFETY: Somebody else was faster; nobody has seen this one.
            unsafe { bindings::glb_routes_free(new.as_ptr()) };
        }
        Ok(())
    }

    /// The table, if there is one. It is there as long as `self`.
    #[inline(always)]
    pub(super) fn percpu(&self) -> Option<NonNull<bindings::glb_routes>> {
        NonNull::new(self.percpu.load(Ordering::Acquire))
    }
}

impl Drop for Routes {
    fn drop(&mut self) {
        let percpu = *self.percpu.get_mut();
        if !percpu.is_null() {
            // SAFETY: By the invariant the table is ours, and nobody borrows from `self`.
            unsafe { bindings::glb_routes_free(percpu) };
        }
    }
}

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
    routes: &Routes,
    skb: Skb<'a>,
    family: Family,
) -> Result<Routed<'a>, (Skb<'a>, Unroutable)> {
    let Some(percpu) = routes.percpu() else {
        // Whoever lets packets in prepares it before.
        return Err((skb, Unroutable::NoRoute));
    };
    let is_v6 = family == Family::V6;
    // SAFETY: In a netfilter hook, with RCU held and bottom halves off; the table is there as long as `routes`. The
    // buffer has a route of its own and an IP header in its linear part.
    let error =
        unsafe { bindings::glb_routes_find(net.as_ptr(), percpu.as_ptr(), skb.as_ptr(), is_v6) };
    if error != 0 {
        return Err((skb, Unroutable::NoRoute));
    }
    // SAFETY: The buffer is valid and has a route now.
    if !unsafe { bindings::glb_skb_fits_mtu(skb.as_ptr()) } {
        return Err((skb, Unroutable::TooBig));
    }
    Ok(Routed { skb, family })
}

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
