// SPDX-License-Identifier: GPL-2.0

//! `glbctl lookup --running`: where a packet would go, by the loaded tables.

use super::{bind as bind_text, director, BackendView};
use crate::cli::packet::Lookup;
use crate::commands::lookup::{classifier, classify, write_hash, write_select};
use crate::commands::table_show::{ForwardView, SelectView};
use crate::output::{print, Failure};
use glb_config::quoted;
use glb_core::director::classify::bind::Bind;
use glb_core::director::select::hash::HashFields;
use glb_core::packet::addr::Addr;
use glb_netlink::Packet;
use serde::Serialize;
use std::net::IpAddr;

#[derive(Serialize)]
struct Answer {
    table: String,
    generation: u32,
    /// The bind, and its place in the table; nothing if the tables were loaded anew while they were asked.
    #[serde(flatten)]
    bind: Option<Met>,
    forward: ForwardView,
    #[serde(skip_serializing_if = "Option::is_none")]
    select: Option<SelectView>,
    hashes: Vec<Hashed>,
    /// Whether the first hop is the flow's, which the table remembers, and not the row's.
    known_flow: bool,
    /// The class that has the packet, by its place in the file, where one has it and not a bind.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<ClassPlace>,
    /// Whether there are classes that look at bytes of such packets: none of them was asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    classes_want_bytes: bool,
    /// All hops that the packet names, first to last.
    hops: Vec<BackendView>,
}

/// The bind that the packet meets.
#[derive(Serialize)]
struct Met {
    bind: String,
    bind_index: u16,
}

#[derive(Serialize)]
struct ClassPlace {
    index: u32,
}

#[derive(Serialize)]
struct Hashed {
    hash: String,
    /// Nothing where another system's hash selects the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<u32>,
}

pub(crate) fn run(args: &Lookup, json: bool) -> Result<(), Failure> {
    let proto = args.protocol().map_err(Failure::Message)?;
    let mut glb = director()?;
    let ported = !proto.has_no_ports();
    if proto.needs_ports() && args.service.port.is_none() {
        let message = "the service's port is missing: give ADDRESS:PORT";
        return Err(Failure::Message(message.to_owned()));
    }
    let port = |given: Option<u16>| given.filter(|_| ported).unwrap_or(0);
    let config = glb.config()?;
    for fields in [Some(config.hash_fields), config.alt_hash_fields]
        .into_iter()
        .flatten()
    {
        let needed = fields.contains(HashFields::SRC_PORT) && proto.needs_ports();
        if needed && args.client.port.is_none() {
            let message = "the client's port is hashed: give ADDRESS:PORT for the client";
            return Err(Failure::Message(message.to_owned()));
        }
    }
    let found = glb.lookup(&Packet {
        src: core(args.client.addr),
        src_port: port(args.client.port),
        dst: core(args.service.addr),
        dst_port: port(args.service.port),
        proto: proto.number(),
    })?;
    let table = glb.table(found.table)?;
    // The kernel says which table. Of all binds that take the packet, the one that has it is one of this table's.
    let binds: Vec<Bind> = {
        let binds = glb.binds(Some(found.table))?.into_iter();
        binds.map(|one| one.bind).collect()
    };
    let met = match found.class {
        // Not a bind has it.
        Some(_) => None,
        None => classify(&classifier([&*binds])?, (args, proto)).ok(),
    };
    let met = met.and_then(|id| {
        let bind = binds.get(usize::from(id.bind))?;
        Some(Met {
            bind: bind_text(bind),
            bind_index: id.bind,
        })
    });
    let remembers = table.words.flows.is_some();
    let answer = Answer {
        table: if found.name.is_empty() {
            format!("#{}", found.table)
        } else {
            found.name.clone()
        },
        generation: found.generation,
        bind: met,
        forward: ForwardView::new(found.forward),
        select: SelectView::new(table.words.selector()),
        hashes: [Some((found.hash.0, Some(found.hash.1))), found.alt]
            .into_iter()
            .flatten()
            .map(|(hash, row)| Hashed {
                hash: format!("{hash:016x}"),
                row,
            })
            .collect(),
        known_flow: found.known_flow,
        class: found.class.map(|index| ClassPlace { index }),
        classes_want_bytes: found.wants_bytes,
        hops: found
            .hops
            .iter()
            .map(|hop| BackendView::new(usize::from(hop.backend), &hop.info, found.forward))
            .collect(),
    };
    print(json, &answer, |out| {
        writeln!(
            out,
            "table {} (load {})",
            quoted(&answer.table),
            answer.generation
        )?;
        if let Some(ClassPlace { index }) = &answer.class {
            writeln!(out, "class classes[{index}] of the file that was loaded")?;
        }
        if answer.classes_want_bytes {
            writeln!(
                out,
                "classes that want bytes of the header were not asked: such a packet may be of one of them (glbctl encap asks all)"
            )?;
        }
        if let Some(Met { bind, bind_index }) = &answer.bind {
            writeln!(out, "bind  {bind} (binds[{bind_index}])")?;
        }
        for hashed in &answer.hashes {
            write_hash(out, &answer.select, (&hashed.hash, ""))?;
            if let Some(row) = hashed.row {
                writeln!(out, "row   {row:#06x}")?;
            }
        }
        write_select(out, answer.select.as_ref())?;
        writeln!(out, "leaves by {}", answer.forward)?;
        if answer.known_flow {
            writeln!(out, "hops: of the flow, which the table remembers")?;
        } else if remembers {
            writeln!(
                out,
                "hops: of the row; the table remembers no other backend of this flow"
            )?;
        } else {
            writeln!(out, "hops")?;
        }
        answer.hops.iter().try_for_each(|hop| hop.write(out))
    })
}

fn core(addr: IpAddr) -> Addr {
    match addr {
        IpAddr::V4(addr) => Addr::V4(addr.octets()),
        IpAddr::V6(addr) => Addr::V6(addr.octets()),
    }
}
