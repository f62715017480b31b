// SPDX-License-Identifier: GPL-2.0

//! Sending a client's packet on with another destination, and nothing in front of it.
//!
//! C headers: `include/linux/skbuff.h`, `include/net/neighbour.h`
//!
//! It leaves as a tunnelled packet does ([`super::encap`]): to the neighbour of its route, without the hooks of the IP layer,
//! or by that layer's way out where the route wants more than a neighbour.

use crate::bindings;
use crate::net::Net;
use crate::out::path::Path;
use crate::packet::skb::Skb;
use glb_core::director::rewrite::Spot;
use glb_core::packet::checksum::UdpChecksum;
use glb_core::packet::ip::Family;
use kernel::prelude::*;

/// A packet whose bytes that change are its own.
pub struct Writable<'a> {
    skb: Skb<'a>,
    /// INVARIANT: so many bytes are linear, and shared with nobody.
    len: usize,
    family: Family,
    sum: UdpChecksum,
}

/// Cuts the packet to `len` bytes and makes those its own that `spot` says change. On failure the packet is given back, to be
/// dropped.
#[inline(always)]
pub fn writable<'a>(
    skb: Skb<'a>,
    path: &Path,
    len: usize,
    (spot, family): (&Spot, Family),
) -> Result<Writable<'a>, Skb<'a>> {
    let write_len = spot.len(family);
    // SAFETY: The buffer and the route are valid; lengths are far below 32 bits, and the function checks them.
    let held = unsafe {
        bindings::glb_rewrite_prepare(
            skb.as_ptr(),
            path.dst(),
            len as u32,
            write_len as u32,
            spot.transport() as u32,
        )
    };
    if held < 0 {
        return Err(skb);
    }
    let sum = match held {
        0 => UdpChecksum::Complete,
        _ => UdpChecksum::PseudoHeader,
    };
    Ok(Writable {
        skb,
        len: write_len,
        family,
        sum,
    })
}

impl Writable<'_> {
    /// The bytes that change, and what the checksum field of the transport header holds.
    #[inline(always)]
    pub fn head(&mut self) -> (&mut [u8], UdpChecksum) {
        // SAFETY: By the invariant; nobody else borrows the bytes.
        let head = unsafe { core::slice::from_raw_parts_mut((*self.skb.as_ptr()).data, self.len) };
        (head, self.sum)
    }

    /// Sends the packet, if it `is_written`. It is gone afterwards, sent or not; the hook must answer "stolen". Answers whether it
    /// was sent.
    #[inline(always)]
    pub fn send(
        self,
        net: &Net,
        path: &Path,
        gateway_mac: Option<&[u8; 6]>,
        is_written: bool,
    ) -> bool {
        if !is_written {
            self.skb.free();
            return false;
        }
        path.transmit(net, self.skb, self.family, gateway_mac)
    }
}
