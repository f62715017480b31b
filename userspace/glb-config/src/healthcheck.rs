// SPDX-License-Identifier: GPL-2.0

//! `healthcheck.conf` (docs/healthcheck.md).

use crate::issue::Checked;
use crate::read::{Node, Reader};
use glb_core::packet::addr::Addr;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How the health checker works.
#[derive(Debug, Clone)]
pub struct Healthcheck {
    /// The operator's table.
    pub src: PathBuf,
    /// The table with what the checks found. With [`Publish::Kernel`] it is only written where it is named.
    pub dst: Option<PathBuf>,
    /// How it reaches the director.
    pub publish: Publish,
    /// What a shell runs after `dst` has changed, if anything.
    pub reload_command: Option<String>,
    /// Milliseconds from one start of the command to the next, at least.
    pub reload_interval_ms: u64,
    /// Milliseconds until the command has failed.
    pub reload_timeout_ms: u64,
    /// How many of a table's backends may be marked down, of each hundred.
    pub max_down_percent: u8,
    /// Where the daemon tells how it is.
    pub listen: SocketAddr,
    /// The authorities that `https_verify` trusts, in PEM.
    pub https_ca_file: PathBuf,
    /// What a proxy's connections are counted by, if they are counted.
    pub redirect_flows: Option<RedirectFlows>,
    /// The file as it was read.
    pub tree: Value,
}

/// How the connections of a proxy that depend on second chance are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectFlows {
    /// The table file.
    pub table: PathBuf,
    /// `director.conf`, for the hash fields.
    pub director: Option<PathBuf>,
    /// The backend that this proxy is, unless it is the one with an address of this machine.
    pub backend: Option<Addr>,
    /// Network namespaces whose connections count too.
    pub netns: Vec<String>,
    /// Ports of this machine whose connections come without a director.
    pub direct: Vec<u16>,
}

/// How a checked table reaches the director.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// As deployed: `dst` is written, and the command makes the director read it.
    File,
    /// It is loaded into the running kernel, without a file or a shell.
    Kernel,
}

/// Where Debian's ca-certificates keeps what it trusts.
const DEFAULT_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

const KNOWN: [&str; 9] = [
    "forwarding_table",
    "publish",
    "reload_command",
    "reload_interval_ms",
    "reload_timeout_ms",
    "max_down_percent",
    "listen",
    "https_ca_file",
    "redirect_flows",
];

const TABLE_FIELDS: [&str; 2] = ["src", "dst"];
const FLOWS_FIELDS: [&str; 5] = ["table", "director", "backend", "netns", "direct"];

const DEFAULT_SRC: &str = "/etc/glb/forwarding_table.src.json";
const DEFAULT_DST: &str = "/etc/glb/forwarding_table.checked.json";

/// Reads and checks a file's text; `file` is what issues call it.
#[must_use]
pub fn read(file: &str, text: &str) -> Checked<Healthcheck> {
    let names = [&KNOWN[..], &TABLE_FIELDS, &FLOWS_FIELDS].concat();
    Reader::whole(file, text, &names, read_root)
}

/// The table that a file names, even if the file cannot be used: so the faults of both are found at once.
#[must_use]
pub fn src_of(text: &str) -> Option<PathBuf> {
    let tree: Value = serde_json::from_str(text).ok()?;
    let src = tree
        .get("forwarding_table")
        .and_then(|node| node.get("src"));
    match src.filter(|src| !src.is_null()) {
        Some(src) => src.as_str().map(PathBuf::from),
        None => Some(DEFAULT_SRC.into()),
    }
}

