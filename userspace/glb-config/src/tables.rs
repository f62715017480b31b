// SPDX-License-Identifier: GPL-2.0

//! `forwarding_table.json` (docs/formats.md), and the fields of version 3 tables (docs/rows-v3.md).

mod classes;
mod flows;
mod select;

use crate::answers::{self, Part};
use crate::checks::{read_checks, read_timing, CHECK_FIELDS};
use crate::issue::{quoted, Checked, Issue, Severity};
use crate::read::{Node, Object, Reader};
use classes::{read_classes, CLASS_FIELDS};
use flows::{read_flows, FLOWS_FIELDS};
use glb_core::backend::{Backend, State, MAX_BACKENDS};
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::classify::flow::NamedClass;
use glb_core::director::reverse::services::{check_bind, OneWay};
use glb_core::director::select::rows::v3::MAX_WEIGHT;
use glb_core::director::{Forward, ForwardKind, Given, MarkOffset, Misfit, Selector};
use glb_core::packet::addr::Addr;
use glb_core::packet::dscp::Dscp;
use glb_core::table::v2::MAX_BINDS;
use glb_core::table::v3::Words;
use select::{Said, SELECT_FIELDS};
use serde_json::Value;
use std::collections::HashMap;
use std::num::NonZeroU16;

pub(crate) use flows::read_shown_flows;
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
    let mut across = Across::default();
    let tables: Vec<Option<Table>> = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| {
            let name = name_of(node.value);
            reader.in_table(Some(label(name, index)));
            let table = read_table(reader, node.value);
            across.check(reader, &label(name, index), node.value, table.as_ref());
            reader.in_table(None);
            table
        })
        .collect();
    check_all_answers(reader, &tables);
    let classes = match root.get("classes") {
        Some(node) => read_classes(reader, &node, &nodes),
        None => Some(Vec::new()),
    };
    Some(Config {
        tables: tables.into_iter().collect::<Option<_>>()?,
        classes: classes?,
        healthchecks: timing?,
        tree: tree.value.clone(),
    })
}

/// An error where an answer of a backend could be that of two tables.
fn check_all_answers(reader: &mut Reader, tables: &[Option<Table>]) {
    let mut parts = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let Some(table) = table else { continue };
        let backends = table.backends.iter();
        parts.push(Part {
            index,
            label: table.label(index),
            forward: table.forward,
            binds: &table.binds,
            backends: backends.map(|one| one.backend.addr).collect(),
        });
    }
    let Some(wrong) = answers::find(&parts) else {
        return;
    };
    let of_table = parts.iter().find(|part| part.index == wrong.table);
    reader.in_table(of_table.map(|part| part.label.clone()));
    reader.error_at(&format!("binds[{}]", wrong.bind), wrong.reason);
    reader.in_table(None);
}

/// The table's name. The deployed checker writes an empty one for a table that has none.
fn name_of(table: &Value) -> Option<&str> {
    let name = table.get("name").and_then(Value::as_str);
    name.filter(|name| !name.is_empty())
}

/// What must not be the same in two tables.
#[derive(Default)]
struct Across {
    names: HashMap<String, String>,
    seeds: HashMap<[u8; 16], String>,
    binds: HashMap<Bind, String>,
}

