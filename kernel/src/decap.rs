// SPDX-License-Identifier: GPL-2.0

//! The devices that take the payload of tunnels: which one a packet will arrive on decides what sockets can see it.
//!
//! They are those of the kernel's modules `ipip`, `sit` and `ip6_tunnel`, whatever their names. They come, go
//! and change their routing domain (VRF) seldom, so packets read what was found when that happened last.
//!
//! Which of several takes a packet depends on its addresses, which is the tunnel module's affair. So a connection is looked
//! for on each of them: nearly always there is one. Where there is none, something else decapsulates (a program of tc, say),
//! and the connection is looked for as if it came in on the packet's own device, as the deployed module does: sockets that
//! are bound to no device are found.

use crate::bindings;
use crate::net::Net;
use crate::skb::Skb;
use core::sync::atomic::{AtomicU64, Ordering};
use glb_core::ip::Family;
use kernel::ffi::c_int;

/// A device as a look-up of sockets wants it.
#[derive(Clone, Copy)]
pub struct Device {
    pub(crate) dif: c_int,
    pub(crate) sdif: c_int,
}

impl Device {
    /// The device that a packet came in on, for sockets that are bound to no device, and for those bound to it.
    pub fn of_packet(skb: &Skb<'_>) -> Self {
        Self {
            // SAFETY: The buffer is valid.
            dif: unsafe { bindings::glb_skb_ifindex(skb.as_ptr()) },
            sdif: 0,
        }
    }
}

/// The kinds, in the order of [`Devices::found`].
const KINDS: [bindings::glb_decap; 3] = [
    bindings::glb_decap_GLB_DECAP_IPV4_IN_IPV4,
    bindings::glb_decap_GLB_DECAP_IPV6_IN_IPV4,
    bindings::glb_decap_GLB_DECAP_IN_IPV6,
];

/// Devices of a kind that are looked at, at most. The rest are those for single senders.
const MAX: usize = 8;

/// The devices of a namespace.
pub struct Devices {
    /// Of each `dif << 32 | sdif`; 0 behind the last one: an index is never 0.
    found: [[AtomicU64; MAX]; 3],
}

impl Devices {
    /// Those that are there.
    pub fn new(net: &Net) -> Self {
        let devices = Self {
            found: [const { [const { AtomicU64::new(0) }; MAX] }; 3],
        };
        devices.refresh(net);
        devices
    }

    /// Looks for them again.
    pub fn refresh(&self, net: &Net) {
        for (places, kind) in self.found.iter().zip(KINDS) {
            let mut found = [0; MAX];
            // SAFETY: The namespace is live, and there are `MAX` places.
            unsafe {
                bindings::glb_decap_devices(net.as_ptr(), kind, found.as_mut_ptr(), MAX as u32);
            }
            for (place, found) in places.iter().zip(found) {
                place.store(found, Ordering::Relaxed);
            }
        }
    }

    #[inline]
    fn places(&self, outer: Family, inner: Family) -> &[AtomicU64; MAX] {
        let [ipip, sit, ip6tnl] = &self.found;
        match (outer, inner) {
            (Family::V4, Family::V4) => ipip,
            (Family::V4, Family::V6) => sit,
            (Family::V6, _) => ip6tnl,
        }
    }

    /// The device that most likely takes the payload of a tunnel, if there is one.
    #[inline]
    pub fn of_tunnel(&self, outer: Family, inner: Family) -> Option<Device> {
        let [first, ..] = self.places(outer, inner);
        device(first)
    }

    /// Every device that may.
    pub fn all_of_tunnel(&self, outer: Family, inner: Family) -> impl Iterator<Item = Device> + '_ {
        self.places(outer, inner).iter().map_while(device)
    }
}

#[inline]
fn device(place: &AtomicU64) -> Option<Device> {
    let both = place.load(Ordering::Relaxed);
    // The casts take the two halves.
    (both != 0).then_some(Device {
        dif: (both >> 32) as c_int,
        sdif: both as c_int,
    })
}
