// SPDX-License-Identifier: GPL-2.0

//! `classes` in the operator's file: which packets belong to a table by what they are, before binds are looked at.

use super::{must_be, Table};
use crate::issue::quoted;
use crate::read::{Node, Object, Reader};
use glb_core::director::classify::bind::Proto;
use glb_core::director::classify::flow::{
    compile, ByteMatch, Class, CompileError, NamedClass, Ports, Prefix, Protocols, MAX_CLASSES,
    MAX_MATCHES, MAX_PREFIXES_EACH,
};
use serde_json::Value;
use std::collections::HashMap;

/// The words of a class.
pub(super) const CLASS_FIELDS: [&str; 10] = [
    "name",
    "priority",
    "service",
    "proto",
    "dst",
    "src",
    "dport",
    "sport",
    "match",
    "udp_encap",
];

/// Priorities are at most this.
const MAX_PRIORITY: u32 = 1_000_000_000;

/// Ranges of ports in either direction are at most so many.
const MAX_RANGES: usize = 1_000;

/// The classes, which lead to these tables.
pub(super) fn read_classes(
    reader: &mut Reader,
    node: &Node<'_>,
    tables: &[Node<'_>],
) -> Option<Vec<NamedClass>> {
    let items = reader.array(node)?;
    if items.len() > MAX_CLASSES {
        let reason = format!("{} classes: at most {MAX_CLASSES}", items.len());
        reader.error_at(&node.path, reason);
        return None;
    }
    let name = |table: &Node<'_>| {
        table
            .value
            .get("name")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let mut services = HashMap::new();
    for (index, table) in tables.iter().enumerate() {
        if let (Some(name), Ok(index)) = (name(table), u16::try_from(index)) {
            services.entry(name).or_insert(index);
        }
    }
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut classes = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let class = reader
            .object(item, &CLASS_FIELDS)
            .and_then(|object| read_class(reader, &object, &services));
        if let Some(class) = &class {
            if let Some(first) = names.insert(class.name.clone(), index) {
                let reason = format!("is the name of {}[{first}] already", node.path);
                reader.error_at(&format!("{}.name", item.path), reason);
            }
        }
        classes.push(class);
    }
    let classes: Vec<NamedClass> = classes.into_iter().collect::<Option<_>>()?;
    let plain: Vec<Class> = classes.iter().map(|one| one.class.clone()).collect();
    if let Err(error) = compile(&plain) {
        let path = match error {
            CompileError::Prefixes(at) | CompileError::Ports(at) | CompileError::Matches(at) => {
                format!("{}[{at}]", node.path)
            }
            _ => node.path.clone(),
        };
        reader.error_at(&path, error.to_string());
        return None;
    }
    Some(classes)
}

/// Errors where a class leads to a table that needs binds.
pub(super) fn check_services(reader: &mut Reader, classes: &[NamedClass], tables: &[Table]) {
    for (index, one) in classes.iter().enumerate() {
        let Some(table) = tables.get(usize::from(one.class.service)) else {
            continue;
        };
        if !table.forward.takes_classes() {
            let reason = format!(
                "leads to a table with forward {}, which needs binds: classes lead to tunnels and marks",
                table.forward.name()
            );
            reader.error_at(&format!("classes[{index}].service"), reason);
        }
    }
}

fn read_class(
    reader: &mut Reader,
    object: &Object<'_>,
    services: &HashMap<String, u16>,
) -> Option<NamedClass> {
    let name = reader.required(object, "name").and_then(|node| {
        let name = reader.string(&node)?;
        if name.is_empty() || name.len() > 255 {
            reader.error(&node, "must have 1 to 255 bytes");
            return None;
        }
        Some(name.to_owned())
    });
    let priority = match object.get("priority") {
        Some(node) => reader.integer(&node, 0..=MAX_PRIORITY),
        None => Some(0),
    };
    let service = reader.required(object, "service").and_then(|node| {
        let name = reader.string(&node)?;
        let service = services.get(name).copied();
        if service.is_none() {
            reader.error(&node, "must be the name of a table of this file");
        }
        service
    });
    let protocols = match object.get("proto") {
        Some(node) => read_protocols(reader, &node),
        None => Some(Protocols::ANY),
    };
    let dst = read_prefixes(reader, object, "dst");
    let src = read_prefixes(reader, object, "src");
    let dport = read_ports(reader, object, "dport");
    let sport = read_ports(reader, object, "sport");
    let matches = match object.get("match") {
        Some(node) => read_matches(reader, &node, protocols),
        None => Some(Vec::new()),
    };
    let udp_encap = match object.get("udp_encap") {
        Some(node) => reader.integer(&node, 1u16..=u16::MAX).and_then(|port| {
            let only_sctp = Protocols::ANY.with(Proto::Sctp);
            if protocols.is_some_and(|set| set != only_sctp) {
                reader.error(&node, "needs \"proto\": [\"sctp\"]");
                return None;
            }
            Some(Some(port))
        }),
        None => Some(None),
    };
    for field in ["dport", "sport"] {
        if let Some(node) = object
            .get(field)
            .filter(|_| protocols == Some(Protocols::ANY))
        {
            reader.error(&node, "needs \"proto\": not all protocols have ports");
            return None;
        }
    }
    Some(NamedClass {
        name: name?,
        class: Class {
            // The cast is exact: it is at most MAX_PRIORITY.
            priority: priority? as i32,
            service: service?,
            protocols: protocols?,
            dst: dst?,
            src: src?,
            dport: dport?,
            sport: sport?,
            matches: matches?,
            udp_encap: udp_encap?,
        },
    })
}

