// SPDX-License-Identifier: GPL-2.0

//! GLBREDIRECT: the second chance of a GLB proxy.
//!
//! A director tunnels each packet (GUE) to the first proxy of its row and names the next ones in the
//! header. This module looks at such packets before the kernel decapsulates them, and passes those
//! on that belong to a connection which is not here.
//!
//! ```text
//! iptables rule -> target  \
//! netfilter hook -> door    > redirect            what becomes of a packet, step by step
//!                             glb_core::redirect  what the bytes say
//!                             glb_kernel          socket tables, routes, socket buffers
//! netlink                     opens and closes the door, shows counters
//! stats                       the counters and the files that show them
//! state                       all of it for one namespace
//! ```
//!
//! Contexts: packets are handled in softirq context or with bottom halves off, under RCU, on all CPUs at
//! once. Nothing there sleeps, allocates (but for a private copy of a shared header, and in the kernel's own look-up of a
//! route), locks or loops without a bound. Namespaces come and go in process context.
//!
//! Life times: rules hold the module. A namespace's counters live until its last device is gone. The
//! fields of [`GlbRedirect`] are dropped in order: nothing can run in the module when its state goes.

use glb_kernel::genl;
use glb_kernel::net::PerNet;
use glb_kernel::netdev::Watch;
use glb_kernel::proc;
use glb_kernel::xtables;
use kernel::prelude::*;

mod door;
mod netlink;
mod redirect;
mod state;
mod stats;
mod target;

module! {
    type: GlbRedirect,
    name: "rust_glb_redirect",
    authors: ["The GLB maintainers"],
    description: "GLBREDIRECT: second chance for GUE packets of GLB directors",
    license: "GPL",
    alias: ["ipt_GLBREDIRECT", "ip6t_GLBREDIRECT", "net-pf-16-proto-16-family-glb_redirect"],
}

struct GlbRedirect {
    _family: genl::Registration<netlink::Family>,
    _target: xtables::Registration<target::Target>,
    _deployed_stats: proc::File<stats::Deployed>,
    _devices: Watch<state::State>,
    _namespaces: PerNet<state::State>,
}

impl kernel::Module for GlbRedirect {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let namespaces = PerNet::register()?;
        Ok(Self {
            _devices: Watch::new(namespaces.registered())?,
            _deployed_stats: proc::File::new(namespaces.registered())?,
            _target: xtables::Registration::new(module, namespaces.registered())?,
            // The family comes last: from then on there are requests.
            _family: genl::Registration::new(module, namespaces.registered())?,
            _namespaces: namespaces,
        })
    }
}
