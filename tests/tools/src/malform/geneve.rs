// SPDX-License-Identifier: GPL-2.0

//! The packets of clients in the Geneve of a gateway load balancer (RFC 8926), three of four spoilt in that layer too. The load
//! balancer is the world's director, the appliance its proxy.

use super::build::{fill_checksum, fill_length};
use super::chance::Chance;
use super::world::World;
use glb_core::packet::checksum::of_udp;
use glb_core::packet::ip::Addrs;
use std::net::IpAddr;

const CLASS: [u8; 2] = [0x01, 0x08];

/// Where the headers of a packet start.
struct Places {
    udp: usize,
    geneve: usize,
    inner: usize,
}

/// A packet of the load balancer with this one inside.
pub(super) fn wrap(chance: &mut Chance, world: &World, mut inner: Vec<u8>) -> Vec<u8> {
    let inner_v6 = inner.first().is_some_and(|first| first >> 4 == 6);
    if chance.percent(20) && inner.len() >= 20 {
        // Any mark of congestion, which the outer header may have too.
        if inner_v6 {
            inner[1] = inner[1] & 0xcf | chance.byte() & 0x30;
        } else {
            inner[1] = chance.byte();
            fill_checksum(&mut inner);
        }
    }
    let options = options(chance);
    let mut bytes = outer(chance, world);
    let udp = bytes.len();
    let [port_hi, port_lo] = world.port.to_be_bytes();
    bytes.extend([
        0xc0 | chance.byte(),
        chance.byte(),
        port_hi,
        port_lo,
        0,
        0,
        0,
        0,
    ]);
    let protocol: [u8; 2] = if inner_v6 { [0x86, 0xdd] } else { [8, 0] };
    bytes.extend([(options.len() / 4) as u8, 0]);
    bytes.extend(protocol);
    bytes.extend([0, 0, chance.byte(), 0]);
    bytes.extend(options);
    let places = Places {
        udp,
        geneve: udp + 8,
        inner: bytes.len(),
    };
    bytes.extend(inner);
    let (mut keep_length, mut keep_udp_length, mut keep_checksum) = (false, false, false);
    if chance.percent(75) {
        for _ in 0..=chance.below(2) {
            match chance.below(20) {
                0..4 => cut(chance, &mut bytes, &places),
                4 => keep_length = true,
                5 => {
                    keep_udp_length = true;
                    let [hi, lo] = (chance.below(200) as u16).to_be_bytes();
                    put(&mut bytes, udp + 4, &[hi, lo]);
                }
                6..10 => geneve_field(chance, &mut bytes, &places),
                10..15 => option_byte(chance, &mut bytes, &places),
                15 => any_byte(chance, &mut bytes, places.inner),
                16 => outer_field(chance, &mut bytes),
                17 => keep_checksum = true,
                18 => any_byte(chance, &mut bytes, places.geneve),
                _ => {
                    // Padding behind the datagram, by the lengths that stay.
                    keep_length = true;
                    keep_udp_length = true;
                    lengths(&mut bytes, &places, (false, false));
                    let len = 1 + chance.below(20);
                    bytes.extend(chance.bytes(len));
                }
            }
        }
    }
    lengths(&mut bytes, &places, (keep_length, keep_udp_length));
    if chance.percent(20) {
        udp_checksum(world, &mut bytes, &places);
    } else if chance.percent(5) {
        let wrong = chance.bytes(2);
        put(&mut bytes, udp + 6, &wrong);
    }
    if keep_checksum {
        put(&mut bytes, 10, &[chance.byte()]);
    } else {
        fill_checksum(&mut bytes);
    }
    bytes
}

/// The three, in any order, and others between them.
fn options(chance: &mut Chance) -> Vec<u8> {
    // More endpoints than have counters of their own.
    let endpoint = [0, 0, 0, 0, 0, 0, 0, 1 + chance.below(100) as u8];
    let mut options = vec![
        (CLASS, 1, endpoint.to_vec()),
        (CLASS, 2, vec![0; 8]),
        (CLASS, 3, chance.bytes(4)),
    ];
    if chance.percent(20) {
        for _ in 0..chance.below(4) {
            let words = chance.below(6);
            let other = (
                chance.one_of(&[CLASS, [0xff, 0xff], [0, 1]]),
                4,
                chance.bytes(words * 4),
            );
            options.insert(chance.below(options.len() + 1), other);
        }
    }
    let turn = chance.below(options.len());
    options.rotate_left(turn);
    options
        .into_iter()
        .flat_map(|(class, kind, data)| {
            [&class[..], &[kind, (data.len() / 4) as u8], &data].concat()
        })
        .collect()
}

