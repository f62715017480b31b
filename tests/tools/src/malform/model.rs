// SPDX-License-Identifier: GPL-2.0

//! What must become of a packet, said a second time.
//!
//! This is written from GLB's packet format (github/glb-director, docs/development/gue-header.md), the rules of the
//! redirect (docs/proxy.md) and the meanings of the counters (docs/counters.md), and shares no line with `glb_core`:
//! where the two disagree, one of them is wrong. It also knows what the kernel's IP layer and the rule's match do
//! before the target sees a packet, and what it does not know it says ([`Fate::Unknown`]), so that such packets are
//! not sent.
//!
//! The proxy that it speaks of has no socket, so no connection is here.

use super::world::World;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The target counts it under this name.
    Counted(&'static str),
    /// It is passed on, with so many bytes.
    Forwarded(usize),
    /// The IP layer or the rule's match keeps it from the target.
    NotSeen,
    /// The model does not know.
    Unknown,
}

/// The first fragment of a TCP packet: who sent it, and whether it was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstFragment {
    datagram: (IpAddr, IpAddr, u32),
    passed_on: bool,
}

/// The fate of `packet`, which follows directly on a packet that had the first fragment `before`.
pub(super) fn judge(
    world: &World,
    before: Option<&FirstFragment>,
    packet: &[u8],
) -> (Fate, Option<FirstFragment>) {
    let mut first = None;
    let fate = arrival(world, packet).and_then(|datagram| {
        let bytes = datagram.bytes.len();
        decide(world, before, &datagram, &mut first).map(|fate| match fate {
            Fate::Forwarded(_) => Fate::Forwarded(bytes),
            fate => fate,
        })
    });
    (fate.unwrap_or_else(|fate| fate), first)
}

/// Ends the judgement.
type Judged<T> = Result<T, Fate>;

const TRUNCATED: Fate = Fate::Counted("dropped_truncated_packets");
const BAD_OUTER: Fate = Fate::Counted("dropped_outer_packets");
const BAD_GUE: Fate = Fate::Counted("dropped_gue_packets");
const BAD_INNER: Fate = Fate::Counted("dropped_inner_packets");

/// A datagram that the rule hands to the target: trimmed to what its IP header says.
struct Datagram<'a> {
    bytes: &'a [u8],
    udp: usize,
    v6: bool,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at + 2)?;
    Some(usize::from(pair[0]) * 256 + usize::from(pair[1]))
}

// --- before the target -------------------------------------------------------------------------------

fn arrival<'a>(world: &World, packet: &'a [u8]) -> Judged<Datagram<'a>> {
    let datagram = if world.proxy.is_ipv4() {
        arrival_v4(world, packet)?
    } else {
        arrival_v6(world, packet)?
    };
    // `-p udp --dport`: what the rule cannot read matches nothing.
    let udp = &datagram.bytes[datagram.udp..];
    if udp.len() < world.match_needs || u16_at(udp, 2) != Some(usize::from(world.port)) {
        return Err(Fate::NotSeen);
    }
    Ok(datagram)
}

fn arrival_v4<'a>(world: &World, packet: &'a [u8]) -> Judged<Datagram<'a>> {
    if packet.len() < 20 || packet[0] / 16 != 4 || packet[0] % 16 < 5 {
        return Err(Fate::NotSeen);
    }
    let header = usize::from(packet[0] % 16) * 4;
    let total = u16_at(packet, 2).unwrap_or(0);
    if packet.len() < header || total > packet.len() || total < header {
        return Err(Fate::NotSeen);
    }
    if !checksum_holds(&packet[..header]) {
        return Err(Fate::NotSeen);
    }
    if world.director != v4(packet, 12) || world.proxy != v4(packet, 16) {
        return Err(Fate::Unknown);
    }
    options_v4(&packet[20..header])?;
    if packet[6] & 0x3f != 0 || packet[7] != 0 {
        // A fragment waits for the others, which never come: unless it has the identification that all have.
        let alone = packet[4] != 0 || packet[5] != 0;
        return Err(if alone { Fate::NotSeen } else { Fate::Unknown });
    }
    if packet[9] != 17 {
        return Err(Fate::NotSeen);
    }
    Ok(Datagram {
        bytes: &packet[..total],
        udp: header,
        v6: false,
    })
}

