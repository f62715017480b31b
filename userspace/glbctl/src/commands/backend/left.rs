// SPDX-License-Identifier: GPL-2.0

//! How many connections of each proxy depend on second chance: by the proxies' own word, which their `/metrics` has, or by a
//! count on this machine. What a proxy counts by another table, with other hash fields or with another health, is of no use.

use super::ip;
use crate::commands::flows::{addresses, Count, Source};
use crate::http::{label, samples};
use crate::output::Failure;
use glb_config::flows::{FileTables, Listed};
use glb_config::opened::Opened;
use glb_config::settings;
use glb_config::tables::Config;
use glb_core::packet::addr::Addr;
use glb_core::settings::{Setting, Settings};
use glb_netlink::sock_diag::Sockets;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

const VALID: &str = "glb_redirect_flows_valid";
const DEPENDENT: &str = "glb_redirect_dependent_connections";
const TABLE_INFO: &str = "glb_redirect_flows_table_info";
const CONFIG_INFO: &str = "glb_redirect_flows_config_info";

/// Connections of one proxy and table, by their first hop.
pub(super) type ByHop = HashMap<IpAddr, u64>;

/// What a proxy says of its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// The hash fields that it counts by, the alternative ones behind them.
    fields: Vec<String>,
    /// By table: what the table is.
    digests: HashMap<String, String>,
    /// By table.
    dependent: HashMap<String, ByHop>,
}

/// What a proxy's page says; or why it does not.
pub(super) fn told(page: &str) -> Result<Told, String> {
    let of = |metric: &'static str| {
        samples(page).filter_map(move |(name, value)| {
            let labels = name.strip_prefix(metric)?;
            (labels.is_empty() || labels.starts_with('{')).then_some((labels, value))
        })
    };
    match of(VALID).next() {
        Some((_, valid)) if valid > 0.0 => {}
        Some(_) => return Err("it could not count them: its log says why".to_owned()),
        None => {
            return Err(
                "it does not count them: redirect_flows is not in its healthcheck.conf".to_owned(),
            )
        }
    }
    let mut told = Told {
        fields: Vec::new(),
        digests: HashMap::new(),
        dependent: HashMap::new(),
    };
    for (labels, _) in of(CONFIG_INFO) {
        let names = ["hash_fields", "alt_hash_fields"];
        told.fields = names
            .iter()
            .filter_map(|name| label(labels, name))
            .collect();
    }
    for (labels, _) in of(TABLE_INFO) {
        if let (Some(table), Some(digest)) = (label(labels, "table"), label(labels, "digest")) {
            told.digests.insert(table, digest);
        }
    }
    for (labels, value) in of(DEPENDENT) {
        let hop = label(labels, "first_hop").and_then(|hop| hop.parse().ok());
        let (Some(table), Some(hop)) = (label(labels, "table"), hop) else {
            return Err(format!("{DEPENDENT} without its labels"));
        };
        // What is no whole number is none of ours.
        if !(value >= 0.0 && value.fract() == 0.0) {
            return Err(format!("{DEPENDENT} is {value}"));
        }
        told.dependent
            .entry(table)
            .or_default()
            .insert(hop, value as u64);
    }
    Ok(told)
}

/// The table that numbers are wanted for.
pub(super) struct Wanted<'a> {
    pub(super) label: &'a str,
    /// What tells it from others.
    pub(super) digest: u64,
    pub(super) settings: &'a Settings,
}

impl Told {
    /// The connections of a table; or why its numbers are of no use.
    pub(super) fn of(&self, wanted: &Wanted<'_>) -> Result<ByHop, String> {
        let fields = fields(wanted.settings);
        if self.fields != fields {
            return Err(format!(
                "it counts by the hash fields {}, and not {}: see redirect_flows.director there, and --config here",
                self.fields.join(" and "),
                fields.join(" and ")
            ));
        }
        match self.digests.get(wanted.label) {
            Some(digest) if *digest == format!("{:016x}", wanted.digest) => {}
            Some(_) => {
                return Err(
                    "it counts by another table, or by another health: bring it this one"
                        .to_owned(),
                );
            }
            None => {
                return Err(
                    "it does not say by which table it counts: give it this one, JSON".to_owned(),
                );
            }
        }
        Ok(self
            .dependent
            .get(wanted.label)
            .cloned()
            .unwrap_or_default())
    }
}

/// The hash fields as the metric has them.
fn fields(all: &Settings) -> Vec<String> {
    let is_field = |one: &&Setting| ["hash_fields", "alt_hash_fields"].contains(&one.field);
    let of = Setting::ALL.iter().filter(is_field);
    of.map(|one| settings::text(all.get(one))).collect()
}

/// The connections of this machine, if it is one of the proxies.
#[derive(Default)]
pub(super) struct Here {
    /// By the place of the table: which backend this machine is, and its connections.
    tables: Vec<Option<(IpAddr, ByHop)>>,
    /// Its addresses, and why nothing could be counted.
    fault: Option<String>,
    addresses: Vec<IpAddr>,
}

