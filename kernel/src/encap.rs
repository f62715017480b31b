// SPDX-License-Identifier: GPL-2.0

//! Putting a packet into a tunnel and on the wire.
//!
//! C headers: `include/net/ip_tunnels.h`, `include/net/route.h`, `include/net/neighbour.h`
//!
//! The packet leaves by its route's device to its neighbour directly, without the OUTPUT and POSTROUTING
//! hooks: a director's traffic is not this machine's, and connection tracking of it would hold state. Where its route
//! wants more than a neighbour (IPsec, a light-weight tunnel, this machine itself), it takes the IP layer's way out, untracked.

use crate::bindings;
use crate::cut::Own;
use crate::hook::Hook;
use crate::net::Net;
use crate::skb::Skb;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use glb_core::addr::Addr;
use glb_core::director::{Gso, Layout};
use glb_core::ip::{proto, Family, IPV4_LEN, IPV6_LEN};
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
        let mut cache = Self::none();
        // SAFETY: The cache is set up once. It may be moved then, as nobody points to it but to its per-CPU memory.
        let error = unsafe { bindings::glb_route_cache_init(cache.0.get_mut()) };
        // It fails for no other reason.
        if error == 0 {
            Ok(cache)
        } else {
            Err(AllocError)
        }
    }

    /// One that never knows anything.
    fn none() -> Self {
        // SAFETY: All zero is a valid value of a cache that is not set up, which the functions take.
        Self(UnsafeCell::new(unsafe { core::mem::zeroed() }))
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
        }
    }

    #[inline]
    fn raw(self) -> bindings::glb_flow {
        bindings::glb_flow {
            sport: self.src_port.to_be(),
            dport: self.dst_port.to_be(),
            proto: self.proto,
            tos: self.tos,
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

impl Path {
    /// The route to `to`, which `cache` is for, if it is remembered and may be taken by the client's packet `skb`. If another
    /// source is wanted than before, the cache must have been reset.
    #[inline]
    pub fn kept(cache: &RouteCache, skb: &Skb<'_>, to: Addr) -> Option<Self> {
        match to {
            Addr::V4(_) => {
                let mut from = 0;
                // SAFETY: In a hook of a device: bottom halves are off, RCU is held, and the buffer has a device. The cache
                // is set up or all zero, and `from` is written where there is a route.
                let dst =
                    unsafe { bindings::glb_route4_kept(cache.0.get(), skb.as_ptr(), &mut from) };
                Some(Self {
                    dst: NonNull::new(dst)?,
                    source: Addr::V4(from.to_ne_bytes()),
                })
            }
            Addr::V6(_) => {
                let mut from = [0; 16];
                // SAFETY: As above; an address is 16 bytes and needs no alignment on the architectures that the module is
                // built for.
                let dst = unsafe {
                    let from = from.as_mut_ptr().cast();
                    bindings::glb_route6_kept(cache.0.get(), skb.as_ptr(), from)
                };
                Some(Self {
                    dst: NonNull::new(dst)?,
                    source: Addr::V6(from),
                })
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
                let mut from = match source {
                    Some(Addr::V4(from)) => u32::from_ne_bytes(from),
                    _ => 0,
                };
                // SAFETY: As in `kept`; `from` is read and written.
                let dst = unsafe {
                    let to = u32::from_ne_bytes(to);
                    bindings::glb_route4_find(net, cache.0.get(), skb, flow.raw(), to, &mut from)
                };
                Some(Self {
                    dst: NonNull::new(dst)?,
                    source: Addr::V4(from.to_ne_bytes()),
                })
            }
            Addr::V6(to) => {
                let mut from = match source {
                    Some(Addr::V6(from)) => from,
                    _ => [0; 16],
                };
                // SAFETY: As above.
                let dst = unsafe {
                    let (to, from) = (to.as_ptr().cast(), from.as_mut_ptr().cast());
                    bindings::glb_route6_find(net, cache.0.get(), skb, flow.raw(), to, from)
                };
                Some(Self {
                    dst: NonNull::new(dst)?,
                    source: Addr::V6(from),
                })
            }
        }
    }

    /// Looks the route of `flow` between these addresses up, for an answer to the client's packet `skb`.
    pub fn of_answer(
        hook: &Hook<'_>,
        skb: &Skb<'_>,
        flow: Flow,
        to: Addr,
        source: Addr,
    ) -> Option<Self> {
        Self::find(hook, &RouteCache::none(), skb, flow, (to, Some(source)))
    }

    /// The route itself, valid as long as the path.
    pub(crate) fn dst(&self) -> *mut bindings::dst_entry {
        self.dst.as_ptr()
    }

    /// The source address.
    #[inline]
    pub fn source(&self) -> Addr {
        self.source
    }

    /// Whether the packet, with `added` bytes in front, fits the path.
    #[inline]
    pub fn fits(&self, skb: &Skb<'_>, added: usize) -> Fit {
        // SAFETY: Both are valid. More than 32 bits do not occur.
        match unsafe { bindings::glb_dst_fits(skb.as_ptr(), self.dst.as_ptr(), added as u32) } {
            bindings::glb_fit_GLB_FIT_WHOLE => Fit::Whole,
            bindings::glb_fit_GLB_FIT_APART => Fit::Apart,
            bindings::glb_fit_GLB_FIT_NEVER => Fit::Never,
            _ => Fit::TooLong,
        }
    }

    /// Bytes of an IP packet that fit the path.
    pub fn mtu(&self) -> u32 {
        // SAFETY: The route is valid.
        unsafe { bindings::glb_dst_mtu(self.dst.as_ptr()) }
    }
}

impl Drop for Path {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The reference is owned by this object.
        unsafe { bindings::glb_dst_release(self.dst.as_ptr()) };
    }
}

/// Sends an answer to the client's packet `about`, an IP header and what follows, along `path`. Answers whether it went;
/// nobody retries.
pub fn send_own(net: &Net, about: &Skb<'_>, path: &Path, family: Family, packet: &[u8]) -> bool {
    let is_v6 = family == Family::V6;
    // SAFETY: The buffer and the route are valid; the bytes are read. The new buffer is handed over to the second call.
    unsafe {
        let skb = bindings::glb_packet_alloc(
            net.as_ptr(),
            about.as_ptr(),
            path.dst.as_ptr(),
            packet.as_ptr().cast(),
            packet.len() as u32,
            is_v6,
        );
        !skb.is_null()
            && bindings::glb_tunnel_xmit(
                net.as_ptr(),
                skb,
                path.dst.as_ptr(),
                is_v6,
                core::ptr::null(),
            )
    }
}

/// What comes in front of a client's packet.
#[derive(Clone, Copy)]
pub struct Header {
    /// Its length, and how segmentation finds what is behind it.
    pub layout: Layout,
    /// Family of the outer IP header.
    pub outer: Family,
    /// Family of the client's packet.
    pub inner: Family,
}

impl Header {
    /// The kernel's word for the tunnel.
    #[inline(always)]
    fn gso_type(&self) -> i32 {
        match (self.layout.gso, self.outer) {
            (Gso::Udp { checksum: false }, _) => bindings::SKB_GSO_UDP_TUNNEL,
            (Gso::Udp { checksum: true }, _) => bindings::SKB_GSO_UDP_TUNNEL_CSUM,
            (Gso::Gre, _) => bindings::SKB_GSO_GRE,
            (Gso::Ip, Family::V4) => bindings::SKB_GSO_IPXIP4,
            (Gso::Ip, Family::V6) => bindings::SKB_GSO_IPXIP6,
        }
    }
}

/// A packet with room for a header in front.
pub struct Prepared<'a> {
    skb: Skb<'a>,
    header: Header,
}

