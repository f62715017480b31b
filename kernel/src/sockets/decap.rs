// SPDX-License-Identifier: GPL-2.0

//! The devices that take the payload of tunnels: which one a packet will arrive on decides what sockets can see it.
//!
//! They are those of the kernel's modules `ipip`, `sit` and `ip6_tunnel`, whatever their names. They come, go
//! and change their routing domain (VRF) seldom, so packets read what was found when that happened last.
//!
//! Which of several takes a packet depends on its addresses, which is the tunnel module's affair. So a connection is looked
//! for on each of them: nearly always there is one. Where none takes packets from every sender, something else may decapsulate
//! (a program of tc, say), and sockets that are bound to no device count, as they do for the deployed module.

use crate::bindings;
use crate::net::Net;
use core::sync::atomic::{AtomicU64, Ordering};
use glb_core::packet::ip::Family;
use kernel::ffi::c_int;

/// A device as a look-up of sockets wants it.
#[derive(Clone, Copy)]
pub struct Device {
    pub(crate) dif: c_int,
    pub(crate) sdif: c_int,
}

impl Device {
    /// None: only sockets that are bound to no device are found.
    pub const NONE: Self = Self { dif: 0, sdif: 0 };
}

/// Devices of a kind that are looked at, at most.
const MAX: usize = 8;

const KINDS: usize = bindings::GLB_DECAP_KINDS as usize;

/// The devices of a namespace.
pub struct Devices {
    /// Of each kind (`enum glb_decap`) its devices, of each device `dif << 32 | sdif`. The first place is for one that takes
    /// packets from every sender, 0 if there is none; the others end with 0. An index is never 0.
    found: [[AtomicU64; MAX]; KINDS],
}

impl Devices {
    /// Those that are there.
    pub fn new(net: &Net) -> Self {
        let devices = Self {
            found: [const { [const { AtomicU64::new(0) }; MAX] }; KINDS],
        };
        devices.refresh(net);
        devices
    }

    /// Looks for them again.
    pub fn refresh(&self, net: &Net) {
        let mut found = [[0; MAX]; KINDS];
        // SAFETY: The namespace is live, and there are `MAX` places a kind, one behind the other.
        unsafe {
            bindings::glb_decap_devices(net.as_ptr(), found.as_mut_ptr().cast(), MAX as u32);
        }
        let places = self.found.iter().flatten();
        for (place, found) in places.zip(found.into_iter().flatten()) {
            place.store(found, Ordering::Relaxed);
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

    /// The device that most likely takes the payload of a tunnel. Where none takes packets from every sender, something else may
    /// decapsulate, and it is [`Device::NONE`]: sockets that are bound to no device count.
    #[inline]
    pub fn of_tunnel(&self, outer: Family, inner: Family) -> Device {
        let [first, ..] = self.places(outer, inner);
        device(first).unwrap_or(Device::NONE)
    }

    /// The others that may.
    #[inline]
    pub fn others_of_tunnel(
        &self,
        outer: Family,
        inner: Family,
    ) -> impl Iterator<Item = Device> + '_ {
        let [_, others @ ..] = self.places(outer, inner);
        others.iter().map_while(device)
    }

    /// Every device that may.
    #[inline]
    pub fn all_of_tunnel(&self, outer: Family, inner: Family) -> impl Iterator<Item = Device> + '_ {
        core::iter::once(self.of_tunnel(outer, inner)).chain(self.others_of_tunnel(outer, inner))
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
