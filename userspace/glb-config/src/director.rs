// SPDX-License-Identifier: GPL-2.0

//! `director.conf`: the settings of `core/src/settings.rs`, and the fields that other programs read.

use crate::gateway::{self, Gateway};
use crate::issue::{Checked, Issue, Severity};
use crate::read::{Node, Object, Reader};
use crate::settings;
use glb_core::packet::addr::Addr;
use glb_core::settings::{Setting, Settings, Value};
use serde_json::{json, Map, Value as Json};

/// How a director works.
#[derive(Debug, Clone)]
pub struct Director {
    /// What the kernel is told. What the file does not name is at its default.
    pub settings: Settings,
    /// Whether the file says where tunnels come from, if only that the routes do. One that is about devices with the role geneve
    /// alone need not; a director must not do without.
    pub has_source: bool,
    /// Where on this machine statistics are sent, if they are.
    pub statsd_port: Option<u16>,
    /// What devices with the role geneve are told, if the file is about them.
    pub gateways: Option<Vec<Gateway>>,
    /// The file as it was read.
    pub tree: Json,
}

impl Director {
    /// That the file, which is called so, has nothing for a director.
    #[must_use]
    pub fn no_source(&self, file: &str) -> Option<Issue> {
        (!self.has_source).then(|| Issue {
            severity: Severity::Error,
            file: file.to_owned(),
            table: None,
            field: SOURCE.to_owned(),
            value: None,
            reason: NO_SOURCE.to_owned(),
        })
    }
}

/// The name of deployed directors for the source of the one family that they tunnel over.
const SOURCE: &str = "outbound_src_ip";
/// What is said of a file without any source.
const NO_SOURCE: &str = "is missing; for the route's own source: \"source_v4\": null";
const STATSD_PORT: &str = "statsd_port";
/// The devices with the role geneve.
const GENEVE: &str = "geneve";

/// Settings of the DPDK director that mean nothing here.
const DPDK_ONLY: [&str; 5] = [
    "lcores",
    "flow_paths",
    "num_worker_queues",
    "rx_drop_en",
    "kni_ip",
];

/// Reads and checks a file's text; `file` is what issues call it.
#[must_use]
pub fn read(file: &str, text: &str) -> Checked<Director> {
    let mut names = known();
    names.extend(settings::FIELDS.map(|(_, name)| name));
    names.extend(gateway::FIELDS);
    Reader::whole(file, text, &names, read_root)
}

fn known() -> Vec<&'static str> {
    let mut known = vec![SOURCE];
    known.extend(Setting::ALL.iter().map(|setting| setting.file));
    known.extend([STATSD_PORT, GENEVE]);
    known.extend(DPDK_ONLY);
    known
}

fn read_root(reader: &mut Reader, tree: &Node<'_>) -> Option<Director> {
    // A machine whose devices are not read is not shut as its file says.
    let root = reader.object_where(tree, &known(), |meant| match meant {
        Some(GENEVE) => Severity::Error,
        _ => Severity::Warning,
    })?;
    for name in DPDK_ONLY {
        if root.get(name).is_some() {
            let reason = "a setting of the DPDK director; accepted and ignored";
            reader.warn_at(name, reason);
        }
    }
    let mut settings = Settings::DEFAULT;
    let source = read_source(reader, &root, &mut settings);
    let mut good = source.is_some();
    for setting in Setting::ALL {
        let Some(node) = root.get(setting.file) else {
            continue;
        };
        let Some(value) = settings::read(reader, &node, setting.form) else {
            good = false;
            continue;
        };
        if let (Some(Some((named, said))), true) = (source, is_source(setting)) {
            if named == setting && said != value {
                let other = settings::text(said);
                reader.error(&node, format!("{SOURCE} says {other}: name one of the two"));
                good = false;
                continue;
            }
        }
        if let Err(reason) = settings.set(setting, value) {
            reader.error(&node, reason);
            good = false;
        }
    }
    let gateways = root.get(GENEVE).map(|node| gateway::read(reader, &node));
    good &= !matches!(gateways, Some(None));
    let statsd_port = match root.get(STATSD_PORT) {
        Some(node) => read_port(reader, &node).map(|port| Some(port).filter(|port| *port != 0)),
        None => Some(None),
    };
    let statsd_port = statsd_port?;
    let has_source =
        root.get(SOURCE).is_some() || Setting::ALL.iter().any(|one| names_source(&root, one));
    good.then(|| Director {
        settings,
        has_source,
        statsd_port,
        gateways: gateways.flatten(),
        tree: tree.value.clone(),
    })
}

