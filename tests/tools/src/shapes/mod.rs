// SPDX-License-Identifier: GPL-2.0

//! Whether what a director made of aggregates is what it was to make of them.
//!
//! ```text
//! same KEY=VALUE...       a line of WANT: what glb_testdev was told (tests/kmod), and what must become of it
//! glb-packets shapes WANT GOT.pcap --mtu 1500 --outer-checksum none
//! ```

mod frame;
mod spec;
#[cfg(test)]
mod tests;

use crate::capture::read;
use anyhow::{bail, ensure, Context, Result};
use frame::{Fragment, Ip, Outer, Packet};
use spec::{Spec, Want};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

/// Hold a capture of tunnelled packets against the aggregates that they come from.
///
/// Each aggregate must have a source port of its own. Of each its packets must be there, in their order, none missing and none
/// twice, with the right bytes, lengths, sequence numbers and checksums, none longer than the path takes.
#[derive(clap::Args)]
pub(crate) struct Shapes {
    /// What was to come in, and what must become of it: a line each, of `same`, `cut`, `fragments` or `nothing`, and the words
    /// that glb_testdev was given
    want: PathBuf,
    /// The capture of what left; frames that are no tunnel's are left out
    got: PathBuf,
    /// Bytes of the longest IP packet that the path takes
    #[arg(long)]
    mtu: usize,
    /// What the packets leave in
    #[arg(long, value_enum, default_value_t = Tunnel::Gue)]
    tunnel: Tunnel,
    /// What the outer UDP header has
    #[arg(long, value_enum, default_value_t = OuterChecksum::None)]
    outer_checksum: OuterChecksum,
    /// UDP destination port of the tunnel
    #[arg(long, default_value_t = glb_core::packet::gue::PORT)]
    port: u16,
    /// Instead of a tunnel: packets leave with a TTL that is lower by one, for the backend of their family
    #[arg(long = "backend", value_name = "ADDRESS")]
    backends: Vec<IpAddr>,
    /// They have this DSCP
    #[arg(long, requires = "backends")]
    dscp: Option<u8>,
    /// They go to this port
    #[arg(long, requires = "backends")]
    target_port: Option<u16>,
    /// Instead of a tunnel: packets leave with a TTL that is lower by one, from the VIP of their family
    #[arg(long = "vip", value_name = "ADDRESS", conflicts_with = "backends")]
    vips: Vec<IpAddr>,
}

impl Shapes {
    /// What is in a frame that left. `None`: nothing of ours.
    fn taken_from<'f>(&self, frame: &'f [u8]) -> Result<Option<&'f [u8]>> {
        if self.backends.is_empty() && self.vips.is_empty() {
            let outer = Outer {
                tunnel: self.tunnel,
                mtu: self.mtu,
                port: self.port,
                checksum: self.outer_checksum,
            };
            return frame::inner(frame, outer);
        }
        let meant = |ip: &Ip<'_>| self.backends.contains(&ip.dst) || self.vips.contains(&ip.src);
        frame::plain(frame, meant, self.mtu, self.dscp)
    }

    /// The packet as it is to leave.
    fn leaves(&self, mut spec: Spec) -> Spec {
        let is_v4 = spec.dst.is_ipv4();
        let of_family = |all: &[IpAddr]| all.iter().copied().find(|one| one.is_ipv4() == is_v4);
        let (backend, vip) = (of_family(&self.backends), of_family(&self.vips));
        if backend.or(vip).is_some() {
            spec.ttl = spec.ttl.saturating_sub(1);
        }
        spec.dst = backend.unwrap_or(spec.dst);
        spec.src = vip.unwrap_or(spec.src);
        spec.dport = self.target_port.unwrap_or(spec.dport);
        spec
    }
}

/// What is between the outer IP header and the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tunnel {
    /// UDP and GUE, with hops
    Gue,
    /// GRE
    Gre,
    /// nothing
    Ipip,
}

/// What the checksum field of the outer UDP header must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OuterChecksum {
    /// 0
    None,
    /// the checksum
    Right,
    /// the checksum, or the pseudo header's part of it, which the device completes
    Device,
}

/// The most failures that are told.
const TOLD: usize = 20;

