// SPDX-License-Identifier: GPL-2.0

//! What the role geneve keeps in a namespace: the devices that have it, and what they have in common.
//!
//! ```text
//! memory  the flow cache, and the counters of endpoints
//! stats   the counters of packets
//! ```
//!
//! Life times: the devices are a list that is replaced as a whole, under the RTNL lock, and freed a grace period later. A device is
//! in it before its door opens, and until its door is closed. The memory is made with the first device and freed with the last one.

#![forbid(unsafe_code)]

pub(crate) mod memory;
pub(crate) mod stats;

use glb_core::geneve::flows::{Limits, Spec};
use glb_core::geneve::Settings;
use glb_kernel::base::rcu::{Guard, Rcu, Reader, Retired};
use glb_kernel::base::vec::Append;
use glb_kernel::net::Rtnl;
use kernel::prelude::*;
use kernel::sync::Arc;
use memory::Memory;

/// Flows of the cache, if nothing is said: 20 MB.
pub(crate) const DEFAULT_FLOWS: u32 = 131_072;

/// What a device with the role is told.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// Which packets are Geneve.
    pub(crate) settings: Settings,
    /// Whether what has no socket here goes on nevertheless.
    pub(crate) pass: bool,
    /// Whether what has no header for its way back is dropped.
    pub(crate) strict: bool,
    /// How many flows are remembered, and how long. All devices of a namespace share the cache.
    pub(crate) cache: Cache,
}

/// The size of a flow cache, and its times.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cache {
    /// Flows.
    pub(crate) flows: u32,
    /// How long they are remembered.
    pub(crate) limits: Limits,
}

impl Wanted {
    /// If nothing is said.
    pub(crate) const DEFAULT: Self = Self {
        settings: Settings::DEFAULT,
        pass: false,
        strict: false,
        cache: Cache {
            flows: DEFAULT_FLOWS,
            limits: Limits::DEFAULT,
        },
    };
}

/// A device with the role.
#[derive(Clone, Copy)]
pub(crate) struct Device {
    ifindex: i32,
    /// What it was told.
    pub(crate) wanted: Wanted,
}

/// The devices, and what they have in common.
pub(crate) struct Gateway {
    devices: KVec<Device>,
    /// The flow cache.
    pub(crate) memory: Arc<Memory>,
}

impl Gateway {
    /// The device with this index.
    #[inline]
    pub(crate) fn device(&self, ifindex: i32) -> Option<&Device> {
        self.devices.iter().find(|device| device.ifindex == ifindex)
    }
}

/// The gateway of a namespace, as packets see it.
pub(crate) struct Published(Rcu<Gateway>);

impl Published {
    /// No device has the role.
    pub(crate) const fn none() -> Self {
        Self(Rcu::empty())
    }

    /// The gateway, if a device has the role.
    #[inline]
    pub(crate) fn get<'a>(&'a self, rcu: impl Into<Reader<'a>>) -> Option<&'a Gateway> {
        self.0.get(rcu)
    }

    /// A flow cache for the first device: it is large, so it is made before the RTNL lock is taken, which all of the machine waits
    /// for. None if there is one already.
    pub(crate) fn spare(&self, wanted: Wanted) -> Result<Option<Arc<Memory>>> {
        if self.get(&Guard::new()).is_some() {
            return Ok(None);
        }
        Memory::new(wanted.cache).map(Some)
    }

    /// Adds a device, with a cache made by [`Self::spare`]. `EBUSY`: other devices have another flow cache; `EAGAIN`: the other
    /// devices went meanwhile, and there is no cache.
    pub(crate) fn add(
        &self,
        _rtnl: &Rtnl,
        ifindex: i32,
        (wanted, spare): (Wanted, Option<Arc<Memory>>),
    ) -> Result {
        let mut devices = self.without(ifindex)?;
        devices.append(Device { ifindex, wanted }, GFP_KERNEL_ACCOUNT)?;
        // The RTNL lock keeps what is there.
        let kept = self.get(&Guard::new()).map(|old| old.memory.clone());
        let memory = match kept {
            Some(memory) if memory.cache == wanted.cache => memory,
            Some(_) => return Err(EBUSY),
            None => spare.ok_or(EAGAIN)?,
        };
        let gateway = KBox::new(Gateway { devices, memory }, GFP_KERNEL_ACCOUNT)?;
        drop(self.0.replace(Some(gateway)));
        Ok(())
    }

    /// Takes a device out, whose door is closed. What is left may still have it if there is no memory: then no packet asks for it.
    /// What comes back is to be dropped when the RTNL lock is not held any more, where that can be.
    #[must_use]
    pub(crate) fn remove(&self, _rtnl: &Rtnl, ifindex: i32) -> Option<Retired<Gateway>> {
        self.less(ifindex)
    }

    fn less(&self, ifindex: i32) -> Option<Retired<Gateway>> {
        let devices = self.without(ifindex).ok()?;
        let memory = self.get(&Guard::new()).map(|old| old.memory.clone())?;
        if devices.is_empty() {
            return Some(self.0.replace(None));
        }
        let gateway = KBox::new(Gateway { devices, memory }, GFP_KERNEL_ACCOUNT).ok()?;
        Some(self.0.replace(Some(gateway)))
    }

    /// The devices but for this one.
    fn without(&self, ifindex: i32) -> Result<KVec<Device>> {
        let mut devices = KVec::new();
        let mut at = 0usize;
        // One by one: memory may sleep, and readers may not.
        while let Some(device) = self.nth(at) {
            if device.ifindex != ifindex {
                devices.append(device, GFP_KERNEL_ACCOUNT)?;
            }
            at = at.wrapping_add(1);
        }
        Ok(devices)
    }

    fn nth(&self, at: usize) -> Option<Device> {
        self.get(&Guard::new())?.devices.get(at).copied()
    }
}

/// The size of a cache for so many flows.
pub(crate) fn spec(flows: u32) -> Result<Spec> {
    Spec::for_flows(flows).map_err(|_| EINVAL)
}
