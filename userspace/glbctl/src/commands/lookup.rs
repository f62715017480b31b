// SPDX-License-Identifier: GPL-2.0

//! `glbctl lookup`: where a packet would go, by a table file. The steps are the director's own.

use super::classes::ClassView;
use super::table_show::{BackendView, ForwardView, SelectView};
use crate::cli::packet::{Lookup, Protocol};
use crate::load;
use crate::output::{print, warn, Failure};
use crate::text::{self, bind};
use glb_config::classes;
use glb_config::compiled::Compiled;
use glb_config::opened::Opened;
use glb_config::settings::field_names;
use glb_config::world::{self, Tables};
use glb_config::{quoted, DeadRows};
use glb_core::director::classify::bind::{Bind, BindId, Classifier, Proto};
use glb_core::director::classify::by_class::{class_of, Bytes};
use glb_core::director::classify::flow::{Classes, NamedClass};
use glb_core::director::select::hash::{HashFields, PacketHash};
use glb_core::director::{decide_classed, Candidate, Kind};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::Addrs;
use glb_core::settings::Settings;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

#[derive(Serialize)]
struct Answer {
    table: String,
    /// What of the file has the packet: a class, or a bind.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<ClassAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bind_index: Option<u16>,
    /// Classes that want bytes of the transport header, which are not known here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_asked: Vec<String>,
    forward: ForwardView,
    #[serde(skip_serializing_if = "Option::is_none")]
    select: Option<SelectView>,
    hashes: Vec<Hashed>,
    /// All hops that the packet names, first to last.
    hops: Vec<BackendView>,
}

#[derive(Serialize)]
struct ClassAnswer {
    /// Its place in the file.
    index: u32,
    #[serde(flatten)]
    view: ClassView,
}

#[derive(Serialize)]
struct Hashed {
    fields: Vec<&'static str>,
    hash: String,
    row: u32,
    hops: Vec<u8>,
}

