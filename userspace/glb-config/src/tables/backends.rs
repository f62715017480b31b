// SPDX-License-Identifier: GPL-2.0

//! `backends` of a table.

use super::{bad_state, Rule, TableBackend};
use crate::checks::{read_checks, Checks};
use crate::read::{Node, Reader};
use glb_core::backend::{Backend, Identifiers, State, MAX_BACKENDS};
use glb_core::director::select::rows::v3::MAX_WEIGHT;
use glb_core::packet::addr::Addr;
use std::collections::HashMap;

pub(super) fn read_backends(
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
        .enumerate()
        .map(|(place, item)| read_backend(reader, item, (place, rule)))
        .collect();
    let backends: Vec<TableBackend> = backends.into_iter().collect::<Option<_>>()?;
    check_together(reader, node, &backends, rule?);
    check_identifiers(reader, (node, &items), &backends);
    Some(backends)
}

/// Errors where two backends have one identifier.
fn check_identifiers(
    reader: &mut Reader,
    (node, items): (&Node<'_>, &[Node<'_>]),
    backends: &[TableBackend],
) {
    // More are refused as they are.
    if backends.len() > MAX_BACKENDS {
        return;
    }
    let mut seen = Identifiers::default();
    let says = |place: usize| items[place].value.get("id").is_some_and(|id| !id.is_null());
    for (index, one) in backends.iter().enumerate() {
        if seen.add(one.identifier) {
            continue;
        }
        let same = |other: &TableBackend| other.identifier == one.identifier;
        let first = backends.iter().position(same).unwrap_or_default();
        let of_first = if says(first) { "" } else { " by its place" };
        let reason = if says(index) {
            format!(
                "is the id of {}[{first}] already{of_first}: give each its own",
                node.path
            )
        } else {
            format!(
                "is missing, and its place, {index}, is the id of {}[{first}] already: give it one of its own",
                node.path
            )
        };
        reader.error_at(&format!("{}[{index}].id", node.path), reason);
    }
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

pub(super) const BACKEND_FIELDS: [&str; 7] = [
    "ip",
    "state",
    "healthy",
    "weight",
    "domain",
    "id",
    "healthchecks",
];

fn read_backend(
    reader: &mut Reader,
    node: &Node<'_>,
    (place, rule): (usize, Option<Rule>),
) -> Option<TableBackend> {
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
        for field in ["weight", "domain", "id"] {
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
    let identifier = match object.get("id") {
        Some(node) => reader.integer(&node, 0..=u8::MAX),
        // More than 256 backends are refused as they are.
        None => Some(u8::try_from(place).unwrap_or(u8::MAX)),
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
        identifier: identifier?,
        checks: checks?,
    })
}
