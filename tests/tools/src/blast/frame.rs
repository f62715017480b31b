// SPDX-License-Identifier: GPL-2.0

//! The frames of a set: one flow each, from clients at made-up addresses.

use crate::capture::ethernet::{frame, Mac};
use crate::tunnel::{Hops, Inner, Source};
use anyhow::{bail, Context, Result};
use glb_core::director::select::hash::PacketHash;
use glb_core::director::source_port;
use glb_core::packet::checksum::{of_header, Sum};
use glb_core::packet::ip::{proto, Family};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const CLIENT_MAC: &str = "02:00:00:00:00:c1";

/// What the frames are like.
///
/// ```text
/// proto=tcp|udp        transport (tcp)          dst=ADDRESS       first destination; its family is the packet's
/// flags=syn|ack        of TCP (ack)             dsts=N            so many, one after the other (1)
/// port=N               destination port (443)   flows=N           frames (1)
/// payload=N            bytes behind it (0)      src=ADDRESS       client (random for each flow)
/// sport=N              its port (random)          seed=N            other random clients (1)
/// outer=SRC,DST,HOP... inside GUE, with these hops behind the first (no tunnel)
/// backend=ADDRESS,PORT  the answers of this backend to the clients of these flows, as it sends them
/// geneve=SRC,DST       inside Geneve with the three options of a gateway load balancer (no tunnel)
/// ```
pub(super) struct Spec {
    udp: bool,
    syn: bool,
    dst: IpAddr,
    dsts: u32,
    port: u16,
    flows: u32,
    payload: usize,
    src: Option<IpAddr>,
    sport: Option<u16>,
    seed: u64,
    outer: Option<(Source, Hops)>,
    backend: Option<(IpAddr, u16)>,
    geneve: Option<(IpAddr, IpAddr)>,
}

