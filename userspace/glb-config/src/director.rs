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
    /// Where statistics are sent on this machine; 0 for nowhere.
    pub statsd_port: u16,
    /// The file as it was read.
    pub tree: Value,
}

/// Settings of the DPDK director that mean nothing here.
const DPDK_ONLY: [&str; 5] = [
    "lcores",
    "flow_paths",
    "num_worker_queues",
    "rx_drop_en",
    "kni_ip",
];

const KNOWN: [&str; 11] = [
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
    DPDK_ONLY[4],
];

/// Reads and checks a file's text; `file` is what issues call it.
#[must_use]
pub fn read(file: &str, text: &str) -> Checked<Director> {
    let names = [&KNOWN[..], &FIELDS.map(|(name, _)| name)].concat();
    Reader::whole(file, text, &names, read_root)
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
        .map_or(Some(28125), |node| read_port(reader, &node));
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

/// What may be hashed.
const FIELDS: [(&str, HashFields); 4] = [
    ("src_addr", HashFields::SRC_ADDR),
    ("dst_addr", HashFields::DST_ADDR),
    ("src_port", HashFields::SRC_PORT),
    ("dst_port", HashFields::DST_PORT),
];

/// The fields of a hash; `Some(None)` where the file does not name any.
fn read_fields(reader: &mut Reader, root: &Object<'_>, name: &str) -> Option<Option<HashFields>> {
    let Some(node) = root.get(name) else {
        return Some(None);
    };
    let object = reader.object(&node, &FIELDS.map(|(name, _)| name))?;
    let mut bits = 0;
    let mut good = true;
    for (name, field) in FIELDS {
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
            "must be six pairs of hexadecimal digits with colons between, as in 00:11:22:aa:bb:cc",
        );
    }
    mac
}

/// Six numbers of one byte or three of two, as the deployed directors take them: with colons between (as
/// DPDK reads them), or with hyphens or dots (as Go does).
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let separator = text.chars().find(|c| ":-.".contains(*c))?;
    let parts: Vec<&str> = text.split(separator).collect();
    let digits = match parts.len() {
        6 if separator != '.' => 2,
        3 if separator != '-' => 4,
        _ => return None,
    };
    let mut mac = Vec::with_capacity(6);
    for part in parts {
        // Digits only: `from_str_radix` alone would take "+8".
        let good =
            (1..=digits).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u16::from_str_radix(part, 16).ok().filter(|_| good)?;
        let bytes = number.to_be_bytes();
        mac.extend_from_slice(if digits == 2 { &bytes[1..] } else { &bytes });
    }
    mac.try_into().ok()
}
