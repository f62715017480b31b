// SPDX-License-Identifier: GPL-2.0

//! The devices that take the payload of tunnels: which one a packet will arrive on decides what sockets can see it.
//!
//! They are the fallback devices of the kernel's modules `ipip`, `sit` and `ip6_tunnel`, found by their names. They come, go
//! and change their routing domain (VRF) seldom, so packets read what was found when that happened last.

use crate::bindings;
use crate::net::Net;
use crate::rcu::Guard;
use core::sync::atomic::{AtomicU64, Ordering};
use glb_core::ip::Family;
use kernel::ffi::c_int;
use kernel::prelude::*;

/// A device as a look-up of sockets wants it.
#[derive(Clone, Copy)]
pub struct Device {
    pub(crate) dif: c_int,
    pub(crate) sdif: c_int,
}

/// Their names, in the order of [`Devices::found`].
const NAMES: [&CStr; 3] = [c"tunl0", c"sit0", c"ip6tnl0"];

/// The devices of a namespace.
pub struct Devices {
    /// Of each `dif << 32 | sdif`, or 0 if there is none: an index is never 0.
    found: [AtomicU64; 3],
}

impl Devices {
    /// Those that are there.
    pub fn new(net: &Net) -> Self {
        let devices = Self {
            found: [const { AtomicU64::new(0) }; 3],
        };
        devices.refresh(net);
        devices
    }

    /// Looks for them again.
    pub fn refresh(&self, net: &Net) {
        let _rcu = Guard::new();
        for (found, name) in self.found.iter().zip(NAMES) {
            let (mut dif, mut sdif) = (0, 0);
            // SAFETY: RCU is held, the name is a C string, and both results are writable. They stay 0 if there is none.
            unsafe {
                bindings::glb_decap_device(net.as_ptr(), name.as_char_ptr(), &mut dif, &mut sdif)
            };
            // The casts keep the bits.
            let both = u64::from(dif as u32) << 32 | u64::from(sdif as u32);
            found.store(both, Ordering::Relaxed);
        }
    }

    /// The device that takes the payload of a tunnel. `None` if it does not exist, in which case the kernel would not
    /// decapsulate the packet.
    #[inline]
    pub fn of_tunnel(&self, outer: Family, inner: Family) -> Option<Device> {
        let [tunl0, sit0, ip6tnl0] = &self.found;
        let found = match (outer, inner) {
            (Family::V4, Family::V4) => tunl0,
            (Family::V4, Family::V6) => sit0,
            (Family::V6, _) => ip6tnl0,
        };
        let both = found.load(Ordering::Relaxed);
        // The casts take the two halves.
        (both != 0).then_some(Device {
            dif: (both >> 32) as c_int,
            sdif: both as c_int,
        })
    }
}
