// SPDX-License-Identifier: GPL-2.0

//! `glbctl attach`, `glbctl detach`.

use super::attached::{attached_as, Attached};
use super::{director, director_or_load};
use crate::cli::attach::Attach;
use crate::commands::gateway::sent;
use crate::load;
use crate::output::{print, Failure};
use glb_config::gateway::Gateway as Told;
use glb_core::director::Role;
use glb_netlink::machine::{Link, Machine};
use glb_netlink::{Error, Glb};
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
    let role = args.role;
    if let (Some(option), true) = (args.gateway.given(), role != Role::Geneve) {
        return Err(Failure::Message(format!(
            "{option}: only with --role geneve: add that, or leave {option} out"
        )));
    }
    let gateways = match &args.gateway.config {
        Some(file) => Some((file, of_file(file, json)?)),
        None => None,
    };
    let name = match role == Role::Geneve || args.replace {
        true => Links::open()?.name(&args.device, role),
        false => Ok(args.device.clone()),
    };
    let gateway = match &gateways {
        Some((file, gateways)) => {
            let own = name.as_deref().unwrap_or(&args.device);
            sent(entry(gateways, file, (&args.device, own))?)
        }
        None => args.gateway.of(),
    };
    let device = name?;
    let changed = Changed {
        device: &device,
        attached: true,
        role: Some(role.name()),
    };
    let mut glb = director_or_load()?;
    let before = match args.replace {
        true => attached_as(&mut glb, &device)?,
        false => None,
    };
    let Some(before) = before else {
        return change(glb, &changed, json, |glb| {
            glb.attach(&device, role, &gateway)
        });
    };
    let wanted = Attached {
        name: device.clone(),
        role,
        told: gateway,
    };
    if before.is_same(&wanted) {
        return print(json, &changed, |_| Ok(()));
    }
    needs_replace(&mut glb, &device)?;
    change(glb, &changed, json, |glb| {
        glb.replace(&device, role, &wanted.told)
    })
}

/// Refuses a module that would have to detach a device in order to change it.
pub(super) fn needs_replace(glb: &mut Glb, device: &str) -> Result<(), Failure> {
    if glb.can_replace()? {
        return Ok(());
    }
    Err(Failure::Message(format!(
        "{device}: the loaded module cannot change an attached device: load the one of this version, or detach the device first"
    )))
}

/// What a file says of devices. One that says nothing of any does not mean that every sender is allowed.
fn of_file(file: &Path, json: bool) -> Result<Vec<Told>, Failure> {
    load::director(file, json)?.gateways.ok_or_else(|| {
        Failure::Message(format!(
            "{}: has no \"geneve\": add the device there, with \"allow_from\"",
            load::name(file)
        ))
    })
}

/// What a file says of a device, by the name that it was given or its own. A file that is about other devices only does not mean
/// this one.
pub(super) fn entry<'t>(
    gateways: &'t [Told],
    file: &Path,
    (device, name): (&str, &str),
) -> Result<&'t Told, Failure> {
    let of = |wanted: &str| gateways.iter().find(|one| one.device == wanted);
    of(device).or_else(|| of(name)).ok_or_else(|| {
        let names: Vec<&str> = gateways.iter().map(|one| &*one.device).collect();
        let names = match &*names {
            [] => "nothing".to_owned(),
            names => names.join(", "),
        };
        Failure::Message(format!(
            "{}: geneve: has {names}, and not {device}: add it, with \"allow_from\"",
            load::name(file)
        ))
    })
}

/// The devices of the machine.
pub(super) struct Links(Vec<Link>);

impl Links {
    pub(super) fn open() -> Result<Self, Failure> {
        Ok(Self(Machine::open()?.links()?))
    }

    /// A device's own name, by which the module lists it: it may have others. In the role geneve, a device whose packets have no
    /// headers of Ethernet, by which the answers go back, is refused.
    pub(super) fn name(&self, device: &str, role: Role) -> Result<String, Failure> {
        let reason = match self.0.iter().find(|link| link.is_called(device)) {
            None => "no such device: `ip link` lists those that are there",
            Some(link) if role == Role::Geneve && !link.ethernet => {
                "is no Ethernet device: attach the one that the packets in Geneve come in by"
            }
            Some(link) => return Ok(link.name.clone()),
        };
        Err(Failure::Message(format!("{device}: {reason}")))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, alt_names: &[&str], ethernet: bool) -> Link {
        Link {
            index: 1,
            name: name.to_owned(),
            alt_names: alt_names.iter().map(|name| (*name).to_owned()).collect(),
            mtu: 1500,
            up: true,
            no_carrier: false,
            kind: String::new(),
            any_remote: false,
            proto: 0,
            xdp: false,
            ethernet,
        }
    }

    #[test]
    fn a_device_by_any_of_its_names() {
        let links = Links(vec![
            link("lo", &[], false),
            link("eth0", &["enp0s3", "enx525400123456"], true),
        ]);
        for name in ["eth0", "enp0s3", "enx525400123456"] {
            assert_eq!(links.name(name, Role::Geneve).unwrap(), "eth0");
        }
        assert_eq!(links.name("lo", Role::Director).unwrap(), "lo");
        let refused = links.name("lo", Role::Geneve).unwrap_err();
        assert!(refused.text().starts_with("lo: is no Ethernet device"));
        let refused = links.name("enp0s4", Role::Director).unwrap_err();
        assert!(refused.text().starts_with("enp0s4: no such device"));
    }
}
