// SPDX-License-Identifier: GPL-2.0

//! Malformed packets, and what must become of them.
//!
//! ```text
//! chance (a seed) -> build: a good packet -> mutate: spoilt -> model: its fate -> capture, counters
//! ```

mod build;
mod chance;
mod geneve;
mod model;
mod mutate;
mod world;

use crate::capture::{create, ethernet, ethernet::Mac, pcap};
use anyhow::{ensure, Result};
use build::Packet;
use chance::Chance;
use model::{judge, Fate, FirstFragment};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use world::World;

/// Make malformed tunnel packets from a seed, and print the counters that they must lead to.
///
/// The proxy under test must have the rule, the VIPs, no listening socket and no connection. One line comes out, in the
/// form that expect_counters of the lab takes: NAME=+NUMBER, for each counter that goes up.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What chance starts from.
    #[arg(long)]
    seed: u64,
    /// How many packets.
    #[arg(long)]
    count: u32,
    /// The capture to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What becomes of each packet, one a line.
    #[arg(long, value_name = "FILE")]
    fates: Option<PathBuf>,
    /// Destination of the Ethernet header.
    #[arg(long, value_name = "MAC")]
    dst_mac: Mac,
    /// Source of the Ethernet header.
    #[arg(long, value_name = "MAC", default_value = "02:00:00:00:00:01")]
    src_mac: Mac,
    /// The packets inside alone, as clients send them to a director. What becomes of them is not said.
    #[arg(long)]
    inner: bool,
    /// With --inner: of ten frames two have a VLAN tag, and one has two.
    #[arg(long, requires = "inner")]
    vlan: bool,
    /// With --inner: as a gateway load balancer (--director) sends them to its appliance (--proxy), in Geneve.
    #[arg(long, requires = "inner", conflicts_with = "vlan")]
    geneve: bool,
    #[command(flatten)]
    world: World,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let world = &arguments.world;
    ensure!(
        world.director.is_ipv4() == world.proxy.is_ipv4(),
        "director and proxy have addresses of different families"
    );
    let mut capture = pcap::Writer::new(create(&arguments.out)?)?;
    if arguments.inner {
        return clients(arguments, capture);
    }
    let mut fates = arguments.fates.as_deref().map(create).transpose()?;
    let mut counters: BTreeMap<&str, u64> = BTreeMap::new();
    for (packet, fate) in Packets::new(arguments.seed, world).take(arguments.count as usize) {
        capture.frame(&ethernet::frame_as(
            arguments.dst_mac,
            arguments.src_mac,
            world.proxy.is_ipv6(),
            &packet,
        ))?;
        let name = match fate {
            Fate::Counted(name) => name,
            Fate::Forwarded(bytes) => {
                *counters.entry("forwarded_bytes").or_default() += bytes as u64;
                "forwarded_to_alternate_packets"
            }
            Fate::NotSeen | Fate::Unknown => "not_seen",
        };
        *counters.entry(name).or_default() += 1;
        if let Some(fates) = &mut fates {
            writeln!(fates, "{name}")?;
        }
    }
    capture.finish()?;
    if let Some(mut fates) = fates {
        fates.flush()?;
    }
    let unseen = counters.remove("not_seen").unwrap_or(0);
    let words: Vec<String> = counters
        .iter()
        .map(|(name, value)| format!("{name}=+{value}"))
        .collect();
    println!(
        "total_packets=+{} {}",
        u64::from(arguments.count) - unseen,
        words.join(" ")
    );
    Ok(())
}

/// What is inside the packets, most with an IPv4 checksum that is right, as nothing looks further otherwise.
fn clients(arguments: &Arguments, mut capture: pcap::Writer<impl Write>) -> Result<()> {
    let mut packets = Packets::new(arguments.seed, &arguments.world);
    let mut left = arguments.count;
    while left > 0 {
        let packet = packets.candidate();
        let mut inner = packet.bytes.get(packet.inner..).unwrap_or(&[]).to_vec();
        let Some(first) = inner.first() else { continue };
        let v6 = first >> 4 == 6;
        if inner.len() >= 20 && packets.chance.percent(90) {
            build::fill_checksum(&mut inner);
        }
        let (packet, v6) = if arguments.geneve {
            let packet = geneve::wrap(&mut packets.chance, &arguments.world, inner);
            (packet, arguments.world.proxy.is_ipv6())
        } else {
            (inner, v6)
        };
        let mut frame = ethernet::frame_as(arguments.dst_mac, arguments.src_mac, v6, &packet);
        if arguments.vlan {
            for _ in 0..packets.chance.one_of(&[0, 0, 0, 0, 0, 0, 0, 1, 1, 2]) {
                ethernet::tag(&mut frame, 5);
            }
        }
        capture.frame(&frame)?;
        left -= 1;
    }
    capture.finish()?;
    Ok(())
}

/// The packets of a seed, without end, each with its fate.
struct Packets<'a> {
    chance: Chance,
    world: &'a World,
    number: u32,
    /// The second packet of a pair, to be sent next.
    waiting: Option<Packet>,
    /// What the packet before left behind.
    before: Option<FirstFragment>,
}

impl<'a> Packets<'a> {
    fn new(seed: u64, world: &'a World) -> Self {
        Self {
            chance: Chance::new(seed),
            world,
            number: 0,
            waiting: None,
            before: None,
        }
    }

    fn candidate(&mut self) -> Packet {
        if let Some(packet) = self.waiting.take() {
            return packet;
        }
        self.number = self.number.wrapping_add(1);
        let chance = &mut self.chance;
        let mut packet = if chance.percent(5) {
            let [first, later] = build::fragments(chance, self.world, self.number);
            self.waiting = Some(later);
            first
        } else {
            build::any(chance, self.world, self.number)
        };
        if chance.percent(75) {
            mutate::spoil(chance, &mut packet, self.number);
        }
        packet
    }
}

impl Iterator for Packets<'_> {
    type Item = (Vec<u8>, Fate);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let packet = self.candidate().bytes;
            let (fate, first) = judge(self.world, self.before.as_ref(), &packet);
            if fate != Fate::Unknown {
                self.before = first;
                return Some((packet, fate));
            }
        }
    }
}

#[cfg(test)]
mod tests;
