// SPDX-License-Identifier: GPL-2.0

//! How devices are attached.

use crate::commands::gateway::complete;
use crate::output::Failure;
use glb_core::director::Role;
use glb_netlink::{Device, Gateway, Glb};

/// How a device is attached, or is to be: its name, its role, and what it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) told: Gateway,
}

impl Attached {
    pub(super) fn is_gateway(&self) -> bool {
        self.role == Role::Geneve
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        let of = |one: &Self| complete(&one.name, &one.told);
        self.role == other.role && (!self.is_gateway() || of(self) == of(other))
    }

    /// Whether both are of the role geneve, and need another flow cache each.
    pub(super) fn needs_other_cache(&self, other: &Self) -> bool {
        let of = |one: &Self| {
            let told = complete(&one.name, &one.told);
            (told.max_flows, told.idle, told.tcp_idle)
        };
        self.is_gateway() && other.is_gateway() && of(self) != of(other)
    }
}

/// All that is attached.
pub(super) fn attached(glb: &mut Glb) -> Result<Vec<Attached>, Failure> {
    some(glb, |one| {
        // One that goes has no name any more.
        !one.name.is_empty()
    })
}

/// How this device is attached, if it is.
pub(super) fn attached_as(glb: &mut Glb, name: &str) -> Result<Option<Attached>, Failure> {
    Ok(some(glb, |one| one.name == name)?.pop())
}

fn some(glb: &mut Glb, is_meant: impl Fn(&Device) -> bool) -> Result<Vec<Attached>, Failure> {
    let devices = glb.devices()?.into_iter().filter(is_meant);
    let gateways = glb.gateways()?;
    let known = |one: Device| {
        let Some(role) = Role::from_number(one.role) else {
            let (name, role) = (one.name, one.role);
            return Err(Failure::Message(format!(
                "{name} is attached in a role that this program does not know ({role}): detach it first"
            )));
        };
        let told = gateways.iter().find(|(device, _)| *device == one.name);
        Ok(Attached {
            told: told.map_or_else(Gateway::default, |(_, told)| told.clone()),
            name: one.name,
            role,
        })
    };
    devices.map(known).collect()
}
