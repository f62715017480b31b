// SPDX-License-Identifier: GPL-2.0

//! `glbctl encap`: the director over a capture, no kernel needed.

use super::capture::{convert, ethertype, split};
use super::lookup::classifier;
use crate::cli::packet::Encap;
use crate::engine::Engine;
use crate::output::{print_beside, Failure};
use crate::{load, save};
use glb_config::classes;
use glb_core::director::Verdict;
use glb_core::packet::ip::Family;
use glb_core::settings::Settings;
use serde_json::{json, Map, Value};
use std::io::{self, Write};

/// How many packets of a capture got which verdict.
struct Counts {
    total: u64,
    verdicts: [u64; Verdict::COUNT],
    /// Bytes of the packets sent, from the outer IP header on.
    bytes: u64,
}

pub(crate) fn run(args: &Encap, json: bool) -> Result<(), Failure> {
    let read = [&*args.input, &args.table, &args.config];
    load::only_one_standard_input(&read)?;
    save::refuse_source(&read, &args.output)?;
    let config = load::director(&args.config, json)?.settings;
    let file = load::tables_with_classes(&args.table, json)?;
    let tables = file.tables;
    source(&config, args)?;
    let words = classifier(tables.iter().map(|table| &table.binds[..]))?;
    let classes = classes::compiled(&file.classes)
        .map_err(|why| Failure::Message(format!("{}: {why}", args.table.display())))?;
    let mut engine = Engine::new(&tables, (&words, &classes), &config)
        .map_err(|why| Failure::Message(format!("{}: {why}", args.table.display())))?;
    let mut counts = Counts {
        total: 0,
        verdicts: [0; Verdict::COUNT],
        bytes: 0,
    };
    convert(&args.input, &args.output, |link, frame, writer| {
        let verdict = match split(link, &frame.bytes) {
            Some((link, packet, family)) => {
                match engine.packet(frame.milliseconds(), packet, family) {
                    Ok(sent) => {
                        let link = reply(link, sent.outer, &config);
                        writer.frame(frame, &[&link, sent.header(), sent.packet()])?;
                        counts.bytes += (sent.header().len() + sent.packet().len()) as u64;
                        sent.verdict
                    }
                    Err(verdict) => verdict,
                }
            }
            None => Verdict::PassedUnknownFormat,
        };
        counts.total += 1;
        counts.verdicts[verdict.index()] += 1;
        Ok(())
    })?;
    let standard = load::is_standard(&args.output);
    print_beside(standard, json, &counts.to_json(), |out| counts.write(out))
}

/// Whether there is a source. A director without one takes the route's own, which nobody here knows.
fn source(config: &Settings, args: &Encap) -> Result<(), Failure> {
    if config.source_v4.is_some() || config.source_v6.is_some() {
        return Ok(());
    }
    Err(Failure::Message(format!(
        "{}: no source: a director takes its route's; name it here as source_v4 or source_v6",
        args.config.display()
    )))
}

/// The link header of the packet that goes out: to the gateway, or to whom the packet came from. It has no tag: the device
/// of the route would say which.
fn reply(link: &[u8], outer: Family, config: &Settings) -> Vec<u8> {
    let Some((ours, rest)) = link.split_first_chunk::<6>() else {
        return Vec::new();
    };
    let sender = rest.first_chunk::<6>().copied().unwrap_or_default();
    let to = config.gateway_mac.unwrap_or(sender);
    [&to[..], ours, &ethertype(outer)].concat()
}

impl Counts {
    fn of(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict.index()]
    }

    fn to_json(&self) -> Value {
        let mut counters = Map::new();
        counters.insert(Verdict::TOTAL.to_owned(), json!(self.total));
        for &verdict in Verdict::ALL {
            counters.insert(verdict.counter().to_owned(), json!(self.of(verdict)));
        }
        counters.insert(Verdict::ENCAPSULATED_BYTES.to_owned(), json!(self.bytes));
        Value::Object(counters)
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{:>10} {}", self.total, Verdict::TOTAL)?;
        for &verdict in Verdict::ALL.iter().filter(|verdict| self.of(**verdict) > 0) {
            writeln!(out, "{:>10} {}", self.of(verdict), verdict.counter())?;
        }
        writeln!(out, "{:>10} {}", self.bytes, Verdict::ENCAPSULATED_BYTES)
    }
}
