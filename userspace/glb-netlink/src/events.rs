// SPDX-License-Identifier: GPL-2.0

//! The notifications.

use crate::client::{config_info, device_info, Device};
use crate::error::Error;
use crate::names::DIRECTOR;
use crate::socket::Socket;
use glb_core::netlink::glb::{command, table, EVENTS};
use glb_core::settings::Settings;
use std::collections::VecDeque;

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Other tables are there.
    Tables {
        /// Number of the load.
        generation: u32,
        /// How many there are.
        tables: u32,
    },
    /// The settings.
    Config(Settings),
    /// A device was attached.
    Attached(Device),
    /// A device was detached, or went away.
    Detached(Device),
    /// A notification that this program does not know.
    Unknown(u8),
}

/// Listens to the notifications of this network namespace.
pub struct Events {
    socket: Socket,
    waiting: VecDeque<Event>,
}

impl Events {
    /// Starts to listen.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::listen(&DIRECTOR, EVENTS)?,
            waiting: VecDeque::new(),
        })
    }

    /// The next event; waits for it.
    pub fn next_event(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(event);
            }
            let waiting = &mut self.waiting;
            self.socket.wait(|number, attrs| {
                waiting.push_back(match number {
                    command::TABLE_NTF => Event::Tables {
                        generation: attrs.u32(table::GENERATION),
                        tables: attrs.u32(table::TABLES),
                    },
                    command::CONFIG_NTF => Event::Config(config_info(attrs)),
                    command::ATTACH_NTF => Event::Attached(device_info(attrs)),
                    command::DETACH_NTF => Event::Detached(device_info(attrs)),
                    other => Event::Unknown(other),
                });
            })?;
        }
    }
}
