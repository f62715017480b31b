// SPDX-License-Identifier: GPL-2.0

//! What can be wrong with a packet.

use super::build::{fill_checksum, fill_length, Packet};
use super::chance::Chance;

/// Spoils the packet once or twice, in every layer. What the kernel would not even look at is mended mostly, so
/// that most packets get as far as the target.
pub(super) fn spoil(chance: &mut Chance, packet: &mut Packet, number: u32) {
    let mut keep_length = false;
    let mut keep_checksum = false;
    for _ in 0..=chance.below(2) {
        match chance.below(20) {
            0..6 => cut(chance, packet),
            6 => keep_length = true,
            7 => udp_length(chance, packet),
            8..12 => gue_field(chance, packet),
            12..16 => inner_field(chance, packet),
            16 => transport_field(chance, packet),
            17 => any_byte(chance, packet, packet.udp),
            18 => {
                if chance.percent(30) {
                    keep_checksum = true;
                }
                outer_field(chance, packet, number);
            }
            _ => {
                // Padding of a short frame: behind the datagram, by the lengths that stay.
                let len = 1 + chance.below(20);
                let padding = chance.bytes(len);
                packet.bytes.extend(padding);
                keep_length = true;
            }
        }
    }
    if packet.bytes.len() >= 20 {
        if !keep_length {
            fill_length(&mut packet.bytes);
        }
        if !keep_checksum {
            fill_checksum(&mut packet.bytes);
        }
    }
}

/// Ends the packet early: anywhere, or just before or behind the start of a header.
fn cut(chance: &mut Chance, packet: &mut Packet) {
    let len = packet.bytes.len();
    let at = if chance.percent(50) {
        let near = chance.one_of(&[
            packet.udp + 8,
            packet.gue + 8,
            packet.inner,
            packet.transport,
        ]);
        near + chance.below(16)
    } else {
        packet.udp + chance.below(len.saturating_sub(packet.udp).max(1))
    };
    if at >= len {
        return;
    }
    packet.bytes.truncate(at);
    // The UDP length says so, or promises what is not there.
    if chance.percent(85) {
        set_udp_length(packet, at.saturating_sub(packet.udp));
    }
}

fn set_udp_length(packet: &mut Packet, length: usize) {
    if let Some(field) = packet.bytes.get_mut(packet.udp + 4..packet.udp + 6) {
        field.copy_from_slice(&(length as u16).to_be_bytes());
    }
}

fn udp_length(chance: &mut Chance, packet: &mut Packet) {
    let there = packet.bytes.len().saturating_sub(packet.udp);
    let length = match chance.below(4) {
        0 => chance.below(9),
        1 => there + 1 + chance.below(3),
        2 => 0xffff,
        _ => chance.below(there + 1),
    };
    set_udp_length(packet, length);
}

/// Version, control and length; protocol; flags; type of private data; next hop index; hop count.
fn gue_field(chance: &mut Chance, packet: &mut Packet) {
    let field = chance.one_of(&[0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 7]);
    let at = packet.gue + field;
    let small = chance.below(8) as u8;
    let any = chance.byte();
    let Some(byte) = packet.bytes.get_mut(at) else {
        return;
    };
    *byte = match (field, any % 4) {
        (1, 0..2) => [4, 41][usize::from(any / 4 % 2)],
        (_, 0) => any,
        (_, 1) => byte.wrapping_add(1),
        (_, 2) => byte.wrapping_sub(1),
        _ => small,
    };
}

/// The fields of an inner IP header that decide how it is read.
fn inner_field(chance: &mut Chance, packet: &mut Packet) {
    let v6 = packet
        .bytes
        .get(packet.inner)
        .is_some_and(|byte| byte >> 4 == 6);
    let field = if v6 {
        // Also the first extension headers.
        chance.one_of(&[0, 4, 5, 5, 6, 6, 40, 41, 42, 43, 49])
    } else {
        chance.one_of(&[0, 0, 2, 3, 3, 6, 7, 9, 9])
    };
    let value = match chance.below(4) {
        0 => chance.byte(),
        1 => chance.one_of(&[0, 1, 19, 20, 39, 40, 0x44, 0x45, 0x46, 0x4f, 0x60, 0xff]),
        2 => chance.one_of(&[6, 17, 1, 58, 44, 43, 60, 0, 51]),
        _ => chance.below(100) as u8,
    };
    if let Some(byte) = packet.bytes.get_mut(packet.inner + field) {
        *byte = value;
    }
}

/// Of the transport header, up to the IP header that an ICMP error embeds.
fn transport_field(chance: &mut Chance, packet: &mut Packet) {
    let field = chance.one_of(&[0, 1, 2, 3, 8, 9, 11, 12, 13, 14, 15, 17, 24]);
    let value = if chance.percent(50) {
        chance.byte()
    } else {
        chance.one_of(&[0, 2, 3, 4, 6, 0x10, 0x45, 0x60])
    };
    if let Some(byte) = packet.bytes.get_mut(packet.transport + field) {
        *byte = value;
    }
}

fn any_byte(chance: &mut Chance, packet: &mut Packet, from: usize) {
    let len = packet.bytes.len().saturating_sub(from);
    if len > 0 {
        let at = from + chance.below(len);
        packet.bytes[at] = chance.byte();
    }
}

/// The outer IP header, addresses apart.
fn outer_field(chance: &mut Chance, packet: &mut Packet, number: u32) {
    let v6 = packet.bytes[0] >> 4 == 6;
    if v6 {
        let at = chance.one_of(&[0, 1, 3, 6, 7, 40, 41]);
        if let Some(byte) = packet.bytes.get_mut(at) {
            let [.., changing] = number.to_be_bytes();
            *byte = chance.one_of(&[changing, 0x60, 17, 60, 58, 6]);
        }
        return;
    }
    match chance.below(5) {
        0 => packet.bytes[0] = 0x40 | chance.byte() & 15,
        1 => packet.bytes[1] = chance.byte(),
        2 => packet.bytes[8] = chance.byte(),
        3 => packet.bytes[9] = chance.one_of(&[6, 17, 17, 132, 0]),
        _ => {
            // A fragment, with an identification of its own: it must never meet another.
            let [_, _, id_hi, id_lo] = number.to_be_bytes();
            packet.bytes[4..6].copy_from_slice(&[id_hi, id_lo | 1]);
            packet.bytes[6] = chance.one_of(&[0x20, 0, 0x40]);
            packet.bytes[7] = chance.one_of(&[0, 1, 10]);
        }
    }
}