pub(crate) fn run(args: &Lookup, file: &Path, json: bool) -> Result<(), Failure> {
    let read: Vec<&Path> = [Some(file), args.config.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    load::only_one_standard_input(&read)?;
    let tables = load::opened_with_classes(file, json)?;
    let settings = match &args.config {
        Some(path) => load::director(path, json)?.settings,
        None => Settings::DEFAULT,
    };
    let proto = args.protocol().map_err(Failure::Message)?;
    let packet = packet(args, proto)?;
    for fields in [Some(settings.hash_fields), settings.alt_hash_fields]
        .into_iter()
        .flatten()
    {
        let needed = fields.contains(HashFields::SRC_PORT) && proto.needs_ports();
        if needed && args.client.port.is_none() {
            let message = "the client's port is hashed: give ADDRESS:PORT for the client";
            return Err(Failure::Message(message.to_owned()));
        }
    }
    let words = classifier(tables.binds())?;
    let class_words = classes::compiled(tables.classes())
        .map_err(|why| Failure::Message(format!("{}: {why}", file.display())))?;
    let found =
        Classes::new(&class_words).and_then(|classes| class_of(classes, &packet, Bytes::default()));
    let (index, bind_id, table) = match &found {
        Some(found) => {
            let index = usize::from(found.service);
            (index, None, table_at(&tables, index, file)?)
        }
        None => {
            let (id, table) = find(&tables, &words, (args, proto), file)?;
            (usize::from(id.table), Some(id.bind), table)
        }
    };
    if let Some(dead) = DeadRows::of(&table) {
        let label = table.label(index);
        warn(&[dead.issue(&file.display().to_string(), &label)], json);
    }
    let world = Tables::new(
        (0..=index).map(|at| (at == index).then_some(Cow::Borrowed(&*table))),
        &words,
    )
    .with_classes(&class_words);
    let plan = decide_classed(&world, &settings, packet, Bytes::default()).map_err(|verdict| {
        let (file, counter) = (file.display(), verdict.counter());
        Failure::Message(format!("{file}: the packet would be one of {counter}"))
    })?;
    let hashed = |fields, hash: PacketHash, row: u32| Hashed {
        fields: field_names(fields),
        hash: format!("{:016x}", hash.0),
        row,
        hops: table.row(row).to_vec(),
    };
    let first = hashed(settings.hash_fields, plan.hash, plan.row(&world));
    let alt_hash = plan.alt_hash.zip(plan.alt_row(&world));
    let alt = settings.alt_hash_fields.zip(alt_hash);
    let alt = alt.map(|(fields, (hash, row))| hashed(fields, hash, row));
    let hashes: Vec<Hashed> = [Some(first), alt].into_iter().flatten().collect();
    let hops = hashes
        .iter()
        .flat_map(|hashed| table.reached(&hashed.hops))
        .map(|&index| usize::from(index))
        .map(|index| BackendView::new(index, (&*table, &table.backends[index]), None))
        .collect();
    let answer = Answer {
        table: table.label(index),
        class: found.and_then(|found| {
            let class = tables.classes().get(found.class as usize)?;
            Some(ClassAnswer {
                index: found.class,
                view: ClassView::new(class),
            })
        }),
        bind: bind_id.map(|id| {
            let one = table.binds.get(usize::from(id));
            one.map(bind).unwrap_or_default()
        }),
        bind_index: bind_id,
        not_asked: {
            let wants = |one: &&NamedClass| {
                let in_udp = proto == Protocol::Ported(Proto::Udp) && one.class.udp_encap.is_some();
                !one.class.matches.is_empty() || in_udp && one.class.udp_encap == args.service.port
            };
            let wanting = tables.classes().iter().filter(wants);
            wanting.map(|one| one.name.clone()).collect()
        },
        forward: ForwardView::new(table.forward),
        select: SelectView::new(table.selector()),
        hashes,
        hops,
    };
    print(json, &answer, |out| {
        writeln!(out, "table {}", quoted(&answer.table))?;
        if let Some(ClassAnswer { index, view }) = &answer.class {
            writeln!(out, "{view} (classes[{index}])")?;
        }
        if let (Some(bind), Some(index)) = (&answer.bind, answer.bind_index) {
            writeln!(out, "bind  {bind} (binds[{index}])")?;
        }
        if !answer.not_asked.is_empty() {
            let names: Vec<String> = answer.not_asked.iter().map(|name| quoted(name)).collect();
            writeln!(
                out,
                "not asked, as they want bytes of the header: class {}",
                names.join(", ")
            )?;
        }
        for hashed in &answer.hashes {
            let fields = hashed.fields.join(", ");
            write_hash(
                out,
                &answer.select,
                (&hashed.hash, &format!(" of {fields}")),
            )?;
            writeln!(out, "row   {:#06x}", hashed.row)?;
        }
        write_select(out, answer.select.as_ref())?;
        writeln!(out, "leaves by {}", answer.forward)?;
        writeln!(out, "hops")?;
        answer.hops.iter().try_for_each(|hop| hop.write(out))
    })
}

/// The packet hash, where it selects the row.
pub(crate) fn write_hash(
    out: &mut dyn Write,
    select: &Option<SelectView>,
    (hash, of): (&str, &str),
) -> io::Result<()> {
    match select.as_ref().and_then(|select| select.compat) {
        Some(compat) => writeln!(
            out,
            "hash  of {compat}, of the packet's addresses and ports"
        ),
        None => writeln!(out, "hash  {hash}{of}"),
    }
}

/// What the rows are, where they are not GLB's.
pub(crate) fn write_select(out: &mut dyn Write, select: Option<&SelectView>) -> io::Result<()> {
    match select {
        Some(select) => writeln!(out, "of    {} rows of a {} table", select.size, select.kind),
        None => Ok(()),
    }
}

/// A packet as it is asked for.
fn packet(args: &Lookup, proto: Protocol) -> Result<Candidate, Failure> {
    let addrs = match (args.client.addr, args.service.addr) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => Addrs::V4 {
            src: src.octets(),
            dst: dst.octets(),
        },
        (IpAddr::V6(src), IpAddr::V6(dst)) => Addrs::V6 {
            src: src.octets(),
            dst: dst.octets(),
        },
        _ => {
            let message = "client and service must be of one family, IPv4 or IPv6";
            return Err(Failure::Message(message.to_owned()));
        }
    };
    let (kind, src_port, dst_port) = match proto {
        Protocol::Ported(proto) => {
            let port = service_port(args).map_err(Failure::Message)?;
            (Kind::Flow(proto), args.client.port.unwrap_or(0), port)
        }
        Protocol::Echo => (Kind::Echo, 0, 0),
        Protocol::Other(number) => (Kind::Portless(number), 0, 0),
    };
    Ok(Candidate {
        kind,
        key: FlowKey {
            addrs,
            src_port,
            dst_port,
        },
        hint: src_port,
        len: 0,
        fragment: None,
        flags: 0,
    })
}

