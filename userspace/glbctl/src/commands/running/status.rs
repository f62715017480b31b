// SPDX-License-Identifier: GPL-2.0

//! `glbctl status`.

use super::director;
use crate::commands::settings::ConfigView;
use crate::output::{print, Failure};
use glb_core::director::{FlowHash, ForwardKind, Role, Select};
use glb_netlink::{role_name, Device, Features};
use serde::Serialize;

#[derive(Serialize)]
struct StatusView {
    generation: u32,
    tables: u32,
    binds: u32,
    next_hops: u32,
    table_bytes: u64,
    loads_under_way: u32,
    bytes_set_aside: u64,
    devices: Vec<String>,
    roles: Vec<String>,
    features: FeaturesView,
    config: ConfigView,
}

/// What the module can.
#[derive(Serialize)]
struct FeaturesView {
    /// Ways to leave that tables may have; a number where this tool knows no name.
    forwards: Vec<String>,
    /// Ways in which packets may find their rows, likewise.
    selects: Vec<String>,
    /// What of a packet may select the row of a Maglev table, likewise.
    flow_hashes: Vec<String>,
    /// What devices may be for, likewise.
    roles: Vec<String>,
    max_tables: Option<u32>,
    max_binds: Option<u32>,
}

impl FeaturesView {
    fn new(features: &Features) -> Self {
        let names = |numbers: &[u8], name: fn(u8) -> Option<&'static str>| -> Vec<String> {
            let text =
                |number: &u8| name(*number).map_or_else(|| number.to_string(), str::to_owned);
            numbers.iter().map(text).collect()
        };
        Self {
            forwards: names(&features.forwards, |number| {
                ForwardKind::from_number(number).map(ForwardKind::name)
            }),
            selects: names(&features.selects, |number| {
                Select::from_number(number).map(Select::name)
            }),
            flow_hashes: names(&features.flow_hashes, |number| {
                FlowHash::from_number(number).map(FlowHash::name)
            }),
            roles: features.roles.iter().copied().map(role_name).collect(),
            max_tables: features.limits.map(|(tables, _)| tables),
            max_binds: features.limits.map(|(_, binds)| binds),
        }
    }
}

pub(crate) fn run(json: bool) -> Result<(), Failure> {
    let mut glb = director()?;
    let status = glb.status()?;
    let devices = glb.devices()?;
    let view = StatusView {
        generation: status.generation,
        tables: status.tables,
        binds: status.binds,
        next_hops: status.next_hops,
        table_bytes: status.memory,
        loads_under_way: status.loads,
        bytes_set_aside: status.staged,
        roles: devices.iter().map(Device::role_name).collect(),
        devices: devices.into_iter().map(|device| device.name).collect(),
        features: FeaturesView::new(&glb.features()?),
        config: ConfigView(glb.config()?),
    };
    print(json, &view, |out| {
        match view.generation {
            0 => writeln!(out, "tables      none loaded")?,
            load => writeln!(
                out,
                "tables      {} (load {load}), {} binds, {} backends, {:.1} MiB",
                view.tables,
                view.binds,
                view.next_hops,
                view.table_bytes as f64 / f64::from(1 << 20)
            )?,
        }
        if view.loads_under_way > 0 {
            writeln!(out, "loading     {} under way", view.loads_under_way)?;
        }
        let devices = if view.devices.is_empty() {
            "none attached".to_owned()
        } else {
            let device = |(name, role): (&String, &String)| match role {
                role if *role == Role::default().name() => name.clone(),
                // As GLB_DEVICES names it.
                role => format!("{name}:{role}"),
            };
            let devices: Vec<String> = view.devices.iter().zip(&view.roles).map(device).collect();
            devices.join(" ")
        };
        writeln!(out, "devices     {devices}")?;
        writeln!(out, "forwards    {}", view.features.forwards.join(", "))?;
        writeln!(out, "roles       {}", view.features.roles.join(", "))?;
        let hashes = &view.features.flow_hashes;
        match view.features.selects.as_slice() {
            // A module without other selects does not say so.
            [] => writeln!(out, "selects     {}", Select::default().name())?,
            selects => writeln!(
                out,
                "selects     {} (flow hashes {})",
                selects.join(", "),
                hashes.join(", ")
            )?,
        }
        writeln!(out, "settings")?;
        view.config.write(out)
    })
}
