// SPDX-License-Identifier: GPL-2.0

//! Routes of packets that leave, remembered for each next hop, and whether a packet fits them.
//!
//! C headers: `include/net/route.h`, `include/net/dst_cache.h`

use crate::bindings;
use crate::front::hook::Hook;
use crate::net::Net;
use crate::out::route::Routes;
use crate::packet::skb::Skb;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::{proto, Family};
use kernel::alloc::AllocError;
use kernel::prelude::*;

/// A route to the first hop, and the source address to use with it.
pub struct Path {
    /// INVARIANT: a route of family `family`, with a reference that this object owns.
    dst: NonNull<bindings::dst_entry>,
    source: Addr,
}

/// The route to one next hop, as each CPU found it last, and the source address that went with it.
///
/// The kernel's own check says whether a route still holds, so nothing here need hear of changed routes or addresses.
pub struct RouteCache(UnsafeCell<bindings::dst_cache>);

// SAFETY: The per-CPU memory behind it is not tied to a thread.
unsafe impl Send for RouteCache {}
// SAFETY: A CPU changes only its own part, with bottom halves off; the time of the last reset is one word.
unsafe impl Sync for RouteCache {}

impl RouteCache {
    /// Knows nothing yet. May sleep.
    pub fn new() -> Result<Self, AllocError> {
        // SAFETY: All zero is a valid value of a cache that is not set up.
        let mut cache = Self(UnsafeCell::new(unsafe { core::mem::zeroed() }));
        // SAFETY: The cache is set up once. It may be moved then, as nobody points to it but to its per-CPU memory.
        let error = unsafe { bindings::glb_route_cache_init(cache.0.get_mut()) };
        // It fails for no other reason.
        if error == 0 {
            Ok(cache)
        } else {
            Err(AllocError)
        }
    }

    /// Forgets what it knows. What packets find while this runs may be what they would have found before.
    pub fn reset(&self) {
        // SAFETY: The cache is set up.
        unsafe { bindings::glb_route_cache_reset(self.0.get()) };
    }
}

impl Drop for RouteCache {
    fn drop(&mut self) {
        // SAFETY: Set up by `new`, and nobody else has it any more.
        unsafe { bindings::dst_cache_destroy(self.0.get()) };
    }
}

/// What the route of a packet of our own depends on, beside its addresses.
#[derive(Clone, Copy)]
pub struct Flow {
    src_port: u16,
    dst_port: u16,
    proto: u8,
    tos: u8,
    kept_tos: u8,
    is_answer: bool,
    is_passed_on: bool,
}

impl Flow {
    /// A packet of this protocol; between these ports, if it has ports.
    #[inline]
    pub fn tunnel(proto: u8, (src_port, dst_port): (u16, u16), tos: u8) -> Self {
        let (src_port, dst_port) = match proto {
            proto::UDP => (src_port, dst_port),
            _ => (0, 0),
        };
        Self {
            src_port,
            dst_port,
            proto,
            tos,
            // A cache of routes of tunnels has those without a DSCP.
            kept_tos: 0,
            is_answer: false,
            is_passed_on: false,
        }
    }

    /// A client's packet of this protocol that is passed on: between these ports if it is TCP or UDP; of ICMP, type and code
    /// stand in the place of the second. A cache has the routes of packets with `kept_tos`.
    #[inline]
    pub fn passed_on(proto: u8, (src_port, dst_port): (u16, u16), tos: u8, kept_tos: u8) -> Self {
        Self {
            src_port,
            dst_port,
            proto,
            tos,
            kept_tos,
            is_answer: false,
            is_passed_on: true,
        }
    }

    /// An ICMP error of this type and code, which over IPv4 goes out with the precedence of network control (RFC 1812, section
    /// 4.3.2.5).
    pub fn icmp_error(family: Family, kind: u8, code: u8) -> Self {
        let (proto, tos) = match family {
            Family::V4 => (proto::ICMP, 0xc0),
            Family::V6 => (proto::ICMPV6, 0),
        };
        Self {
            src_port: 0,
            dst_port: u16::from_be_bytes([kind, code]),
            proto,
            tos,
            kept_tos: 0,
            is_answer: true,
            is_passed_on: false,
        }
    }

    #[inline]
    fn raw(self) -> bindings::glb_flow {
        bindings::glb_flow {
            sport: self.src_port.to_be(),
            dport: self.dst_port.to_be(),
            proto: self.proto,
            tos: self.tos,
            kept_tos: self.kept_tos,
            is_answer: self.is_answer,
            is_passed_on: self.is_passed_on,
        }
    }
}

/// Whether a packet fits a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It does, or each packet of an aggregate does.
    Whole,
    /// It is too long.
    TooLong,
    /// The packets of this aggregate have to be sent one by one.
    Apart,
    /// An aggregate that nobody can take apart.
    Never,
}

impl Fit {
    /// Whether the packet, or each packet of an aggregate, has `room` bytes at most.
    pub fn of(skb: &Skb<'_>, room: u32) -> Self {
        // SAFETY: The buffer is valid.
        Self::from_raw(unsafe { bindings::glb_skb_fits(skb.as_ptr(), room) })
    }

