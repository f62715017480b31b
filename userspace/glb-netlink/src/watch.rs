// SPDX-License-Identifier: GPL-2.0

//! Hearing that rules, routes or devices have changed.

use crate::error::Error;
use crate::socket::Socket;
use crate::steering::{PROTOCOL, ROUTE_HEADER, RTM_DELROUTE, RTM_NEWROUTE};

/// `enum rtnetlink_groups`: devices, and routes and rules of both families.
const GROUPS: [u32; 5] = [1, 7, 8, 11, 19];
/// `ENOBUFS`: more has happened than there was room for.
const TOO_MUCH: i32 = 105;

/// A socket that hears of changes.
pub struct Watch {
    socket: Socket,
}

impl Watch {
    /// Opens a socket.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::hear_routes(&GROUPS)?,
        })
    }

    /// Waits until something has changed that may concern [`crate::steering`]: a device, a rule, or one of its routes that was
    /// deleted. Who changes things itself hears of that too.
    pub fn wait(&mut self) -> Result<(), Error> {
        loop {
            let mut concerns = false;
            let heard = self.socket.hear(|message| {
                // Routes of others come and go by the thousand where BGP runs.
                concerns |= match message.kind {
                    RTM_NEWROUTE => false,
                    RTM_DELROUTE => {
                        let header: Option<&[u8; ROUTE_HEADER]> = message.payload.first_chunk();
                        header.is_some_and(|header| header[5] == PROTOCOL)
                    }
                    _ => true,
                };
            });
            match heard {
                Err(error) if error.raw_os_error() == Some(TOO_MUCH) => return Ok(()),
                Err(error) => return Err(error.into()),
                Ok(()) if concerns => return Ok(()),
                Ok(()) => {}
            }
        }
    }
}