pub(crate) fn shapes(arguments: &Shapes) -> Result<()> {
    let text = fs::read_to_string(&arguments.want)
        .with_context(|| arguments.want.display().to_string())?;
    let mut specs = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let spec = Spec::parse(line).with_context(|| format!("line {}: {line}", number + 1))?;
        let spec = arguments.leaves(spec);
        if specs.insert(spec.sport, (line, spec)).is_some() {
            bail!("line {}: its source port is another one's too", number + 1);
        }
    }
    let frames = read(&arguments.got)?;
    let mut failures = Vec::new();
    let mut flows: HashMap<u16, Vec<Whole>> = HashMap::new();
    let mut fragments = Reassembly::default();
    for (number, frame) in frames.iter().enumerate() {
        let taken = arguments
            .taken_from(frame)
            .and_then(|inner| match inner {
                Some(bytes) => fragments.take(bytes),
                None => Ok(None),
            })
            .and_then(|whole| {
                if let Some(whole) = whole {
                    let sport = Packet::parse(Ip::parse(&whole.bytes)?)?.sport;
                    ensure!(
                        specs.contains_key(&sport),
                        "source port {sport}, which nobody sent"
                    );
                    flows.entry(sport).or_default().push(whole);
                }
                Ok(())
            });
        if let Err(error) = taken {
            failures.push(format!("frame {}: {error:#}", number + 1));
        }
    }
    failures.extend(fragments.incomplete());
    let mut packets = 0;
    for (sport, (line, spec)) in &specs {
        let got = flows.remove(sport).unwrap_or_default();
        packets += got.len();
        if let Err(error) = judge(spec, &got) {
            failures.push(format!("{line}: {error:#}"));
        }
    }
    if failures.is_empty() {
        println!(
            "{} packets of {} aggregates, in {} frames, are what they must be",
            packets,
            specs.len(),
            frames.len()
        );
        return Ok(());
    }
    for failure in failures.iter().take(TOLD) {
        println!("{failure}");
    }
    bail!("{} failures", failures.len());
}

/// A packet as it was before it was fragmented, if it was.
#[derive(Debug)]
struct Whole {
    bytes: Vec<u8>,
    was_fragmented: bool,
}

/// What the fragments of a packet have in common: addresses, protocol, identification (RFC 791).
type Datagram = (IpAddr, IpAddr, u8, u16);

/// Fragments of packets that are not whole yet.
#[derive(Default)]
struct Reassembly {
    parts: BTreeMap<Datagram, Vec<(Fragment, Vec<u8>)>>,
}

impl Reassembly {
    /// Takes a packet or a fragment; what is whole now.
    fn take(&mut self, bytes: &[u8]) -> Result<Option<Whole>> {
        let ip = Ip::parse(bytes)?;
        let Some(fragment) = ip.fragment else {
            return Ok(Some(Whole {
                bytes: bytes.to_vec(),
                was_fragmented: false,
            }));
        };
        ensure!(!ip.df, "a fragment of a packet that may not be fragmented");
        ensure!(
            !fragment.more || ip.payload.len() % 8 == 0,
            "a fragment of {} bytes",
            ip.payload.len()
        );
        let key = (ip.src, ip.dst, ip.protocol, fragment.id);
        let parts = self.parts.entry(key).or_default();
        let expected: usize = parts.iter().map(|(_, bytes)| bytes.len() - 20).sum();
        ensure!(
            fragment.offset == expected,
            "a fragment from byte {} on, where {expected} comes next",
            fragment.offset
        );
        parts.push((fragment, bytes.to_vec()));
        if fragment.more {
            return Ok(None);
        }
        let parts = self.parts.remove(&key).unwrap_or_default();
        let mut whole: Vec<u8> = bytes[..20].to_vec();
        whole.extend(parts.iter().flat_map(|(_, bytes)| &bytes[20..]));
        let len = u16::try_from(whole.len()).context("longer than a packet can be")?;
        whole[2..4].copy_from_slice(&len.to_be_bytes());
        whole[6..8].fill(0);
        // Each fragment's header checksum was looked at.
        whole[10..12].fill(0);
        let check = !whole[..20].chunks(2).fold(0u32, |sum, pair| {
            let sum = sum + (u32::from(pair[0]) << 8 | u32::from(pair[1]));
            (sum & 0xffff) + (sum >> 16)
        }) as u16;
        whole[10..12].copy_from_slice(&check.to_be_bytes());
        Ok(Some(Whole {
            bytes: whole,
            was_fragmented: true,
        }))
    }

    fn incomplete(&self) -> impl Iterator<Item = String> + '_ {
        self.parts.iter().map(|((src, dst, _, id), parts)| {
            format!(
                "{src} to {dst}, packet {id}: {} fragments, and no last one",
                parts.len()
            )
        })
    }
}

