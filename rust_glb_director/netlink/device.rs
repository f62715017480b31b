// SPDX-License-Identifier: GPL-2.0

//! Devices whose packets are looked at.

#![forbid(unsafe_code)]

use super::{Family, Request};
use crate::front::devices::{self, Attached};
use crate::front::role::Able;
use crate::state::State;
use glb_core::director::Role;
use glb_core::netlink::glb::{command, device as attr, operation};
use glb_kernel::genl::{self, not_supported, Command, Cursor, Dump, Message, Spec};
use glb_kernel::net::device;
use glb_kernel::net::{Net, Rtnl};
use glb_kernel::refuse;
use kernel::prelude::*;

/// The index of the device that the request names.
fn named(request: &Request<'_>) -> Result<i32> {
    let Some(name) = request.get(attr::IFNAME) else {
        let index = request.require(attr::IFINDEX)?;
        return i32::try_from(index.u32()?)
            .map_err(|_| refuse!(request, EINVAL, Some(&index), "not an index"));
    };
    let index = device::index(request.net(), name.text())
        .ok_or_else(|| refuse!(request, ENODEV, Some(&name), "no such device"))?;
    match request.get(attr::IFINDEX) {
        Some(also) if also.u32()? != index as u32 => Err(refuse!(
            request,
            EINVAL,
            Some(&also),
            "this device has index {index}"
        )),
        _ => Ok(index),
    }
}

/// The role that the request names.
fn role(request: &Request<'_>) -> Result<Able> {
    let sent = request.get(attr::ROLE);
    let number = match &sent {
        Some(sent) => sent.u8()?,
        None => Role::default().number(),
    };
    let Some(role) = Role::from_number(number) else {
        return Err(refuse!(
            request,
            not_supported(),
            sent.as_ref(),
            "this module knows no role {number}"
        ));
    };
    Able::of(role).ok_or_else(|| {
        let name = role.name();
        refuse!(
            request,
            not_supported(),
            sent.as_ref(),
            "this module cannot do the role {name}"
        )
    })
}

fn put(message: &mut Message<'_>, net: &Net, attached: Attached) -> Result {
    message.u32(attr::IFINDEX, attached.ifindex as u32)?;
    device::with_name(net, attached.ifindex, |name| {
        // A device that goes has lost its name already.
        if name.is_empty() {
            return Ok(());
        }
        message.text(attr::IFNAME, name)
    })?;
    message.u8(attr::ROLE, attached.role.role().number())
}

/// `attach`
pub(super) struct Attach;

impl Command for Attach {
    type Family = Family;
    const SPEC: Spec = operation::ATTACH;

    fn run(_: &State, request: &Request<'_>) -> Result {
        let role = role(request)?;
        let ifindex = named(request)?;
        let device = Attached { ifindex, role };
        let net = request.net();
        devices::attach(net, request.registered(), &Rtnl::lock(), device).map_err(|error| {
            let sent = request.get(attr::IFNAME).or(request.get(attr::IFINDEX));
            let why = if error == EEXIST {
                "the device is attached already"
            } else if error == ENODEV {
                "no such device"
            } else {
                "the device cannot be attached"
            };
            refuse!(request, error, sent.as_ref(), "{why}")
        })?;
        genl::notify(net, command::ATTACH_NTF, 64, |message| {
            put(message, net, device)
        });
        Ok(())
    }
}

/// `detach`
pub(super) struct Detach;

impl Command for Detach {
    type Family = Family;
    const SPEC: Spec = operation::DETACH;

    fn run(_: &State, request: &Request<'_>) -> Result {
        let ifindex = named(request)?;
        let detached = devices::detach(request.net(), request.registered(), &Rtnl::lock(), ifindex);
        let Some(device) = detached else {
            let sent = request.get(attr::IFNAME).or(request.get(attr::IFINDEX));
            return Err(refuse!(
                request,
                ENOENT,
                sent.as_ref(),
                "the device is not attached"
            ));
        };
        notify_detached(request.net(), device);
        Ok(())
    }
}

/// Tells the listeners that a device is no longer attached, on request or because it went.
pub(crate) fn notify_detached(net: &Net, device: Attached) {
    genl::notify(net, command::DETACH_NTF, 64, |message| {
        put(message, net, device)
    });
}

/// `device-get`
pub(super) struct DeviceGet;

impl Dump for DeviceGet {
    type Family = Family;
    const SPEC: Spec = operation::DEVICE_GET;

    fn generation(_: &State) -> u32 {
        0
    }

    fn next(
        _: &State,
        request: &Request<'_>,
        [last, _]: &mut Cursor,
        message: &mut Message<'_>,
    ) -> Result<bool> {
        // By index, so that a device that comes or goes does not shift the others.
        let after = *last as i32;
        let Some(device) = devices::attached_after(request.net(), request.registered(), after)
        else {
            return Ok(false);
        };
        *last = device.ifindex as usize;
        put(message, request.net(), device)?;
        Ok(true)
    }
}