/// The options that the builder uses are harmless; a wrong length is an error to the kernel. Others may be anything.
fn options_v4(mut options: &[u8]) -> Judged<()> {
    while let Some(&kind) = options.first() {
        match kind {
            0 => return Ok(()),
            1 => options = &options[1..],
            0x5e | 0x9e => match options.get(1).map(|&len| usize::from(len)) {
                Some(len) if len >= 2 && len <= options.len() => options = &options[len..],
                _ => return Err(Fate::NotSeen),
            },
            _ => return Err(Fate::Unknown),
        }
    }
    Ok(())
}

fn arrival_v6<'a>(world: &World, packet: &'a [u8]) -> Judged<Datagram<'a>> {
    if packet.len() < 40 || packet[0] / 16 != 6 {
        return Err(Fate::NotSeen);
    }
    let total = 40 + u16_at(packet, 4).unwrap_or(0);
    if packet[6] == 0 {
        return Err(Fate::Unknown);
    }
    if total > packet.len() {
        return Err(Fate::NotSeen);
    }
    if world.director != v6(packet, 8) || world.proxy != v6(packet, 24) {
        return Err(Fate::Unknown);
    }
    let (mut next, mut udp, mut extensions) = (packet[6], 40, 0);
    while next == 60 {
        // Destination options, whole and all padding, as the builder makes them.
        match packet[..total].get(udp..udp + 8) {
            Some(&[following, 0, 1, 4, 0, 0, 0, 0]) => next = following,
            _ => return Err(Fate::Unknown),
        }
        udp += 8;
        extensions += 1;
    }
    match next {
        17 if extensions <= 8 => Ok(Datagram {
            bytes: &packet[..total],
            udp,
            v6: true,
        }),
        6 | 58 | 132 => Err(Fate::NotSeen),
        _ => Err(Fate::Unknown),
    }
}

fn checksum_holds(header: &[u8]) -> bool {
    let sum: usize = (0..header.len())
        .step_by(2)
        .filter_map(|at| u16_at(header, at))
        .sum();
    sum % 0xffff == 0 && sum != 0
}

fn v4(bytes: &[u8], at: usize) -> IpAddr {
    let mut address = [0; 4];
    address.copy_from_slice(&bytes[at..at + 4]);
    Ipv4Addr::from(address).into()
}

fn v6(bytes: &[u8], at: usize) -> IpAddr {
    let mut address = [0; 16];
    address.copy_from_slice(&bytes[at..at + 16]);
    Ipv6Addr::from(address).into()
}

// --- the target --------------------------------------------------------------------------------------

/// The hops of a packet, as far as they matter.
enum Hop {
    None,
    To(IpAddr),
}

