// SPDX-License-Identifier: GPL-2.0

//! The GLB director.
//!
//! Packets to the bound addresses come in on the attached devices, are hashed to a row of their table, and
//! go on to the row's first proxy in a GUE header that names the others.
//!
//! ```text
//! device -> front/    the devices, and what becomes of a packet of theirs, step by step
//!           send/     its way to the first hop: whole, in parts, or not
//!           gateway/  what the role geneve remembers and counts
//!           tables/   the loaded tables, those that come in, and what the core's decision looks at
//!           stats     counters, and ports of first fragments
//!           config    what the operator has set
//!           state     all of it for one namespace, and how it is replaced
//!           namespace how it is tied to the namespace
//! netlink -> netlink/ the family `glb` (spec/glb.yaml): loading tables, settings, devices, inspection
//! ```
//!
//! Contexts: packets are handled in softirq context under RCU, on all CPUs at once; nothing there sleeps,
//! allocates tables, or locks. Requests run in process context and may sleep.
//!
//! Life times: tables and settings are immutable once published, and freed a grace period after they were
//! replaced. What goes first, and what last, is the business of [`glb_kernel::net::Registrations`].

use glb_kernel::base::memory::Freeing;
use glb_kernel::genl;
use glb_kernel::net::Registrations;
use kernel::prelude::*;
use state::State;

mod config;
mod front;
mod gateway;
mod namespace;
mod netlink;
mod send;
mod state;
mod stats;
mod tables;

module! {
    type: GlbDirector,
    name: "rust_glb_director",
    authors: ["The GLB maintainers"],
    description: "GLB director: hashes packets to proxies and tunnels them there",
    license: "GPL",
    // What the kernel asks modprobe for when somebody asks for the family by its name.
    alias: ["net-pf-16-proto-16-family-glb"],
}

/// In the order in which they go.
#[expect(dead_code, reason = "their drops are their use")]
struct GlbDirector {
    registrations: Registrations<Entries, State>,
    freeing: Freeing,
}

/// What calls the module. None depends on another.
#[expect(dead_code, reason = "their drops are their use")]
struct Entries {
    loads: genl::SocketWatch<netlink::DropLoads>,
    family: genl::Registration<netlink::Family>,
}

impl kernel::Module for GlbDirector {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let freeing = Freeing::new();
        let entries = |registered| {
            Ok(Entries {
                // A load that is begun has its socket watched already.
                loads: genl::SocketWatch::new(registered)?,
                family: genl::Registration::new(module, registered)?,
            })
        };
        Ok(Self {
            registrations: Registrations::new(entries)?,
            freeing,
        })
    }
}
