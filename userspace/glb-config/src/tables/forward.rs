// SPDX-License-Identifier: GPL-2.0

//! `forward` of a table, and what does not go with it.

use super::{must_be, Rule, Table, TableBackend};
use crate::read::{Object, Reader};
use glb_core::director::classify::bind::Bind;
use glb_core::director::reverse::services::{check_bind, OneWay};
use glb_core::director::{Forward, ForwardKind, Given, MarkOffset, Misfit};
use glb_core::packet::dscp::Dscp;
use std::num::NonZeroU16;

pub(super) const FORWARD_FIELDS: [&str; 5] = ["kind", "dscp", "target_port", "node_port", "offset"];

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
pub(super) fn check_answers(
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
pub(super) fn check_families(
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

/// Warns of checks through the forward that ask nobody, and refuses those that nobody could answer.
pub(super) fn check_through(reader: &mut Reader, table: &Table) {
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
