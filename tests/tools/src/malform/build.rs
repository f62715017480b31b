// SPDX-License-Identifier: GPL-2.0

//! Good packets of all shapes, for the mutations to spoil.

use super::chance::Chance;
use super::world::World;
use std::net::IpAddr;

/// A packet and where its headers start.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    pub(super) bytes: Vec<u8>,
    pub(super) udp: usize,
    pub(super) gue: usize,
    pub(super) inner: usize,
    pub(super) transport: usize,
}

/// Which part of a fragmented datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    First,
    Later,
}

const CLIENT4: [u8; 2] = [10, 11];
const CLIENT6: [u8; 8] = [0x20, 0x01, 0x0d, 0xb8, 0, 0xc, 0, 0];

/// A packet of a kind chosen by chance. `number` makes its datagram unlike the others.
pub(super) fn any(chance: &mut Chance, world: &World, number: u32) -> Packet {
    let part = match chance.below(100) {
        0..6 => Part::First,
        6..12 => Part::Later,
        _ => Part::Whole,
    };
    let v6 = chance.percent(40);
    let client = client(chance, v6);
    let (protocol, payload) = transport(chance, world, v6, &client);
    let inside = Inside {
        client: &client,
        part,
        number,
        protocol,
        payload,
    };
    let inner = ip(chance, world, v6, inside);
    tunnel(chance, world, v6, inner)
}

/// The first fragment of a TCP packet and one that follows it.
pub(super) fn fragments(chance: &mut Chance, world: &World, number: u32) -> [Packet; 2] {
    let v6 = chance.percent(40);
    let client = client(chance, v6);
    let mut tcp = tcp(chance);
    // An acknowledgement, mostly: a SYN says nothing about what follows.
    if chance.percent(90) {
        tcp[13] = 0x10;
    }
    [(Part::First, tcp), (Part::Later, chance.bytes(24))].map(|(part, payload)| {
        let inside = Inside {
            client: &client,
            part,
            number,
            protocol: 6,
            payload,
        };
        let inner = ip(chance, world, v6, inside);
        tunnel(chance, world, v6, inner)
    })
}

fn client(chance: &mut Chance, v6: bool) -> Vec<u8> {
    if v6 {
        [&CLIENT6[..], &chance.bytes(8)].concat()
    } else {
        [&CLIENT4[..], &chance.bytes(2)].concat()
    }
}

// --- transport ---------------------------------------------------------------------------------------

fn transport(chance: &mut Chance, world: &World, v6: bool, client: &[u8]) -> (u8, Vec<u8>) {
    match chance.below(100) {
        0..60 => (6, tcp(chance)),
        60..70 => {
            let len = chance.below(24);
            let mut udp = vec![0xc3, 0x50, 0x01, 0xbb, 0, 8 + len as u8, 0, 0];
            udp.extend(chance.bytes(len));
            (17, udp)
        }
        70..92 => (if v6 { 58 } else { 1 }, icmp(chance, world, v6, client)),
        _ => {
            let other = chance.one_of(&[1, 58, 4, 41, 47, 50, 59, 132, 255]);
            let len = chance.below(40);
            (other, chance.bytes(len))
        }
    }
}

fn tcp(chance: &mut Chance) -> Vec<u8> {
    const SYN: u8 = 2;
    const ACK: u8 = 0x10;
    let mut tcp = chance.bytes(20);
    tcp[2..4].copy_from_slice(&[0, 80]);
    tcp[12] = if chance.percent(90) {
        0x50
    } else {
        chance.byte()
    };
    tcp[13] = match chance.below(10) {
        0 => SYN,
        1 => SYN | ACK,
        2 => chance.byte(),
        3 => 0,
        4 => 4,
        _ => chance.one_of(&[ACK, ACK | 8, ACK | 1, ACK | 4]),
    };
    let len = chance.below(40);
    tcp.extend(chance.bytes(len));
    tcp
}

fn icmp(chance: &mut Chance, world: &World, v6: bool, client: &[u8]) -> Vec<u8> {
    let about_size = chance.percent(70);
    let kind = match (about_size, v6) {
        (true, false) => [3, 4],
        (true, true) => [2, 0],
        (false, false) => chance.one_of(&[[3, 1], [3, 3], [8, 0], [11, 0], [4, 4]]),
        (false, true) => chance.one_of(&[[1, 0], [3, 0], [128, 0], [4, 0]]),
    };
    let mut icmp = [&kind[..], &[0, 0, 0, 0, 5, 0x14]].concat();
    // The proxy was the sender of the packet in question.
    let protocol = if chance.percent(80) {
        6
    } else {
        chance.one_of(&[17, 47, 1])
    };
    let part = if chance.percent(90) {
        Part::Whole
    } else {
        Part::Later
    };
    let inside = Inside {
        client,
        part,
        number: 1,
        protocol,
        payload: chance.bytes(20),
    };
    let mut embedded = ip(chance, world, v6, inside).0;
    let (src, dst, len) = if v6 { (8, 24, 16) } else { (12, 16, 4) };
    for at in 0..len {
        embedded.swap(src + at, dst + at);
    }
    if chance.percent(50) {
        // Routers send 8 bytes behind the header, or as much as they like.
        let header = if v6 { 40 } else { 20 };
        embedded.truncate(header + chance.below(32));
    }
    icmp.extend(embedded);
    icmp
}

