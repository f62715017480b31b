// SPDX-License-Identifier: GPL-2.0

//! Devices whose packets are looked at.

#![forbid(unsafe_code)]

use super::{Family, Request};
use crate::front::devices::{self, Attached, Site};
use crate::front::role::Able;
use crate::gateway::{spec, Wanted};
use crate::state::State;
use glb_core::director::Role;
use glb_core::geneve::flows::{Limits, Unfit as UnfitLimits, MAX_FLOWS};
use glb_core::geneve::{Senders, Unfit, MAX_SENDERS};
use glb_core::netlink::glb::{command, device as attr, operation, prefix};
use glb_kernel::genl::{
    self, nest, nest_room, not_supported, Attr, Command, Cursor, Dump, Message, Rule, Spec,
};
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

/// What only devices with the role geneve are told.
const OF_GENEVE: [u16; 8] = [
    attr::PORT,
    attr::CLASS,
    attr::ALLOW_FROM,
    attr::PASS,
    attr::STRICT,
    attr::MAX_FLOWS,
    attr::IDLE,
    attr::TCP_IDLE,
];

/// What a device with the role geneve is told; others are told nothing of it. Out of line, for the sake of the stack.
#[inline(never)]
fn gateway(request: &Request<'_>, role: Able) -> Result<Wanted> {
    let mut wanted = Wanted::DEFAULT;
    if role != Able::Geneve {
        let sent = OF_GENEVE.iter().find_map(|kind| request.get(*kind));
        return match sent {
            None => Ok(wanted),
            Some(sent) => Err(refuse!(
                request,
                EINVAL,
                Some(&sent),
                "only with the role geneve"
            )),
        };
    }
    if let Some(port) = request.get(attr::PORT) {
        wanted.settings.port = port.u16()?;
    }
    if let Some(class) = request.get(attr::CLASS) {
        wanted.settings.class = class.u16()?;
    }
    for sent in request.attrs() {
        if sent.kind() == attr::ALLOW_FROM {
            allow(request, &mut wanted.settings.senders, &sent)?;
        }
    }
    let is_on = |kind| {
        request
            .get(kind)
            .map_or(Ok(false), |sent| sent.u8().map(|on| on != 0))
    };
    wanted.pass = is_on(attr::PASS)?;
    wanted.strict = is_on(attr::STRICT)?;
    if let Some(sent) = request.get(attr::MAX_FLOWS) {
        wanted.cache.flows = sent.u32()?;
        spec(wanted.cache.flows)
            .map_err(|error| refuse!(request, error, Some(&sent), "1 to {MAX_FLOWS} flows"))?;
    }
    wanted.cache.limits = limits(request)?;
    Ok(wanted)
}

/// How long flows are remembered.
fn limits(request: &Request<'_>) -> Result<Limits> {
    let seconds = |kind| {
        request
            .get(kind)
            .map_or(Ok(Limits::DEFAULT_IDLE), |sent| sent.u16())
    };
    Limits::new(seconds(attr::IDLE)?, seconds(attr::TCP_IDLE)?).map_err(|unfit| {
        let kind = match unfit {
            UnfitLimits::Idle => attr::IDLE,
            UnfitLimits::TcpIdle => attr::TCP_IDLE,
        };
        refuse!(
            request,
            EINVAL,
            request.get(kind).as_ref(),
            "1 to {} seconds",
            Limits::MAX_IDLE
        )
    })
}

/// Takes a prefix of senders in.
fn allow<'a>(request: &Request<'a>, senders: &mut Senders, sent: &Attr<'a>) -> Result {
    let address = request.addr(&request.require_in(sent, prefix::ADDRESS)?)?;
    let bits = request.require_in(sent, prefix::PREFIX_LEN)?;
    senders
        .allow(address, bits.u8()?)
        .map_err(|unfit| match unfit {
            Unfit::TooMany => refuse!(
                request,
                E2BIG,
                Some(sent),
                "more than {MAX_SENDERS} prefixes"
            ),
            Unfit::TooLong => refuse!(
                request,
                EINVAL,
                Some(&bits),
                "the prefix is longer than its address"
            ),
        })
}

/// What a device with the role geneve was told.
fn put_gateway(message: &mut Message<'_>, wanted: &Wanted) -> Result {
    let settings = &wanted.settings;
    message.u16(attr::PORT, settings.port)?;
    message.u16(attr::CLASS, settings.class)?;
    for (address, bits) in settings.senders.prefixes() {
        message.nest(attr::ALLOW_FROM, |message| {
            message.addr(prefix::ADDRESS, address)?;
            message.u8(prefix::PREFIX_LEN, *bits)
        })?;
    }
    message.u8(attr::PASS, u8::from(wanted.pass))?;
    message.u8(attr::STRICT, u8::from(wanted.strict))?;
    message.u32(attr::MAX_FLOWS, wanted.cache.flows)?;
    message.u16(attr::IDLE, wanted.cache.limits.idle())?;
    message.u16(attr::TCP_IDLE, wanted.cache.limits.tcp_idle())
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
    const NESTS: &'static [(u16, Rule)] = &{
        static PREFIX: [Rule; nest_room(&prefix::SET)] = nest(&prefix::SET);
        [(attr::ALLOW_FROM, Rule::nested(&PREFIX))]
    };

    fn run(_: &State, request: &Request<'_>) -> Result {
        let site = site(request)?;
        let (net, registered) = (request.net(), request.registered());
        let spare = devices::spare(net, registered, &site);
        let attached =
            spare.and_then(|spare| devices::attach(net, registered, &Rtnl::lock(), (&site, spare)));
        if let Err(error) = attached {
            let sent = request.get(attr::IFNAME).or(request.get(attr::IFINDEX));
            let why = reason(error);
            return Err(refuse!(request, error, sent.as_ref(), "{why}"));
        }
        genl::notify(net, command::ATTACH_NTF, 64, |message| {
            put(message, net, site.device)
        });
        Ok(())
    }
}

/// The device that the request is about, and what it is told. Out of line, for the sake of the stack.
#[inline(never)]
fn site(request: &Request<'_>) -> Result<Site> {
    let role = role(request)?;
    let wanted = gateway(request, role)?;
    let ifindex = named(request)?;
    let replace = match request.get(attr::REPLACE) {
        Some(sent) => sent.u8()? != 0,
        None => false,
    };
    Ok(Site {
        device: Attached { ifindex, role },
        wanted,
        replace,
    })
}

/// Why a device is not attached.
fn reason(error: Error) -> &'static str {
    if error == EEXIST {
        "the device is attached already"
    } else if error == ENODEV {
        "no such device"
    } else if error == EBUSY {
        "devices with this role share one flow cache, which differs: max-flows, idle"
    } else if error == EAGAIN {
        "the other devices with this role were detached meanwhile: try again"
    } else if error == E2BIG {
        "the device has as many hooks as the kernel allows (1024), of nftables for example"
    } else if error == ENOMEM {
        "no memory"
    } else if error == not_supported() {
        "this kernel has no egress hooks (CONFIG_NETFILTER_EGRESS)"
    } else {
        "the device cannot be attached"
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
        let wanted = devices::wanted(request.net(), request.registered(), device.ifindex);
        if let Some(wanted) = wanted {
            put_gateway(message, &wanted)?;
        }
        Ok(true)
    }
}
