// SPDX-License-Identifier: GPL-2.0

//! `forwarding_table.json` (docs/formats.md), and the fields of version 3 tables (docs/rows-v3.md).

mod across;
mod backends;
mod binds;
mod classes;
mod flows;
mod forward;
mod select;

use crate::checks::{read_timing, CHECK_FIELDS};
use crate::issue::{Checked, Issue, Severity};
use crate::read::{Node, Object, Reader};
use across::{check_all_answers, check_counters, check_marks, name_of, Across};
use backends::{read_backends, BACKEND_FIELDS};
use binds::{read_binds, BIND_FIELDS};
use classes::{check_services, read_classes, CLASS_FIELDS};
use flows::{read_flows, FLOWS_FIELDS};
use forward::{check_answers, check_families, check_through, FORWARD_FIELDS};
use glb_core::backend::{Backend, State};
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::classify::flow::NamedClass;
use glb_core::director::{Forward, Select, Selector};
use glb_core::packet::addr::Addr;
use glb_core::table::v3::Words;
use select::{Said, SELECT_FIELDS};
use serde_json::Value;
use std::collections::HashSet;

pub(crate) use across::unlike_flows;
pub(crate) use flows::read_shown_flows;
pub(crate) use forward::read_forward;
pub(crate) use select::{members, read_compat};

pub use crate::checks::{escape_uri, Checks, HttpCheck, HttpsCheck, OwnTiming, Timing};

/// A file of tables.
#[derive(Debug, Clone)]
pub struct Config {
    /// The tables, in the file's order.
    pub tables: Vec<Table>,
    /// The classes, in the file's order.
    pub classes: Vec<NamedClass>,
    /// How the backends are checked.
    pub healthchecks: Timing,
    /// The file as it was read, with the fields that this version does not know.
    pub tree: Value,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// How its rows are made.
    pub rule: Rule,
    /// How its packets leave.
    pub forward: Forward,
    /// What it has beside what all tables have.
    pub words: Words,
    /// Key of the packet hash.
    pub hash_key: [u8; 16],
    /// Key of the row hash.
    pub seed: [u8; 16],
    /// What leads to it.
    pub binds: Vec<Bind>,
    /// Where it leads to.
    pub backends: Vec<TableBackend>,
}

impl Table {
    /// Whether it is a service, which has counters of its own: it has something that deployed directors do not have.
    #[must_use]
    pub fn is_service(&self) -> bool {
        let words = &self.words;
        words.select != Select::Rows || self.forward != Forward::default() || words.flows.is_some()
    }

    /// The backends as the row rules see them.
    #[must_use]
    pub fn core_backends(&self) -> Vec<Backend> {
        self.backends.iter().map(|b| b.backend).collect()
    }

    /// The addresses that lead to it, each once; with a port, those that have that TCP port. A prefix has no address that must
    /// answer.
    #[must_use]
    pub fn vips(&self, port: Option<u16>) -> Vec<Addr> {
        let has_port = |bind: &&Bind| {
            port.is_none_or(|port| {
                matches!(bind.proto, None | Some(Proto::Tcp))
                    && (bind.port_start..=bind.port_end).contains(&port)
            })
        };
        let mut vips = Vec::new();
        for bind in self.binds.iter().filter(has_port) {
            if bind.prefix_len == bind.addr.bits() && !vips.contains(&bind.addr) {
                vips.push(bind.addr);
            }
        }
        vips
    }

    /// The name, or `#index` where there is none.
    #[must_use]
    pub fn label(&self, index: usize) -> String {
        label(self.name.as_deref(), index)
    }
}

fn label(name: Option<&str>, index: usize) -> String {
    name.map_or_else(|| format!("#{index}"), ToOwned::to_owned)
}

/// How rows are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// As deployed: two hops, rendezvous.
    V2,
    /// This project's: see docs/rows-v3.md.
    V3 {
        /// Hops of a row, the first included.
        hops: u8,
    },
    /// A Maglev table: see docs/maglev.md. What else its rows depend on is in the table's words.
    Maglev {
        /// Hops of a row, the first included.
        hops: u8,
    },
}

impl Rule {
    /// Hops of a row, the first included.
    #[must_use]
    pub fn hops(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 { hops } | Self::Maglev { hops } => hops,
        }
    }
}

/// A backend with what only some rules look at.
#[derive(Debug, Clone)]
pub struct TableBackend {
    /// Address, state, health.
    pub backend: Backend,
    /// Share of the rows, relative to the other backends. Version 3 only.
    pub weight: u16,
    /// What fails together: a rack, a zone. Version 3 only.
    pub domain: Option<String>,
    /// Its own among the table's backends: its place, unless it says another.
    pub identifier: u8,
    /// How it is checked.
    pub checks: Checks,
}

/// Reads and checks a file's text; `file` is what issues call it. A file with classes is refused: what it says is more than its
/// tables.
#[must_use]
pub fn read(file: &str, text: &str) -> Checked<Config> {
    crate::classes::refuse(file, read_with_classes(file, text), |config| {
        &config.classes
    })
}

