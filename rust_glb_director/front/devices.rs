// SPDX-License-Identifier: GPL-2.0

//! The attached devices: the doors by which clients' packets come in.
//!
//! Contexts: process context, with the RTNL lock where devices are attached or detached.

#![forbid(unsafe_code)]

use super::ingress::Ingress;
use crate::state::State;
use glb_kernel::front::netdev;
use glb_kernel::net::{Net, Registered, Rtnl};
use kernel::prelude::*;

/// The handler on one device.
pub(crate) type Attachment = netdev::Attachment<Ingress>;

/// Attaches a device: `ENODEV` if there is none, `EEXIST` if it is attached.
pub(crate) fn attach(
    net: &Net,
    registered: Registered<State>,
    rtnl: &Rtnl,
    ifindex: i32,
) -> Result {
    let mut devices = net.doors(registered).lock();
    if devices.iter().any(|device| device.ifindex() == ifindex) {
        return Err(EEXIST);
    }
    devices.open(net, registered, (rtnl, ifindex))
}

/// Detaches a device; false if it was not attached.
pub(crate) fn detach(net: &Net, registered: Registered<State>, _rtnl: &Rtnl, ifindex: i32) -> bool {
    let mut devices = net.doors(registered).lock();
    devices.close(|device| device.ifindex() == ifindex)
}

/// The attached device with the lowest index above this one.
pub(crate) fn attached_after(
    net: &Net,
    registered: Registered<State>,
    ifindex: i32,
) -> Option<i32> {
    let devices = net.doors(registered).lock();
    devices
        .iter()
        .map(Attachment::ifindex)
        .filter(|index| *index > ifindex)
        .min()
}

/// How many devices are attached.
pub(crate) fn num_attached(net: &Net, registered: Registered<State>) -> usize {
    net.doors(registered).lock().len()
}
