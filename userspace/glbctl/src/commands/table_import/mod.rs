// SPDX-License-Identifier: GPL-2.0

//! `glbctl table import-vpp`: a table file of the lines that configure VPP's load balancer.
//!
//! ```text
//! vpp    the lines -> VIPs and their servers, notes, lines that are not taken      pure
//! mod    VIPs -> tables, checked as any file is; the file
//! ```
//!
//! The tables are VPP's: its rows and its flow hash, so that a fleet can be moved one machine at a time.

mod vpp;

use self::vpp::{Encap, Found, Proto, Vip};
use crate::cli::table::TableImportVpp;
use crate::load::{self, is_standard};
use crate::output::{of_line, print_beside, warn, Failure};
use crate::save;
use glb_config::{tables, Issue, Severity};
use glb_core::director::{FlowHash, ForwardKind, Select};
use serde::Serialize;
use serde_json::{json, Value};

#[derive(Serialize)]
struct Imported {
    /// Nothing if it was a dry run.
    file: Option<String>,
    from: String,
    tables: usize,
    /// What is to be done elsewhere, and what was left out.
    notes: Vec<String>,
}

pub(crate) fn run(args: &TableImportVpp, json: bool) -> Result<(), Failure> {
    save::refuse_source(&[&args.file], &args.output)?;
    let name = load::name(&args.file);
    let found = vpp::read(&load::text(&args.file)?);
    let mut refused: Vec<Issue> = found
        .refused
        .iter()
        .map(|(line, text, reason)| of_line(&name, *line, Some(text), reason))
        .collect();
    let mut notes: Vec<String> = found
        .notes
        .iter()
        .map(|(line, note)| format!("line {line}: {note}"))
        .collect();
    let mut trees = Vec::new();
    for vip in &found.vips {
        match table(vip, &found) {
            Ok(tree) => {
                trees.push(tree);
                notes.extend(of_nat(vip).map(|note| format!("line {}: {note}", vip.line)));
            }
            Err(Left::Out(note)) => notes.push(format!("line {}: {note}", vip.line)),
            Err(Left::Refused(reason)) => refused.push(of_line(&name, vip.line, None, &reason)),
        }
    }
    if !refused.is_empty() && !args.partial {
        refused.sort_by_key(|issue| line_of(&issue.field));
        return Err(Failure::Issues(refused));
    }
    for issue in &mut refused {
        issue.severity = Severity::Warning;
    }
    warn(&refused, json);
    let count = trees.len();
    if count == 0 {
        let message =
            format!("{name}: no VIP has an application server: there is no table to write");
        return Err(Failure::Message(message));
    }
    let text = format!("{:#}\n", json!({ "tables": trees }));
    // What is written is what all other commands take.
    let checked = tables::read(&name, &text);
    let (_, warnings) = checked.into_result().map_err(Failure::Issues)?;
    warn(&warnings, json);
    if !args.dry_run {
        save::text(&args.output, &text)?;
    }
    let imported = Imported {
        file: (!args.dry_run).then(|| args.output.display().to_string()),
        from: name,
        tables: count,
        notes,
    };
    let data = is_standard(&args.output) && !args.dry_run;
    print_beside(data, json, &imported, |out| {
        for note in &imported.notes {
            writeln!(out, "note: {}: {note}", imported.from)?;
        }
        let file = imported.file.as_deref().unwrap_or("nothing was written");
        let plural = if count == 1 { "" } else { "s" };
        writeln!(out, "{file}: {count} table{plural} of {}", imported.from)
    })
}