impl Spec {
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let mut spec = Self {
            udp: false,
            syn: false,
            dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            dsts: 1,
            port: 443,
            flows: 1,
            payload: 0,
            src: None,
            sport: None,
            seed: 1,
            outer: None,
            backend: None,
            geneve: None,
        };
        for word in words {
            let (key, value) = word
                .split_once('=')
                .with_context(|| format!("'{word}' is not KEY=VALUE"))?;
            match (key, value) {
                ("proto", "udp") => spec.udp = true,
                ("proto", "tcp") => spec.udp = false,
                ("flags", "syn") => spec.syn = true,
                ("flags", "ack") => spec.syn = false,
                ("dst", _) => spec.dst = value.parse()?,
                ("dsts", _) => spec.dsts = value.parse()?,
                ("port", _) => spec.port = value.parse()?,
                ("flows", _) => spec.flows = value.parse()?,
                ("payload", _) => spec.payload = value.parse()?,
                ("src", _) => spec.src = Some(value.parse()?),
                ("sport", _) => spec.sport = Some(value.parse()?),
                ("seed", _) => spec.seed = value.parse()?,
                ("outer", _) => {
                    let (source, hops) = value
                        .split_once(',')
                        .context("outer= wants a source and a hop")?;
                    let hops: Vec<IpAddr> =
                        hops.split(',').map(str::parse).collect::<Result<_, _>>()?;
                    let source = match source.parse()? {
                        IpAddr::V4(source) => Source::V4(source.octets()),
                        IpAddr::V6(source) => Source::V6(source.octets()),
                    };
                    spec.outer = Some((source, Hops::new(&hops)?));
                }
                ("backend", _) => {
                    let (addr, port) = value
                        .split_once(',')
                        .context("backend= wants an address and a port")?;
                    spec.backend = Some((addr.parse()?, port.parse()?));
                }
                ("geneve", _) => {
                    let ends = value.split_once(',').context("geneve= wants two ends")?;
                    spec.geneve = Some((ends.0.parse()?, ends.1.parse()?));
                }
                _ => bail!("what is '{word}'?"),
            }
        }
        if spec.dst.is_unspecified() || spec.dsts == 0 {
            bail!("dst= and dsts= must name a destination");
        }
        Ok(spec)
    }

    /// The frames, the same ones each time.
    pub(super) fn frames(&self, mac: Mac) -> Result<Vec<Vec<u8>>> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let client_mac: Mac = CLIENT_MAC.parse()?;
        (0..self.flows)
            .map(|flow| {
                let mut packet = self.packet(&mut rng, flow)?;
                if let Some((source, hops)) = &self.outer {
                    let ports = (
                        source_port(PacketHash(rng.random()), 0),
                        glb_core::packet::gue::PORT,
                    );
                    let inner = Inner {
                        family: if self.dst.is_ipv4() {
                            Family::V4
                        } else {
                            Family::V6
                        },
                        packet: &packet,
                    };
                    let mut out = Vec::new();
                    hops.encapsulate(*source, ports, inner, &mut out)
                        .context("outer= has two families")?;
                    packet = out;
                }
                if let Some((from, to)) = self.geneve {
                    // Not by chance: the clients are those of the set without a tunnel.
                    let cookie = flow.wrapping_mul(0x9e37_79b1);
                    packet = self.geneve((from, to), cookie, &packet)?;
                }
                frame(mac, client_mac, &packet)
            })
            .collect()
    }

    /// The packet as a gateway load balancer sends it; the cookie is the flow's. There is no UDP checksum.
    fn geneve(&self, (from, to): (IpAddr, IpAddr), cookie: u32, inner: &[u8]) -> Result<Vec<u8>> {
        let protocol: [u8; 2] = if self.dst.is_ipv4() {
            [8, 0]
        } else {
            [0x86, 0xdd]
        };
        let mut geneve = vec![8, 0];
        geneve.extend(protocol);
        geneve.extend([0; 4]);
        geneve.extend([1, 8, 1, 2, 0x2b, 0x8e, 0xe1, 0xd4, 0xdb, 0x0c, 0x51, 0xc4]);
        geneve.extend([1, 8, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
        geneve.extend([1, 8, 3, 1]);
        geneve.extend(cookie.to_be_bytes());
        geneve.extend(inner);
        let [port_hi, port_lo] = (0xc000 | cookie as u16 >> 2).to_be_bytes();
        let len = (8 + geneve.len() as u16).to_be_bytes();
        let mut udp = vec![port_hi, port_lo, 0x17, 0xc1, len[0], len[1], 0, 0];
        udp.extend(geneve);
        let outer = Self {
            udp: true,
            dsts: 1,
            outer: None,
            ..*self
        };
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Ok(outer.ipv4(from, to, &udp)),
            (IpAddr::V6(from), IpAddr::V6(to)) => Ok(outer.ipv6(from, to, &udp)),
            _ => bail!("geneve= has two families"),
        }
    }

    fn packet(&self, rng: &mut ChaCha8Rng, flow: u32) -> Result<Vec<u8>> {
        // A stride that is prime to any number of destinations up to 65,536, so that neighbours in time are none in
        // the table.
        let dst = u32::try_from(u64::from(flow) * 40_503 % u64::from(self.dsts))?;
        let sport = self
            .sport
            .unwrap_or_else(|| rng.random_range(1024..=65_535));
        let transport = match self.backend {
            Some((_, port)) => self.transport(port, sport),
            None => self.transport(sport, self.port),
        };
        match self.dst {
            IpAddr::V4(first) => {
                // 198.18.0.0/15 is for benchmarks (RFC 2544).
                let src = match self.src {
                    Some(IpAddr::V4(src)) => src,
                    Some(IpAddr::V6(_)) => bail!("src= and dst= are of two families"),
                    None => Ipv4Addr::from(0xc612_0000 | rng.random_range(1..0x1_ffff)),
                };
                let dst = Ipv4Addr::from(u32::from(first) + dst);
                Ok(match self.backend {
                    Some((IpAddr::V4(backend), _)) => self.v4(backend, src, &transport),
                    Some(_) => bail!("backend= and dst= are of two families"),
                    None => self.v4(src, dst, &transport),
                })
            }
            IpAddr::V6(first) => {
                let src = match self.src {
                    Some(IpAddr::V6(src)) => src,
                    Some(IpAddr::V4(_)) => bail!("src= and dst= are of two families"),
                    None => {
                        Ipv6Addr::from(0x2001_0002_u128 << 96 | u128::from(rng.random::<u64>()))
                    }
                };
                let dst = Ipv6Addr::from(u128::from(first) + u128::from(dst));
                Ok(match self.backend {
                    Some((IpAddr::V6(backend), _)) => self.v6(backend, src, &transport),
                    Some(_) => bail!("backend= and dst= are of two families"),
                    None => self.v6(src, dst, &transport),
                })
            }
        }
    }

    /// Transport header and payload, without a checksum.
    fn transport(&self, sport: u16, dport: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(sport.to_be_bytes());
        bytes.extend(dport.to_be_bytes());
        if self.udp {
            bytes.extend(((8 + self.payload) as u16).to_be_bytes());
            bytes.extend([0; 2]);
        } else {
            let flags = if self.syn { 0x02 } else { 0x10 };
            bytes.extend([
                0,
                0,
                0,
                1,
                0,
                0,
                0,
                u8::from(!self.syn),
                0x50,
                flags,
                0xff,
                0xff,
                0,
                0,
                0,
                0,
            ]);
        }
        bytes.resize(bytes.len() + self.payload, 0);
        bytes
    }

    /// With this transport header as it is.
    fn ipv4(&self, src: Ipv4Addr, dst: Ipv4Addr, transport: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0];
        packet.extend(((20 + transport.len()) as u16).to_be_bytes());
        packet.extend([0, 1, 0x40, 0, 64, self.number(), 0, 0]);
        packet.extend(src.octets());
        packet.extend(dst.octets());
        let header: [u8; 20] = packet
            .as_slice()
            .try_into()
            .expect("20 bytes were put there");
        packet[10..12].copy_from_slice(&of_header(&header));
        packet.extend(transport);
        packet
    }

    fn v4(&self, src: Ipv4Addr, dst: Ipv4Addr, transport: &[u8]) -> Vec<u8> {
        let pseudo = [
            &src.octets()[..],
            &dst.octets(),
            &[0, self.number()],
            &(transport.len() as u16).to_be_bytes(),
        ]
        .concat();
        self.ipv4(src, dst, &self.summed(&pseudo, transport))
    }

    /// With this transport header as it is.
    fn ipv6(&self, src: Ipv6Addr, dst: Ipv6Addr, transport: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((transport.len() as u16).to_be_bytes());
        packet.extend([self.number(), 64]);
        packet.extend(src.octets());
        packet.extend(dst.octets());
        packet.extend(transport);
        packet
    }

    fn v6(&self, src: Ipv6Addr, dst: Ipv6Addr, transport: &[u8]) -> Vec<u8> {
        let pseudo = [
            &src.octets()[..],
            &dst.octets(),
            &(transport.len() as u32).to_be_bytes(),
            &[0, 0, 0, self.number()],
        ]
        .concat();
        self.ipv6(src, dst, &self.summed(&pseudo, transport))
    }

    fn number(&self) -> u8 {
        if self.udp {
            proto::UDP
        } else {
            proto::TCP
        }
    }

    fn summed(&self, pseudo: &[u8], transport: &[u8]) -> Vec<u8> {
        let mut bytes = transport.to_vec();
        // The checksum covers an odd last byte as if a zero followed.
        let mut even = bytes.clone();
        even.resize(even.len().next_multiple_of(2), 0);
        let check = match Sum::default().with(pseudo).with(&even).checksum() {
            0 => 0xffff,
            check => check,
        };
        let at = if self.udp { 6 } else { 16 };
        bytes[at..at + 2].copy_from_slice(&check.to_be_bytes());
        bytes
    }
}