fn decide(
    world: &World,
    before: Option<&FirstFragment>,
    datagram: &Datagram<'_>,
    first: &mut Option<FirstFragment>,
) -> Judged<Fate> {
    // Outer UDP: its length must have room for itself and be there.
    let udp = &datagram.bytes[datagram.udp..];
    let Some(length) = u16_at(udp, 4) else {
        return Err(TRUNCATED);
    };
    if length < 8 || length > udp.len() {
        return Err(BAD_OUTER);
    }
    let gue = &udp[8..length];

    // GUE and private data.
    if gue.len() < 8 {
        return Err(TRUNCATED);
    }
    let (hop_bytes, data_type) = if datagram.v6 { (16, 1) } else { (4, 0) };
    let count = usize::from(gue[7]);
    // Version 0, no control bit, and the length in words behind the first is that of one word and the hops.
    let right = usize::from(gue[0]) == 1 + count * hop_bytes / 4 && gue[0] < 32;
    if !right || gue[2..6] != [0, 0, 0, data_type] {
        return Err(BAD_GUE);
    }
    let inner_v6 = match gue[1] {
        4 => false,
        41 => true,
        _ => return Err(BAD_INNER),
    };
    let list = 8..8 + count * hop_bytes;
    let Some(inner) = gue.get(list.end..) else {
        return Err(TRUNCATED);
    };
    let hops: Vec<IpAddr> = gue[list]
        .chunks(hop_bytes)
        .map(|hop| if datagram.v6 { v6(hop, 0) } else { v4(hop, 0) })
        .collect();
    let hop = match hops.get(usize::from(gue[6])) {
        None => Hop::None,
        Some(&hop) => Hop::To(hop),
    };

    // The client's packet.
    let header = Header::read(inner, inner_v6)?;
    let room = inner.get(..header.end).unwrap_or(inner);
    let body = room.get(header.len..).unwrap_or_default();
    match (header.protocol, inner_v6) {
        (6, _) => {
            if header.offset > 0 {
                let known = before.filter(|before| before.datagram == header.datagram());
                return if known.is_some_and(|before| before.passed_on) {
                    elsewhere(world, &hop)
                } else {
                    Ok(Fate::Counted("accepted_fragment_packets"))
                };
            }
            let Some(&flags) = body.get(13) else {
                return Err(TRUNCATED);
            };
            if flags & 2 != 0 {
                return Ok(Fate::Counted("accepted_syn_packets"));
            }
            let fate = elsewhere(world, &hop)?;
            if header.fragment {
                let stays = [
                    "accepted_last_resort_packets",
                    "forwarded_to_self_packets",
                    "dropped_hop_not_allowed_packets",
                ];
                let passed_on = !matches!(fate, Fate::Counted(name) if stays.contains(&name));
                *first = Some(FirstFragment {
                    datagram: header.datagram(),
                    passed_on,
                });
            }
            Ok(fate)
        }
        (17, _) => {
            // Decapsulated, it could be for this very rule again.
            if u16_at(body, 2) == Some(usize::from(world.port)) {
                return Err(Fate::Unknown);
            }
            Ok(Fate::Counted("accepted_udp_packets"))
        }
        (1, false) | (58, true) => icmp(world, &header, body, inner_v6, &hop),
        _ => Err(Fate::Counted("dropped_inner_protocol_packets")),
    }
}

fn icmp(world: &World, header: &Header, body: &[u8], v6: bool, hop: &Hop) -> Judged<Fate> {
    let stays = Ok(Fate::Counted("accepted_icmp_packets"));
    if header.offset > 0 {
        return stays;
    }
    let about_size = match body {
        [3, 4, ..] => !v6,
        [2, _, ..] => v6,
        [_, _, ..] => false,
        _ => return Err(TRUNCATED),
    };
    if !about_size {
        return stays;
    }
    let Some(embedded) = body.get(8..) else {
        return Err(TRUNCATED);
    };
    let header = Header::read(embedded, v6)?;
    if header.protocol != 6 || header.offset > 0 {
        return stays;
    }
    // The two ports; the sender of the error may have cut the rest off.
    match embedded.get(header.len..header.len + 4) {
        Some(_) => elsewhere(world, hop),
        None => Err(TRUNCATED),
    }
}

/// The connection is not here: where does the packet go?
fn elsewhere(world: &World, hop: &Hop) -> Judged<Fate> {
    let hop = match hop {
        Hop::None => return Ok(Fate::Counted("accepted_last_resort_packets")),
        Hop::To(hop) if *hop == world.proxy => {
            return Ok(Fate::Counted("forwarded_to_self_packets"));
        }
        Hop::To(hop) => hop,
    };
    if !world.allow.is_empty() && !world.allow.iter().any(|net| net.contains(hop)) {
        return Ok(Fate::Counted("dropped_hop_not_allowed_packets"));
    }
    if world.reachable.contains(hop) {
        return Ok(Fate::Forwarded(0));
    }
    let special = match hop {
        // This host, loopback, multicast and beyond.
        IpAddr::V4(hop) => matches!(hop.octets()[0], 0 | 127 | 224..) || *hop == world.vip4,
        // What has routes without being told: unspecified, loopback, link-local, multicast.
        IpAddr::V6(hop) => {
            hop.segments()[..6] == [0; 6] || hop.segments()[0] >= 0xfe80 || *hop == world.vip6
        }
    };
    if special {
        return Err(Fate::Unknown);
    }
    Ok(Fate::Counted("dropped_no_route_packets"))
}

