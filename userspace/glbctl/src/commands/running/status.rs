// SPDX-License-Identifier: GPL-2.0

//! `glbctl status`.

use super::director;
use crate::commands::settings::ConfigView;
use crate::output::{print, Failure};
use glb_core::director::ForwardKind;
use glb_netlink::Features;
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
    features: FeaturesView,
    config: ConfigView,
}

/// What the module can.
#[derive(Serialize)]
struct FeaturesView {
    /// Ways to leave that tables may have; a number where this tool knows no name.
    forwards: Vec<String>,
    max_tables: Option<u32>,
    max_binds: Option<u32>,
}

impl FeaturesView {
    fn new(features: &Features) -> Self {
        let name = |number: &u8| match ForwardKind::from_number(*number) {
            Some(forward) => forward.name().to_owned(),
            None => number.to_string(),
        };
        Self {
            forwards: features.forwards.iter().map(name).collect(),
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
            view.devices.join(" ")
        };
        writeln!(out, "devices     {devices}")?;
        writeln!(out, "forwards    {}", view.features.forwards.join(", "))?;
        writeln!(out, "settings")?;
        view.config.write(out)
    })
}
