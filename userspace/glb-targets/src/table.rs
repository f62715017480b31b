// SPDX-License-Identifier: GPL-2.0

//! The operator's table, and what becomes of it: the backends of the services are the targets.
//!
//! A backend's place in the table is its identifier. Identifiers that nobody has are inactive backends of an address that no
//! machine has, so that the others keep their places.

use crate::target::{text, Target};
use glb_config::targets::{ServiceConf, TargetsConf};
use glb_config::{tables, Checked, Issue, Severity};
use serde_json::{json, Value};
use std::net::IpAddr;

/// A service whose targets are looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// Its place among the tables.
    table: usize,
    /// The mark of identifier 0.
    pub(crate) offset: u32,
    /// The routing table of identifier 0.
    pub(crate) first_routing_table: u32,
    pub(crate) max_targets: u16,
    /// Whether packets of IPv4 and of IPv6 may come, as far as the table says.
    pub(crate) families: [bool; 2],
}

impl Service {
    pub(crate) fn mark(&self, id: u16) -> u32 {
        self.offset.saturating_add(id.into())
    }

    pub(crate) fn routing_table(&self, id: u16) -> u32 {
        self.first_routing_table.saturating_add(id.into())
    }
}

/// The operator's table.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) services: Vec<Service>,
    tree: Value,
}

/// Tables that the kernel has for itself: default, main, local.
const RESERVED: std::ops::RangeInclusive<u32> = 253..=255;

impl Base {
    /// Reads the operator's table. What it says of the backends of the services is not looked at.
    pub(crate) fn read(file: &str, text: &str, config: &TargetsConf) -> Checked<Self> {
        let tree: Value = match serde_json::from_str(text) {
            Ok(tree) => tree,
            Err(_) => {
                // It says what is wrong with it.
                let issues = tables::read(file, text).issues;
                let value = None;
                return Checked { value, issues };
            }
        };
        let mut tree = tree;
        let mut found = Vec::new();
        let mut issues = Vec::new();
        for service in &config.services {
            match table_of(&mut tree, &service.name) {
                Some((place, table)) => {
                    table["backends"] = json!([nobody(false)]);
                    found.push((place, service));
                }
                None => issues.push(error(
                    file,
                    service,
                    "",
                    "there is no table of this name, which targets.conf has as a service",
                )),
            }
        }
        let checked = tables::read_with_classes(file, &tree.to_string());
        issues.extend(checked.issues);
        let Some(tables) = checked.value else {
            return Checked {
                value: None,
                issues,
            };
        };
        let mut services = Vec::new();
        for (place, conf) in found {
            match service(&tables, place, conf) {
                Ok(service) => services.push(service),
                Err((field, reason)) => issues.push(error(file, conf, field, &reason)),
            }
        }
        overlaps(file, &services, &mut issues);
        beside(file, &services, &tables, &mut issues);
        let good = !issues.iter().any(|issue| issue.severity == Severity::Error);
        let tree = tables.tree;
        Checked {
            value: good.then_some(Self { services, tree }),
            issues,
        }
    }

    /// The table with these targets, each with whether it is active.
    pub(crate) fn with(&self, targets: &[(&Target, bool)]) -> Value {
        let mut tree = self.tree.clone();
        for (index, service) in self.services.iter().enumerate() {
            let own = || targets.iter().filter(move |(one, _)| one.service == index);
            let v6 = own().any(|(one, _)| one.is_known_by_v6());
            let places = own().map(|(one, _)| usize::from(one.id) + 1).max();
            let free = |place| free(place, v6);
            let mut backends: Vec<Value> = (0..places.unwrap_or(0)).map(free).collect();
            for (one, active) in own() {
                let state = if *active { "active" } else { "inactive" };
                let ip = text(one.addresses.first().copied());
                backends[usize::from(one.id)] = json!({"ip": ip, "state": state, "healthy": true});
            }
            if !own().any(|(_, active)| *active) {
                // A table without a backend that may be used is no table: in this one nobody has all rows, and a rule drops what has
                // the mark.
                let last = usize::from(service.max_targets);
                backends.extend((backends.len()..last).map(free));
                backends.push(nobody(v6));
            }
            if let Some(table) = tree
                .get_mut("tables")
                .and_then(|all| all.get_mut(service.table))
            {
                table["backends"] = backends.into();
            }
        }
        tree
    }
}

/// The table of this name, and its place.
fn table_of<'t>(tree: &'t mut Value, name: &str) -> Option<(usize, &'t mut Value)> {
    let tables = tree.get_mut("tables")?.as_array_mut()?;
    let mut tables = tables.iter_mut().enumerate();
    tables.find(|(_, table)| {
        table.is_object() && table.get("name").and_then(Value::as_str) == Some(name)
    })
}

