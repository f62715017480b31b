// SPDX-License-Identifier: GPL-2.0

//! `glbctl attach`, `glbctl detach`.

use super::{director, director_or_load};
use crate::output::{print, Failure};
use glb_netlink::{Error, Glb};
use serde::Serialize;

#[derive(Serialize)]
struct Changed<'a> {
    device: &'a str,
    attached: bool,
}

/// Attaches a device.
pub(crate) fn attach(device: &str, json: bool) -> Result<(), Failure> {
    change(director_or_load()?, device, true, json, Glb::attach)
}

/// Detaches a device.
pub(crate) fn detach(device: &str, json: bool) -> Result<(), Failure> {
    change(director()?, device, false, json, Glb::detach)
}

fn change(
    mut glb: Glb,
    device: &str,
    attached: bool,
    json: bool,
    change: fn(&mut Glb, &str) -> Result<(), Error>,
) -> Result<(), Failure> {
    change(&mut glb, device).map_err(|error| match error {
        Error::Refused(_) => Failure::Message(format!("{device}: {error}")),
        other => other.into(),
    })?;
    // As `ip` does: no news is good news, except to a program.
    print(json, &Changed { device, attached }, |_| Ok(()))
}
