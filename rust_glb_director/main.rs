// SPDX-License-Identifier: GPL-2.0

//! The GLB director.
//!
//! Packets to the bound addresses come in on the attached devices, are hashed to a row of their table, and
//! go on to the row's first proxy in a GUE header that names the others.
//!
//! ```text
//! device -> ingress     what becomes of a packet, step by step
//!           hops        the hops of one packet, as the header wants them
//!           stats       counters, and ports of first fragments
//!           tables      the loaded tables: which one a packet belongs to, its rows, its hops
//!           config      what the operator has set
//!           state       all of it for one namespace, and how it is replaced
//! netlink -> netlink/   the family `glb` (spec/glb.yaml): loading tables, settings, devices, inspection
//! ```
//!
//! Contexts: packets are handled in softirq context under RCU, on all CPUs at once; nothing there sleeps,
//! allocates tables, or locks. Requests run in process context and may sleep.
//!
//! Life times: tables and settings are immutable once published, and freed a grace period after they were
//! replaced. The fields of [`GlbDirector`] are dropped in order: nothing can run in the module when its
//! state goes.

use glb_kernel::genl;
use glb_kernel::net::PerNet;
use glb_kernel::netdev::Watch;
use kernel::prelude::*;

mod config;
mod hops;
mod ingress;
mod netlink;
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

struct GlbDirector {
    _family: genl::Registration<netlink::Family>,
    _loads: genl::SocketWatch<netlink::DropLoads>,
    _devices: Watch<ingress::Ingress>,
    _namespaces: PerNet<state::State>,
}

impl kernel::Module for GlbDirector {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let namespaces = PerNet::register()?;
        Ok(Self {
            _devices: Watch::new(namespaces.registered())?,
            _loads: genl::SocketWatch::new(namespaces.registered())?,
            // The family comes last: from then on there are requests.
            _family: genl::Registration::new(module, namespaces.registered())?,
            _namespaces: namespaces,
        })
    }
}
