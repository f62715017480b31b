// SPDX-License-Identifier: GPL-2.0

//! The counters of the director's services and of their backends, as metrics.

use glb_core::packet::addr::Addr;
use glb_daemon::text::{metric, Text, Type};
use glb_netlink::{BackendStats, ServiceStats};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Who is counted: a service, or a backend of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Who {
    service: String,
    backend: Option<IpAddr>,
}

/// One counter of all of them.
#[derive(Debug)]
struct Counter {
    metric: String,
    help: String,
    values: BTreeMap<Who, u64>,
}

/// The counters of services and backends.
#[derive(Debug, Default)]
pub(super) struct Services(Vec<Counter>);

impl Services {
    pub(super) fn new(services: Vec<ServiceStats>, backends: Vec<BackendStats>) -> Self {
        let mut all = Self::default();
        for one in services {
            let service = label(one.table, one.name);
            let who = Who {
                service,
                backend: None,
            };
            all.add(&who, "glb_director_service", "service", one.counters);
        }
        for one in backends {
            let backend = match one.addr {
                Addr::V4(bytes) => bytes.into(),
                Addr::V6(bytes) => bytes.into(),
            };
            let who = Who {
                service: label(one.table, one.name),
                backend: Some(backend),
            };
            all.add(&who, "glb_director_backend", "backend", one.counters);
        }
        all
    }

    fn add(&mut self, who: &Who, stem: &str, whose: &str, counters: Vec<(String, u64)>) {
        for (name, value) in counters {
            let Some(metric) = metric(stem, &name) else {
                continue;
            };
            let at = self.0.iter().position(|one| one.metric == metric);
            let at = at.unwrap_or_else(|| {
                self.0.push(Counter {
                    metric,
                    help: format!("{name} of each {whose} of the director module."),
                    values: BTreeMap::new(),
                });
                self.0.len() - 1
            });
            // A table may have an address twice, and tables may share a name: a series must not come twice.
            let sum = self.0[at].values.entry(who.clone()).or_default();
            *sum = sum.wrapping_add(value);
        }
    }

    pub(super) fn write(&self, text: &mut Text) {
        for counter in &self.0 {
            let mut family = text.named(counter.metric.clone(), Type::Counter, &counter.help);
            for (who, value) in &counter.values {
                let backend = who.backend.map(|addr| addr.to_string());
                let backend = backend.as_deref().map(|addr| ("backend", addr));
                let labels = [("service", &*who.service)].into_iter().chain(backend);
                family.sample(&labels.collect::<Vec<_>>(), *value as f64);
            }
        }
    }
}

/// What a table is called, here and in the daemon's own metrics.
fn label(index: u32, name: String) -> String {
    match name.is_empty() {
        true => format!("#{index}"),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(values: &[(&str, u64)]) -> Vec<(String, u64)> {
        let owned = |(name, value): &(&str, u64)| ((*name).to_owned(), *value);
        values.iter().map(owned).collect()
    }

    fn service(table: u32, name: &str, values: &[(&str, u64)]) -> ServiceStats {
        ServiceStats {
            table,
            name: name.to_owned(),
            counters: counters(values),
        }
    }

    fn backend(table: u32, name: &str, addr: [u8; 4], values: &[(&str, u64)]) -> BackendStats {
        BackendStats {
            table,
            name: name.to_owned(),
            addr: Addr::V4(addr),
            id: 256,
            counters: counters(values),
        }
    }

    #[test]
    fn a_counter_is_a_family_with_a_series_for_each() {
        let services = Services::new(
            vec![
                service(
                    0,
                    "web",
                    &[("known_flow_packets", 7), ("dropped_no_hop_packets", 0)],
                ),
                service(1, "", &[("dropped_no_hop_packets", 2), ("no name", 3)]),
            ],
            vec![
                backend(
                    0,
                    "web",
                    [10, 0, 0, 2],
                    &[("sent_packets", 5), ("sent_bytes", 500)],
                ),
                backend(0, "web", [10, 0, 0, 10], &[("sent_packets", 6)]),
                // The same address once more.
                backend(0, "web", [10, 0, 0, 2], &[("sent_packets", 1)]),
                backend(1, "", [10, 0, 0, 2], &[("sent_packets", 9)]),
            ],
        );
        let mut text = Text::default();
        services.write(&mut text);
        assert_eq!(
            text.finish(),
            "# HELP glb_director_service_known_flow_packets_total known_flow_packets of each service of the director module.\n\
             # TYPE glb_director_service_known_flow_packets_total counter\n\
             glb_director_service_known_flow_packets_total{service=\"web\"} 7\n\
             # HELP glb_director_service_dropped_no_hop_packets_total dropped_no_hop_packets of each service of the director module.\n\
             # TYPE glb_director_service_dropped_no_hop_packets_total counter\n\
             glb_director_service_dropped_no_hop_packets_total{service=\"#1\"} 2\n\
             glb_director_service_dropped_no_hop_packets_total{service=\"web\"} 0\n\
             # HELP glb_director_backend_sent_packets_total sent_packets of each backend of the director module.\n\
             # TYPE glb_director_backend_sent_packets_total counter\n\
             glb_director_backend_sent_packets_total{service=\"#1\",backend=\"10.0.0.2\"} 9\n\
             glb_director_backend_sent_packets_total{service=\"web\",backend=\"10.0.0.2\"} 6\n\
             glb_director_backend_sent_packets_total{service=\"web\",backend=\"10.0.0.10\"} 6\n\
             # HELP glb_director_backend_sent_bytes_total sent_bytes of each backend of the director module.\n\
             # TYPE glb_director_backend_sent_bytes_total counter\n\
             glb_director_backend_sent_bytes_total{service=\"web\",backend=\"10.0.0.2\"} 500\n"
        );
    }
}