fn service_port(args: &Lookup) -> Result<u16, String> {
    let missing = || "the service's port is missing: give ADDRESS:PORT".to_owned();
    match args.proto.needs_ports() {
        true => args.service.port.ok_or_else(missing),
        false => Ok(args.service.port.unwrap_or(0)),
    }
}

/// The words of a classifier over all binds of the tables.
pub(crate) fn classifier<'b>(
    tables: impl IntoIterator<Item = &'b [Bind]>,
) -> Result<Vec<u32>, Failure> {
    world::classifier(tables).map_err(Failure::Message)
}

/// The bind that a packet meets, and its table, which is the only one whose rows are made.
fn find<'t>(
    tables: &'t Opened,
    words: &[u32],
    asked: (&Lookup, Protocol),
    file: &Path,
) -> Result<(BindId, Cow<'t, Compiled>), Failure> {
    let id = classify(words, asked)
        .map_err(|reason| Failure::Message(format!("{}: {reason}", file.display())))?;
    Ok((id, table_at(tables, id.table.into(), file)?))
}

/// A table with its rows.
fn table_at<'t>(
    tables: &'t Opened,
    index: usize,
    file: &Path,
) -> Result<Cow<'t, Compiled>, Failure> {
    let table = tables.table(index).map_err(|reason| {
        let file = file.display();
        Failure::Message(format!("{file}: {reason}"))
    })?;
    let missing = || Failure::Message("a bind of no table".to_owned());
    table.ok_or_else(missing)
}

/// The bind that a packet meets by the words of a classifier; otherwise, of what packet there is none.
pub(crate) fn classify(
    words: &[u32],
    (args, proto): (&Lookup, Protocol),
) -> Result<BindId, String> {
    let addr = args.service.addr;
    let dst = match addr {
        IpAddr::V4(addr) => Addr::V4(addr.octets()),
        IpAddr::V6(addr) => Addr::V6(addr.octets()),
    };
    let classifier = Classifier::new(words);
    let (found, what) = match proto {
        Protocol::Ported(proto) => {
            let port = service_port(args)?;
            let name = text::proto(Some(proto));
            let what = format!("{name} {addr} port {port}");
            let found = match (classifier.lookup(dst, proto, port), proto) {
                (None, Proto::Sctp) => classifier.lookup_all(dst),
                (found, _) => found,
            };
            (found, what)
        }
        Protocol::Echo => (classifier.lookup_addr(dst), format!("icmp {addr}")),
        Protocol::Other(number) => {
            let what = format!("protocol {number} {addr}: only binds with proto any take it");
            (classifier.lookup_all(dst), what)
        }
    };
    found.ok_or_else(|| format!("no bind matches {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;
    use glb_config::opened::open_bytes;

    #[test]
    fn one_table_of_many_is_built() {
        let tables: Vec<String> = (0..50)
            .map(|i| {
                format!(
                    r#"{{"name": "t{i}", "hash_key": "12345678901234561234567890123456", "seed": "{i:032x}",
                    "binds": [{{"ip": "10.0.0.{i}", "proto": "tcp", "port": 80}}],
                    "backends": [{{"ip": "172.16.0.1", "state": "active", "healthy": true}},
                                 {{"ip": "172.16.0.2", "state": "active", "healthy": true}}]}}"#
                )
            })
            .collect();
        let text = format!(r#"{{"tables": [{}]}}"#, tables.join(","));
        let opened = open_bytes("t", text.as_bytes()).value.unwrap();
        let command = [
            "glbctl",
            "lookup",
            "--table",
            "t",
            "192.0.2.1",
            "10.0.0.37:80",
        ];
        let Command::Lookup(args) = Cli::parse_from(command).command else {
            panic!("another command");
        };
        let words = classifier(opened.binds()).unwrap();
        let (id, table) = find(&opened, &words, (&args, args.proto), Path::new("t")).unwrap();
        assert_eq!(id.table, 37);
        assert_eq!(table.name.as_deref(), Some("t37"));
        assert_eq!(opened.built(), 1);
    }
}
