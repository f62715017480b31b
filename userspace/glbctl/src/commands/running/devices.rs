// SPDX-License-Identifier: GPL-2.0

//! `glbctl attach`, `glbctl detach`.

use super::{director, director_or_load};
use crate::output::{print, Failure};
use glb_core::director::Role;
use glb_netlink::{Error, Glb};
use serde::Serialize;

#[derive(Serialize)]
struct Changed<'a> {
    device: &'a str,
    attached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

/// Attaches a device, in this role.
pub(crate) fn attach(device: &str, role: Role, json: bool) -> Result<(), Failure> {
    let changed = Changed {
        device,
        attached: true,
        role: Some(role.name()),
    };
    change(director_or_load()?, &changed, json, |glb| {
        glb.attach(device, role)
    })
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