// --- IP inside ---------------------------------------------------------------------------------------

/// What is in the client's IP packet.
struct Inside<'a> {
    client: &'a [u8],
    part: Part,
    /// Of the datagram.
    number: u32,
    protocol: u8,
    payload: Vec<u8>,
}

/// The client's IP packet, and where its transport header starts.
fn ip(chance: &mut Chance, world: &World, v6: bool, inside: Inside<'_>) -> (Vec<u8>, usize) {
    if v6 {
        ip6(chance, world, inside)
    } else {
        ip4(chance, world, inside)
    }
}

fn ip4(chance: &mut Chance, world: &World, inside: Inside<'_>) -> (Vec<u8>, usize) {
    let Inside {
        client,
        part,
        number,
        protocol,
        payload,
    } = inside;
    let options = options_v4(chance);
    let header = 20 + options.len();
    let [_, _, id_hi, id_lo] = number.to_be_bytes();
    let place = match part {
        Part::Whole => chance.one_of(&[[0x40, 0], [0, 0]]),
        Part::First => [0x20, 0],
        Part::Later => [chance.one_of(&[0, 0x20]), 3],
    };
    let mut ip = vec![
        0x40 + header as u8 / 4,
        0,
        0,
        0,
        id_hi,
        id_lo,
        place[0],
        place[1],
    ];
    ip.extend([64, protocol, 0, 0]);
    ip.extend(client);
    ip.extend(world.vip4.octets());
    ip.extend(options);
    ip.extend(payload);
    let total = ip.len() as u16;
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    fill_checksum(&mut ip);
    (ip, header)
}

/// Padding, an end of list, or an option that nobody knows: what a kernel takes without looking at it.
fn options_v4(chance: &mut Chance) -> Vec<u8> {
    if chance.percent(80) {
        return Vec::new();
    }
    let words = 1 + chance.below(10);
    let mut options = vec![1; words * 4];
    match chance.below(3) {
        0 => options[0] = 0,
        1 => {
            options[0] = 0x5e;
            options[1] = options.len() as u8;
        }
        _ => {}
    }
    options
}

fn ip6(chance: &mut Chance, world: &World, inside: Inside<'_>) -> (Vec<u8>, usize) {
    let Inside {
        client,
        part,
        number,
        protocol,
        payload,
    } = inside;
    let mut ip = vec![0x60, 0, 0, 0, 0, 0, 0, 64];
    ip.extend(client);
    ip.extend(world.vip6.octets());
    let mut kinds = Vec::new();
    if chance.percent(30) {
        for _ in 0..chance.below(10) {
            kinds.push(chance.one_of(&[0, 43, 51, 60]));
        }
    }
    if part != Part::Whole || chance.percent(5) {
        let at = chance.below(kinds.len() + 1);
        kinds.insert(at, 44);
    }
    // Where the number of the next header stands that is not yet known.
    let mut next = 6;
    for kind in kinds {
        ip[next] = kind;
        next = ip.len();
        match kind {
            44 => {
                let place = match part {
                    Part::Whole => 0,
                    Part::First => 1,
                    Part::Later => chance.one_of(&[24, 25]),
                };
                ip.extend([0, 0, 0, place]);
                ip.extend(number.to_be_bytes());
                if part == Part::Later {
                    break;
                }
            }
            51 => {
                let words = chance.below(5);
                ip.extend([0, words as u8]);
                ip.extend(chance.bytes((words + 2) * 4 - 2));
            }
            43 => ip.extend([0, 0, 0, 0, 0, 0, 0, 0]),
            _ => {
                let eights = chance.below(3);
                let pad = eights * 8 + 4;
                ip.extend([0, eights as u8, 1, pad as u8]);
                ip.extend(vec![0; pad]);
            }
        }
    }
    ip[next] = protocol;
    let header = ip.len();
    ip.extend(payload);
    let length = (ip.len() - 40) as u16;
    ip[4..6].copy_from_slice(&length.to_be_bytes());
    (ip, header)
}

