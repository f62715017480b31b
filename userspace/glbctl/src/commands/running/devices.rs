// SPDX-License-Identifier: GPL-2.0

//! `glbctl attach`, `glbctl detach`.

use super::{director, director_or_load};
use crate::cli::attach::Attach;
use crate::commands::gateway::{complete, sent};
use crate::load;
use crate::output::{print, Failure};
use glb_core::director::Role;
use glb_netlink::machine::Machine;
use glb_netlink::{Error, Gateway, Glb};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Changed<'a> {
    device: &'a str,
    attached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

/// Attaches a device, in its role.
pub(crate) fn attach(args: &Attach, json: bool) -> Result<(), Failure> {
    let (device, role) = (&*args.device, args.role);
    if let (Some(option), true) = (args.gateway.given(), role != Role::Geneve) {
        return Err(Failure::Message(format!(
            "{option}: only with --role geneve: add that, or leave {option} out"
        )));
    }
    let gateway = match &args.gateway.config {
        Some(file) => of_file(file, device, json)?,
        None => args.gateway.of(),
    };
    if role == Role::Geneve {
        only_ethernet(device)?;
    }
    let changed = Changed {
        device,
        attached: true,
        role: Some(role.name()),
    };
    let mut glb = director_or_load()?;
    let before = match args.replace {
        true => before(&mut glb, device)?,
        false => None,
    };
    let Some((old, told)) = before else {
        return change(glb, &changed, json, |glb| {
            glb.attach(device, role, &gateway)
        });
    };
    let is_same = complete(device, &told) == complete(device, &gateway);
    if old == role && (role != Role::Geneve || is_same) {
        return print(json, &changed, |_| Ok(()));
    }
    change(glb, &changed, json, |glb| {
        glb.detach(device)?;
        glb.attach(device, role, &gateway).inspect_err(|_| {
            // As it was; if that fails too, what is said of the first failure holds for both.
            let _ = glb.attach(device, old, &told);
        })
    })
}

/// The role of a device that is attached, and what it was told.
fn before(glb: &mut Glb, device: &str) -> Result<Option<(Role, Gateway)>, Failure> {
    let devices = glb.devices()?;
    let Some(attached) = devices.iter().find(|one| one.name == device) else {
        return Ok(None);
    };
    let Some(role) = Role::from_number(attached.role) else {
        return Err(Failure::Message(format!(
            "{device} is attached in a role that this program does not know ({}): detach it first",
            attached.role
        )));
    };
    let told = glb.gateways()?.into_iter().find(|(name, _)| name == device);
    Ok(Some((
        role,
        told.map_or_else(Gateway::default, |(_, told)| told),
    )))
}

/// What a file says of a device. A file that is about other devices only does not mean this one.
fn of_file(file: &Path, device: &str, json: bool) -> Result<Gateway, Failure> {
    let Some(gateways) = load::director(file, json)?.gateways else {
        return Ok(Gateway::default());
    };
    let Some(told) = gateways.iter().find(|one| one.device == device) else {
        let names: Vec<&str> = gateways.iter().map(|one| &*one.device).collect();
        let names = match &*names {
            [] => "nothing".to_owned(),
            names => names.join(", "),
        };
        return Err(Failure::Message(format!(
            "{}: geneve: has {names}, and not {device}: add it, with \"allow_from\"",
            load::name(file)
        )));
    };
    Ok(sent(told))
}

/// Refuses a device whose packets have no headers of Ethernet, by which the answers go back.
fn only_ethernet(device: &str) -> Result<(), Failure> {
    let links = Machine::open()?.links()?;
    let reason = match links.iter().find(|link| link.name == device) {
        None => "no such device: `ip link` lists those that are there",
        Some(link) if !link.ethernet => {
            "is no Ethernet device: attach the one that the packets in Geneve come in by"
        }
        Some(_) => return Ok(()),
    };
    Err(Failure::Message(format!("{device}: {reason}")))
}

/// Detaches a device.
pub(crate) fn detach(device: &str, json: bool) -> Result<(), Failure> {
    let changed = Changed {
        device,
        attached: false,
        role: None,
    };
    change(director()?, &changed, json, |glb| glb.detach(device))
}

fn change(
    mut glb: Glb,
    changed: &Changed<'_>,
    json: bool,
    change: impl FnOnce(&mut Glb) -> Result<(), Error>,
) -> Result<(), Failure> {
    change(&mut glb).map_err(|error| match error {
        Error::Refused(_) => Failure::Message(format!("{}: {error}", changed.device)),
        other => other.into(),
    })?;
    // As `ip` does: no news is good news, except to a program.
    print(json, changed, |_| Ok(()))
}
