// SPDX-License-Identifier: GPL-2.0

//! How many connections of each proxy depend on second chance: by the proxies' own word, which their `/metrics` has, or by a
//! count on this machine. What a proxy counts by another table, with other hash fields or with another health, is of no use.

use super::ip;
use crate::cli::backend::BackendStatus;
use crate::commands::flows::{addresses, not_in_a_table, Count, Source};
use crate::http::{label, samples};
use crate::output::Failure;
use glb_config::flows::{Counted, FileTables, Listed};
use glb_config::opened::Opened;
use glb_config::quoted;
use glb_config::settings;
use glb_config::tables::Config;
use glb_core::settings::{Setting, Settings};
use glb_netlink::sock_diag::Sockets;
use glb_netlink::unseen::unseen;
use std::collections::HashMap;
use std::net::IpAddr;

const VALID: &str = "glb_redirect_flows_valid";
const DEPENDENT: &str = "glb_redirect_dependent_connections";
const FIRST: &str = "glb_redirect_first_hop_connections";
const OUTSIDE: &str = "glb_redirect_outside_connections";
const UNSEEN: &str = "glb_redirect_flows_unseen";
const TABLE_INFO: &str = "glb_redirect_flows_table_info";
const CONFIG_INFO: &str = "glb_redirect_flows_config_info";

/// Connections of one proxy and table, by their first hop.
type ByHop = HashMap<IpAddr, u64>;

/// The connections that a proxy has of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Those that depend on second chance.
    pub(super) by_hop: ByHop,
    /// Those that come to it first.
    pub(super) first: u64,
    /// Why there may be more.
    pub(super) doubt: Option<String>,
}

impl Held {
    pub(super) fn dependent(&self) -> u64 {
        self.by_hop.values().sum()
    }
}

/// What a proxy says of its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// The hash fields that it counts by, the alternative ones behind them.
    fields: Vec<String>,
    /// By table: which backend it counts as, and what the table is.
    infos: HashMap<String, (String, String)>,
    /// By table.
    dependent: HashMap<String, ByHop>,
    first: HashMap<String, u64>,
    doubt: Option<String>,
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
        infos: HashMap::new(),
        dependent: HashMap::new(),
        first: HashMap::new(),
        doubt: None,
    };
    for (labels, _) in of(CONFIG_INFO) {
        let names = ["hash_fields", "alt_hash_fields"];
        told.fields = names
            .iter()
            .filter_map(|name| label(labels, name))
            .collect();
    }
    for (labels, _) in of(TABLE_INFO) {
        let [table, backend, digest] =
            ["table", "backend", "digest"].map(|name| label(labels, name));
        if let (Some(table), Some(backend), Some(digest)) = (table, backend, digest) {
            told.infos.insert(table, (backend, digest));
        }
    }
    for (labels, value) in of(DEPENDENT) {
        let hop = label(labels, "first_hop").and_then(|hop| hop.parse().ok());
        let (Some(table), Some(hop)) = (label(labels, "table"), hop) else {
            return Err(format!("{DEPENDENT} without its labels"));
        };
        let value = whole(DEPENDENT, value)?;
        told.dependent.entry(table).or_default().insert(hop, value);
    }
    for (labels, value) in of(FIRST) {
        let missing = || format!("{FIRST} without its label");
        let table = label(labels, "table").ok_or_else(missing)?;
        told.first.insert(table, whole(FIRST, value)?);
    }
    let one = |metric| {
        let missing = || format!("it has no {metric}: its glb-healthcheck is older than this");
        let (_, value) = of(metric).next().ok_or_else(missing)?;
        whole(metric, value)
    };
    told.doubt = match (not_in_a_table(one(OUTSIDE)?), one(UNSEEN)?) {
        (None, 0) => None,
        (Some(outside), _) => Some(outside),
        (None, _) => Some(
            "its redirect also asks the connection tracking, or network namespaces that are not counted".to_owned(),
        ),
    };
    Ok(told)
}

