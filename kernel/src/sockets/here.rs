// SPDX-License-Identifier: GPL-2.0

//! What of a packet at the hook of a device is this machine's: the device that sockets see, and addresses.
//!
//! C headers: `include/net/l3mdev.h`, `include/linux/inetdevice.h`, `include/net/addrconf.h`
//!
//! Look-ups run under RCU, which the hooks hold.

use crate::bindings;
use crate::front::hook::Hook;
use crate::packet::skb::Skb;
use crate::sockets::decap::Device;
use core::sync::atomic::AtomicU64;
use glb_core::packet::addr::Addr;

impl Device {
    /// That on which the stack takes this packet: its own one, or that one's routing domain.
    #[inline]
    pub fn of(skb: &Skb<'_>) -> Self {
        let (mut dif, mut sdif) = (0, 0);
        // SAFETY: The buffer is valid and has a device at a device's hook, under RCU; both numbers are written.
        unsafe { bindings::glb_skb_domain(skb.as_ptr(), &mut dif, &mut sdif) };
        Self { dif, sdif }
    }

    /// Whether it is in a routing domain.
    #[inline]
    pub fn is_slave(self) -> bool {
        self.sdif != 0
    }
}

/// Places for addresses, as a power of two.
const BITS: u32 = 4;

/// IPv4 addresses of a namespace that were found to be this machine's, for as long as nothing has changed in what is: any change of
/// routes, rules or addresses makes the kernel's look-ups of routes count as old (`rt_genid`), and so it does these. Addresses of a
/// routing domain are not kept.
///
/// Contexts: packets of all CPUs read and write it; a place is one word.
#[derive(Default)]
pub struct Locals([AtomicU64; 1 << BITS]);

impl Locals {
    /// [`is_local`], at less cost for an address that was asked for before.
    #[inline]
    pub fn has(&self, hook: &Hook<'_>, skb: &Skb<'_>, addr: &Addr) -> bool {
        let Addr::V4(v4) = addr else {
            return is_local(hook, skb, addr);
        };
        let addr = u32::from_ne_bytes(*v4);
        // The upper bits of a product with the golden ratio; the cast is exact.
        let at = (addr.wrapping_mul(0x9e37_79b9) >> (u32::BITS - BITS)) as usize;
        let Some(place) = self.0.get(at) else {
            return false;
        };
        // SAFETY: As in `is_here`; the place is one aligned word, which the function reads and writes in one piece.
        unsafe { bindings::glb_is_local_v4(hook.net.as_ptr(), skb.as_ptr(), addr, place.as_ptr()) }
    }
}

/// Whether a packet to this address ends here, if it comes in by the device of `skb`.
pub fn is_local(hook: &Hook<'_>, skb: &Skb<'_>, addr: &Addr) -> bool {
    is_here(hook, skb, addr, false)
}

/// Whether the device of `skb` itself has this address.
pub fn is_of_device(hook: &Hook<'_>, skb: &Skb<'_>, addr: &Addr) -> bool {
    is_here(hook, skb, addr, true)
}

fn is_here(hook: &Hook<'_>, skb: &Skb<'_>, addr: &Addr, own: bool) -> bool {
    let (net, skb) = (hook.net.as_ptr(), skb.as_ptr());
    // SAFETY: The namespace is live, the buffer valid and at the hook of a device, under RCU. The address is passed by value, or
    // read during the call; it needs no alignment on the architectures that the module is built for.
    unsafe {
        match addr {
            Addr::V4(addr) => bindings::glb_is_here_v4(net, skb, u32::from_ne_bytes(*addr), own),
            Addr::V6(addr) => bindings::glb_is_here_v6(net, skb, addr.as_ptr().cast(), own),
        }
    }
}
