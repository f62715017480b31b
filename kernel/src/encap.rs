// SPDX-License-Identifier: GPL-2.0

//! Putting a packet into a tunnel and on the wire.
//!
//! C headers: `include/net/ip_tunnels.h`, `include/net/route.h`, `include/net/neighbour.h`
//!
//! The packet leaves by its route's device to its neighbour directly, without the OUTPUT and POSTROUTING
//! hooks: a director's traffic is not this machine's, and connection tracking of it would hold state.

use crate::bindings;
use crate::cut::Own;
use crate::hook::Hook;
use crate::net::Net;
use crate::skb::Skb;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use glb_core::addr::Addr;
use glb_core::ip::{Family, IPV4_LEN, IPV6_LEN};
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

impl Path {
    /// Finds a route to `to`, which `cache` is for. Without `source` the kernel chooses one; if another one is wanted than
    /// before, the cache must have been reset.
    #[inline]
    pub fn cached(
        hook: &Hook<'_>,
        cache: &RouteCache,
        to: Addr,
        source: Option<Addr>,
    ) -> Option<Self> {
        let net = hook.net.as_ptr();
        match to {
            Addr::V4(to) => {
                let mut from = match source {
                    Some(Addr::V4(from)) => u32::from_ne_bytes(from),
                    _ => 0,
                };
                // SAFETY: In softirq context, as hooks are; the cache is set up, and `from` is read and written.
                let dst = unsafe {
                    let to = u32::from_ne_bytes(to);
                    bindings::glb_route4_cached(net, cache.0.get(), to, &mut from)
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
                // SAFETY: As above; both addresses are 16 bytes and need no alignment on the
                // architectures that the module is built for.
                let dst = unsafe {
                    let from = from.as_mut_ptr().cast();
                    bindings::glb_route6_cached(net, cache.0.get(), to.as_ptr().cast(), from)
                };
                Some(Self {
                    dst: NonNull::new(dst)?,
                    source: Addr::V6(from),
                })
            }
        }
    }

    /// Finds a route to `to`. Without `source` the kernel chooses one.
    pub fn find(hook: &Hook<'_>, to: Addr, source: Option<Addr>) -> Option<Self> {
        Self::cached(hook, &RouteCache::none(), to, source)
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
    pub fn fits(&self, skb: &Skb<'_>, added: usize) -> bool {
        // SAFETY: Both are valid. More than 32 bits do not occur.
        unsafe { bindings::glb_dst_fits(skb.as_ptr(), self.dst.as_ptr(), added as u32) }
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

/// Sends a packet of our own, an IP header and what follows, along `path`. Answers whether it went; it is an
/// answer to somebody, so nobody retries.
pub fn send_own(net: &Net, path: &Path, family: Family, packet: &[u8]) -> bool {
    let is_v6 = family == Family::V6;
    // SAFETY: The route is valid; the bytes are read. The new buffer is handed over to the second call.
    unsafe {
        let skb = bindings::glb_packet_alloc(
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

/// A packet with room for a header in front.
pub struct Prepared<'a> {
    skb: Skb<'a>,
    header_len: usize,
    family: Family,
    checksum: bool,
}

/// Cuts the packet to `len` bytes and makes room for a header of `header_len` bytes of an outer packet of
/// family `family`, whose UDP header will have a checksum or not. On failure the packet is given back, to be dropped.
#[inline]
pub fn prepare<'a>(
    skb: Skb<'a>,
    path: &Path,
    inner: Family,
    len: usize,
    family: Family,
    header_len: usize,
    checksum: bool,
) -> Result<Prepared<'a>, Skb<'a>> {
    // SAFETY: The buffer and the route are valid; lengths are far below 32 bits.
    let error = unsafe {
        bindings::glb_tunnel_prepare(
            skb.as_ptr(),
            path.dst.as_ptr(),
            len as u32,
            header_len as u32,
            inner == Family::V6,
            checksum,
        )
    };
    if error != 0 {
        return Err(skb);
    }
    Ok(Prepared {
        skb,
        header_len,
        family,
        checksum,
    })
}

/// The same for a packet made here, which is freed on failure.
pub fn prepare_own(
    own: Own,
    path: &Path,
    inner: Family,
    len: usize,
    family: Family,
    header_len: usize,
    checksum: bool,
) -> Option<Prepared<'static>> {
    match prepare(
        own.into_skb(),
        path,
        inner,
        len,
        family,
        header_len,
        checksum,
    ) {
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
    #[inline]
    pub fn send(
        self,
        net: &Net,
        path: &Path,
        gateway_mac: Option<&[u8; 6]>,
        write: impl FnOnce(&mut [u8]) -> Option<()>,
    ) -> Option<bool> {
        let skb = self.skb.as_ptr();
        let is_v6 = self.family == Family::V6;
        let ip_len = if is_v6 { IPV6_LEN } else { IPV4_LEN };
        // SAFETY: `prepare` made `header_len` bytes of private headroom, which the push turns into data.
        let header = unsafe {
            let start =
                bindings::glb_tunnel_push(skb, self.header_len as u32, ip_len as u32, is_v6);
            core::slice::from_raw_parts_mut(start.cast::<u8>(), self.header_len)
        };
        let written = write(header);
        if written.is_none() {
            // SAFETY: The buffer is ours and is not used afterwards.
            unsafe { bindings::glb_skb_free(skb) };
            return None;
        }
        if self.checksum {
            // SAFETY: The header is written, its addresses among it.
            unsafe { bindings::glb_tunnel_checksum(skb, is_v6) };
        }
        let mac = gateway_mac.map_or(core::ptr::null(), |mac| mac.as_ptr());
        // SAFETY: The buffer is handed over; the route is valid and stays so during the call.
        Some(unsafe { bindings::glb_tunnel_xmit(net.as_ptr(), skb, path.dst.as_ptr(), is_v6, mac) })
    }
}
