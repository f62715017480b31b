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
use glb_core::director::{Gso, Layout};
use glb_core::packet::ip::{Family, IPV4_LEN, IPV6_LEN};
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
            path.dst(),
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

impl Prepared<'_> {
    /// Pushes the header, and lets `write` fill it. `None` if that failed: the packet is gone then.
    #[inline(always)]
    fn finish(
        self,
        write: impl FnOnce(&mut [u8]) -> Option<()>,
    ) -> Option<(*mut bindings::sk_buff, bool)> {
        let (skb, header) = (self.skb.as_ptr(), self.header);
        let is_v6 = header.outer == Family::V6;
        let ip_len = if is_v6 { IPV6_LEN } else { IPV4_LEN };
        let len = header.layout.len;
        // SAFETY: `prepare` made `len` bytes of private headroom, which the push turns into data.
        let bytes = unsafe {
            let start = bindings::glb_tunnel_push(skb, len as u32, ip_len as u32, is_v6);
            core::slice::from_raw_parts_mut(start.cast::<u8>(), len)
        };
        if write(bytes).is_none() {
            // SAFETY: The buffer is ours and is not used afterwards.
            unsafe { bindings::glb_skb_free(skb) };
            return None;
        }
        if header.layout.gso == (Gso::Udp { checksum: true }) {
            // SAFETY: The header is written, its addresses among it.
            unsafe { bindings::glb_tunnel_checksum(skb, is_v6) };
        }
        Some((skb, is_v6))
    }

    /// As [`Self::send`], at an egress hook: where the packet comes to such a hook again, it is known as one that was sent so
    /// ([`crate::front::netdev::Egress::own`]). With `cuts`, one that is too long for its path leaves in fragments.
    #[inline]
    pub fn send_known(
        self,
        net: &Net,
        path: &Path,
        cuts: bool,
        write: impl FnOnce(&mut [u8]) -> Option<()>,
    ) -> Option<bool> {
        let (skb, is_v6) = self.finish(write)?;
        // SAFETY: The buffer is handed over, and is no aggregate where it may be cut; the route is valid and stays so during the call.
        Some(unsafe { bindings::glb_egress_xmit(net.as_ptr(), skb, path.dst(), is_v6, cuts) })
    }

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
        let (skb, is_v6) = self.finish(write)?;
        let mac = gateway_mac.map_or(core::ptr::null(), |mac| mac.as_ptr());
        // SAFETY: The buffer is handed over; the route is valid and stays so during the call.
        Some(unsafe { bindings::glb_tunnel_xmit(net.as_ptr(), skb, path.dst(), is_v6, mac) })
    }
}
