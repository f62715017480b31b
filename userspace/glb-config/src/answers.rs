// SPDX-License-Identifier: GPL-2.0

//! Whether a director could give answers their source again, over all tables of a file.

use crate::world::classifier;
use glb_core::director::classify::bind::Classifier;
use glb_core::director::classify::bind::{Bind, BindId, Proto};
use glb_core::director::reverse::services::{
    chained, check, check_bind, Ambiguous, Chained, Service, MAX_SERVICES,
};
use glb_core::director::Forward;
use glb_core::packet::addr::Addr;
use std::net::IpAddr;

/// What of tables cannot be.
pub(crate) struct Wrong {
    /// Index of the table.
    pub(crate) table: usize,
    /// Index of the bind in it.
    pub(crate) bind: usize,
    /// Why not.
    pub(crate) reason: String,
}

/// What answers depend on in a table.
pub(crate) struct Part<'t> {
    /// Its place among the tables.
    pub(crate) index: usize,
    /// What it is called.
    pub(crate) label: String,
    pub(crate) forward: Forward,
    pub(crate) binds: &'t [Bind],
    pub(crate) backends: Vec<Addr>,
}

/// Finds two services whose answers nobody could tell apart, a backend that is itself bound, and more services than a director
/// takes. Binds that cannot be are somebody else's to find: nothing is said about them here.
pub(crate) fn find(parts: &[Part<'_>]) -> Option<Wrong> {
    let mut services = Vec::new();
    for part in parts.iter().filter(|part| part.forward.translates()) {
        for (place, bind) in part.binds.iter().enumerate() {
            if check_bind(part.forward, bind).is_err() {
                continue;
            }
            if services.len() + part.backends.len() > MAX_SERVICES {
                let reason = format!("makes more than {MAX_SERVICES} backends of binds with forward nat, in all tables");
                return Some(Wrong {
                    table: part.index,
                    bind: place,
                    reason,
                });
            }
            let id = BindId {
                table: u16::try_from(part.index).ok()?,
                bind: u16::try_from(place).ok()?,
            };
            let of_bind = |backend: &Addr| Service::new(part.forward, bind, id, *backend);
            services.extend(part.backends.iter().map(of_bind));
        }
    }
    if services.is_empty() {
        return None;
    }
    let Err(Ambiguous { first, second }) = check(&mut services) else {
        return find_chained(parts, &services);
    };
    let of = |service: &Service| {
        let place = usize::from(service.id().table);
        parts.iter().find(|part| part.index == place)
    };
    let backend = ip(second.backend());
    Some(Wrong {
        table: usize::from(second.id().table),
        bind: usize::from(second.id().bind),
        reason: format!(
            "sends packets to {backend} {} port {}, as binds[{}] of table {} does: an answer from there does not say which of the two was asked; give one of them another target_port",
            second.proto().map_or("any", Proto::name),
            first.port().max(second.port()),
            first.id().bind,
            crate::quoted(&of(&first)?.label),
        ),
    })
}

/// Finds a backend whose own address is bound.
fn find_chained(parts: &[Part<'_>], services: &[Service]) -> Option<Wrong> {
    // Binds that cannot be indexed are said where they are read, or when they are loaded.
    let words = classifier(parts.iter().map(|part| part.binds)).ok()?;
    let Chained { service, bind } = chained(services, Classifier::new(&words))?;
    let bound = parts.get(usize::from(bind.table))?;
    Some(Wrong {
        table: usize::from(service.id().table),
        bind: usize::from(service.id().bind),
        reason: format!(
            "sends packets to {}, which is an address of binds[{}] of table {}: an answer would not get the sources of both; \
             with forward nat a backend must have an address that is not bound",
            ip(service.backend()),
            bind.bind,
            crate::quoted(&bound.label),
        ),
    })
}

fn ip(addr: Addr) -> IpAddr {
    match addr {
        Addr::V4(bytes) => bytes.into(),
        Addr::V6(bytes) => bytes.into(),
    }
}