// --- IP headers inside the tunnel --------------------------------------------------------------------

/// An inner or embedded IP header.
struct Header {
    src: IpAddr,
    dst: IpAddr,
    /// Of the transport header.
    protocol: u8,
    /// Bytes up to the transport header.
    len: usize,
    /// Where the datagram ends by its own length; far away where that is 0.
    end: usize,
    fragment: bool,
    offset: u16,
    id: u32,
}

impl Header {
    fn read(bytes: &[u8], v6: bool) -> Judged<Self> {
        if v6 {
            Self::read_v6(bytes)
        } else {
            Self::read_v4(bytes)
        }
    }

    fn read_v4(bytes: &[u8]) -> Judged<Self> {
        if bytes.len() < 20 {
            return Err(TRUNCATED);
        }
        let len = usize::from(bytes[0] & 15) * 4;
        let total = u16_at(bytes, 2).unwrap_or(0);
        let end = if total == 0 { usize::MAX } else { total };
        if bytes[0] / 16 != 4 || len < 20 || end < len {
            return Err(BAD_INNER);
        }
        let place = u16::from_be_bytes([bytes[6], bytes[7]]);
        Ok(Self {
            src: v4(bytes, 12),
            dst: v4(bytes, 16),
            protocol: bytes[9],
            len,
            end,
            fragment: place % 0x4000 != 0,
            offset: place % 0x2000,
            id: u32::from(u16::from_be_bytes([bytes[4], bytes[5]])),
        })
    }

    fn read_v6(bytes: &[u8]) -> Judged<Self> {
        if bytes.len() < 40 {
            return Err(TRUNCATED);
        }
        if bytes[0] / 16 != 6 {
            return Err(BAD_INNER);
        }
        let payload = u16_at(bytes, 4).unwrap_or(0);
        let mut header = Self {
            src: v6(bytes, 8),
            dst: v6(bytes, 24),
            protocol: bytes[6],
            len: 40,
            end: if payload == 0 {
                usize::MAX
            } else {
                40 + payload
            },
            fragment: false,
            offset: 0,
            id: 0,
        };
        let room = bytes.get(..header.end).unwrap_or(bytes);
        let mut extensions = 0;
        // Hop-by-hop, routing, fragment, authentication, destination options.
        while [0, 43, 44, 51, 60].contains(&header.protocol) && header.offset == 0 {
            extensions += 1;
            if extensions > 8 {
                return Err(BAD_INNER);
            }
            header.step(room)?;
        }
        Ok(header)
    }

    /// Steps over one extension header.
    fn step(&mut self, room: &[u8]) -> Judged<()> {
        let extension = room.get(self.len..).unwrap_or_default();
        let [next, words, ..] = *extension else {
            return Err(TRUNCATED);
        };
        let len = match self.protocol {
            44 => {
                let [_, _, place_hi, place_lo, id @ ..] = extension else {
                    return Err(TRUNCATED);
                };
                let Some(id) = id.first_chunk() else {
                    return Err(TRUNCATED);
                };
                let place = u16::from_be_bytes([*place_hi, *place_lo]);
                // Neither an offset nor more to come: the datagram is whole.
                if place & !6 != 0 {
                    self.fragment = true;
                    self.offset = place / 8;
                    self.id = u32::from_be_bytes(*id);
                }
                8
            }
            51 => (usize::from(words) + 2) * 4,
            _ => (usize::from(words) + 1) * 8,
        };
        self.protocol = next;
        self.len += len;
        Ok(())
    }

    fn datagram(&self) -> (IpAddr, IpAddr, u32) {
        (self.src, self.dst, self.id)
    }
}
