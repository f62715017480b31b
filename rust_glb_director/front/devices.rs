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

/// Attaches a device: `ENODEV` if there is none, `EEXIST` if it is attached, in whatever role. In the role geneve, `EBUSY` if
/// other devices share another flow cache than is wanted of this one, and `EAGAIN` if there is none to share and none was made.
pub(crate) fn attach(
    net: &Net,
    registered: Registered<State>,
    rtnl: &Rtnl,
    (device, (wanted, spare)): (Attached, (Wanted, Option<Arc<Memory>>)),
) -> Result {
    let mut devices = net.doors(registered).lock();
    if devices
        .iter()
        .any(|other| other.ifindex() == device.ifindex)
    {
        return Err(EEXIST);
    }
    let Attached { ifindex, role } = device;
    let kept = match role {
        Able::Geneve => {
            let memory = match shared(&devices) {
                Some(memory) if memory.cache == wanted.cache => memory,
                Some(_) => return Err(EBUSY),
                None => spare.ok_or(EAGAIN)?,
            };
            Some(Device { wanted, memory })
        }
        Able::Director | Able::Return => None,
    };
    devices.open(net, registered, (rtnl, ifindex, role, kept))
}

/// What a device of this role needs that takes long to make: it is made without the RTNL lock. None if there is one already.
pub(crate) fn spare(
    net: &Net,
    registered: Registered<State>,
    role: Able,
    wanted: Wanted,
) -> Result<Option<Arc<Memory>>> {
    match role {
        Able::Geneve if memory(net, registered).is_none() => Memory::new(wanted.cache).map(Some),
        Able::Geneve | Able::Director | Able::Return => Ok(None),
    }
}

/// The flow cache, if a device has the role geneve.
pub(crate) fn memory(net: &Net, registered: Registered<State>) -> Option<Arc<Memory>> {
    shared(&net.doors(registered).lock())
}

fn shared(devices: &[Attachment]) -> Option<Arc<Memory>> {
    let mut of_geneve = devices.iter().filter_map(|door| door.device().as_ref());
    Some(of_geneve.next()?.memory.clone())
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
