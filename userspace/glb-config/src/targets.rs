// SPDX-License-Identifier: GPL-2.0

//! `targets.conf` of glb-targets, and the files that list targets (docs/targets.md).

mod etcd;

use crate::issue::Checked;
use crate::read::{Node, Object, Reader};
use glb_core::backend::MAX_BACKENDS;
use glb_core::packet::addr::Addr;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use etcd::{read_etcd, read_target, EtcdConf};

/// Most addresses of one family that a target may have.
pub const MAX_ADDRESSES: usize = 16;
/// The longest name of a target.
const MAX_NAME: usize = 63;

/// How glb-targets works.
#[derive(Debug, Clone)]
pub struct TargetsConf {
    /// The operator's table.
    pub src: PathBuf,
    /// A file of targets, or a directory of such files; not read where there is `etcd`.
    pub targets: PathBuf,
    /// The etcd that targets are registered in, if not files say which there are.
    pub etcd: Option<EtcdConf>,
    /// Where the identifiers are kept.
    pub state: PathBuf,
    /// Where the rules stand among the others.
    pub rule_priority: u32,
    /// Where the daemon tells how it is.
    pub listen: SocketAddr,
    /// The services whose targets are looked after.
    pub services: Vec<ServiceConf>,
    /// The file as it was read.
    pub tree: Value,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConf {
    /// The name of its table.
    pub name: String,
    /// How many targets it may have: their identifiers are 0 to this less one.
    pub max_targets: u16,
    /// The routing table of identifier 0; without it, its mark.
    pub first_routing_table: Option<u32>,
}

/// A target, as somebody says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSpec {
    /// Its service.
    pub service: String,
    /// Its name, of which a service has one.
    pub name: String,
    /// Where its packets go, in ascending order but for the first one, by which tables know it.
    pub addresses: Vec<Addr>,
    /// Its identifier, if it must have this one.
    pub id: Option<u16>,
}

const KNOWN: [&str; 7] = [
    "forwarding_table",
    "targets",
    "etcd",
    "state",
    "rule_priority",
    "listen",
    "services",
];
const TABLE_FIELDS: [&str; 1] = ["src"];
const SERVICE_FIELDS: [&str; 3] = ["name", "max_targets", "first_routing_table"];
const TARGET_FIELDS: [&str; 4] = ["service", "name", "addresses", "id"];
/// Of a target whose service and name its key says.
const NAMED_FIELDS: [&str; 2] = ["addresses", "id"];

const DEFAULT_SRC: &str = "/etc/glb/forwarding_table.src.json";
const DEFAULT_TARGETS: &str = "/etc/glb/targets.d";
const DEFAULT_STATE: &str = "/var/lib/glb-targets/identifiers.json";
/// Before the rule of all VRFs, 1000.
const DEFAULT_PRIORITY: u32 = 900;
const DEFAULT_PORT: u16 = 19524;

/// Reads and checks a configuration's text; `file` is what issues call it.
#[must_use]
pub fn read(file: &str, text: &str) -> Checked<TargetsConf> {
    let names = [
        &KNOWN[..],
        &TABLE_FIELDS,
        &SERVICE_FIELDS,
        &etcd::ETCD_FIELDS,
    ]
    .concat();
    Reader::whole(file, text, &names, read_root)
}

fn read_root(reader: &mut Reader, tree: &Node<'_>) -> Option<TargetsConf> {
    let root = reader.object(tree, &KNOWN)?;
    let src = match root.get("forwarding_table") {
        None => Some(DEFAULT_SRC.into()),
        Some(node) => {
            let paths = reader.object(&node, &TABLE_FIELDS)?;
            reader.path(&paths, "src", DEFAULT_SRC)
        }
    };
    let targets = reader.path(&root, "targets", DEFAULT_TARGETS);
    let etcd = match root.get("etcd") {
        Some(node) => etcd::etcd(reader, &node).map(Some),
        None => Some(None),
    };
    let state = reader.path(&root, "state", DEFAULT_STATE);
    let rule_priority = match root.get("rule_priority") {
        // 0 is the rule of addresses of the machine, and nothing comes behind the last one.
        Some(node) => reader.integer(&node, 1u32..=32_765),
        None => Some(DEFAULT_PRIORITY),
    };
    let listen = reader.listen(&root, DEFAULT_PORT);
    let services = services(reader, &root);
    Some(TargetsConf {
        src: src?,
        targets: targets?,
        etcd: etcd?,
        state: state?,
        rule_priority: rule_priority?,
        listen: listen?,
        services: services?,
        tree: tree.value.clone(),
    })
}

fn services(reader: &mut Reader, root: &Object<'_>) -> Option<Vec<ServiceConf>> {
    let node = reader.required(root, "services")?;
    let items = reader.array(&node)?;
    if items.is_empty() {
        reader.error(
            &node,
            "is empty: name the tables whose targets are looked after",
        );
    }
    let services: Vec<_> = items.iter().map(|item| service(reader, item)).collect();
    let services: Vec<ServiceConf> = services.into_iter().collect::<Option<_>>()?;
    for (index, one) in services.iter().enumerate() {
        if services
            .iter()
            .take(index)
            .any(|other| other.name == one.name)
        {
            reader.error_at(&format!("services[{index}].name"), "is there twice");
        }
    }
    Some(services)
}