impl Here {
    /// Counts. That it cannot be done matters only where this machine is a proxy.
    pub(super) fn count(
        path: &Path,
        config: &Config,
        settings: &Settings,
        netns: &[String],
    ) -> Self {
        let Ok(addresses) = addresses() else {
            return Self::default();
        };
        let backends = config.tables.iter().flat_map(|table| &table.backends);
        let own = backends.filter(|one| addresses.contains(&one.backend.addr));
        let own: Vec<IpAddr> = own.map(|one| ip(one.backend.addr)).collect();
        if own.is_empty() {
            return Self::default();
        }
        let counted = || -> Result<Vec<Option<(IpAddr, ByHop)>>, Failure> {
            let tables = FileTables::new(Opened::of(config.clone()), *settings);
            let mut source = Source::of(path, tables.map_err(Failure::Message)?);
            let listed: Vec<Listed> = source.listed();
            let mut count = Count {
                tables: &listed,
                addresses: &addresses,
                backend: None,
            };
            let mut sockets = Sockets::open(netns)?;
            let census = count.run(&mut source, &mut sockets, &mut |_| {})?;
            let by_hop =
                |others: &std::collections::BTreeMap<Addr, glb_config::flows::Dependent>| {
                    let others = others.iter();
                    others
                        .map(|(addr, of)| (ip(*addr), of.connections))
                        .collect()
                };
            let tables = census.own().iter().zip(&census.tables);
            let tables = tables.map(|(own, counted)| {
                let own = (*own)?;
                Some((ip(own.addr), by_hop(&counted.others)))
            });
            Ok(tables.collect())
        };
        match counted() {
            Ok(tables) => Self {
                tables,
                ..Self::default()
            },
            Err(failure) => Self {
                fault: Some(failure.text()),
                addresses: own,
                ..Self::default()
            },
        }
    }

    /// The connections of a backend, if it is this machine.
    pub(super) fn of(&self, table: usize, backend: IpAddr) -> Option<Result<ByHop, String>> {
        if let Some(fault) = &self.fault {
            return self
                .addresses
                .contains(&backend)
                .then(|| Err(fault.clone()));
        }
        let (own, dependent) = self.tables.get(table)?.as_ref()?;
        (*own == backend).then(|| Ok(dependent.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "glb_redirect_flows_valid 1
glb_redirect_dependent_connections{table=\"we\\\"b\",first_hop=\"10.0.0.2\"} 7
glb_redirect_dependent_connections{table=\"we\\\"b\",first_hop=\"fd00::3\"} 0
glb_redirect_dependent_connections_other 3
glb_redirect_flows_table_info{table=\"we\\\"b\",backend=\"10.0.0.1\",digest=\"00000000000000ff\"} 1
glb_redirect_flows_config_info{hash_fields=\"src_addr\",alt_hash_fields=\"none\"} 1
";

    fn wanted(label: &str, digest: u64, settings: &Settings) -> Result<ByHop, String> {
        told(PAGE).expect("good").of(&Wanted {
            label,
            digest,
            settings,
        })
    }

    #[test]
    fn numbers_count_where_the_table_is_the_same() {
        let settings = Settings::DEFAULT;
        assert_eq!(fields(&settings), ["src_addr", "none"]);
        let good = wanted("we\"b", 0xff, &settings).expect("the same table");
        let hop = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(
            good,
            HashMap::from([(hop("10.0.0.2"), 7), (hop("fd00::3"), 0)])
        );
        let said = wanted("we\"b", 0xfe, &settings).expect_err("another table");
        assert!(said.contains("another table"), "{said}");
        let said = wanted("web", 0xff, &settings).expect_err("no such table");
        assert!(said.contains("by which table"), "{said}");
        let mut other = Settings::DEFAULT;
        other.alt_hash_fields = Some(glb_core::director::select::hash::HashFields::SRC_PORT);
        let said = wanted("we\"b", 0xff, &other).expect_err("other fields");
        assert!(said.contains("hash fields src_addr and none"), "{said}");
    }

    #[test]
    fn what_is_not_said_is_not_0() {
        for (page, reason) in [
            ("", "does not count"),
            ("glb_redirect_accepted_syn_packets_total 1\n", "does not count"),
            ("glb_redirect_flows_valid 0\n", "could not count"),
            ("glb_redirect_flows_valid 1\nglb_redirect_dependent_connections{table=\"a\"} 1\n", "without its labels"),
            (
                "glb_redirect_flows_valid 1\nglb_redirect_dependent_connections{table=\"a\",first_hop=\"1.1.1.1\"} NaN\n",
                "is NaN",
            ),
        ] {
            let said = told(page).expect_err(page);
            assert!(said.contains(reason), "{page}: {said}");
        }
    }
}
