// SPDX-License-Identifier: GPL-2.0

//! `glbctl monitor`: what changes, a line for each change.

use crate::commands::settings::ConfigView;
use crate::output::Failure;
use glb_core::director::Role;
use glb_netlink::{Device, Event, Events};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum EventView {
    Tables { generation: u32, tables: u32 },
    Config { config: ConfigView },
    Attached(DeviceView),
    Detached(DeviceView),
    Unknown { command: u8 },
}

#[derive(Serialize)]
struct DeviceView {
    ifindex: u32,
    device: String,
    role: String,
}

impl DeviceView {
    fn new(device: Device) -> Self {
        Self {
            ifindex: device.ifindex,
            role: device.role_name(),
            device: device.name,
        }
    }
}

impl EventView {
    fn new(event: Event) -> Self {
        match event {
            Event::Tables { generation, tables } => Self::Tables { generation, tables },
            Event::Config(config) => Self::Config {
                config: ConfigView(config),
            },
            Event::Attached(device) => Self::Attached(DeviceView::new(device)),
            Event::Detached(device) => Self::Detached(DeviceView::new(device)),
            Event::Unknown(command) => Self::Unknown { command },
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Tables { generation, tables } => {
                writeln!(out, "tables: {tables} of load {generation}")
            }
            Self::Config { config } => {
                writeln!(out, "config:")?;
                config.write(out)
            }
            Self::Attached(DeviceView {
                ifindex,
                device,
                role,
            }) if *role == Role::default().name() => {
                writeln!(out, "attached: {device} (index {ifindex})")
            }
            Self::Attached(DeviceView {
                ifindex,
                device,
                role,
            }) => writeln!(out, "attached: {device} (index {ifindex}), role {role}"),
            Self::Detached(DeviceView {
                ifindex, device, ..
            }) if device.is_empty() => {
                writeln!(out, "detached: the device with index {ifindex} went away")
            }
            Self::Detached(DeviceView {
                ifindex, device, ..
            }) => writeln!(out, "detached: {device} (index {ifindex})"),
            Self::Unknown { command } => writeln!(out, "unknown: notification {command}"),
        }
    }
}

/// Prints what changes, until so many events have come.
pub(crate) fn run(count: Option<u64>, json: bool) -> Result<(), Failure> {
    let mut events = Events::open()?;
    let mut left = count;
    while left != Some(0) {
        let event = EventView::new(events.next_event()?);
        let mut out = io::stdout().lock();
        let written = if json {
            serde_json::to_writer(&mut out, &event)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            event.write(&mut out)
        };
        match written.and_then(|()| out.flush()) {
            Ok(()) => {}
            // The reader had enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(Failure::Message(format!("standard output: {error}"))),
        }
        left = left.map(|left| left - 1);
    }
    Ok(())
}
