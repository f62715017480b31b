// SPDX-License-Identifier: GPL-2.0

//! `glbctl encap`: the director over a capture, no kernel needed.

use super::lookup::classifier;
use crate::cli::packet::Encap;
use crate::engine::Engine;
use crate::output::{print_beside, Failure};
use crate::pcap::{Link, Reader, Writer};
use crate::progress::Progress;
use crate::{load, save};
use glb_config::atomic;
use glb_core::director::Verdict;
use glb_core::packet::ip::Family;
use glb_core::settings::Settings;
use serde_json::{json, Map, Value};
use std::fs::{File, Metadata};
use std::io::{self, Write};

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ETHERTYPE_VLAN: [u8; 2] = [0x81, 0x00];
const ETHERTYPE_QINQ: [u8; 2] = [0x88, 0xa8];
/// Bytes of two Ethernet addresses.
const ADDRESSES: usize = 12;

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
    let tables = load::tables(&args.table, json)?.tables;
    source(&config, args)?;
    let words = classifier(tables.iter().map(|table| &table.binds[..]))?;
    let mut engine = Engine::new(&tables, &words, &config)
        .map_err(|why| Failure::Message(format!("{}: {why}", args.table.display())))?;
    let in_file = |error: io::Error| load::failure(&args.input, &error);
    let mut progress = Progress::new("bytes read");
    let input: Box<dyn io::Read> = if load::is_standard(&args.input) {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&args.input).map_err(in_file)?;
        // A pipe has no size.
        let size = file.metadata().ok().filter(Metadata::is_file);
        if let Some(size) = size.and_then(|file| usize::try_from(file.len()).ok()) {
            progress = progress.of(size);
        }
        Box::new(file)
    };
    let mut reader = Reader::new(input).map_err(in_file)?;
    // A damaged input and an output that cannot be written are told apart by where they are noticed.
    let mut bad_input = None;
    let mut counts = Counts {
        total: 0,
        verdicts: [0; Verdict::COUNT],
        bytes: 0,
    };
    let write = |out: &mut dyn Write| {
        let mut writer = Writer::like(out, &reader)?;
        loop {
            let frame = match reader.frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return writer.finish(),
                Err(error) => {
                    bad_input = Some(error);
                    return Err(io::Error::other("bad input"));
                }
            };
            let verdict = match split(reader.link, &frame.bytes) {
                Some((link, packet, family)) => {
                    match engine.packet(frame.milliseconds(), packet, family) {
                        Ok(sent) => {
                            let link = reply(link, sent.outer, &config);
                            writer.frame(&frame, &[&link, sent.header(), sent.packet()])?;
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
            progress.done(reader.bytes_read());
        }
    };
    let standard = load::is_standard(&args.output);
    let written = if standard {
        save::standard_output(write)
    } else {
        atomic::write_public(&args.output, write)
    };
    drop(progress);
    if let Some(error) = bad_input {
        return Err(in_file(error));
    }
    written.map_err(|error| save::failure(&args.output, &error))?;
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

/// A frame's link header (up to and with the ethertype, or nothing), its IP packet, and the packet's family.
fn split(link: Link, frame: &[u8]) -> Option<(&[u8], &[u8], Family)> {
    if link == Link::Raw {
        let family = match frame.first()? >> 4 {
            4 => Family::V4,
            6 => Family::V6,
            _ => return None,
        };
        return Some((&[], frame, family));
    }
    // One tag is the kernel's to take off; what has two is the outer VLAN device's.
    let at = match *frame.get(ADDRESSES..)?.first_chunk()? {
        ETHERTYPE_VLAN | ETHERTYPE_QINQ => ADDRESSES + 4,
        _ => ADDRESSES,
    };
    let family = match *frame.get(at..)?.first_chunk()? {
        ETHERTYPE_IPV4 => Family::V4,
        ETHERTYPE_IPV6 => Family::V6,
        _ => return None,
    };
    let (link, packet) = frame.split_at_checked(at + 2)?;
    Some((link, packet, family))
}

/// The link header of the packet that goes out: to the gateway, or to whom the packet came from. It has no tag: the device
/// of the route would say which.
fn reply(link: &[u8], outer: Family, config: &Settings) -> Vec<u8> {
    let Some((ours, rest)) = link.split_first_chunk::<6>() else {
        return Vec::new();
    };
    let sender = rest.first_chunk::<6>().copied().unwrap_or_default();
    let ethertype = match outer {
        Family::V4 => ETHERTYPE_IPV4,
        Family::V6 => ETHERTYPE_IPV6,
    };
    let to = config.gateway_mac.unwrap_or(sender);
    [&to[..], ours, &ethertype].concat()
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