/// What a service is, or which field of its table keeps it from being one.
fn service(
    tables: &tables::Config,
    place: usize,
    conf: &ServiceConf,
) -> Result<Service, (&'static str, String)> {
    let table = &tables.tables[place];
    let Some(offset) = table.forward.mark_offset() else {
        return Err((
            "forward",
            "must be of kind \"mark\": targets are reached by marks".to_owned(),
        ));
    };
    if !matches!(table.rule, tables::Rule::Maglev { .. }) {
        return Err((
            "select",
            "must be of kind \"maglev\": its rows do not depend on who is not there".to_owned(),
        ));
    }
    let first = conf.first_routing_table.unwrap_or(offset.value());
    let last = u32::from(conf.max_targets - 1);
    if first.checked_add(last).is_none() {
        return Err((
            "forward.offset",
            format!(
                "routing tables from {first} on: {} are more than there are",
                conf.max_targets
            ),
        ));
    }
    if first <= *RESERVED.end() && first + last >= *RESERVED.start() {
        let reason = format!(
            "the routing tables of the targets would be {first} to {}, and 253 to 255 are the kernel's: set first_routing_table of the \
             service, or a smaller max_targets, in targets.conf",
            first + last
        );
        return Err(("forward.offset", reason));
    }
    let of_binds = table.binds.iter().map(|bind| bind.addr);
    let classes = tables.classes.iter().map(|one| &one.class);
    let of_classes = classes
        .filter(|class| usize::from(class.service) == place)
        .flat_map(|class| class.dst.iter().map(|prefix| prefix.addr));
    let mut families = [false; 2];
    for addr in of_binds.chain(of_classes) {
        families[usize::from(addr.bits() == 128)] = true;
    }
    Ok(Service {
        name: conf.name.clone(),
        table: place,
        offset: offset.value(),
        first_routing_table: first,
        max_targets: conf.max_targets,
        families,
    })
}

/// Errors of services whose marks or routing tables are the same: one would lead the other's packets.
fn overlaps(file: &str, services: &[Service], issues: &mut Vec<Issue>) {
    for (index, one) in services.iter().enumerate() {
        for other in &services[..index] {
            // Behind the last identifier there is one more mark.
            let meet = |a: u32, b: u32, more: u32| {
                let first = if a < b { one } else { other };
                a.abs_diff(b) < u32::from(first.max_targets) + more
            };
            let what = if meet(one.offset, other.offset, 1) {
                "marks"
            } else if meet(one.first_routing_table, other.first_routing_table, 0) {
                "routing tables"
            } else {
                continue;
            };
            let reason = format!(
                "{what} of services {} and {} are the same: move one away, or set a smaller max_targets in targets.conf",
                other.name, one.name
            );
            issues.push(Issue {
                severity: Severity::Error,
                file: file.to_owned(),
                table: Some(one.name.clone()),
                field: "forward.offset".to_owned(),
                value: None,
                reason,
            });
        }
    }
}

/// Errors of services among whose marks are those of a table that no targets are looked after of: the targets' rules would lead its
/// packets away.
fn beside(file: &str, services: &[Service], tables: &tables::Config, issues: &mut Vec<Issue>) {
    for (place, table) in tables.tables.iter().enumerate() {
        let Some(offset) = table.forward.mark_offset() else {
            continue;
        };
        if services.iter().any(|one| one.table == place) {
            continue;
        }
        let marks = table.backends.iter().map(|one| offset.mark(one.identifier));
        let (Some(first), Some(last)) = (marks.clone().min(), marks.max()) else {
            continue;
        };
        for one in services {
            // Behind the last identifier there is one more mark.
            let behind = one.mark(one.max_targets);
            if first > behind || last < one.offset {
                continue;
            }
            let reason = format!(
                "the marks of service {}, {} to {behind}, have those of this table among them, {first} to {last}: move one away, or set \
                 a smaller max_targets in targets.conf",
                one.name, one.offset
            );
            issues.push(Issue {
                severity: Severity::Error,
                file: file.to_owned(),
                table: table.name.clone(),
                field: "forward.offset".to_owned(),
                value: None,
                reason,
            });
        }
    }
}

/// The backend behind the last identifier, which nobody is.
fn nobody(v6: bool) -> Value {
    let last = if v6 { "100::ffff" } else { "240.0.255.255" };
    json!({"ip": last, "state": "active", "healthy": true})
}

/// An identifier that nobody has, as an address that no machine has (RFC 6666, and class E).
fn free(place: usize, v6: bool) -> Value {
    let low = u16::try_from(place).unwrap_or(u16::MAX);
    let ip = if v6 {
        IpAddr::from([0x100, 0, 0, 0, 0, 0, 0, low])
    } else {
        let [high, low] = low.to_be_bytes();
        IpAddr::from([240, 0, high, low])
    };
    json!({"ip": ip.to_string(), "state": "inactive", "healthy": false})
}

fn error(file: &str, service: &ServiceConf, field: &str, reason: &str) -> Issue {
    Issue {
        severity: Severity::Error,
        file: file.to_owned(),
        table: Some(service.name.clone()),
        field: field.to_owned(),
        value: None,
        reason: reason.to_owned(),
    }
}