    #[inline]
    fn from_raw(raw: bindings::glb_fit) -> Self {
        match raw {
            bindings::glb_fit_GLB_FIT_WHOLE => Self::Whole,
            bindings::glb_fit_GLB_FIT_APART => Self::Apart,
            bindings::glb_fit_GLB_FIT_NEVER => Self::Never,
            _ => Self::TooLong,
        }
    }
}

impl Path {
    /// A route that the kernel has answered, if it is one, and the source that it has for it.
    #[inline(always)]
    fn from_v4(dst: *mut bindings::dst_entry, from: u32) -> Option<Self> {
        Some(Self {
            dst: NonNull::new(dst)?,
            source: Addr::V4(from.to_ne_bytes()),
        })
    }

    /// The same of IPv6.
    #[inline(always)]
    fn from_v6(dst: *mut bindings::dst_entry, from: [u8; 16]) -> Option<Self> {
        Some(Self {
            dst: NonNull::new(dst)?,
            source: Addr::V6(from),
        })
    }

    /// The route to `to`, which `cache` is for, if it is remembered and may be taken by the client's packet `skb`. If another
    /// source is wanted than before, the cache must have been reset.
    #[inline(always)]
    pub fn kept(cache: &RouteCache, skb: &Skb<'_>, to: Addr) -> Option<Self> {
        match to {
            Addr::V4(_) => {
                let mut from = 0;
                // SAFETY: In a hook of a device: bottom halves are off, RCU is held, and the buffer has a device. The cache
                // is set up or all zero, and `from` is written where there is a route.
                let dst =
                    unsafe { bindings::glb_route4_kept(cache.0.get(), skb.as_ptr(), &mut from) };
                Self::from_v4(dst, from)
            }
            Addr::V6(_) => {
                let mut from = [0; 16];
                // SAFETY: As above; an address is 16 bytes and needs no alignment on the architectures that the module is
                // built for.
                let dst = unsafe {
                    let from = from.as_mut_ptr().cast();
                    bindings::glb_route6_kept(cache.0.get(), skb.as_ptr(), from)
                };
                Self::from_v6(dst, from)
            }
        }
    }

    /// The same for a packet that keeps its source: none is remembered where that may matter.
    #[inline(always)]
    pub fn kept_by_any(
        hook: &Hook<'_>,
        cache: &RouteCache,
        skb: &Skb<'_>,
        to: Addr,
    ) -> Option<Self> {
        let (net, cache, skb) = (hook.net.as_ptr(), cache.0.get(), skb.as_ptr());
        match to {
            Addr::V4(_) => {
                let mut from = 0;
                // SAFETY: As in `kept`; the namespace is valid.
                let dst = unsafe { bindings::glb_route4_kept_by_any(net, cache, skb, &mut from) };
                Self::from_v4(dst, from)
            }
            Addr::V6(_) => {
                let mut from = [0; 16];
                // SAFETY: As above.
                let dst = unsafe {
                    let from = from.as_mut_ptr().cast();
                    bindings::glb_route6_kept_by_any(net, cache, skb, from)
                };
                Self::from_v6(dst, from)
            }
        }
    }

    /// Looks the route of `flow` to `to` up, for the client's packet `skb`, and remembers it in `cache` where it may be the next
    /// packet's. Without `source` the kernel chooses one.
    #[cold]
    #[inline(never)]
    pub fn find(
        hook: &Hook<'_>,
        cache: &RouteCache,
        skb: &Skb<'_>,
        flow: Flow,
        (to, source): (Addr, Option<Addr>),
    ) -> Option<Self> {
        let (net, skb) = (hook.net.as_ptr(), skb.as_ptr());
        match to {
            Addr::V4(to) => {
                let mut from = wanted_v4(source);
                // SAFETY: As in `kept`; `from` is read and written.
                let dst = unsafe {
                    let to = u32::from_ne_bytes(to);
                    bindings::glb_route4_find(net, cache.0.get(), skb, flow.raw(), to, &mut from)
                };
                Self::from_v4(dst, from)
            }
            Addr::V6(to) => {
                let mut from = wanted_v6(source);
                // SAFETY: As above.
                let dst = unsafe {
                    let (to, from) = (to.as_ptr().cast(), from.as_mut_ptr().cast());
                    bindings::glb_route6_find(net, cache.0.get(), skb, flow.raw(), to, from)
                };
                Self::from_v6(dst, from)
            }
        }
    }

    /// Whether the way of a packet can depend on its source, so that a route that is remembered is not for all clients' packets.
    #[inline]
    pub fn counts_source(hook: &Hook<'_>) -> bool {
        let is_v6 = hook.family == Family::V6;
        // SAFETY: The namespace is valid, and RCU is held in a hook.
        unsafe { bindings::glb_routes_by_source(hook.net.as_ptr(), is_v6) }
    }

