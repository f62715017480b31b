// SPDX-License-Identifier: GPL-2.0

//! Counters of the loaded kernel modules.

use super::gateway::Asked;
use super::services::Services;
use glb_config::settings;
use glb_core::settings::{Setting, Settings};
use glb_daemon::text::metric;
use glb_netlink::{Error, Glb};
use std::fs;

/// Where the redirect module shows its counters of this network namespace.
const REDIRECT: &str = "/proc/net/glb_redirect";

/// A counter by the name that the metric gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) metric: String,
    pub(super) name: String,
    pub(super) value: u64,
}

/// The redirect module's counters; none where it is not loaded.
pub(super) fn redirect() -> Vec<Counter> {
    // A file that cannot be read is a module that is not there, which is usual on a director.
    let text = fs::read_to_string(REDIRECT).unwrap_or_default();
    counters("glb_redirect", &text)
}

/// A gauge of the director: name, help, value.
pub(super) type Gauge = (&'static str, &'static str, u64);

/// The settings that decide where packets go, with their values.
pub(super) fn shared(all: &Settings) -> Vec<(&'static str, String)> {
    const SHARED: [&str; 3] = ["hash_fields", "alt_hash_fields", "udp_port"];
    let shared = Setting::ALL
        .iter()
        .filter(|one| SHARED.contains(&one.field));
    shared
        .map(|one| (one.field, settings::text(all.get(one))))
        .collect()
}

/// What the director's module says; nothing where it is not loaded.
#[derive(Debug, Default)]
pub(super) struct Director {
    pub(super) counters: Vec<Counter>,
    pub(super) gauges: Vec<Gauge>,
    pub(super) settings: Option<Settings>,
    pub(super) services: Services,
    pub(super) gateway: Asked,
}

/// The director module's counters, what it has, and its settings.
pub(super) fn director() -> Director {
    // As above: a module that is not there, or that cannot be asked, has no counters to show.
    ask_director().unwrap_or_default()
}

fn ask_director() -> Result<Director, Error> {
    let mut glb = Glb::open_loaded()?;
    let mut counters = Vec::new();
    for (name, value) in glb.stats()? {
        add(&mut counters, "glb_director", &name, value);
    }
    let status = glb.status()?;
    let gauges = vec![
        (
            "glb_director_load",
            "Number of the last load of tables, 0 before the first.",
            u64::from(status.generation),
        ),
        (
            "glb_director_tables",
            "Loaded tables.",
            u64::from(status.tables),
        ),
        (
            "glb_director_binds",
            "Binds of all loaded tables.",
            u64::from(status.binds),
        ),
        (
            "glb_director_devices",
            "Attached devices.",
            u64::from(status.devices),
        ),
        (
            "glb_director_table_bytes",
            "Approximate size of the loaded tables in bytes.",
            status.memory,
        ),
    ];
    Ok(Director {
        counters,
        gauges,
        settings: Some(glb.config()?),
        services: Services::new(glb.service_stats()?, glb.backend_stats()?),
        gateway: Asked::of(&mut glb),
    })
}

/// Counters from lines `name: value`. Lines of another form are skipped, because the module may be newer than this
/// program.
fn counters(module: &str, text: &str) -> Vec<Counter> {
    let mut counters: Vec<Counter> = Vec::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if let Ok(value) = value.trim().parse() {
            add(&mut counters, module, name.trim(), value);
        }
    }
    counters
}

/// Adds a counter under the metric's name, unless Prometheus could not take it.
fn add(counters: &mut Vec<Counter>, module: &str, name: &str, value: u64) {
    let Some(metric) = metric(module, name) else {
        return;
    };
    if counters.iter().all(|counter| counter.metric != metric) {
        counters.push(Counter {
            metric,
            name: name.to_owned(),
            value,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_counters() {
        let text =
            "total_packets: 7\naccepted_syn_packets: 18446744073709551615\nforwarded_bytes: 0\n\
                    garbage\nbad name: 1\nbad: -1\ntotal_packets: 8\n";
        let found = counters("m", text);
        let found: Vec<_> = found.iter().map(|c| (c.metric.as_str(), c.value)).collect();
        assert_eq!(
            found,
            [
                ("m_packets_total", 7),
                ("m_accepted_syn_packets_total", u64::MAX),
                ("m_forwarded_bytes_total", 0),
            ]
        );
    }
}