fn read_protocols(reader: &mut Reader, node: &Node<'_>) -> Option<Protocols> {
    let mut set = Protocols::ANY;
    let items = reader.array(node)?;
    if items.is_empty() {
        reader.error(node, "is empty: leave it out for all protocols");
        return None;
    }
    for item in &items {
        let Some(one) = Proto::from_name(reader.string(item)?) else {
            reader.error(item, must_be(Proto::ALL.map(Proto::name)));
            return None;
        };
        set = set.with(one);
    }
    Some(set)
}

/// A list of a class; one that is not there takes all.
fn list<'v>(
    reader: &mut Reader,
    object: &Object<'v>,
    (field, most): (&str, usize),
) -> Option<Vec<Node<'v>>> {
    let Some(node) = object.get(field) else {
        return Some(Vec::new());
    };
    let items = reader.array(&node)?;
    if items.is_empty() {
        reader.error(&node, "is empty: leave it out to take all");
        return None;
    }
    if items.len() > most {
        let reason = format!("has {}: at most {most}", items.len());
        reader.error_at(&node.path, reason);
        return None;
    }
    Some(items)
}

fn read_prefixes(reader: &mut Reader, object: &Object<'_>, field: &str) -> Option<Vec<Prefix>> {
    let items = list(reader, object, (field, MAX_PREFIXES_EACH))?;
    let read = |item: &Node<'_>| {
        let (addr, len) = reader.prefix(item)?;
        let addr = addr.masked(len);
        Some(Prefix { addr, len })
    };
    let all: Vec<_> = items.iter().map(read).collect();
    all.into_iter().collect()
}

fn read_ports(reader: &mut Reader, object: &Object<'_>, field: &str) -> Option<Vec<Ports>> {
    let items = list(reader, object, (field, MAX_RANGES))?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let range = |value: &Value| {
        if let Some(port) = value.as_u64() {
            let port = u16::try_from(port).ok()?;
            return Some((port, port));
        }
        let text = value.as_str()?;
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some((number(first)?, number(last)?))
    };
    let read = |item: &Node<'_>| match range(item.value) {
        Some((first, last)) if first <= last => Some(Ports { first, last }),
        _ => {
            reader.error(
                item,
                "must be a port, as in \"80\", or a range, as in \"100-200\"",
            );
            None
        }
    };
    let all: Vec<_> = items.iter().map(read).collect();
    all.into_iter().collect()
}

fn read_matches(
    reader: &mut Reader,
    node: &Node<'_>,
    protocols: Option<Protocols>,
) -> Option<Vec<ByteMatch>> {
    let items = reader.array(node)?;
    if items.len() > MAX_MATCHES {
        let reason = format!("has {}: at most {MAX_MATCHES}", items.len());
        reader.error_at(&node.path, reason);
        return None;
    }
    let mut all: Vec<ByteMatch> = Vec::new();
    for item in &items {
        let one = match ByteMatch::parse(reader.string(item)?) {
            Ok(one) => one,
            Err(wrong) => {
                reader.error(item, wrong.to_string());
                return None;
            }
        };
        let name = one.transport.name();
        if protocols.is_some_and(|set| !set.is_any() && !set.has(one.transport)) {
            let reason = format!("says nothing: the class takes no {name} (\"proto\")");
            reader.error(item, reason);
            return None;
        }
        let against = |other: &ByteMatch| {
            let both = one.mask & other.mask;
            (one.transport, one.offset, one.len) == (other.transport, other.offset, other.len)
                && one.value & both != other.value & both
        };
        if let Some(other) = all.iter().find(|other| against(other)) {
            let other = quoted(&other.to_string());
            let reason = format!("is never so together with {other}: the class takes no {name}");
            reader.error(item, reason);
            return None;
        }
        all.push(one);
    }
    Some(all)
}
