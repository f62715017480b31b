// SPDX-License-Identifier: GPL-2.0

//! The attached devices: the doors by which clients' packets come in.
//!
//! Contexts: process context, with the RTNL lock where devices are attached or detached.

#![forbid(unsafe_code)]

use super::role::Able;
use crate::gateway::memory::Memory;
use crate::gateway::{Gateway, Wanted};
use crate::state::State;
use glb_kernel::base::rcu::Retired;
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

/// Attaches a device: `ENODEV` if there is none, `EEXIST` if it is attached, in whatever role;
/// `EBUSY` if other devices share another flow cache than is wanted of this one.
pub(crate) fn attach(
    net: &Net,
    registered: Registered<State>,
    rtnl: &Rtnl,
    (device, gateway): (Attached, (Wanted, Option<Arc<Memory>>)),
) -> Result {
    let mut devices = net.doors(registered).lock();
    if devices
        .iter()
        .any(|other| other.ifindex() == device.ifindex)
    {
        return Err(EEXIST);
    }
    let Attached { ifindex, role } = device;
    let gateways = net.state(registered).gateways();
    if role == Able::Geneve {
        gateways.add(rtnl, ifindex, gateway)?;
    }
    devices
        .open(net, registered, (rtnl, ifindex, role))
        .inspect_err(|_| {
            if role == Able::Geneve {
                drop(gateways.remove(rtnl, ifindex));
            }
        })
}

/// What a device of this role needs that takes long to make: it is made without the RTNL lock.
pub(crate) fn spare(
    net: &Net,
    registered: Registered<State>,
    role: Able,
    wanted: Wanted,
) -> Result<Option<Arc<Memory>>> {
    match role {
        Able::Geneve => net.state(registered).gateways().spare(wanted),
        Able::Director | Able::Return => Ok(None),
    }
}

/// Detaches a device; says what it was, if it was attached, and gives what to drop without the RTNL lock.
pub(crate) fn detach(
    net: &Net,
    registered: Registered<State>,
    rtnl: &Rtnl,
    ifindex: i32,
) -> Option<(Attached, Option<Retired<Gateway>>)> {
    let mut devices = net.doors(registered).lock();
    let of_index = |door: &Attachment| door.ifindex() == ifindex;
    let attached = devices.iter().find(|door| of_index(door)).map(Attached::of);
    devices.close(of_index);
    let device = attached?;
    let retired = match device.role {
        Able::Geneve => net.state(registered).gateways().remove(rtnl, ifindex),
        Able::Director | Able::Return => None,
    };
    Some((device, retired))
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
