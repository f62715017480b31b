// SPDX-License-Identifier: GPL-2.0

//! Clients of the generic netlink families `glb` (`spec/glb.yaml`) and `glb_redirect` (`spec/glb_redirect.yaml`).
//!
//! * [`Glb`] has a method for each command of the director, and [`Glb::load`] for a whole transaction
//! * [`Events`] listens to the director's notifications
//! * [`Redirect`] has a method for each command of the redirect
//! * [`machine`] reads related kernel state: devices, addresses, routes, tunnel ports
//! * [`sock_diag`] lists TCP connections, also of other network namespaces ([`netns`])
//! * [`steering`] changes rules and routes of one program, [`watch`] hears when they are changed
//! * [`wire`] and [`socket`] are messages and sockets in general

mod client;
mod error;
mod events;
mod geneve;
pub mod machine;
mod names;
pub mod netns;
mod redirect;
pub mod sock_diag;
pub mod socket;
pub mod steering;
pub mod unseen;
pub mod watch;
pub mod wire;

pub use client::{
    role_name, BackendInfo, BackendStats, BindInfo, Built, Device, Features, FlowInfo, FlowPart,
    Glb, HopInfo, Loading, LookupInfo, Packet, ServiceStats, Status, TableInfo, TableSpec,
};
pub use error::{Error, Refusal};
pub use events::{Event, Events};
pub use geneve::{Counters, Endpoint, Gateway, GatewayFlow, GatewayStats, Usage};
pub use names::{Family, DIRECTOR, REDIRECT};
pub use redirect::{Cookie, CookieKey, Door, Prefix, Redirect};