    /// Looks the route of `flow` between these addresses up, for the packet `skb` or an answer to it, and remembers nothing.
    /// Without `source` the kernel chooses one.
    #[inline]
    pub fn between(
        hook: &Hook<'_>,
        skb: &Skb<'_>,
        flow: Flow,
        to: Addr,
        source: Option<Addr>,
    ) -> Option<Self> {
        let (net, skb) = (hook.net.as_ptr(), skb.as_ptr());
        match to {
            Addr::V4(to) => {
                let mut from = wanted_v4(source);
                // SAFETY: In a hook of a device: bottom halves are off, RCU is held, and the buffer has a device. `from` is read
                // and written.
                let dst = unsafe {
                    let to = u32::from_ne_bytes(to);
                    bindings::glb_route4_between(net, skb, flow.raw(), to, &mut from)
                };
                Self::from_v4(dst, from)
            }
            Addr::V6(to) => {
                let mut from = wanted_v6(source);
                // SAFETY: As above; an address is 16 bytes and needs no alignment on the architectures that the module is built
                // for.
                let dst = unsafe {
                    let (to, from) = (to.as_ptr().cast(), from.as_mut_ptr().cast());
                    bindings::glb_route6_between(net, skb, flow.raw(), to, from)
                };
                Self::from_v6(dst, from)
            }
        }
    }

    /// The route of `flow` from `source` to `to`, of one family, for the packet `skb`: one that this CPU has found for such a packet
    /// and that still holds, or else it is looked up, and remembered where it may be the next such packet's.
    #[inline]
    pub fn of_pair(
        hook: &Hook<'_>,
        routes: &Routes,
        skb: &Skb<'_>,
        flow: Flow,
        (to, source): (Addr, Addr),
    ) -> Option<Self> {
        let Some(percpu) = routes.percpu() else {
            return Self::between(hook, skb, flow, to, Some(source));
        };
        let (net, skb) = (hook.net.as_ptr(), skb.as_ptr());
        let route = |to: *const u8, from: *const u8, is_v6| {
            // SAFETY: As in `kept`. The addresses are of the family and are read during the call; the table is there as long as
            // `routes`.
            unsafe {
                let (percpu, to, from) = (percpu.as_ptr(), to.cast(), from.cast());
                bindings::glb_route_kept_between(net, percpu, skb, flow.raw(), to, from, is_v6)
            }
        };
        let dst = match (&to, &source) {
            (Addr::V4(to), Addr::V4(from)) => route(to.as_ptr(), from.as_ptr(), false),
            (Addr::V6(to), Addr::V6(from)) => route(to.as_ptr(), from.as_ptr(), true),
            _ => return None,
        };
        Some(Self {
            dst: NonNull::new(dst)?,
            source,
        })
    }

    /// Whether it ends on this machine.
    pub fn is_here(&self) -> bool {
        let is_v6 = matches!(self.source, Addr::V6(_));
        // SAFETY: The route is valid, and of the family of its source.
        unsafe { bindings::glb_dst_is_here(self.dst.as_ptr(), is_v6) }
    }

    /// The route itself, valid as long as the path.
    #[inline]
    pub(crate) fn dst(&self) -> *mut bindings::dst_entry {
        self.dst.as_ptr()
    }

    /// The source address.
    #[inline]
    pub fn source(&self) -> Addr {
        self.source
    }

    /// Sends a finished packet of this family along the path, to the link address `gateway_mac` if there is one. Answers whether
    /// it was sent; it is gone in any case.
    #[inline(always)]
    pub(super) fn transmit(
        &self,
        net: &Net,
        skb: Skb<'_>,
        family: Family,
        gateway_mac: Option<&[u8; 6]>,
    ) -> bool {
        let is_v6 = family == Family::V6;
        let mac = gateway_mac.map_or(core::ptr::null(), |mac| mac.as_ptr());
        // SAFETY: The buffer is handed over; the route is valid and stays so during the call.
        unsafe { bindings::glb_tunnel_xmit(net.as_ptr(), skb.as_ptr(), self.dst(), is_v6, mac) }
    }

    /// Whether the packet, with `added` bytes in front, fits the path.
    #[inline(always)]
    pub fn fits(&self, skb: &Skb<'_>, added: usize) -> Fit {
        // SAFETY: Both are valid. More than 32 bits do not occur.
        Fit::from_raw(unsafe {
            bindings::glb_dst_fits(skb.as_ptr(), self.dst.as_ptr(), added as u32)
        })
    }

    /// Bytes of an IP packet that fit the path.
    pub fn mtu(&self) -> u32 {
        // SAFETY: The route is valid.
        unsafe { bindings::glb_dst_mtu(self.dst.as_ptr()) }
    }
}

/// The source that a look-up is given; without one of its family, the kernel chooses.
#[inline(always)]
fn wanted_v4(source: Option<Addr>) -> u32 {
    match source {
        Some(Addr::V4(from)) => u32::from_ne_bytes(from),
        _ => 0,
    }
}

/// The same of IPv6.
#[inline(always)]
fn wanted_v6(source: Option<Addr>) -> [u8; 16] {
    match source {
        Some(Addr::V6(from)) => from,
        _ => [0; 16],
    }
}

impl Drop for Path {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The reference is owned by this object.
        unsafe { bindings::glb_dst_release(self.dst.as_ptr()) };
    }
}