/// As [`read`], for one who heeds classes.
#[must_use]
pub fn read_with_classes(file: &str, text: &str) -> Checked<Config> {
    let names = [
        &ROOT_FIELDS[..],
        &TABLE_FIELDS,
        &FORWARD_FIELDS,
        &SELECT_FIELDS,
        &FLOWS_FIELDS,
        &CLASS_FIELDS,
        &BIND_FIELDS,
        &BACKEND_FIELDS,
        &CHECK_FIELDS,
    ];
    Reader::whole(file, text, &names.concat(), read_root)
}

const ROOT_FIELDS: [&str; 3] = ["tables", "classes", "healthchecks"];

fn read_root(reader: &mut Reader, tree: &Node<'_>) -> Option<Config> {
    let root = reader.object(tree, &ROOT_FIELDS)?;
    let timing = root
        .get("healthchecks")
        .map_or(Some(Timing::default()), |node| read_timing(reader, &node));
    let nodes = match root.get("tables") {
        Some(node) => reader.array(&node)?,
        // The deployed checker takes a file without tables, and writes null for them. Beside a field that
        // nobody knows it is more likely that one is misspelt.
        None if root.has_others(&ROOT_FIELDS) => {
            reader.error_at("tables", "is missing");
            return None;
        }
        None => Vec::new(),
    };
    if nodes.is_empty() {
        reader.warn_at("tables", "there is no table: nothing will match");
    }
    if nodes.len() >= usize::from(u16::MAX) {
        reader.error_at("tables", "at most 65534 tables");
        return None;
    }
    // What classes lead to: such a table needs no bind.
    let classes = root.get("classes").and_then(|node| node.value.as_array());
    let led: HashSet<&str> = classes
        .into_iter()
        .flatten()
        .filter_map(|class| class.get("service")?.as_str())
        .collect();
    let mut across = Across::default();
    let tables: Vec<Option<Table>> = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| {
            let name = name_of(node.value);
            reader.in_table(Some(label(name, index)));
            let has_class = name.is_some_and(|name| led.contains(name));
            let table = read_table(reader, node.value, has_class);
            across.check(reader, &label(name, index), node.value, table.as_ref());
            reader.in_table(None);
            table
        })
        .collect();
    check_all_answers(reader, &tables);
    let mut tables = tables.into_iter().collect::<Option<Vec<_>>>();
    if let Some(tables) = &mut tables {
        flows::share(reader, &nodes, tables);
        check_counters(reader, tables);
        check_marks(reader, tables);
    }
    let classes = match root.get("classes") {
        Some(node) => read_classes(reader, &node, &nodes),
        None => Some(Vec::new()),
    };
    if let (Some(tables), Some(classes)) = (&tables, &classes) {
        check_services(reader, classes, tables);
    }
    Some(Config {
        tables: tables?,
        classes: classes?,
        healthchecks: timing?,
        tree: tree.value.clone(),
    })
}

/// What is to be said where rows are computed from a file that leaves `healthy` out: it counts as false, as
/// with the deployed builder, so that the backend is put behind the others. Only the health checker's source
/// needs no such field; the checker fills it in. `file` is what the issues call it.
#[must_use]
pub fn unsaid_health(file: &str, config: &Config) -> Vec<Issue> {
    let mut issues = Vec::new();
    for (index, table) in config.tables.iter().enumerate() {
        let trees = &config.tree["tables"][index]["backends"];
        let unsaid = |place: usize| trees[place].get("healthy").is_none_or(Value::is_null);
        let places = || table.backends.iter().enumerate();
        let mut warn = |field: String, reason: &str| {
            issues.push(Issue {
                severity: Severity::Warning,
                file: file.to_owned(),
                table: Some(table.label(index)),
                field,
                value: None,
                reason: reason.to_owned(),
            });
        };
        if places().all(|(place, _)| unsaid(place)) {
            let reason = "no backend has \"healthy\", so all count as down: right only in the source of \
                          glb-healthcheck, which fills it in; to build or load this file itself, set it";
            warn("backends".to_owned(), reason);
            continue;
        }
        for (place, one) in places() {
            // Draining and inactive ones get no new connections anyway.
            let wants_rows = matches!(one.backend.state, State::Active | State::Filling);
            if wants_rows && unsaid(place) {
                let reason =
                    "is missing and counts as false: the backend gets no new connections while \
                              others are healthy; set it to true";
                warn(format!("backends[{place}].healthy"), reason);
            }
        }
    }
    issues
}

const TABLE_FIELDS: [&str; 10] = [
    "name", "version", "hops", "select", "forward", "flows", "hash_key", "seed", "binds",
    "backends",
];

/// Whether a table may have this field.
#[must_use]
pub fn has_field(name: &str) -> bool {
    TABLE_FIELDS.contains(&name)
}

