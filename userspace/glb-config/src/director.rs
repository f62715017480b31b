// SPDX-License-Identifier: GPL-2.0

//! `director.conf` (spec 3).

use crate::issue::Checked;
use crate::read::{Node, Object, Reader};
use glb_core::addr::Addr;
use glb_core::hash::HashFields;
use serde_json::Value;

/// How a director works.
#[derive(Debug, Clone)]
pub struct Director {
    /// Source address of the packets to the proxies.
    pub outbound_src_ip: Addr,
    /// Where all packets are sent on the link; the kernel's routes say it otherwise.
    pub outbound_gateway_mac: Option<[u8; 6]>,
    /// What of a packet is hashed.
    pub hash_fields: HashFields,
    /// What of a packet is hashed for the second pair of hops.
    pub alt_hash_fields: Option<HashFields>,
    /// Whether echo requests to bound addresses go to a proxy.
    pub forward_icmp_ping_responses: bool,
    /// Where statistics are sent on this machine.
    pub statsd_port: u16,
    /// The file as it was read.
    pub tree: Value,
}

/// Settings of the DPDK director that mean nothing here.
const DPDK_ONLY: [&str; 4] = ["lcores", "flow_paths", "num_worker_queues", "rx_drop_en"];

const KNOWN: [&str; 10] = [
    "outbound_src_ip",
    "outbound_gateway_mac",
    "hash_fields",
    "alt_hash_fields",
    "forward_icmp_ping_responses",
    "statsd_port",
    DPDK_ONLY[0],
    DPDK_ONLY[1],
    DPDK_ONLY[2],
    DPDK_ONLY[3],
];

/// Reads and checks a file's text; `file` is what issues call it.
#[must_use]
pub fn read(file: &str, text: &str) -> Checked<Director> {
    Reader::whole(file, text, read_root)
}

fn read_root(reader: &mut Reader, tree: &Node<'_>) -> Option<Director> {
    let root = reader.object(tree, &KNOWN)?;
    for name in DPDK_ONLY {
        if root.get(name).is_some() {
            let reason = "a setting of the DPDK director; accepted and ignored";
            reader.warn_at(name, reason);
        }
    }
    let outbound_src_ip = reader
        .required(&root, "outbound_src_ip")
        .and_then(|node| reader.addr(&node));
    let outbound_gateway_mac = match root.get("outbound_gateway_mac") {
        Some(node) => read_mac(reader, &node).map(Some),
        None => Some(None),
    };
    let hash_fields = read_fields(reader, &root, "hash_fields");
    let alt_hash_fields = read_fields(reader, &root, "alt_hash_fields");
    let forward_icmp_ping_responses = root
        .get("forward_icmp_ping_responses")
        .map_or(Some(true), |node| reader.boolean(&node));
    let statsd_port = root
        .get("statsd_port")
        .map_or(Some(28125), |node| reader.integer(&node, 1u16..=u16::MAX));
    Some(Director {
        outbound_src_ip: outbound_src_ip?,
        outbound_gateway_mac: outbound_gateway_mac?,
        hash_fields: hash_fields?.unwrap_or(HashFields::DEFAULT),
        alt_hash_fields: alt_hash_fields?,
        forward_icmp_ping_responses: forward_icmp_ping_responses?,
        statsd_port: statsd_port?,
        tree: tree.value.clone(),
    })
}

/// The fields of a hash; `Some(None)` where the file does not name any.
fn read_fields(reader: &mut Reader, root: &Object<'_>, name: &str) -> Option<Option<HashFields>> {
    let Some(node) = root.get(name) else {
        return Some(None);
    };
    let fields = [
        ("src_addr", HashFields::SRC_ADDR),
        ("dst_addr", HashFields::DST_ADDR),
        ("src_port", HashFields::SRC_PORT),
        ("dst_port", HashFields::DST_PORT),
    ];
    let object = reader.object(&node, &fields.map(|(name, _)| name))?;
    let mut bits = 0;
    let mut good = true;
    for (name, field) in fields {
        let Some(node) = object.get(name) else {
            continue;
        };
        match reader.boolean(&node) {
            Some(true) => bits |= field.bits(),
            Some(false) => {}
            None => good = false,
        }
    }
    let fields = HashFields::from_bits(bits);
    if good && fields.is_none() {
        reader.error(&node, "at least one field must be true");
    }
    fields.filter(|_| good).map(Some)
}

fn read_mac(reader: &mut Reader, node: &Node<'_>) -> Option<[u8; 6]> {
    let text = reader.string(node)?;
    let mac = parse_mac(text);
    if mac.is_none() {
        reader.error(
            node,
            "must be six pairs of hexadecimal digits with colons between",
        );
    }
    mac
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let part = parts.next()?;
        // Digits only: `from_str_radix` alone would take "+8".
        if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}