/// Cuts the packet to `len` bytes and makes room for `header`. On failure the packet is given back, to be dropped.
#[inline]
pub fn prepare<'a>(
    skb: Skb<'a>,
    path: &Path,
    len: usize,
    header: Header,
) -> Result<Prepared<'a>, Skb<'a>> {
    // SAFETY: The buffer and the route are valid; lengths are far below 32 bits.
    let error = unsafe {
        bindings::glb_tunnel_prepare(
            skb.as_ptr(),
            path.dst.as_ptr(),
            len as u32,
            header.layout.len as u32,
            header.inner == Family::V6,
            header.gso_type(),
        )
    };
    if error != 0 {
        return Err(skb);
    }
    Ok(Prepared { skb, header })
}

/// The same for a packet made here, which is freed on failure.
pub fn prepare_own(own: Own, path: &Path, len: usize, header: Header) -> Option<Prepared<'static>> {
    match prepare(own.into_skb(), path, len, header) {
        Ok(prepared) => Some(prepared),
        Err(skb) => {
            // SAFETY: The buffer is ours and is not used afterwards.
            unsafe { bindings::glb_skb_free(skb.as_ptr()) };
            None
        }
    }
}

impl Prepared<'_> {
    /// Pushes the header, lets `write` fill it, and sends the packet. The packet is gone afterwards, sent
    /// or not; the hook must answer "stolen". Answers whether it was sent: `None` if `write` failed.
    ///
    /// Always inline: what `write` captures stays in registers (docs/decisions/0008).
    #[inline(always)]
    pub fn send(
        self,
        net: &Net,
        path: &Path,
        gateway_mac: Option<&[u8; 6]>,
        write: impl FnOnce(&mut [u8]) -> Option<()>,
    ) -> Option<bool> {
        let (skb, header) = (self.skb.as_ptr(), self.header);
        let is_v6 = header.outer == Family::V6;
        let ip_len = if is_v6 { IPV6_LEN } else { IPV4_LEN };
        let len = header.layout.len;
        // SAFETY: `prepare` made `len` bytes of private headroom, which the push turns into data.
        let bytes = unsafe {
            let start = bindings::glb_tunnel_push(skb, len as u32, ip_len as u32, is_v6);
            core::slice::from_raw_parts_mut(start.cast::<u8>(), len)
        };
        let written = write(bytes);
        if written.is_none() {
            // SAFETY: The buffer is ours and is not used afterwards.
            unsafe { bindings::glb_skb_free(skb) };
            return None;
        }
        if header.layout.gso == (Gso::Udp { checksum: true }) {
            // SAFETY: The header is written, its addresses among it.
            unsafe { bindings::glb_tunnel_checksum(skb, is_v6) };
        }
        let mac = gateway_mac.map_or(core::ptr::null(), |mac| mac.as_ptr());
        // SAFETY: The buffer is handed over; the route is valid and stays so during the call.
        Some(unsafe { bindings::glb_tunnel_xmit(net.as_ptr(), skb, path.dst.as_ptr(), is_v6, mac) })
    }
}