/// Whether these packets, in this order, are what must become of the aggregate.
fn judge(spec: &Spec, got: &[Whole]) -> Result<()> {
    let expected = match spec.want {
        Want::Nothing => {
            ensure!(got.is_empty(), "{} packets left", got.len());
            return Ok(());
        }
        Want::Same | Want::Fragments => {
            let count = spec.segments().len();
            ensure!(got.len() == count, "{} packets, of {count}", got.len());
            spec.segments().map(|range| range.len()).collect()
        }
        Want::Cut => cut(spec, got)?,
    };
    let was_fragmented = got.iter().any(|whole| whole.was_fragmented);
    ensure!(
        was_fragmented == (spec.want == Want::Fragments),
        "{}",
        if was_fragmented {
            "it was fragmented"
        } else {
            "it was not fragmented"
        }
    );
    let mut offset = 0;
    for (number, (whole, len)) in got.iter().zip(expected).enumerate() {
        let last = number + 1 == got.len();
        packet(spec, whole, number, offset..offset + len, last)
            .with_context(|| format!("packet {} of {}", number + 1, got.len()))?;
        offset += len;
    }
    ensure!(offset == spec.len(), "{offset} bytes, of {}", spec.len());
    Ok(())
}

/// The lengths of the payloads of packets that others were cut into: their own, if that is not too many packets.
fn cut(spec: &Spec, got: &[Whole]) -> Result<Vec<usize>> {
    let lengths: Vec<usize> = got
        .iter()
        .map(|whole| Ok(Packet::parse(Ip::parse(&whole.bytes)?)?.payload.len()))
        .collect::<Result<_>>()?;
    let most = spec.segments().len() * 2;
    ensure!(
        lengths.len() <= most,
        "{} packets, where {most} do",
        lengths.len()
    );
    ensure!(
        lengths.iter().all(|&len| len > 0),
        "a packet without a byte"
    );
    Ok(lengths)
}

/// Whether a packet is this part of what was sent.
fn packet(
    spec: &Spec,
    whole: &Whole,
    number: usize,
    range: std::ops::Range<usize>,
    last: bool,
) -> Result<()> {
    const ACK: u8 = 0x10;
    const PSH: u8 = 0x08;
    const CWR: u8 = 0x80;
    let packet = Packet::parse(Ip::parse(&whole.bytes)?)?;
    let ip = &packet.ip;
    ensure!(
        (ip.src, ip.dst, packet.udp, packet.dport) == (spec.src, spec.dst, spec.udp, spec.dport),
        "another flow: {packet:?}"
    );
    ensure!(ip.ttl == spec.ttl, "TTL {}", ip.ttl);
    if ip.src.is_ipv4() {
        ensure!(ip.df == spec.df, "DF is {}", ip.df);
        // Whoever cuts may count in other ways, as long as fragments can be told apart.
        let id = spec.id.wrapping_add(number as u16);
        ensure!(
            spec.want == Want::Cut || ip.id == id,
            "identification {}, not {id}",
            ip.id
        );
    }
    ensure!(
        packet.payload.len() == range.len(),
        "{} bytes, not {}",
        packet.payload.len(),
        range.len()
    );
    if let Some(at) = packet
        .payload
        .iter()
        .zip(range.clone())
        .position(|(&byte, offset)| byte != spec.byte(offset))
    {
        bail!(
            "byte {at} of {} is not byte {} of what was sent",
            range.len(),
            range.start + at
        );
    }
    ensure!(
        packet.sum_is_right != spec.bad,
        "its checksum is {}",
        if spec.bad { "right now" } else { "wrong" }
    );
    if !spec.udp {
        let seq = spec.seq.wrapping_add(range.start as u32);
        ensure!(
            packet.seq == seq,
            "sequence number {}, not {seq}",
            packet.seq
        );
        let mut flags = ACK;
        if last || spec.packets {
            flags |= PSH;
        }
        if number == 0 && spec.ecn {
            flags |= CWR;
        }
        // Packets that came one by one may be cut as a stream.
        let free = if spec.packets && spec.want == Want::Cut && !last {
            PSH
        } else {
            0
        };
        ensure!(
            packet.flags | free == flags | free,
            "flags {:#04x}, not {flags:#04x}",
            packet.flags
        );
        ensure!(
            packet.options == vec![1; spec.options],
            "options {:02x?}",
            packet.options
        );
    }
    Ok(())
}