fn outer(chance: &mut Chance, world: &World) -> Vec<u8> {
    let tos = if chance.percent(80) { 0 } else { chance.byte() };
    match (world.director, world.proxy) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut ip = vec![0x45, tos, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0];
            ip.extend(from.octets());
            ip.extend(to.octets());
            if chance.percent(5) {
                ip[0] = 0x46;
                ip.extend([1, 1, 1, 0]);
            }
            ip
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut ip = vec![0x60 | tos >> 4, tos << 4, 0, 0, 0, 0, 17, 64];
            ip.extend(from.octets());
            ip.extend(to.octets());
            if chance.percent(5) {
                ip[6] = 60;
                ip.extend([17, 0, 1, 4, 0, 0, 0, 0]);
            }
            ip
        }
        // Refused before.
        _ => Vec::new(),
    }
}

fn lengths(bytes: &mut [u8], places: &Places, (keep_ip, keep_udp): (bool, bool)) {
    if !keep_ip && bytes.len() >= 20 {
        fill_length(bytes);
    }
    if !keep_udp {
        let len = bytes.len().saturating_sub(places.udp) as u16;
        put(bytes, places.udp + 4, &len.to_be_bytes());
    }
}

/// The right one, where the datagram ends with the packet.
fn udp_checksum(world: &World, bytes: &mut [u8], places: &Places) {
    let addrs = match (world.director, world.proxy) {
        (IpAddr::V4(from), IpAddr::V4(to)) => Addrs::V4 {
            src: from.octets(),
            dst: to.octets(),
        },
        (IpAddr::V6(from), IpAddr::V6(to)) => Addrs::V6 {
            src: from.octets(),
            dst: to.octets(),
        },
        _ => return,
    };
    let Some(datagram) = bytes.get(places.udp..) else {
        return;
    };
    let check = match of_udp(&addrs, &[datagram]) {
        0 => 0xffff,
        check => check,
    };
    put(bytes, places.udp + 6, &check.to_be_bytes());
}

/// Ends the packet early: anywhere, or just before or behind the start of a header.
fn cut(chance: &mut Chance, bytes: &mut Vec<u8>, places: &Places) {
    let near = chance.one_of(&[places.udp, places.geneve, places.geneve + 8, places.inner]);
    let at = match chance.percent(50) {
        true => near + chance.below(16),
        false => places.udp + chance.below(bytes.len().saturating_sub(places.udp).max(1)),
    };
    bytes.truncate(at.max(places.udp));
}

/// Version and length of the options, flags, protocol.
fn geneve_field(chance: &mut Chance, bytes: &mut [u8], places: &Places) {
    let field = chance.one_of(&[0, 0, 1, 2, 3, 7]);
    let any = chance.byte();
    let Some(byte) = bytes.get_mut(places.geneve + field) else {
        return;
    };
    *byte = match any % 4 {
        0 => any,
        1 => byte.wrapping_add(1),
        2 => byte.wrapping_sub(1),
        _ => *byte ^ 1 << (any >> 5),
    };
}

fn option_byte(chance: &mut Chance, bytes: &mut [u8], places: &Places) {
    let len = places.inner.saturating_sub(places.geneve + 8).max(1);
    let at = places.geneve + 8 + chance.below(len);
    let any = chance.byte();
    if let Some(byte) = bytes.get_mut(at) {
        *byte = chance.one_of(&[any, 0x80, 0x81, 0, 1, 2, 3, byte.wrapping_add(1)]);
    }
}

fn any_byte(chance: &mut Chance, bytes: &mut [u8], from: usize) {
    let len = bytes.len().saturating_sub(from);
    if len > 0 {
        bytes[from + chance.below(len)] = chance.byte();
    }
}

/// The outer IP header, its addresses apart.
fn outer_field(chance: &mut Chance, bytes: &mut [u8]) {
    let at = match bytes[0] >> 4 {
        6 => chance.one_of(&[0, 1, 3, 4, 5, 6, 7]),
        _ => chance.one_of(&[0, 1, 4, 5, 6, 7, 8, 9]),
    };
    let any = chance.byte();
    // The version stays: the frame says it too.
    bytes[at] = if at == 0 {
        bytes[0] & 0xf0 | any & 0x0f
    } else {
        any
    };
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + what.len()) {
        place.copy_from_slice(what);
    }
}
