// SPDX-License-Identifier: GPL-2.0

//! Putting a packet into a tunnel and on the wire.
//!
//! C headers: `include/net/ip_tunnels.h`, `include/net/neighbour.h`
//!
//! The packet leaves by its route's device to its neighbour directly, without the OUTPUT and POSTROUTING
//! hooks: a director's traffic is not this machine's, and connection tracking of it would hold state. Where its route
//! wants more than a neighbour (IPsec, a light-weight tunnel, this machine itself), it takes the IP layer's way out, untracked.

use crate::bindings;
use crate::net::Net;
use crate::out::path::Path;
use crate::packet::skb::Skb;
use core::ptr::NonNull;
use glb_core::director::{Gso, Layout};
use glb_core::packet::ip::Family;
use kernel::prelude::*;

/// Sends an answer to the client's packet `about`, an IP header and what follows, along `path`. Answers whether it went;
/// nobody retries.
pub fn send_own(net: &Net, about: &Skb<'_>, path: &Path, family: Family, packet: &[u8]) -> bool {
    let is_v6 = family == Family::V6;
    // SAFETY: The buffer and the route are valid; the bytes are read. The new buffer is handed over to the second call.
    unsafe {
        let skb = bindings::glb_packet_alloc(
            net.as_ptr(),
            about.as_ptr(),
            path.dst(),
            packet.as_ptr().cast(),
            packet.len() as u32,
            is_v6,
        );
        !skb.is_null()
            && bindings::glb_tunnel_xmit(net.as_ptr(), skb, path.dst(), is_v6, core::ptr::null())
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
    /// INVARIANT: where the packet begins: room for the header, which nobody else has.
    start: NonNull<u8>,
}

/// Cuts the packet to `len` bytes and puts room for `header` in front. On failure the packet is given back, to be dropped.
#[inline(always)]
pub fn prepare<'a>(
    skb: Skb<'a>,
    path: &Path,
    len: usize,
    header: Header,
) -> Result<Prepared<'a>, Skb<'a>> {
    let families = bindings::glb_families {
        inner_is_v6: header.inner == Family::V6,
        outer_is_v6: header.outer == Family::V6,
    };
    // SAFETY: The buffer and the route are valid; lengths are far below 32 bits.
    let start = unsafe {
        bindings::glb_tunnel_open(
            skb.as_ptr(),
            path.dst(),
            len as u32,
            header.layout.len as u32,
            families,
            header.gso_type(),
        )
    };
    // INVARIANT: the call has made `header.layout.len` bytes of private headroom data.
    match NonNull::new(start.cast()) {
        Some(start) => Ok(Prepared { skb, header, start }),
        None => Err(skb),
    }
}

impl<'a> Prepared<'a> {
    /// The bytes of the header, to be written.
    ///
    /// No closure writes them: it would not be in line where there are several, and what it needs would be in memory
    /// (docs/decisions/0008).
    #[inline(always)]
    pub fn header(&mut self) -> &mut [u8] {
        let len = self.header.layout.len;
        // SAFETY: By the invariant, so many bytes are there and nobody else's.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), len) }
    }

    /// Finishes the packet, if its header `is_written`; otherwise it is gone.
    #[inline(always)]
    fn finish(self, is_written: bool) -> Option<Skb<'a>> {
        if !is_written {
            self.skb.free();
            return None;
        }
        if self.header.layout.gso == (Gso::Udp { checksum: true }) {
            let is_v6 = self.header.outer == Family::V6;
            // SAFETY: The header is written, its addresses among it.
            unsafe { bindings::glb_tunnel_checksum(self.skb.as_ptr(), is_v6) };
        }
        Some(self.skb)
    }

    /// As [`Self::send`], at an egress hook: where the packet comes to such a hook again, it is known as one that was sent so
    /// ([`crate::front::netdev::Egress::own`]). With `cuts`, one that is too long for its path leaves in fragments.
    #[inline]
    pub fn send_known(self, net: &Net, path: &Path, cuts: bool, is_written: bool) -> bool {
        let is_v6 = self.header.outer == Family::V6;
        let Some(skb) = self.finish(is_written) else {
            return false;
        };
        // SAFETY: The buffer is handed over, and is no aggregate where it may be cut; the route is valid and stays so during the call.
        unsafe { bindings::glb_egress_xmit(net.as_ptr(), skb.as_ptr(), path.dst(), is_v6, cuts) }
    }

    /// Sends the packet, if its header `is_written`. It is gone afterwards, sent or not; the hook must answer "stolen". Answers
    /// whether it was sent.
    #[inline(always)]
    pub fn send(
        self,
        net: &Net,
        path: &Path,
        gateway_mac: Option<&[u8; 6]>,
        is_written: bool,
    ) -> bool {
        let outer = self.header.outer;
        match self.finish(is_written) {
            Some(skb) => path.transmit(net, skb, outer, gateway_mac),
            None => false,
        }
    }
}