/// A port as a number or as a string of one: of the deployed directors one takes only the first, the other
/// only the second. 0 sends nothing.
fn read_port(reader: &mut Reader, node: &Node<'_>) -> Option<u16> {
    let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(port) = node.value.as_str().filter(digits).map(str::parse) {
        if port.is_err() {
            reader.error(node, "must be a port, from 0 to 65535");
        }
        return port.ok();
    }
    reader.integer(node, 0u16..=u16::MAX)
}

fn names_source(root: &Object<'_>, setting: &Setting) -> bool {
    is_source(setting) && root.has(setting.file)
}

fn is_source(setting: &Setting) -> bool {
    *setting == Setting::SOURCE_V4 || *setting == Setting::SOURCE_V6
}

/// Takes the source by its deployed name; `Some(None)` where the file names it otherwise.
fn read_source(
    reader: &mut Reader,
    root: &Object<'_>,
    settings: &mut Settings,
) -> Option<Option<(&'static Setting, Value)>> {
    let named = |setting: &Setting| names_source(root, setting);
    let is_empty = |node: &Node<'_>| node.value.as_array().is_some_and(Vec::is_empty);
    let node = match root.get(SOURCE) {
        Some(node) => node,
        None if Setting::ALL.iter().any(named) => return Some(None),
        // An appliance behind a gateway load balancer tunnels nothing on its own.
        // Who loads a director's settings asks for `has_source`.
        None if root.get(GENEVE).is_some_and(|node| !is_empty(&node)) => return Some(None),
        // Whoever wants the routes' own says so: a file that lost its source is no such file.
        None => {
            reader.error_at(&root.path_of(SOURCE), NO_SOURCE);
            return None;
        }
    };
    let (setting, value) = match reader.addr(&node)? {
        Addr::V4(bytes) => (&Setting::SOURCE_V4, Value::V4(Some(bytes))),
        Addr::V6(bytes) => (&Setting::SOURCE_V6, Value::V6(Some(bytes))),
    };
    if let Err(reason) = settings.set(setting, value) {
        reader.error(&node, reason);
        return None;
    }
    Setting::by_number(setting.number).map(|setting| Some((setting, value)))
}

/// A file that says these settings, each by its name, deployed names where there are some. What else `old` has stays.
#[must_use]
pub fn write(settings: &Settings, old: &Json) -> Json {
    let mut file = Map::new();
    let addr = |setting| match settings.get(setting) {
        Value::V4(None) | Value::V6(None) => None,
        value => Some(settings::file_json(value)),
    };
    let (v4, v6) = (addr(&Setting::SOURCE_V4), addr(&Setting::SOURCE_V6));
    match (v4, v6) {
        (None, None) => file.insert(Setting::SOURCE_V4.file.to_owned(), Json::Null),
        (Some(one), None) | (None, Some(one)) => file.insert(SOURCE.to_owned(), one),
        (Some(v4), Some(v6)) => {
            file.insert(SOURCE.to_owned(), v4);
            file.insert(Setting::SOURCE_V6.file.to_owned(), v6)
        }
    };
    for setting in Setting::ALL.iter().filter(|setting| !is_source(setting)) {
        // None of these has another value for none than leaving it out.
        let value = settings::file_json(settings.get(setting));
        if !value.is_null() {
            file.insert(setting.file.to_owned(), value);
        }
    }
    let is_ours = |name: &str| name == SOURCE || Setting::ALL.iter().any(|own| own.file == name);
    for (name, value) in old.as_object().into_iter().flatten() {
        if !is_ours(name) {
            file.insert(name.clone(), value.clone());
        }
    }
    json!(file)
}
