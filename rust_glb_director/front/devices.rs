// SPDX-License-Identifier: GPL-2.0

//! The attached devices: the doors by which clients' packets come in.
//!
//! Contexts: process context, with the RTNL lock where devices are attached or detached.

#![forbid(unsafe_code)]

use super::role::Able;
use crate::gateway::memory::Memory;
use crate::gateway::{Device, Wanted};
use crate::state::State;
use glb_kernel::front::netdev;
use glb_kernel::net::{Net, Registered, Rtnl};
use kernel::prelude::*;
use kernel::sync::Arc;

/// The handler on one device.
pub(crate) type Attachment = netdev::Attachment<Able>;

/// An attached device.
#[derive(Clone, Copy)]
pub(crate) struct Attached {
    /// Its index.
    pub(crate) ifindex: i32,
    /// What it is for.
    pub(crate) role: Able,
}

impl Attached {
    fn of(door: &Attachment) -> Self {
        Self {
            ifindex: door.ifindex(),
            role: door.role(),
        }
    }
}

/// A device that is to be attached.
#[derive(Clone, Copy)]
pub(crate) struct Site {
    /// Which one, and what for.
    pub(crate) device: Attached,
    /// What it is told, if its role is geneve.
    pub(crate) wanted: Wanted,
    /// Whether this takes the place of what the device is attached as.
    pub(crate) replace: bool,
}

/// Attaches a device: `ENODEV` if there is none, `EEXIST` if it is attached, in whatever role, and is not to be replaced. In the
/// role geneve, `EBUSY` if other devices share another flow cache than is wanted of this one, and `EAGAIN` if there is none to
/// share and none was made.
///
/// What is replaced ends when the new one takes packets: there is no moment without one of the two, and after an error all is as
/// before. A packet between them may be seen by both, of which the second one sees what the first one has made of it, as it would
/// if it had come so.
#[inline(never)]
pub(crate) fn attach(
    net: &Net,
    registered: Registered<State>,
    rtnl: &Rtnl,
    (site, spare): (&Site, Option<Arc<Memory>>),
) -> Result {
    let mut devices = net.doors(registered).lock();
    let Attached { ifindex, role } = site.device;
    let is_it = |door: &Attachment| door.ifindex() == ifindex;
    let replaces = devices.iter().any(is_it);
    if replaces && !site.replace {
        return Err(EEXIST);
    }
    let kept = match role {
        Able::Geneve => {
            let memory = match usable(&devices, site) {
                Some(usable) => usable?,
                None => spare
                    .filter(|made| made.cache == site.wanted.cache)
                    .ok_or(EAGAIN)?,
            };
            Some(Device {
                wanted: site.wanted,
                memory,
            })
        }
        Able::Director | Able::Return => None,
    };
    devices.open(net, registered, (rtnl, ifindex, role, kept))?;
    if role == Able::Geneve {
        netdev::keep_datagrams(rtnl, net, ifindex);
    }
    if replaces {
        // The old one stands before the new one.
        devices.close(is_it);
    }
    Ok(())
}

/// The flow cache that a device with the role geneve is to have, if there is one: that of the other devices, which must be as this
/// one wants it, or its own of before.
fn usable(devices: &[Attachment], site: &Site) -> Option<Result<Arc<Memory>>> {
    let mut others = devices
        .iter()
        .filter(|door| door.ifindex() != site.device.ifindex);
    let fits = |memory: &Arc<Memory>| memory.cache == site.wanted.cache;
    if let Some(memory) = others.find_map(memory_of) {
        return Some(if fits(&memory) {
            Ok(memory)
        } else {
            Err(EBUSY)
        });
    }
    devices.iter().find_map(memory_of).filter(fits).map(Ok)
}

/// What a device needs that takes long to make: it is made without the RTNL lock. None if there is one already, or if other
/// devices have another one, which `attach` refuses.
pub(crate) fn spare(
    net: &Net,
    registered: Registered<State>,
    site: &Site,
) -> Result<Option<Arc<Memory>>> {
    let is_there = || usable(&net.doors(registered).lock(), site).is_some();
    match site.device.role {
        Able::Geneve if !is_there() => Memory::new(site.wanted.cache).map(Some),
        Able::Geneve | Able::Director | Able::Return => Ok(None),
    }
}

/// The flow cache, if a device has the role geneve.
pub(crate) fn memory(net: &Net, registered: Registered<State>) -> Option<Arc<Memory>> {
    shared(&net.doors(registered).lock())
}

fn shared(devices: &[Attachment]) -> Option<Arc<Memory>> {
    devices.iter().find_map(memory_of)
}

/// The flow cache that a device has, if its role is geneve.
fn memory_of(door: &Attachment) -> Option<Arc<Memory>> {
    Some(door.device().as_ref()?.memory.clone())
}

/// What the device with this index was told, if it has the role geneve.
pub(crate) fn wanted(net: &Net, registered: Registered<State>, ifindex: i32) -> Option<Wanted> {
    let devices = net.doors(registered).lock();
    let door = devices.iter().find(|door| door.ifindex() == ifindex)?;
    Some(door.device().as_ref()?.wanted)
}

/// Detaches a device; says what it was, if it was attached.
pub(crate) fn detach(
    net: &Net,
    registered: Registered<State>,
    _rtnl: &Rtnl,
    ifindex: i32,
) -> Option<Attached> {
    let mut devices = net.doors(registered).lock();
    let of_index = |door: &Attachment| door.ifindex() == ifindex;
    let attached = devices.iter().find(|door| of_index(door)).map(Attached::of);
    devices.close(of_index);
    attached
}

/// The attached device with the lowest index above this one.
pub(crate) fn attached_after(
    net: &Net,
    registered: Registered<State>,
    ifindex: i32,
) -> Option<Attached> {
    let devices = net.doors(registered).lock();
    devices
        .iter()
        .map(Attached::of)
        .filter(|device| device.ifindex > ifindex)
        .min_by_key(|device| device.ifindex)
}

/// How many devices are attached.
pub(crate) fn num_attached(net: &Net, registered: Registered<State>) -> usize {
    net.doors(registered).lock().len()
}
