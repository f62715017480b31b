// SPDX-License-Identifier: GPL-2.0

//! Where the packets of a connection go, by whoever knows.

use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::Addrs;

/// Where the packets of a connection go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Place of the table.
    pub table: usize,
    /// The row.
    pub row: u32,
    /// The row by the alternative hash fields, where there are any.
    pub alt_row: Option<u32>,
}

/// Who knows where directors send a packet: a file of tables, or the running director.
pub trait Ways {
    /// The way of a client's packets; nothing where no bind has their destination. `hops` is filled with all hops that they
    /// name, first to last.
    fn way(&mut self, flow: &FlowKey, hops: &mut Vec<Addr>) -> Result<Option<Way>, String>;
}

/// Client and VIP.
#[must_use]
pub fn ends(flow: &FlowKey) -> (Addr, Addr) {
    match flow.addrs {
        Addrs::V4 { src, dst } => (Addr::V4(src), Addr::V4(dst)),
        Addrs::V6 { src, dst } => (Addr::V6(src), Addr::V6(dst)),
    }
}
