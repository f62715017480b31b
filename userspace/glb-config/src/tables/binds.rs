// SPDX-License-Identifier: GPL-2.0

//! `binds` of a table.

use super::Rule;
use crate::read::{Node, Object, Reader};
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::table::v2::MAX_BINDS;

pub(super) fn read_binds(
    reader: &mut Reader,
    node: &Node<'_>,
    rule: Option<Rule>,
) -> Option<Vec<Bind>> {
    let items = reader.array(node)?;
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

pub(super) const BIND_FIELDS: [&str; 5] = ["ip", "proto", "port", "port_start", "port_end"];

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