impl Across {
    fn check(&mut self, reader: &mut Reader, label: &str, tree: &Value, table: Option<&Table>) {
        let node = |field: &str| Node {
            value: tree.get(field).unwrap_or(&Value::Null),
            path: field.to_owned(),
        };
        if let Some(name) = name_of(tree) {
            if self
                .names
                .insert(name.to_owned(), label.to_owned())
                .is_some()
            {
                reader.error(&node("name"), "another table has this name");
            }
        }
        let Some(table) = table else { return };
        // Tables of other systems have none.
        let has_seed = tree.get("seed").is_some_and(|seed| !seed.is_null());
        let seed = has_seed.then_some(table.seed);
        if let Some(other) = seed.and_then(|seed| self.seeds.insert(seed, label.to_owned())) {
            let reason = format!("must differ from the seed of table {}", quoted(&other));
            reader.error(&node("seed"), reason);
        }
        for (index, bind) in table.binds.iter().enumerate() {
            let same = Bind {
                addr: bind.addr.masked(bind.prefix_len),
                ..*bind
            };
            if let Some(first) = self.binds.get(&same) {
                let reason = format!(
                    "is a bind of table {} already, which comes first",
                    quoted(first)
                );
                reader.warn_at(&format!("binds[{index}]"), reason);
            } else {
                self.binds.insert(same, label.to_owned());
            }
        }
    }
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

const FORWARD_FIELDS: [&str; 5] = ["kind", "dscp", "target_port", "node_port", "offset"];

fn read_table(reader: &mut Reader, value: &Value) -> Option<Table> {
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
        Some(node) => read_binds(reader, &node, rule),
        // The deployed checker writes null for no binds.
        None => {
            reader.warn_at("binds", "is missing: nothing leads to this table");
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

/// Warns of checks through the forward that ask nobody, and refuses those that nobody could answer.
fn check_through(reader: &mut Reader, table: &Table) {
    for (index, backend) in table.backends.iter().enumerate() {
        let checks = &backend.checks;
        if !checks.through {
            continue;
        }
        if table.forward.mark_offset().is_some() {
            let reason = "cannot be with forward mark: what is marked goes where the routes of the director lead it, which no check knows";
            reader.error_at(&format!("backends[{index}].healthchecks.through"), reason);
            continue;
        }
        if table.forward.translates() {
            let reason = "is true, and with forward nat the VIP's packets are answered from the backend's own address, which the \
                          other checks ask: leave it out";
            reader.error_at(&format!("backends[{index}].healthchecks.through"), reason);
            continue;
        }
        let http = checks.http.as_ref().map(|check| check.port);
        let https = checks.https.as_ref().map(|check| check.http.port);
        for port in [http, https, checks.tcp].into_iter().flatten() {
            if table.vips(Some(port)).is_empty() {
                let reason = format!("no bind is an address with TCP port {port}: none is asked");
                reader.warn_at(&format!("backends[{index}].healthchecks.through"), reason);
            }
        }
    }
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

/// `forward` of a table.
pub(crate) fn read_forward(
    reader: &mut Reader,
    object: &Object<'_>,
    rule: Option<Rule>,
) -> Option<Forward> {
    let Some(node) = object.get("forward") else {
        return Some(Forward::default());
    };
    let fields = reader.object(&node, &FORWARD_FIELDS)?;
    let kind = reader.required(&fields, "kind")?;
    let name = reader.string(&kind)?;
    let Some(known) = ForwardKind::from_name(name) else {
        let names = ForwardKind::ALL.iter().map(|forward| forward.name());
        reader.error(&kind, must_be(names));
        return None;
    };
    // Files of version 2 have no place for another one.
    if rule == Some(Rule::V2) && known != ForwardKind::default() {
        reader.error(&kind, "needs \"version\": 3");
        return None;
    }
    let dscp = match fields.get("dscp") {
        Some(node) => Some(reader.integer(&node, 0..=Dscp::MAX)?),
        None => None,
    };
    let target_port = match fields.get("target_port") {
        Some(node) => Some(reader.integer(&node, 1..=u16::MAX)?),
        None => None,
    };
    let offset = match fields.get("offset") {
        Some(node) => Some(reader.integer(&node, MarkOffset::MIN..=MarkOffset::MAX)?),
        None => None,
    };
    if let Some(node) = fields.get("node_port") {
        reader.error(
            &node,
            "cannot be: a client's connections to the VIP and to the director would be one at the backend, and its answer does not say which was asked; \
             make a table of its own whose bind is the director's own address and this port, with another target_port at which the backends listen too",
        );
        return None;
    }
    let given = Given {
        dscp: dscp.and_then(Dscp::new),
        target_port: target_port.and_then(NonZeroU16::new),
        mark_offset: offset.and_then(MarkOffset::new),
    };
    let (name, reason) = match known.with(given) {
        Ok(forward) => return Some(forward),
        Err(Misfit::NoDscp) => {
            reader.required(&fields, "dscp")?;
            return None;
        }
        Err(Misfit::Dscp) => ("dscp", "needs \"kind\": \"l3dsr\""),
        Err(Misfit::TargetPort) => ("target_port", "needs \"kind\": \"nat\""),
        Err(Misfit::NoMarkOffset) => {
            reader.required(&fields, "offset")?;
            return None;
        }
        Err(Misfit::MarkOffset) => ("offset", "needs \"kind\": \"mark\""),
    };
    if let Some(node) = fields.get(name) {
        reader.error(&node, reason);
    }
    None
}

/// Errors where answers could not be given their source again.
fn check_answers(
    reader: &mut Reader,
    forward: Option<Forward>,
    object: &Object<'_>,
    binds: Option<&Vec<Bind>>,
) {
    let (Some(forward), Some(binds)) = (forward, binds) else {
        return;
    };
    let path = object.path_of("binds");
    for (index, bind) in binds.iter().enumerate() {
        let (field, reason) = match check_bind(forward, bind) {
            Ok(()) => continue,
            Err(OneWay::Prefix) => (
                "ip",
                "is a prefix, and forward nat needs whole addresses: an answer does not say which one was asked",
            ),
            Err(OneWay::Protocols) => (
                "proto",
                "is any, and forward nat needs tcp, udp or sctp: of other protocols an answer is like any packet of the backend's",
            ),
            Err(OneWay::Ports) => (
                "port",
                "are several ports, and target_port makes them one: an answer does not say which one was asked",
            ),
            Err(OneWay::OwnPorts) => (
                "port_end",
                "is above 32767, where systems take the ports of their own connections from: what a backend asks others would be taken \
                 for answers of the VIP; end below, and give single ports above it a bind each",
            ),
            Err(OneWay::NoPort) => ("port", "is 0, which an answer could not be given back: must be 1 to 65535 with target_port"),
        };
        reader.error_at(&format!("{path}[{index}].{field}"), reason);
    }
}

/// Errors where a forward without a tunnel would have to make packets of one family those of the other.
fn check_families(
    reader: &mut Reader,
    forward: Option<Forward>,
    binds: Option<&Vec<Bind>>,
    backends: Option<&Vec<TableBackend>>,
) {
    let (Some(forward), Some(binds), Some([first, ..])) =
        (forward, binds, backends.map(|all| &all[..]))
    else {
        return;
    };
    if !forward.kind().rewrites() {
        return;
    }
    let of_backends = first.backend.addr.bits();
    let name = |bits| if bits == 32 { "IPv4" } else { "IPv6" };
    for (index, bind) in binds.iter().enumerate() {
        if bind.addr.bits() != of_backends {
            let reason = format!(
                "is {}, and the backends are {}: forward {} needs one family",
                name(bind.addr.bits()),
                name(of_backends),
                forward.name()
            );
            reader.error_at(&format!("binds[{index}].ip"), reason);
        }
    }
}

fn read_binds(reader: &mut Reader, node: &Node<'_>, rule: Option<Rule>) -> Option<Vec<Bind>> {
    let items = reader.array(node)?;
    if items.is_empty() {
        reader.warn_at(&node.path, "is empty: nothing leads to this table");
    }
    if items.len() > MAX_BINDS {
        let reason = format!(
            "has {} binds; a table holds at most {MAX_BINDS}",
            items.len()
        );
        reader.error_at(&node.path, reason);
    }
    let binds: Vec<_> = items
        .iter()
        .map(|item| read_bind(reader, item, rule))
        .collect();
    binds.into_iter().collect()
}

const BIND_FIELDS: [&str; 5] = ["ip", "proto", "port", "port_start", "port_end"];

fn read_bind(reader: &mut Reader, node: &Node<'_>, rule: Option<Rule>) -> Option<Bind> {
    let object = reader.object(node, &BIND_FIELDS)?;
    let prefix = reader
        .required(&object, "ip")
        .and_then(|node| reader.prefix(&node));
    let proto = reader.required(&object, "proto").and_then(|node| {
        let proto = match reader.string(&node)? {
            "sctp" if rule == Some(Rule::V2) => {
                let reason = "needs \"version\": 3; a table of version 2 has binds of tcp and udp";
                reader.error(&node, reason);
                return None;
            }
            "any" if rule == Some(Rule::V2) => {
                let reason = "needs \"version\": 3; in a table of version 2 give one bind for \"tcp\" and one for \"udp\", \
                              each with port_start 0 and port_end 65535";
                reader.error(&node, reason);
                return None;
            }
            "any" => Some(None),
            name => Proto::from_name(name).map(Some),
        };
        if proto.is_none() {
            reader.error(&node, "must be \"tcp\", \"udp\", \"sctp\" or \"any\"");
        }
        proto
    });
    let ports = match &proto {
        Some(None) => no_ports(reader, &object),
        _ => read_ports(reader, &object),
    };
    let (addr, prefix_len) = prefix?;
    let (port_start, port_end) = ports?;
    Some(Bind {
        addr,
        prefix_len,
        proto: proto?,
        port_start,
        port_end,
    })
}

/// The ports of a bind for all protocols: all. It may say so, and no more.
fn no_ports(reader: &mut Reader, object: &Object<'_>) -> Option<(u16, u16)> {
    let all = [("port_start", 0), ("port_end", u16::MAX)];
    let mut good = true;
    for name in ["port", "port_start", "port_end"] {
        let Some(node) = object.get(name) else {
            continue;
        };
        if !all
            .iter()
            .any(|(of, port)| *of == name && node.value == *port)
        {
            let reason = "\"proto\": \"any\" takes all protocols, of which some have no ports: leave it out, or say \"tcp\" or \"udp\"";
            reader.error(&node, reason);
            good = false;
        }
    }
    good.then_some((0, u16::MAX))
}

fn read_ports(reader: &mut Reader, object: &Object<'_>) -> Option<(u16, u16)> {
    let mut port = |name| {
        let node = object.get(name)?;
        Some(reader.integer(&node, 0u16..=u16::MAX))
    };
    match (port("port"), port("port_start"), port("port_end")) {
        (Some(port), start, end) => {
            for (name, other) in [("port_start", start), ("port_end", end)] {
                if other.is_some() {
                    reader.warn_at(&object.path_of(name), "has no effect beside port");
                }
            }
            port.map(|port| (port, port))
        }
        (None, Some(start), Some(end)) => {
            let (start, end) = (start?, end?);
            if start > end {
                let node = object.get("port_start")?;
                reader.error(&node, format!("must not be above port_end, {end}"));
                return None;
            }
            Some((start, end))
        }
        (None, None, None) => {
            reader.error_at(
                &object.path_of("port"),
                "is missing, as are port_start and port_end",
            );
            None
        }
        (None, Some(_), None) => {
            reader.error_at(
                &object.path_of("port_end"),
                "is missing, but port_start is there",
            );
            None
        }
        (None, None, Some(_)) => {
            reader.error_at(
                &object.path_of("port_start"),
                "is missing, but port_end is there",
            );
            None
        }
    }
}

fn read_backends(
    reader: &mut Reader,
    node: &Node<'_>,
    rule: Option<Rule>,
) -> Option<Vec<TableBackend>> {
    let items = reader.array(node)?;
    if items.len() > MAX_BACKENDS {
        let reason = format!(
            "has {} backends; a table holds at most {MAX_BACKENDS}",
            items.len()
        );
        reader.error_at(&node.path, reason);
    }
    if items.is_empty() {
        reader.error_at(
            &node.path,
            "is empty: a table needs a backend that is not inactive",
        );
        return None;
    }
    let backends: Vec<_> = items
        .iter()
        .map(|item| read_backend(reader, item, rule))
        .collect();
    let backends: Vec<TableBackend> = backends.into_iter().collect::<Option<_>>()?;
    check_together(reader, node, &backends, rule?);
    Some(backends)
}

/// What can only be said of a table's backends together.
fn check_together(reader: &mut Reader, node: &Node<'_>, backends: &[TableBackend], rule: Rule) {
    let count = |state| backends.iter().filter(|b| b.backend.state == state).count();
    let usable = backends.len() - count(State::Inactive);
    match usable {
        0 => reader.error_at(
            &node.path,
            "all are inactive: a table needs one that is not",
        ),
        // Other tables' packets name none, or the operator has asked for one.
        1 if matches!(rule, Rule::Maglev { .. }) => {}
        1 => reader.warn_at(
            &node.path,
            "only one is not inactive: connections have no second hop",
        ),
        _ => {}
    }
    if rule == Rule::V2 && count(State::Draining) + count(State::Filling) > 1 {
        let reason = "more than one is draining or filling: rows of two hops lose connections then";
        reader.warn_at(&node.path, reason);
    }
    let mut seen: HashMap<Addr, usize> = HashMap::new();
    for (index, backend) in backends.iter().enumerate() {
        let path = format!("{}[{index}].ip", node.path);
        if let Some(first) = seen.insert(backend.backend.addr, index) {
            let reason = format!("is the address of {}[{first}] already", node.path);
            match rule {
                Rule::V2 => reader.warn_at(&path, reason),
                Rule::V3 { .. } | Rule::Maglev { .. } => reader.error_at(&path, reason),
            }
        }
    }
    let families = |v6| {
        backends
            .iter()
            .filter(move |b| matches!(b.backend.addr, Addr::V6(_)) == v6)
    };
    let (v4, v6) = (families(false).count(), families(true).count());
    if v4 > 0 && v6 > 0 {
        let reason =
            "has IPv4 and IPv6 addresses: a proxy cannot pass packets on to the other family";
        match rule {
            Rule::V2 => reader.warn_at(&node.path, reason),
            Rule::V3 { .. } | Rule::Maglev { .. } => reader.error_at(&node.path, reason),
        }
    }
    if let hops @ 9.. = rule.hops() {
        if v6 > 0 {
            let reason = format!("{hops} hops; the packet format has room for 8 IPv6 ones");
            let field = match rule {
                Rule::Maglev { .. } => "select.hops",
                _ => "hops",
            };
            reader.error_at(field, reason);
        }
    }
}

const BACKEND_FIELDS: [&str; 6] = ["ip", "state", "healthy", "weight", "domain", "healthchecks"];

fn read_backend(reader: &mut Reader, node: &Node<'_>, rule: Option<Rule>) -> Option<TableBackend> {
    let object = reader.object(node, &BACKEND_FIELDS)?;
    let addr = reader
        .required(&object, "ip")
        .and_then(|node| reader.addr(&node));
    let state = reader.required(&object, "state").and_then(|node| {
        let state = State::from_name(reader.string(&node)?);
        if state.is_none() {
            reader.error(&node, bad_state());
        }
        state
    });
    // Deployed builders take a missing `healthy` for false (docs/formats.md).
    let healthy = object
        .get("healthy")
        .map_or(Some(false), |node| reader.boolean(&node));
    if rule == Some(Rule::V2) {
        for field in ["weight", "domain"] {
            if let Some(node) = object.get(field) {
                reader.error(&node, "needs \"version\": 3 in the table");
            }
        }
    }
    let least = u16::from(!matches!(rule, Some(Rule::Maglev { .. })));
    let weight = object
        .get("weight")
        .map_or(Some(1), |node| reader.integer(&node, least..=MAX_WEIGHT));
    let domain = match object.get("domain") {
        Some(node) => {
            let domain = reader.string(&node);
            if domain.is_some_and(|domain| domain.len() > 255) {
                reader.error(&node, "must not be longer than 255 bytes");
            }
            domain.map(|domain| Some(domain.to_owned()))
        }
        None => Some(None),
    };
    let checks = object
        .get("healthchecks")
        .map_or(Some(Checks::default()), |node| read_checks(reader, &node));
    Some(TableBackend {
        backend: Backend {
            addr: addr?,
            state: state?,
            healthy: healthy?,
        },
        weight: weight?,
        domain: domain?,
        checks: checks?,
    })
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