fn service(reader: &mut Reader, node: &Node<'_>) -> Option<ServiceConf> {
    let object = reader.object(node, &SERVICE_FIELDS)?;
    let name = reader.required(&object, "name");
    let name = name.and_then(|node| name_of(reader, &node));
    // One is left for nobody, behind the last identifier.
    let most = u16::try_from(MAX_BACKENDS - 1).unwrap_or(u16::MAX);
    let max_targets = match object.get("max_targets") {
        Some(node) => reader.integer(&node, 1..=most),
        None => Some(most),
    };
    let first_routing_table = match object.get("first_routing_table") {
        Some(node) => reader.integer(&node, 1..=u32::MAX).map(Some),
        None => Some(None),
    };
    Some(ServiceConf {
        name: name?,
        max_targets: max_targets?,
        first_routing_table: first_routing_table?,
    })
}

/// Reads and checks a file of targets.
#[must_use]
pub fn read_targets(file: &str, text: &str) -> Checked<Vec<TargetSpec>> {
    let names = [&["targets"], &TARGET_FIELDS[..]].concat();
    Reader::whole(file, text, &names, |reader, tree| {
        let root = reader.object(tree, &["targets"])?;
        let node = reader.required(&root, "targets")?;
        let items = reader.array(&node)?;
        let targets: Vec<_> = items
            .iter()
            .map(|item| target(reader, item, None))
            .collect();
        targets.into_iter().collect()
    })
}

fn target(reader: &mut Reader, node: &Node<'_>, named: Option<(&str, &str)>) -> Option<TargetSpec> {
    let fields = if named.is_some() {
        &NAMED_FIELDS[..]
    } else {
        &TARGET_FIELDS
    };
    // A field that is misspelt must not make it another target.
    let object = reader.object_where(node, fields, |_| crate::Severity::Error)?;
    let (service, name) = match named {
        Some((service, name)) => (Some(service.to_owned()), Some(name.to_owned())),
        None => {
            let mut name = |field| {
                let node = reader.required(&object, field)?;
                name_of(reader, &node)
            };
            (name("service"), name("name"))
        }
    };
    let addresses = reader.required(&object, "addresses");
    let addresses = addresses.and_then(|node| addresses_of(reader, &node));
    let most = u16::try_from(MAX_BACKENDS - 2).unwrap_or(u16::MAX);
    let id = match object.get("id") {
        Some(node) => reader.integer(&node, 0..=most).map(Some),
        None => Some(None),
    };
    Some(TargetSpec {
        service: service?,
        name: name?,
        addresses: addresses?,
        id: id?,
    })
}

/// A name that can stand in a label, a key and a log.
fn name_of(reader: &mut Reader, node: &Node<'_>) -> Option<String> {
    let name = reader.string(node)?;
    if is_name(name) {
        return Some(name.to_owned());
    }
    let reason = format!("must be 1 to {MAX_NAME} letters, digits, dots, dashes and underscores");
    reader.error(node, reason);
    None
}

/// Whether this can be the name of a target or of its service.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(good)
}

fn addresses_of(reader: &mut Reader, node: &Node<'_>) -> Option<Vec<Addr>> {
    let items = reader.array(node)?;
    if items.is_empty() {
        reader.error(node, "is empty: a target needs an address");
        return None;
    }
    let addresses: Vec<_> = items.iter().map(|item| address(reader, item)).collect();
    let addresses: Vec<Addr> = addresses.into_iter().collect::<Option<_>>()?;
    for (index, one) in addresses.iter().enumerate() {
        if addresses[..index].contains(one) {
            reader.error(&items[index], "is there twice");
        }
    }
    for bits in [32, 128] {
        if addresses.iter().filter(|one| one.bits() == bits).count() > MAX_ADDRESSES {
            let reason = format!("has more than {MAX_ADDRESSES} addresses of one family");
            reader.error_at(&node.path, reason);
        }
    }
    // What is the same is said in the same way.
    let (first, rest) = addresses.split_first()?;
    let mut rest = rest.to_vec();
    rest.sort();
    rest.insert(0, *first);
    Some(rest)
}

/// An address that can be the gateway of a route.
fn address(reader: &mut Reader, node: &Node<'_>) -> Option<Addr> {
    let addr = reader.addr(node)?;
    let reason = match addr {
        Addr::V4([0 | 127 | 224.., ..]) => "is no address of a machine",
        Addr::V6([0xff, ..]) => "is a multicast address",
        Addr::V6([0xfe, second, ..]) if second & 0xc0 == 0x80 => {
            "is link-local, and says of no device: give one that routes know"
        }
        Addr::V6(bytes) if u128::from_be_bytes(bytes) <= 1 => "is no address of a machine",
        _ => return Some(addr),
    };
    reader.error(node, reason);
    None
}
