// SPDX-License-Identifier: GPL-2.0

//! A target with its identifier.

use glb_core::packet::addr::Addr;
use std::net::IpAddr;

/// A target that has an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The place of its service.
    pub(crate) service: usize,
    pub(crate) name: String,
    /// By the first one tables know it.
    pub(crate) addresses: Vec<Addr>,
    pub(crate) id: u16,
}

impl Target {
    pub(crate) fn is_known_by_v6(&self) -> bool {
        matches!(self.addresses.first(), Some(Addr::V6(_)))
    }

    /// Its addresses of a family.
    pub(crate) fn of_family(&self, v6: bool) -> Vec<Addr> {
        let mut all = self.addresses.clone();
        all.retain(|addr| (addr.bits() == 128) == v6);
        all.sort();
        all
    }
}

/// An address as text; every target has one.
pub(crate) fn text(addr: Option<Addr>) -> String {
    match addr {
        Some(Addr::V4(bytes)) => IpAddr::from(bytes).to_string(),
        Some(Addr::V6(bytes)) => IpAddr::from(bytes).to_string(),
        None => String::new(),
    }
}
