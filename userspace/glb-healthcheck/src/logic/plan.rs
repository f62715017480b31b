// SPDX-License-Identifier: GPL-2.0

//! The targets to check, from the operator's tables.

use super::known::Known;
use super::probe::{Ask, Probe, Target, Tunnel, Way};
use glb_config::tables::{Config, Table, TableBackend};
use glb_core::backend::State;
use glb_core::packet::addr::Addr;
use glb_core::settings::Settings;
use serde_json::Value;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A backend of a table.
#[derive(Debug, Clone)]
pub(crate) struct PlannedBackend {
    pub(crate) addr: IpAddr,
    pub(crate) state: State,
    /// Positions in [`Plan::targets`].
    pub(crate) targets: Vec<usize>,
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct PlannedTable {
    pub(crate) name: String,
    /// What the table is compared by with other directors'.
    pub(crate) digest: u64,
    pub(crate) backends: Vec<PlannedBackend>,
}

impl PlannedTable {
    /// How many backends take part: the share that may be marked down is one of these.
    pub(crate) fn usable(&self) -> usize {
        let usable = |b: &&PlannedBackend| b.state != State::Inactive;
        self.backends.iter().filter(usable).count()
    }
}

/// All that is to be checked.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) targets: Vec<Arc<Target>>,
    pub(crate) tables: Vec<PlannedTable>,
    /// The operator's file, which the results are written into.
    pub(crate) tree: Value,
}

impl Plan {
    pub(crate) fn new(config: Config) -> Self {
        let mut targets = Targets::default();
        let tables = config.tables.iter().enumerate().map(|(index, table)| {
            let backends = table.backends.iter().map(|backend| PlannedBackend {
                addr: ip(backend.backend.addr),
                state: backend.backend.state,
                targets: probes(table, backend)
                    .into_iter()
                    .map(|probe| {
                        let timing = backend.checks.timing.or(&config.healthchecks);
                        targets.position(Target { probe, timing })
                    })
                    .collect(),
            });
            PlannedTable {
                name: table.name.clone().unwrap_or_else(|| format!("#{index}")),
                digest: table.digest(),
                backends: backends.collect(),
            }
        });
        let tables = tables.collect();
        Self {
            targets: targets.list,
            tables,
            tree: config.tree,
        }
    }

    /// What the file itself says of its backends' health, where it says it.
    pub(crate) fn health(&self) -> Known {
        let mut known = Known::new();
        for (index, table) in self.tables.iter().enumerate() {
            for (place, backend) in table.backends.iter().enumerate() {
                let healthy = &self.tree["tables"][index]["backends"][place]["healthy"];
                if let Some(healthy) = healthy.as_bool() {
                    known.insert((table.name.clone(), backend.addr), healthy);
                }
            }
        }
        known
    }

    /// The operator's file with `healthy` in each backend; all else is as it was.
    pub(crate) fn with_health(&self, healthy: &[Vec<bool>]) -> Value {
        let mut tree = self.tree.clone();
        for (table, healthy) in healthy.iter().enumerate() {
            let backends = tree["tables"][table]["backends"].as_array_mut();
            for (backend, healthy) in backends.into_iter().flatten().zip(healthy) {
                backend["healthy"] = Value::Bool(*healthy);
            }
        }
        tree
    }
}

/// Targets, each once.
#[derive(Default)]
struct Targets {
    list: Vec<Arc<Target>>,
    positions: HashMap<Arc<Target>, usize>,
}

impl Targets {
    fn position(&mut self, target: Target) -> usize {
        let target = Arc::new(target);
        let next = self.list.len();
        let position = *self.positions.entry(target.clone()).or_insert(next);
        if position == next {
            self.list.push(target);
        }
        position
    }
}

/// The forward whose backends do not answer from the VIP: a check of their own address finds all that there is to find.
const ANSWERS_ITSELF: &str = "nat";

/// What is asked of a backend; nothing of an inactive one.
fn probes(table: &Table, backend: &TableBackend) -> Vec<Probe> {
    if backend.backend.state == State::Inactive {
        return Vec::new();
    }
    let addr = ip(backend.backend.addr);
    let checks = &backend.checks;
    let at = |port| SocketAddr::new(addr, port);
    let mut probes = Vec::new();
    let asks = [
        checks.http.clone().map(Ask::Http),
        checks.https.clone().map(Ask::Https),
        checks.tcp.map(Ask::Tcp),
    ];
    for ask in asks.into_iter().flatten() {
        probes.push(Probe::Direct(addr, ask.clone()));
        if checks.through && table.forward.name() != ANSWERS_ITSELF {
            let way = Way {
                forward: table.forward,
                backend: addr,
                udp_port: checks.gue.unwrap_or(Settings::DEFAULT.udp_port),
            };
            let vips = table.vips(Some(ask.port())).into_iter();
            probes.extend(vips.map(|vip| Probe::Through(way, ip(vip), ask.clone())));
        }
    }
    let echo = |tunnel, port, inner| Probe::Echo {
        tunnel,
        outer: at(port),
        inner,
    };
    if let Some(port) = checks.gue {
        probes.push(echo(Tunnel::Gue, port, addr));
        if checks.gue_vip {
            let vips = table.vips(None).into_iter().map(ip);
            let vips = vips.filter(|vip| *vip != addr);
            probes.extend(vips.map(|vip| echo(Tunnel::Gue, port, vip)));
        }
    }
    probes.extend(checks.fou.map(|port| echo(Tunnel::Fou, port, addr)));
    probes
}

