// SPDX-License-Identifier: GPL-2.0

//! `glbctl decap`: an appliance behind a gateway load balancer over a capture, no kernel needed.

use super::capture::{convert, ethertype, split};
use crate::cli::packet::Decap;
use crate::output::{print_beside, Failure};
use crate::pcap::Link;
use crate::{load, save};
use glb_core::geneve::{
    inspect, is_checksum_right, Packet, Senders, Settings, Stop, Unfit, Verdict, MAX_SENDERS,
};
use glb_core::packet::ip::Family;
use glb_core::packet::view::View;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, Write};

/// What became of a packet.
#[derive(Serialize)]
struct Line {
    /// Its number in the capture, from 1.
    packet: u64,
    verdict: &'static str,
}

pub(crate) fn run(args: &Decap, json: bool) -> Result<(), Failure> {
    save::refuse_source(&[&args.input], &args.output)?;
    let settings = Settings {
        class: args.class,
        port: args.port,
        senders: senders(args)?,
    };
    let mut counts = [0u64; Verdict::COUNT];
    let mut lines = Vec::new();
    convert(&args.input, &args.output, |link, frame, writer| {
        let packet = split(link, &frame.bytes);
        let opened = match packet {
            Some((_, packet, family)) => open(packet, family, &settings),
            None => Err(Verdict::PassedNotGeneve),
        };
        let verdict = match (packet, opened) {
            (Some((header, _, _)), Ok((inner, family))) => {
                let header = delivered(link, header, family);
                writer.frame(frame, &[&header, &inner])?;
                Verdict::Accepted
            }
            (_, Err(verdict)) => verdict,
            (None, Ok(_)) => Verdict::PassedNotGeneve,
        };
        counts[verdict.index()] += 1;
        if json {
            lines.push(Line {
                packet: lines.len() as u64 + 1,
                verdict: verdict.counter(),
            });
        }
        Ok(())
    })?;
    let standard = load::is_standard(&args.output);
    print_beside(standard, json, &lines, |out| write(&counts, out))
}

fn senders(args: &Decap) -> Result<Senders, Failure> {
    let mut senders = Senders::ANY;
    for prefix in &args.allow_from {
        let taken = senders.allow(prefix.addr, prefix.len);
        taken.map_err(|unfit| {
            let count = args.allow_from.len();
            Failure::Message(match unfit {
                Unfit::TooMany => format!("--allow-from: {count} prefixes: at most {MAX_SENDERS}"),
                Unfit::TooLong => "--allow-from: a prefix is longer than its address".to_owned(),
            })
        })?;
    }
    Ok(senders)
}

/// The packet inside, with the congestion mark that it then has, and its family.
fn open<'p>(
    bytes: &'p [u8],
    outer: Family,
    settings: &Settings,
) -> Result<(Cow<'p, [u8]>, Family), Verdict> {
    let packet = Packet {
        view: View::whole(bytes),
        outer,
    };
    let opened = inspect(&packet, settings).map_err(|stop| match stop {
        Stop::Decided(verdict) => verdict,
        // All that there is was given.
        Stop::NeedLinear(_) => Verdict::DroppedTruncated,
    })?;
    if !is_checksum_right(&packet, &opened) {
        return Err(Verdict::DroppedChecksum);
    }
    let inner = bytes.get(opened.inner_at..);
    let inner = inner.and_then(|inner| inner.get(..opened.inner_len));
    let mut inner = Cow::Borrowed(inner.ok_or(Verdict::DroppedTruncated)?);
    if let Some(mark) = opened.mark(&packet)? {
        mark.write(inner.to_mut(), opened.inner)
            .ok_or(Verdict::DroppedInner)?;
    }
    Ok((inner, opened.inner))
}

/// The link header of a packet that was taken out: that of its frame, with its own ethertype.
fn delivered(link: Link, header: &[u8], family: Family) -> Vec<u8> {
    match (link, header.first_chunk::<12>()) {
        (Link::Ethernet, Some(addresses)) => [&addresses[..], &ethertype(family)].concat(),
        _ => Vec::new(),
    }
}

fn write(counts: &[u64; Verdict::COUNT], out: &mut dyn Write) -> io::Result<()> {
    let total: u64 = counts.iter().sum();
    writeln!(out, "{total:>10} {}", Verdict::TOTAL)?;
    for &verdict in Verdict::ALL {
        let count = counts[verdict.index()];
        if count > 0 {
            writeln!(out, "{count:>10} {}", verdict.counter())?;
        }
    }
    Ok(())
}