fn read_root(reader: &mut Reader, tree: &Node<'_>) -> Option<Healthcheck> {
    let root = reader.object(tree, &KNOWN)?;
    let publish = match root.get("publish") {
        None => Some(Publish::File),
        Some(node) => match reader.string(&node) {
            Some("file") => Some(Publish::File),
            Some("kernel") => Some(Publish::Kernel),
            Some(_) => {
                reader.error(&node, "must be \"file\" or \"kernel\"");
                None
            }
            None => None,
        },
    };
    let kernel = publish == Some(Publish::Kernel);
    let default_dst = || (!kernel).then(|| PathBuf::from(DEFAULT_DST));
    let (src, dst) = match root.get("forwarding_table") {
        None => (Some(DEFAULT_SRC.into()), Some(default_dst())),
        Some(node) => {
            let paths = reader.object(&node, &TABLE_FIELDS)?;
            let dst = match paths.get("dst") {
                Some(node) => reader.string(&node).map(|path| Some(path.into())),
                None => Some(default_dst()),
            };
            (reader.path(&paths, "src", DEFAULT_SRC), dst)
        }
    };
    if let (Some(src), Some(Some(dst))) = (&src, &dst) {
        if src == dst {
            let reason = "must differ from forwarding_table.src, which is the operator's";
            reader.error_at("forwarding_table.dst", reason);
        }
    }
    let reload_command = match root.get("reload_command") {
        Some(node) => reader.string(&node).map(|command| Some(command.to_owned())),
        None => Some(None),
    };
    match (&dst, &reload_command) {
        (_, Some(Some(command))) if kernel && !command.trim().is_empty() => {
            let reason = "is not run with \"publish\": \"kernel\"";
            reader.warn_at("reload_command", reason);
        }
        (_, Some(None)) if !kernel => {
            let reason = "is missing: nothing makes the director read the table (\"\" says that it is meant so)";
            reader.warn_at("reload_command", reason);
        }
        _ => {}
    }
    let mut ms = |name, least: u64, default| match root.get(name) {
        Some(node) => reader.integer(&node, least..=3_600_000),
        None => Some(default),
    };
    let reload_interval_ms = ms("reload_interval_ms", 0, 10_000);
    let reload_timeout_ms = ms("reload_timeout_ms", 1, 30_000);
    let max_down_percent = match root.get("max_down_percent") {
        Some(node) => reader.integer(&node, 0u8..=100),
        None => Some(50),
    };
    let listen = reader.listen(&root, 19520);
    let https_ca_file = reader.path(&root, "https_ca_file", DEFAULT_CA_FILE);
    let redirect_flows = match root.get("redirect_flows") {
        Some(node) => redirect_flows(reader, &node).map(Some),
        None => Some(None),
    };
    Some(Healthcheck {
        src: src?,
        dst: dst?,
        publish: publish?,
        reload_command: reload_command?,
        reload_interval_ms: reload_interval_ms?,
        reload_timeout_ms: reload_timeout_ms?,
        max_down_percent: max_down_percent?,
        listen: listen?,
        https_ca_file: https_ca_file?,
        redirect_flows: redirect_flows?,
        tree: tree.value.clone(),
    })
}

fn redirect_flows(reader: &mut Reader, node: &Node<'_>) -> Option<RedirectFlows> {
    let flows = reader.object(node, &FLOWS_FIELDS)?;
    let table = reader.required(&flows, "table");
    let table = table.and_then(|node| reader.string(&node).map(PathBuf::from));
    let director = match flows.get("director") {
        Some(node) => reader.string(&node).map(|path| Some(PathBuf::from(path))),
        None => Some(None),
    };
    let backend = match flows.get("backend") {
        Some(node) => reader.addr(&node).map(Some),
        None => Some(None),
    };
    let netns = match flows.get("netns") {
        Some(node) => {
            let names = reader.array(&node)?;
            let names = names
                .iter()
                .map(|node| reader.string(node).map(ToOwned::to_owned));
            // All faults are told, and not the first alone.
            let names: Vec<Option<String>> = names.collect();
            names.into_iter().collect()
        }
        None => Some(Vec::new()),
    };
    let direct = match flows.get("direct") {
        Some(node) => {
            let ports = reader.array(&node)?;
            let ports = ports.iter().map(|node| reader.integer(node, 1..=u16::MAX));
            let ports: Vec<Option<u16>> = ports.collect();
            ports.into_iter().collect()
        }
        None => Some(Vec::new()),
    };
    Some(RedirectFlows {
        table: table?,
        director: director?,
        backend: backend?,
        netns: netns?,
        direct: direct?,
    })
}
