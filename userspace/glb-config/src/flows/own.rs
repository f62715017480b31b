// SPDX-License-Identifier: GPL-2.0

//! Which backend of each table a proxy is.

use crate::issue::quoted;
use crate::opened::Opened;
use glb_core::backend::{Backend, State};
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::packet::addr::Addr;
use std::collections::HashSet;
use std::net::IpAddr;

/// A table as far as it matters to who looks for itself in it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What it is called.
    pub label: String,
    /// Its backends.
    pub backends: Vec<Backend>,
    /// What leads to it.
    pub binds: Vec<Bind>,
}

impl Listed {
    /// The tables of a file.
    #[must_use]
    pub fn of(opened: &Opened) -> Vec<Self> {
        let (labels, backends) = (opened.labels(), opened.backends());
        let all = labels.into_iter().zip(backends).zip(opened.binds());
        all.map(|((label, backends), binds)| Self {
            label,
            backends,
            binds: binds.to_vec(),
        })
        .collect()
    }
}

/// The ranges of TCP ports that lead to a table; all, where a bind takes all protocols.
#[must_use]
pub fn ports(tables: &[Listed]) -> Vec<(u16, u16)> {
    let binds = tables.iter().flat_map(|table| &table.binds);
    let tcp = binds.filter(|bind| bind.proto.is_none_or(|proto| proto == Proto::Tcp));
    tcp.map(|bind| (bind.port_start, bind.port_end)).collect()
}

/// Which proxy it is whose connections are counted.
#[derive(Debug, Clone, Copy)]
pub enum Proxy<'a> {
    /// The backend with this address.
    Named(Addr),
    /// The backend that has an address of this machine.
    Here(&'a HashSet<Addr>),
}

/// A proxy, by its address in each table, and its place among the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// Its address.
    pub addr: Addr,
    /// What the operator wants of it.
    pub state: State,
    /// Whether its checks pass.
    pub healthy: bool,
}

impl Own {
    /// Whether it is on its way out: then connections that come to it first have to end too, as the next step takes their row.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        !self.healthy || matches!(self.state, State::Draining | State::Inactive)
    }
}

/// What a proxy is in each of these tables; nothing in those that do not have it. An error where it is in none, and where it is
/// two backends of one table, so that nobody knows which.
pub fn own(tables: &[Listed], proxy: Proxy<'_>) -> Result<Vec<Option<Own>>, String> {
    if tables.is_empty() {
        return Err("there are no tables".to_owned());
    }
    let is = |addr: Addr| match proxy {
        Proxy::Named(named) => named == addr,
        Proxy::Here(addresses) => addresses.contains(&addr),
    };
    let mut all = Vec::new();
    for table in tables {
        let mut found: Option<Own> = None;
        for one in table.backends.iter().filter(|one| is(one.addr)) {
            match found {
                Some(other) if other.addr != one.addr => {
                    return Err(format!(
                        "table {}: {} and {} are both addresses of this machine: name the backend that it is (--backend)",
                        quoted(&table.label),
                        text(other.addr),
                        text(one.addr),
                    ));
                }
                // A table of version 2 may have one twice; then what has rows counts.
                Some(other) if other.state != State::Inactive => {}
                _ => {
                    found = Some(Own {
                        addr: one.addr,
                        state: one.state,
                        healthy: one.healthy,
                    });
                }
            }
        }
        all.push(found);
    }
    if all.iter().any(Option::is_some) {
        return Ok(all);
    }
    Err(match proxy {
        Proxy::Named(addr) => format!("no table has a backend {}", text(addr)),
        Proxy::Here(_) => {
            "no backend of any table has an address of this machine: name the backend that it is (--backend)".to_owned()
        }
    })
}

fn text(addr: Addr) -> String {
    match addr {
        Addr::V4(bytes) => IpAddr::from(bytes).to_string(),
        Addr::V6(bytes) => IpAddr::from(bytes).to_string(),
    }
}
