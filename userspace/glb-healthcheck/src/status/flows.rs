// SPDX-License-Identifier: GPL-2.0

//! The metrics of a proxy's connections that depend on second chance.

use super::kernel;
use crate::flows::{Flows, Result};
use glb_core::packet::addr::Addr;
use glb_daemon::text::{Text, Type};
use std::net::IpAddr;

fn ip(addr: Addr) -> String {
    match addr {
        Addr::V4(bytes) => IpAddr::from(bytes).to_string(),
        Addr::V6(bytes) => IpAddr::from(bytes).to_string(),
    }
}

/// The lines for what was counted. Where nothing could be counted there are no numbers, since 0 would be one.
pub(crate) fn metrics(flows: &Result<Flows>) -> String {
    let mut text = Text::default();
    let help = "Whether the connections that depend on second chance could be counted.";
    let valid = f64::from(u8::from(flows.is_ok()));
    text.family("glb_redirect_flows_valid", Type::Gauge, help)
        .sample(&[], valid);
    if let Ok(flows) = flows {
        numbers(flows, &mut text);
    }
    text.finish()
}

fn numbers(flows: &Flows, text: &mut Text) {
    let help = "Connections of this proxy whose packets go to another proxy first.";
    let mut family = text.family("glb_redirect_dependent_connections", Type::Gauge, help);
    for table in &flows.tables {
        for addr in &table.backends {
            let others = table.counted.others.get(addr);
            // Of each table that has this proxy there is a number for each other proxy; 0 is one.
            let is_other = table.own.is_some_and(|own| own.addr != *addr);
            if is_other || others.is_some() {
                let count = others.map_or(0, |one| one.connections);
                let labels = [("table", &*table.label), ("first_hop", &*ip(*addr))];
                family.sample(&labels, count as f64);
            }
        }
    }
    let mut of_tables = |name, help, count: &dyn Fn(usize) -> u64| {
        let mut family = text.family(name, Type::Gauge, help);
        for (index, table) in flows.tables.iter().enumerate() {
            let count = count(index);
            if table.own.is_some() || count > 0 {
                family.sample(&[("table", &table.label)], count as f64);
            }
        }
    };
    of_tables(
        "glb_redirect_unreachable_connections",
        "Of those, connections whose packets name no hop that is this proxy.",
        &|index| flows.tables[index].counted.dependent().unreachable,
    );
    of_tables(
        "glb_redirect_first_hop_connections",
        "Connections of this proxy whose packets come to it first.",
        &|index| flows.tables[index].counted.first,
    );
    let help = "Connections that no table has.";
    text.family("glb_redirect_outside_connections", Type::Gauge, help)
        .sample(&[], flows.outside as f64);
    let help =
        "What the redirect asks and the count leaves out: conntrack, and network namespaces.";
    text.family("glb_redirect_flows_unseen", Type::Gauge, help)
        .sample(&[], flows.unseen as f64);
    let help = "The tables that connections are counted by, with the health of their backends.";
    let mut family = text.family("glb_redirect_flows_table_info", Type::Gauge, help);
    for table in &flows.tables {
        let (Some(own), Some(digest)) = (table.own, table.digest) else {
            continue;
        };
        let (backend, digest) = (ip(own.addr), format!("{digest:016x}"));
        let labels = [
            ("table", &*table.label),
            ("backend", &*backend),
            ("digest", &*digest),
        ];
        family.sample(&labels, 1.0);
    }
    let help = "The hash fields that connections are counted by.";
    let shared = kernel::shared(&flows.settings);
    let fields = shared
        .iter()
        .filter(|(name, _)| name.ends_with("hash_fields"));
    let labels: Vec<(&str, &str)> = fields.map(|(name, value)| (*name, &**value)).collect();
    text.family("glb_redirect_flows_config_info", Type::Gauge, help)
        .sample(&labels, 1.0);
    let help = "How long counting took.";
    text.family("glb_redirect_flows_duration_seconds", Type::Gauge, help)
        .sample(&[], flows.took.as_secs_f64());
    let help = "How long ago counting began.";
    text.family("glb_redirect_flows_age_seconds", Type::Gauge, help)
        .sample(&[], flows.began.elapsed().as_secs_f64());
}
