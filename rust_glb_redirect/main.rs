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
//! netfilter hook -> cookie    the timestamps of connections that begin here say so
//! stay                        why a packet stays here
//! elsewhere                   other namespaces, and the connection tracking
//! policy                      what a rule or the door says about its packets
//! netlink                     opens and closes the door, switches cookies, shows counters
//! stats                       the counters and the files that show them
//! state                       all of it for one namespace
//! ```
//!
//! Contexts: packets are handled under RCU, on all CPUs at once: in softirq context or with bottom halves off, and behind
//! NFQUEUE in process context with bottom halves on. Nothing there sleeps, allocates (but for a private copy of a shared header, and in the kernel's own look-up of a
//! route), locks or loops without a bound. Namespaces come and go in process context.
//!
//! Life times: rules hold the module. A namespace's counters live until its last device is gone. What goes first, and what
//! last, is the business of [`glb_kernel::net::Registrations`].

use glb_kernel::front::xtables;
use glb_kernel::genl;
use glb_kernel::net::Registrations;
use glb_kernel::proc;
use kernel::prelude::*;
use state::State;

mod cookie;
mod door;
mod elsewhere;
mod files;
mod namespace;
mod netlink;
mod policy;
mod redirect;
mod seen;
mod state;
mod stats;
mod stay;
mod target;

module! {
    type: GlbRedirect,
    name: "rust_glb_redirect",
    authors: ["The GLB maintainers"],
    description: "GLBREDIRECT: second chance for GUE packets of GLB directors",
    license: "GPL",
    alias: ["ipt_GLBREDIRECT", "ip6t_GLBREDIRECT", "net-pf-16-proto-16-family-glb_redirect"],
}

struct GlbRedirect(
    #[expect(dead_code, reason = "its drop is its use")] Registrations<Entries, State>,
);

/// What calls the module. None depends on another.
#[expect(dead_code, reason = "their drops are their use")]
struct Entries {
    deployed_stats: proc::File<files::Deployed>,
    target: xtables::Registration<target::Target>,
    family: genl::Registration<netlink::Family>,
}

impl kernel::Module for GlbRedirect {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let entries = |registered| {
            Ok(Entries {
                deployed_stats: proc::File::new(registered)?,
                target: xtables::Registration::new(module, registered)?,
                family: genl::Registration::new(module, registered)?,
            })
        };
        Ok(Self(Registrations::new(entries)?))
    }
}
