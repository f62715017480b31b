// SPDX-License-Identifier: GPL-2.0

//! Whether what arrived is what was to arrive.

use crate::capture::{ethernet, read};
use anyhow::{bail, Result};
use std::collections::HashMap;
use std::path::PathBuf;

/// Hold captures of tunnelled packets against what directors with one or several tables must send.
///
/// Packet number N of the n-th expected capture is what the n-th table makes of packet N. Each packet must have arrived
/// exactly as often as it was sent, each time exactly as one of the tables says. Ethernet headers are left out, and so are
/// frames that are no UDP packet to the port.
#[derive(clap::Args)]
pub(crate) struct Judge {
    /// What must arrive, by the first table, the second, ...
    #[arg(required = true)]
    expected: Vec<PathBuf>,
    /// What arrived; several captures are taken together
    #[arg(long, value_name = "FILE", required = true)]
    got: Vec<PathBuf>,
    /// How often each packet was sent
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// Each table must have been used
    #[arg(long)]
    mixed: bool,
    /// Do not look at the outer source address, nor at the checksums that cover it
    #[arg(long)]
    ignore_source: bool,
    /// UDP destination port of the tunnel
    #[arg(long, default_value_t = glb_core::packet::gue::PORT)]
    port: u16,
}

/// What a frame is expected as: a packet's number, and the tables that say so, one bit each.
struct Expected {
    number: usize,
    tables: u32,
}

pub(crate) fn judge(arguments: &Judge) -> Result<()> {
    let key = |frame: &[u8]| {
        let mut packet = frame.get(ethernet::HEADER_LEN..)?.to_vec();
        is_tunnel(&packet, arguments.port)?;
        if arguments.ignore_source {
            forget_source(&mut packet)?;
        }
        Some(packet)
    };
    let mut expected: HashMap<Vec<u8>, Expected> = HashMap::new();
    let mut sent = None;
    for (table, path) in arguments.expected.iter().enumerate() {
        let frames = read(path)?;
        if *sent.get_or_insert(frames.len()) != frames.len() {
            bail!("{}: the tables' captures differ in length", path.display());
        }
        for (number, frame) in frames.iter().enumerate() {
            let Some(packet) = key(frame) else {
                bail!(
                    "{}: frame {} is no tunnel packet",
                    path.display(),
                    number + 1
                );
            };
            let entry = expected
                .entry(packet)
                .or_insert(Expected { number, tables: 0 });
            if entry.number != number {
                bail!(
                    "{}: packets {} and {number} are the same",
                    path.display(),
                    entry.number
                );
            }
            entry.tables |= 1 << table;
        }
    }
    let sent = sent.unwrap_or_default();
    let mut arrived = vec![0; sent];
    let mut by_tables: HashMap<u32, u64> = HashMap::new();
    let mut wrong = 0;
    for path in &arguments.got {
        for frame in read(path)? {
            let Some(packet) = key(&frame) else { continue };
            match expected.get(&packet) {
                Some(of) => {
                    arrived[of.number] += 1;
                    *by_tables.entry(of.tables).or_default() += 1;
                }
                None => {
                    wrong += 1;
                    if wrong <= 3 {
                        println!("no table says this: {}", crate::capture::hex(&packet));
                    }
                }
            }
        }
    }
    let want = u64::from(arguments.times) * sent as u64;
    let missing: u64 = arrived
        .iter()
        .map(|n| u64::from(arguments.times.saturating_sub(*n)))
        .sum();
    let twice: u64 = arrived
        .iter()
        .map(|n| u64::from(n.saturating_sub(arguments.times)))
        .sum();
    println!("{want} sent, {missing} missing, {twice} too many, {wrong} as no table says");
    let mut counts: Vec<_> = by_tables.iter().collect();
    counts.sort();
    for (tables, count) in counts {
        println!(
            "    {count} as {}",
            names(*tables, arguments.expected.len())
        );
    }
    if missing + twice + wrong > 0 {
        bail!("not every packet arrived as it must");
    }
    for table in 0..arguments.expected.len() {
        if arguments.mixed && !by_tables.contains_key(&(1 << table)) {
            bail!("no packet went by table {} alone", table + 1);
        }
    }
    Ok(())
}

fn names(tables: u32, of: usize) -> String {
    let names: Vec<String> = (0..of)
        .filter(|table| tables >> table & 1 != 0)
        .map(|table| format!("table {}", table + 1))
        .collect();
    format!("{} says", names.join(" or "))
}

/// Offset of the outer UDP header, of a packet without options.
fn udp_of(packet: &[u8]) -> Option<usize> {
    match packet.first()? >> 4 {
        4 if *packet.get(9)? == 17 => Some(20),
        6 if *packet.get(6)? == 17 => Some(40),
        _ => None,
    }
}

fn is_tunnel(packet: &[u8], port: u16) -> Option<()> {
    let at = udp_of(packet)?;
    (packet.get(at + 2..at + 4)? == port.to_be_bytes()).then_some(())
}

fn forget_source(packet: &mut [u8]) -> Option<()> {
    let at = udp_of(packet)?;
    if at == 20 {
        packet.get_mut(10..16)?.fill(0);
    } else {
        packet.get_mut(8..24)?.fill(0);
    }
    packet.get_mut(at + 6..at + 8)?.fill(0);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{create, pcap};
    use std::path::Path;

    fn write(name: &str, packets: &[Vec<u8>]) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("glb-judge-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(name);
        let mut out = pcap::Writer::new(create(&path).unwrap()).unwrap();
        for packet in packets {
            out.frame(&[&[0; 14][..], packet].concat()).unwrap();
        }
        out.finish().unwrap();
        path
    }

    /// A tunnel packet from `source` with a body.
    fn tunnel(source: u8, body: u8) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x45;
        packet[9] = 17;
        packet[15] = source;
        packet[22..24].copy_from_slice(&glb_core::packet::gue::PORT.to_be_bytes());
        packet[39] = body;
        packet
    }

    fn verdict(expected: &[&PathBuf], got: &Path, mixed: bool, ignore_source: bool) -> bool {
        judge(&Judge {
            expected: expected.iter().map(|path| (*path).clone()).collect(),
            got: vec![got.to_path_buf()],
            times: 1,
            mixed,
            ignore_source,
            port: glb_core::packet::gue::PORT,
        })
        .is_ok()
    }

    #[test]
    fn each_fault_is_seen() {
        let a = write("a", &[tunnel(1, 1), tunnel(1, 2)]);
        let b = write("b", &[tunnel(1, 3), tunnel(1, 4)]);
        let good = write("good", &[tunnel(1, 1), tunnel(1, 4), vec![0x45; 40]]);
        assert!(verdict(&[&a, &b], &good, true, false));
        assert!(!verdict(&[&a], &good, false, false));
        let one = write("one", &[tunnel(1, 1), tunnel(1, 2)]);
        assert!(verdict(&[&a, &b], &one, false, false));
        assert!(!verdict(&[&a, &b], &one, true, false));
        let lost = write("lost", &[tunnel(1, 1)]);
        assert!(!verdict(&[&a, &b], &lost, false, false));
        let twice = write("twice", &[tunnel(1, 1), tunnel(1, 3), tunnel(1, 4)]);
        assert!(!verdict(&[&a, &b], &twice, false, false));
        let other = write("other", &[tunnel(2, 1), tunnel(2, 2)]);
        assert!(!verdict(&[&a], &other, false, false));
        assert!(verdict(&[&a], &other, false, true));
    }
}
