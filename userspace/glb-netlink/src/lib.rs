// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family `glb` (`spec/glb.yaml`), from the side of who uses it.
//!
//! * [`Glb`] has a method for each command, and [`Glb::load`] for a whole transaction
//! * [`Events`] listens to the notifications
//! * [`wire`] and [`socket`] are messages and sockets as such

mod client;
mod error;
mod events;
mod names;
pub mod socket;
pub mod wire;

pub use client::{
    BackendInfo, BindInfo, Config, ConfigChange, Device, Glb, HopInfo, Loading, LookupInfo, Packet,
    RowInfo, Status, TableInfo, TableSpec,
};
pub use error::{Error, Refusal};
pub use events::{Event, Events};