/// What is no whole number is none of ours.
fn whole(metric: &str, value: f64) -> Result<u64, String> {
    if value >= 0.0 && value.fract() == 0.0 {
        return Ok(value as u64);
    }
    Err(format!("{metric} is {value}"))
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
    pub(super) fn of(&self, wanted: &Wanted<'_>, asked: IpAddr) -> Result<Held, String> {
        let fields = fields(wanted.settings);
        if self.fields != fields {
            return Err(format!(
                "it counts by the hash fields {}, and not {}: see redirect_flows.director there, and --config here",
                self.fields.join(" and "),
                fields.join(" and ")
            ));
        }
        match self.infos.get(wanted.label) {
            // Such as all proxies with one configuration that names one of them.
            Some((backend, _)) if backend.parse() != Ok(asked) => {
                return Err(format!(
                    "it counts as the backend {}, and not as {asked}: see redirect_flows.backend there",
                    quoted(backend)
                ));
            }
            Some((_, digest)) if *digest == format!("{:016x}", wanted.digest) => {}
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
        let first = self.first.get(wanted.label);
        let missing = || format!("it has no {FIRST} of the table");
        Ok(Held {
            by_hop: self
                .dependent
                .get(wanted.label)
                .cloned()
                .unwrap_or_default(),
            first: *first.ok_or_else(missing)?,
            doubt: self.doubt.clone(),
        })
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
    tables: Vec<Option<(IpAddr, Held)>>,
    /// Its addresses, and why nothing could be counted.
    fault: Option<String>,
    addresses: Vec<IpAddr>,
}

impl Here {
    /// Counts. That it cannot be done matters only where this machine is a proxy.
    pub(super) fn count(config: &Config, settings: &Settings, args: &BackendStatus) -> Self {
        let Ok(addresses) = addresses() else {
            return Self::default();
        };
        let backends = config.tables.iter().flat_map(|table| &table.backends);
        let own = backends.filter(|one| addresses.contains(&one.backend.addr));
        let own: Vec<IpAddr> = own.map(|one| ip(one.backend.addr)).collect();
        if own.is_empty() {
            return Self::default();
        }
        let counted = || -> Result<Vec<Option<(IpAddr, Held)>>, Failure> {
            let tables = FileTables::new(Opened::of(config.clone()), *settings);
            let mut source = Source::of(&args.file, tables.map_err(Failure::Message)?);
            let listed: Vec<Listed> = source.listed();
            let mut count = Count {
                tables: &listed,
                addresses: &addresses,
                backend: None,
                direct: &args.direct,
            };
            let mut sockets = Sockets::open(&args.netns)?;
            let census = count.run(&mut source, &mut sockets, &mut |_| {})?;
            let outside = not_in_a_table(census.outside.values().sum());
            let doubt = outside.or_else(|| unseen(&sockets).into_iter().next());
            let held = |counted: &Counted| {
                let others = counted.others.iter();
                Held {
                    by_hop: others
                        .map(|(addr, of)| (ip(*addr), of.connections))
                        .collect(),
                    first: counted.first,
                    doubt: doubt.clone(),
                }
            };
            let tables = census.own().iter().zip(&census.tables);
            let tables = tables.map(|(own, counted)| {
                let own = (*own)?;
                Some((ip(own.addr), held(counted)))
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
    pub(super) fn of(&self, table: usize, backend: IpAddr) -> Option<Result<Held, String>> {
        if let Some(fault) = &self.fault {
            return self
                .addresses
                .contains(&backend)
                .then(|| Err(fault.clone()));
        }
        let (own, held) = self.tables.get(table)?.as_ref()?;
        (*own == backend).then(|| Ok(held.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "glb_redirect_flows_valid 1
glb_redirect_dependent_connections{table=\"we\\\"b\",first_hop=\"10.0.0.2\"} 7
glb_redirect_dependent_connections{table=\"we\\\"b\",first_hop=\"fd00::3\"} 0
glb_redirect_dependent_connections_other 3
glb_redirect_first_hop_connections{table=\"we\\\"b\"} 4
glb_redirect_outside_connections 0
glb_redirect_flows_unseen 0
glb_redirect_flows_table_info{table=\"we\\\"b\",backend=\"10.0.0.1\",digest=\"00000000000000ff\"} 1
glb_redirect_flows_config_info{hash_fields=\"src_addr\",alt_hash_fields=\"none\"} 1
";

    fn wanted(label: &str, digest: u64, settings: &Settings) -> Result<Held, String> {
        let wanted = Wanted {
            label,
            digest,
            settings,
        };
        told(PAGE).expect("good").of(&wanted, hop("10.0.0.1"))
    }

    fn hop(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn what_another_backend_says_is_not_ones_own() {
        let settings = Settings::DEFAULT;
        let wanted = Wanted {
            label: "we\"b",
            digest: 0xff,
            settings: &settings,
        };
        let told = told(PAGE).expect("good");
        assert!(told.of(&wanted, hop("10.0.0.1")).is_ok());
        let said = told.of(&wanted, hop("10.0.0.2")).expect_err("another");
        assert!(
            said.contains("10.0.0.1") && said.contains("not as 10.0.0.2"),
            "{said}"
        );
    }

    #[test]
    fn what_no_table_has_is_a_doubt() {
        for (from, to, doubt) in [
            ("outside_connections 0", "outside_connections 0", None),
            (
                "outside_connections 0",
                "outside_connections 2",
                Some("2 connections are not in the table"),
            ),
            (
                "flows_unseen 0",
                "flows_unseen 1",
                Some("connection tracking"),
            ),
        ] {
            let told = told(&PAGE.replace(from, to)).expect("good");
            match (told.doubt, doubt) {
                (None, None) => {}
                (Some(said), Some(doubt)) => assert!(said.contains(doubt), "{said}"),
                other => panic!("{to}: {other:?}"),
            }
        }
        for lacks in [
            "glb_redirect_outside_connections 0
",
            "glb_redirect_flows_unseen 0
",
        ] {
            let said = told(&PAGE.replace(lacks, "")).expect_err(lacks);
            assert!(said.contains("is older"), "{said}");
        }
        let told = told(&PAGE.replace("first_hop_connections{", "other{")).expect("good");
        let settings = Settings::DEFAULT;
        let wanted = Wanted {
            label: "we\"b",
            digest: 0xff,
            settings: &settings,
        };
        assert!(told.of(&wanted, hop("10.0.0.1")).is_err());
    }

    #[test]
    fn numbers_count_where_the_table_is_the_same() {
        let settings = Settings::DEFAULT;
        assert_eq!(fields(&settings), ["src_addr", "none"]);
        let good = wanted("we\"b", 0xff, &settings).expect("the same table");
        let by_hop = HashMap::from([(hop("10.0.0.2"), 7), (hop("fd00::3"), 0)]);
        assert_eq!(
            good,
            Held {
                by_hop,
                first: 4,
                doubt: None
            }
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
