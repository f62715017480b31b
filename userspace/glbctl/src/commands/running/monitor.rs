// SPDX-License-Identifier: GPL-2.0

//! `glbctl monitor`: what changes, a line for each change.

use crate::commands::settings::ConfigView;
use crate::output::Failure;
use glb_netlink::{Device, Event, Events};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum EventView {
    Tables { generation: u32, tables: u32 },
    Config { config: ConfigView },
    Attached { ifindex: u32, device: String },
    Detached { ifindex: u32, device: String },
    Unknown { command: u8 },
}

impl EventView {
    fn new(event: Event) -> Self {
        match event {
            Event::Tables { generation, tables } => Self::Tables { generation, tables },
            Event::Config(config) => Self::Config {
                config: ConfigView(config),
            },
            Event::Attached(Device { ifindex, name }) => Self::Attached {
                ifindex,
                device: name,
            },
            Event::Detached(Device { ifindex, name }) => Self::Detached {
                ifindex,
                device: name,
            },
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
            Self::Attached { ifindex, device } => {
                writeln!(out, "attached: {device} (index {ifindex})")
            }
            Self::Detached { ifindex, device } if device.is_empty() => {
                writeln!(out, "detached: the device with index {ifindex} went away")
            }
            Self::Detached { ifindex, device } => {
                writeln!(out, "detached: {device} (index {ifindex})")
            }
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
