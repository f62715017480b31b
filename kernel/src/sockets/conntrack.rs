// SPDX-License-Identifier: GPL-2.0

//! Whether the connection tracking of a namespace knows a connection.
//!
//! C header: `include/net/netfilter/nf_conntrack_core.h`
//!
//! Where a program is reached by DNAT, no socket of the namespace has the connection that a packet names. The connection
//! tracking does, in its original direction, if a packet of it was let in before. The packet is asked about before it is
//! decapsulated, so there is nothing in its buffer yet that says so, and its addresses and ports are looked up. They are looked
//! up in the default zone.
//!
//! The module works without nf_conntrack. Whoever wants to ask it holds it ([`Conntrack`]), and has the connections of the
//! namespace tracked as a rule with `-m conntrack` does.
//!
//! Life times: a [`Conntrack`] belongs to a rule or to the state of its namespace, both of which end before the namespace does.

use crate::base::rcu::Reader;
use crate::bindings;
use crate::net::Net;
use glb_core::packet::flow::Flow;
use kernel::prelude::*;

/// The connection tracking of a namespace.
pub struct Conntrack {
    functions: bindings::glb_conntrack,
    /// INVARIANT: the namespace that this object belongs to, which outlives it.
    net: *mut bindings::net,
}

// SAFETY: Its functions may be called from anywhere.
unsafe impl Send for Conntrack {}
// SAFETY: As above.
unsafe impl Sync for Conntrack {}

/// What to tell somebody whose kernel has no connection tracking (yet), in at most 79 characters.
pub const MISSING: &CStr =
    c"conntrack needs the kernel's module nf_conntrack: modprobe nf_conntrack";

impl Conntrack {
    /// Holds it, and loads its module if it `may_load`. EOPNOTSUPP if there is none. Process context, may sleep.
    ///
    /// Whoever may load holds no lock that a module may need when it is loaded: a handler of generic netlink does, and so does a
    /// rule of iptables-nft.
    ///
    /// The caller keeps it in a rule of `net` or in what a module keeps for `net`.
    pub(crate) fn new(net: &Net, may_load: bool) -> Result<Self> {
        let mut functions = bindings::glb_conntrack {
            find: core::ptr::null_mut(),
            leave: core::ptr::null_mut(),
        };
        // SAFETY: The namespace is live, and the context is that of a process.
        let error = unsafe { bindings::glb_conntrack_get(net.as_ptr(), &mut functions, may_load) };
        kernel::error::to_result(error)?;
        Ok(Self {
            functions,
            net: net.as_ptr(),
        })
    }

    /// Whether it has the connection in the original direction, and somebody has answered. One of TCP must be in a state that
    /// expects a packet which is no SYN.
    pub fn expects(&self, flow: &Flow<'_>, protocol: u8, _rcu: Reader<'_>) -> bool {
        let flow = match flow {
            Flow::V4(ends) => bindings::glb_conntrack_flow {
                client: ends.client.as_ptr().cast(),
                vip: ends.vip.as_ptr().cast(),
                client_port: ends.client_port.to_be(),
                vip_port: ends.vip_port.to_be(),
                protocol,
                ipv6: false,
            },
            Flow::V6(ends) => bindings::glb_conntrack_flow {
                client: ends.client.as_ptr().cast(),
                vip: ends.vip.as_ptr().cast(),
                client_port: ends.client_port.to_be(),
                vip_port: ends.vip_port.to_be(),
                protocol,
                ipv6: true,
            },
        };
        // SAFETY: The functions are held, the namespace is live by the invariant, and RCU is held. The addresses have the
        // lengths of their family and are there during the call.
        unsafe { bindings::glb_conntrack_expects(self.net, &self.functions, &flow) }
    }
}

impl Drop for Conntrack {
    fn drop(&mut self) {
        // SAFETY: Held by `new`; the namespace is there by the invariant, and the context is that of a process.
        unsafe { bindings::glb_conntrack_put(self.net, &self.functions) };
    }
}