pub(crate) fn ip(addr: Addr) -> IpAddr {
    match addr {
        Addr::V4(bytes) => bytes.into(),
        Addr::V6(bytes) => bytes.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        let checked = glb_config::tables::read("f", text);
        Plan::new(checked.into_result().expect("a good file").0)
    }

    fn text(backends: &str) -> String {
        format!(
            r#"{{"tables": [
            {{"name": "a", "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
              "binds": [{{"ip": "9.9.9.9", "proto": "tcp", "port": 80, "note": "kept"}},
                        {{"ip": "9.9.9.9", "proto": "tcp", "port": 443}},
                        {{"ip": "fd00::9", "proto": "tcp", "port": 80}},
                        {{"ip": "8.8.8.0/24", "proto": "tcp", "port": 80}}], "backends": {backends}}},
            {{"name": "b", "hash_key": "12345678901234561234567890123456", "seed": "59a3d861d661ae5ab06ed9326871a2f5",
              "binds": [], "backends": {backends}}}], "owner": {{"team": "edge"}}}}"#
        )
    }

    fn said(plan: &Plan) -> Vec<String> {
        let said = |t: &Arc<Target>| format!("{} {}", t.probe.kind().name(), t.probe);
        plan.targets.iter().map(said).collect()
    }

    #[test]
    fn targets_are_unique_and_inactive_backends_have_none() {
        let plan = plan(&text(
            r#"[{"ip": "1.1.1.1", "state": "active", "healthchecks": {"http": 80, "gue": 19523, "gue_vip": true}},
                {"ip": "1.1.1.2", "state": "draining", "healthchecks": {"tcp": 22, "fou": 9523, "https": 443, "https_host": "h"}},
                {"ip": "1.1.1.3", "state": "inactive", "healthchecks": {"http": 80}},
                {"ip": "1.1.1.4", "state": "filling"}]"#,
        ));
        assert_eq!(
            said(&plan),
            [
                "http 1.1.1.1:80/",
                "gue 1.1.1.1:19523",
                "gue_vip 9.9.9.9 through 1.1.1.1:19523",
                "gue_vip fd00::9 through 1.1.1.1:19523",
                "https 1.1.1.2:443/ as h",
                "tcp 1.1.1.2:22",
                "fou 1.1.1.2:9523",
            ]
        );
        let of = |table: &PlannedTable| -> Vec<Vec<usize>> {
            table.backends.iter().map(|b| b.targets.clone()).collect()
        };
        assert_eq!(
            of(&plan.tables[0]),
            [vec![0, 1, 2, 3], vec![4, 5, 6], vec![], vec![]]
        );
        // The second table has no VIP to ask for, and shares the others.
        assert_eq!(
            of(&plan.tables[1]),
            [vec![0, 1], vec![4, 5, 6], vec![], vec![]]
        );
        assert_eq!(plan.tables[0].usable(), 3);
    }

    #[test]
    fn through_the_forward_each_vip_with_the_port_is_asked() {
        let text = r#"{"tables": [{"name": "a", "hash_key": "12345678901234561234567890123456",
            "seed": "49a3d861d661ae5ab06ed9326871a2f5", "select": {"kind": "maglev"}, "forward": {"kind": "l3dsr", "dscp": 7},
            "binds": [{"ip": "9.9.9.9", "proto": "tcp", "port": 80}, {"ip": "9.9.9.8", "proto": "tcp", "port_start": 1, "port_end": 443},
                      {"ip": "9.9.9.7", "proto": "udp", "port": 80}, {"ip": "8.8.8.0/24", "proto": "tcp", "port": 80}],
            "backends": [{"ip": "1.1.1.1", "state": "active", "healthchecks":
                {"http": 80, "http_host": "h", "http_uri": "/x", "tcp": 443, "through": true}}]}]}"#;
        assert_eq!(
            said(&plan(text)),
            [
                "http 1.1.1.1:80/x as h",
                "through http 9.9.9.9:80/x as h by l3dsr through 1.1.1.1",
                "through http 9.9.9.8:80/x as h by l3dsr through 1.1.1.1",
                "tcp 1.1.1.1:443",
                "through tcp 9.9.9.8:443 by l3dsr through 1.1.1.1",
            ]
        );
    }

    #[test]
    fn what_is_written_differs_in_health_alone() {
        let text = text(
            r#"[{"zone": "z1", "healthy": false, "ip": "1.1.1.1", "state": "active"}, {"ip": "1.1.1.2", "state": "active", "x": [1]}]"#,
        );
        let plan = plan(&text);
        let written = plan.with_health(&[vec![true, false], vec![false, true]]);
        let mut expected: Value = serde_json::from_str(&text).unwrap();
        for (table, backend, healthy) in [(0, 0, true), (0, 1, false), (1, 0, false), (1, 1, true)]
        {
            expected["tables"][table]["backends"][backend]["healthy"] = healthy.into();
        }
        // As text, so that the order of the fields counts, too.
        assert_eq!(written.to_string(), expected.to_string());
        assert!(written.to_string().contains(r#""note":"kept""#));
    }

    #[test]
    fn own_timing_makes_a_target_of_its_own() {
        let mut text =
            text(r#"[{"ip": "1.1.1.1", "state": "active", "healthchecks": {"tcp": 22}}]"#);
        let last = text.rfind(r#"{"tcp": 22}"#).unwrap();
        text.replace_range(
            last..,
            &text[last..].replacen("22", r#"22, "interval_ms": 100"#, 1),
        );
        let plan = plan(&text);
        let intervals: Vec<_> = plan
            .targets
            .iter()
            .map(|t| t.interval().as_millis())
            .collect();
        assert_eq!(intervals, [2000, 100]);
    }
}
