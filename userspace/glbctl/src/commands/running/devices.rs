// SPDX-License-Identifier: GPL-2.0

//! `glbctl attach`, `glbctl detach`.

use super::director;
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
    change(device, true, json, Glb::attach)
}

/// Detaches a device.
pub(crate) fn detach(device: &str, json: bool) -> Result<(), Failure> {
    change(device, false, json, Glb::detach)
}

fn change(
    device: &str,
    attached: bool,
    json: bool,
    change: fn(&mut Glb, &str) -> Result<(), Error>,
) -> Result<(), Failure> {
    let mut glb = director()?;
    change(&mut glb, device).map_err(|error| match error {
        Error::Refused(_) => Failure::Message(format!("{device}: {error}")),
        other => other.into(),
    })?;
    // As `ip` does: no news is good news, except to a program.
    print(json, &Changed { device, attached }, |_| Ok(()))
}