fn read_table(reader: &mut Reader, value: &Value, has_class: bool) -> Option<Table> {
    let node = Node {
        value,
        path: String::new(),
    };
    let object = reader.object(&node, &TABLE_FIELDS)?;
    let name = match object.get("name").filter(|node| node.value != "") {
        Some(node) => reader.string(&node).map(|name| Some(name.to_owned())),
        None => {
            reader.warn_at(
                "name",
                "is missing: messages can name this table by its place only",
            );
            Some(None)
        }
    };
    let select = select::read(reader, &object);
    let said = select.as_ref().and_then(Option::as_ref);
    let (rule, forward) = match (&select, said) {
        (_, Some(said)) => read_maglev_rule(reader, &object, said),
        (Some(_), None) => {
            let rule = read_rule(reader, &object);
            (rule, read_forward(reader, &object, rule))
        }
        // What a table without its select has cannot be said.
        (None, _) => (None, read_forward(reader, &object, None)),
    };
    let flows = read_flows(reader, &object, forward);
    let hash_key = read_key(reader, &object, "hash_key", said);
    let seed = read_key(reader, &object, "seed", said);
    let binds = match object.get("binds") {
        Some(node) => {
            if !has_class && node.value.as_array().is_some_and(Vec::is_empty) {
                reader.warn_at(&node.path, "is empty: nothing leads to this table");
            }
            read_binds(reader, &node, rule)
        }
        // The deployed checker writes null for no binds.
        None => {
            if !has_class {
                reader.warn_at("binds", "is missing: nothing leads to this table");
            }
            Some(Vec::new())
        }
    };
    let backends = reader
        .required(&object, "backends")
        .and_then(|node| read_backends(reader, &node, rule));
    check_families(reader, forward, binds.as_ref(), backends.as_ref());
    check_answers(reader, forward, &object, binds.as_ref());
    let selector = match (said, &backends) {
        (None, _) => select.as_ref().map(|_| Selector::GLB),
        (Some(said), Some(backends)) => {
            said.check_backends(reader, backends);
            said.check_binds(reader, binds.as_deref().unwrap_or_default());
            rule.and_then(|rule| said.selector(reader, rule.hops(), backends))
        }
        (Some(_), None) => None,
    };
    let table = Table {
        name: name?,
        rule: rule?,
        forward: forward?,
        words: Words {
            flows: flows?,
            ..Words::DEFAULT
                .with_selector(selector?)
                .with_forward(forward?)
        },
        hash_key: hash_key?,
        seed: seed?,
        binds: binds?,
        backends: backends?,
    };
    check_through(reader, &table);
    Some(table)
}

/// Hops of a version 3 table that does not say: with three, a backend may come in without filling first
/// (docs/rows-v3.md).
const DEFAULT_HOPS: u8 = 3;

/// The rule and the forward of a Maglev table.
fn read_maglev_rule(
    reader: &mut Reader,
    object: &Object<'_>,
    said: &Said<'_>,
) -> (Option<Rule>, Option<Forward>) {
    let forward = read_forward(reader, object, None);
    let mut good = true;
    if let Some(node) = object.get("version").filter(|node| node.value != 3) {
        reader.error(
            &node,
            "must be 3, or absent, with \"select\": {\"kind\": \"maglev\"}",
        );
        good = false;
    }
    if let Some(node) = object.get("hops") {
        reader.error(
            &node,
            "is of tables with select glb: a Maglev table has it in select",
        );
        good = false;
    }
    let hops = said.hops(reader, forward);
    let rule = hops.filter(|_| good).map(|hops| Rule::Maglev { hops });
    (rule, forward)
}

/// A key of a table. A Maglev table may lack it: VPP's and nfqlb's tables have none.
fn read_key(
    reader: &mut Reader,
    object: &Object<'_>,
    field: &str,
    maglev: Option<&Said<'_>>,
) -> Option<[u8; 16]> {
    match (object.get(field), maglev) {
        (Some(node), _) => reader.key(&node),
        (None, None) => {
            reader.required(object, field)?;
            None
        }
        (None, Some(said)) => {
            if field == "hash_key" && !said.is_compat() {
                let reason =
                    "is missing: anybody can compute the backend of a flow (glbctl key makes one)";
                reader.warn_at(field, reason);
            }
            Some([0; 16])
        }
    }
}

fn read_rule(reader: &mut Reader, object: &Object<'_>) -> Option<Rule> {
    let version = match object.get("version") {
        Some(node) => reader.integer(&node, 2u8..=3)?,
        None => 2,
    };
    let hops = object.get("hops");
    if version == 2 {
        if let Some(node) = hops {
            reader.error(
                &node,
                "needs \"version\": 3; tables of version 2 have two hops",
            );
            return None;
        }
        return Some(Rule::V2);
    }
    let hops = match hops {
        Some(node) => reader.integer(&node, 2u8..=31)?,
        None => DEFAULT_HOPS,
    };
    Some(Rule::V3 { hops })
}

/// What is said of a state that is none.
pub(crate) fn bad_state() -> String {
    must_be(State::ALL.map(State::name))
}

/// What is said of a name that is none of these.
pub(crate) fn must_be(names: impl IntoIterator<Item = &'static str>) -> String {
    let names: Vec<String> = names
        .into_iter()
        .map(|name| format!("\"{name}\""))
        .collect();
    match names.split_last() {
        Some((last, [])) => format!("must be {last}"),
        Some((last, others)) => format!("must be {} or {last}", others.join(", ")),
        None => String::new(),
    }
}
