// SPDX-License-Identifier: GPL-2.0

//! The options of `glbctl assign`.

use clap::Args;
use glb_core::director::Role;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Assign {
    /// The devices, each with its role behind a colon unless it is director, as in GLB_DEVICES
    #[arg(value_name = "DEVICE[:ROLE]", value_parser = place)]
    pub(crate) devices: Vec<Place>,
    /// Take the options of devices with the role geneve from "geneve" of this director.conf
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change nothing, and fail if something is in the way
    #[arg(long)]
    pub(crate) check: bool,
}

/// A device, and what it is to be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) device: String,
    pub(crate) role: Role,
}

fn place(text: &str) -> Result<Place, String> {
    let (device, role) = text
        .split_once(':')
        .unwrap_or((text, Role::default().name()));
    let names = || {
        let names: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
        format!(
            "the role behind the colon must be one of {}",
            names.join(", ")
        )
    };
    if device.is_empty() {
        return Err("expected DEVICE or DEVICE:ROLE".to_owned());
    }
    Ok(Place {
        device: device.to_owned(),
        role: Role::from_name(role).ok_or_else(names)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_with_and_without_a_role() {
        let of = |device: &str, role| Place {
            device: device.to_owned(),
            role,
        };
        assert_eq!(place("eth0"), Ok(of("eth0", Role::Director)));
        assert_eq!(place("eth0:geneve"), Ok(of("eth0", Role::Geneve)));
        assert_eq!(place("eth0:return"), Ok(of("eth0", Role::Return)));
        for bad in ["", ":geneve", "eth0:", "eth0:gneve", "eth0:geneve:return"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