/// The number in `line N`.
fn line_of(field: &str) -> usize {
    field
        .split(' ')
        .next_back()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Why a VIP is no table.
enum Left {
    /// There is nothing to send its packets to.
    Out(String),
    /// It needs what these tools do not have.
    Refused(String),
}

/// A VIP as a table.
fn table(vip: &Vip, found: &Found) -> Result<Value, Left> {
    let forward = forward(vip).map_err(Left::Refused)?;
    let binds = binds(vip, found).map_err(Left::Refused)?;
    if vip.servers.is_empty() {
        let note = "no line lb as names an application server of this VIP: it is left out";
        return Err(Left::Out(note.to_owned()));
    }
    let compat = if vip.sticky {
        FlowHash::VppSticky
    } else {
        FlowHash::Vpp
    };
    let backend = |(addr, weight): &(std::net::IpAddr, u16)| json!({"ip": addr, "state": "active", "healthy": true, "weight": weight});
    let mut tree = json!({
        "name": vip.key.name(),
        "select": {"kind": Select::Maglev.name(), "size": vip.rows, "compat": compat.name()},
        "forward": forward,
        "binds": binds,
        "backends": vip.servers.iter().map(backend).collect::<Value>(),
    });
    // VPP remembers flows, and so does a table of these forwards where it says nothing.
    let mut flows = json!({});
    if vip.sticky {
        flows["by"] = "source".into();
    }
    if let Some(buckets) = found.buckets {
        flows["buckets"] = buckets.into();
    }
    if let Some(timeout) = found.timeout {
        flows["timeout_s"] = timeout.into();
    }
    if flows != json!({}) {
        tree["flows"] = flows;
    }
    Ok(tree)
}

/// How its packets leave.
fn forward(vip: &Vip) -> Result<Value, String> {
    let mut forward = match vip.encap {
        Encap::Gre4 | Encap::Gre6 => json!({"kind": "gre"}),
        Encap::L3dsr => json!({"kind": "l3dsr"}),
        Encap::Nat4 | Encap::Nat6 => json!({"kind": "nat"}),
    };
    let kind = forward["kind"].as_str().unwrap_or_default();
    if ForwardKind::from_name(kind).is_none() {
        return Err(format!("tables have no forward {kind} yet"));
    }
    if let Some(port) = vip.target_port {
        forward["target_port"] = port.into();
    }
    if let Some(dscp) = vip.dscp {
        forward["dscp"] = dscp.into();
    }
    Ok(forward)
}

/// What of a VIP whose addresses are translated is otherwise than its line says.
fn of_nat(vip: &Vip) -> impl Iterator<Item = String> {
    let nat = matches!(vip.encap, Encap::Nat4 | Encap::Nat6);
    let most = if vip.key.addr.is_ipv4() { 32 } else { 128 };
    let node = vip.is_node_port.then(|| {
        "VPP answers from its source address, whatever address was asked: the table has only this one, and not the VIP"
            .to_owned()
    });
    let prefix = (nat && !vip.is_node_port && vip.key.bits < most).then(|| {
        format!(
            "VPP answers from {} whatever address of {}/{} is asked: the table has only this one",
            vip.key.addr, vip.key.addr, vip.key.bits
        )
    });
    let port = vip.node_port.filter(|_| nat);
    let port = port.map(|port| {
        format!(
            "node_port {port} is left out: VPP itself asks and answers with the port of the VIP"
        )
    });
    node.into_iter().chain(prefix).chain(port)
}

/// Its binds: one for all protocols, where it names none; TCP and UDP, where it names a port alone.
fn binds(vip: &Vip, found: &Found) -> Result<Value, String> {
    let key = vip.key;
    let nat = matches!(vip.encap, Encap::Nat4 | Encap::Nat6);
    // Answers of translated packets have one source.
    let ip = match (nat, vip.is_node_port) {
        (true, true) => {
            let mut sources = found.sources.iter();
            let own = sources.find(|addr| addr.is_ipv4() == key.addr.is_ipv4());
            let family = if key.addr.is_ipv4() { 4 } else { 6 };
            let missing = || {
                format!("type nodeport: needs a line \"lb conf ip{family}-src-address ADDRESS\", which VPP answers from")
            };
            own.ok_or_else(missing)?.to_string()
        }
        (true, false) => key.addr.to_string(),
        (false, _) => format!("{}/{}", key.addr, key.bits),
    };
    let bind = |proto: Proto| {
        let proto = proto.name();
        match key.port {
            Some(port) => json!({"ip": ip, "proto": proto, "port": port}),
            None => json!({"ip": ip, "proto": proto, "port_start": 0, "port_end": u16::MAX}),
        }
    };
    Ok(match (key.proto, key.port) {
        (Some(proto), _) => json!([bind(proto)]),
        (None, Some(_)) => json!([bind(Proto::Tcp), bind(Proto::Udp)]),
        (None, None) => json!([{"ip": ip, "proto": "any"}]),
    })
}