// --- the tunnel --------------------------------------------------------------------------------------

fn tunnel(chance: &mut Chance, world: &World, inner_v6: bool, inner: (Vec<u8>, usize)) -> Packet {
    let v6 = world.proxy.is_ipv6();
    let (most, words, data_type) = if v6 { (7, 4, 1) } else { (30, 1, 0) };
    let count = if chance.percent(80) {
        1 + chance.below(3)
    } else {
        chance.below(most + 1)
    };
    let next = if chance.percent(80) && count > 0 {
        chance.below(count)
    } else {
        chance.below(count + 2)
    };
    let mut gue = vec![(1 + count * words) as u8, if inner_v6 { 41 } else { 4 }];
    gue.extend([0, 0, 0, data_type, next as u8, count as u8]);
    for _ in 0..count {
        gue.extend(hop(chance, world));
    }
    let inner_at = gue.len();
    let transport = inner_at + inner.1;
    gue.extend(inner.0);

    let mut bytes = if v6 {
        outer_v6(chance, world)
    } else {
        outer_v4(chance, world)
    };
    let udp = bytes.len();
    let [port_hi, port_lo] = world.port.to_be_bytes();
    let [len_hi, len_lo] = (8 + gue.len() as u16).to_be_bytes();
    bytes.extend([
        0x80 | chance.byte(),
        chance.byte(),
        port_hi,
        port_lo,
        len_hi,
        len_lo,
    ]);
    // None, or any: the target changes it without looking at it, and passes it on.
    bytes.extend(if chance.percent(70) {
        vec![0, 0]
    } else {
        chance.bytes(2)
    });
    bytes.extend(gue);
    let mut packet = Packet {
        bytes,
        udp,
        gue: udp + 8,
        inner: udp + 8 + inner_at,
        transport: udp + 8 + transport,
    };
    fill_length(&mut packet.bytes);
    fill_checksum(&mut packet.bytes);
    packet
}

fn outer_v4(chance: &mut Chance, world: &World) -> Vec<u8> {
    let options = options_v4(chance);
    let mut ip = vec![
        0x45 + options.len() as u8 / 4,
        0,
        0,
        0,
        0,
        0,
        0x40,
        0,
        64,
        17,
        0,
        0,
    ];
    ip.extend(octets(world.director));
    ip.extend(octets(world.proxy));
    ip.extend(options);
    ip
}

fn outer_v6(chance: &mut Chance, world: &World) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0, 0, 0, 17, 64];
    ip.extend(octets(world.director));
    ip.extend(octets(world.proxy));
    if chance.percent(10) {
        ip[6] = 60;
        let count = 1 + chance.below(2);
        for left in (0..count).rev() {
            ip.extend([if left > 0 { 60 } else { 17 }, 0, 1, 4, 0, 0, 0, 0]);
        }
    }
    ip
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A proxy with a route, one without (of the documentation prefixes), or the receiver itself.
fn hop(chance: &mut Chance, world: &World) -> Vec<u8> {
    let mut hop = match (chance.below(100), world.proxy) {
        (0..10, proxy) => return octets(proxy),
        (10..25, IpAddr::V4(_)) => vec![198, 51, 100, 0],
        (10..25, IpAddr::V6(_)) => [&[0x20, 0x01, 0x0d, 0xb8, 0xde, 0xad][..], &[0; 10]].concat(),
        _ => octets(world.reachable.network()),
    };
    // The last 12 bits, so that prefixes of the allow list can divide what is reachable.
    let len = hop.len();
    hop[len - 1] = chance.byte();
    if world.reachable.max_prefix_len() - world.reachable.prefix_len() >= 12
        && hop[..2] == octets(world.reachable.network())[..2]
    {
        hop[len - 2] |= chance.byte() & 0x0f;
    }
    hop
}

/// Makes the outer IP header's length that of the packet.
pub(super) fn fill_length(packet: &mut [u8]) {
    let v6 = packet[0] >> 4 == 6;
    let (at, length) = if v6 {
        (4, packet.len().saturating_sub(40))
    } else {
        (2, packet.len())
    };
    packet[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
}

/// Makes the checksum of an IPv4 header right; IPv6 has none.
pub(super) fn fill_checksum(packet: &mut [u8]) {
    let header = usize::from(packet[0] & 15) * 4;
    if packet[0] >> 4 != 4 || header < 20 || packet.len() < header {
        return;
    }
    packet[10..12].fill(0);
    let mut sum: u32 = packet[..header]
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[10..12].copy_from_slice(&(!sum as u16).to_be_bytes());
}
