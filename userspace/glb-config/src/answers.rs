// SPDX-License-Identifier: GPL-2.0

//! Whether a director could give answers their source again, over all tables of a file.

use glb_core::director::classify::bind::{Bind, BindId, Proto};
use glb_core::director::reverse::services::{check, Ambiguous, Service, MAX_SERVICES};
use glb_core::director::Forward;
use glb_core::packet::addr::Addr;

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

/// Finds two services whose answers nobody could tell apart, and more services than a director takes. Binds that cannot be are
/// somebody else's to find.
pub(crate) fn find(parts: &[Part<'_>]) -> Option<Wrong> {
    let mut services = Vec::new();
    for part in parts.iter().filter(|part| part.forward.translates()) {
        for (place, bind) in part.binds.iter().enumerate() {
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
    let Ambiguous { first, second } = check(&mut services).err()?;
    let of = |service: &Service| {
        let place = usize::from(service.id().table);
        parts.iter().find(|part| part.index == place)
    };
    let backend = match second.backend() {
        Addr::V4(bytes) => std::net::IpAddr::from(bytes),
        Addr::V6(bytes) => bytes.into(),
    };
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
