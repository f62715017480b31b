// SPDX-License-Identifier: GPL-2.0

//! Flow classes: the text of a match; classes and packets from the input, against a list that is searched from top to bottom;
//! arbitrary words. Addresses and ports are few, so that classes overlap.

#![no_main]

#[path = "../../core/tests/shared/class_model.rs"]
mod class_model;

use glb_core::director::classify::bind::Proto;
use glb_core::director::classify::flow::{
    compile, Asked, ByteMatch, Class, Classes, Header, Ports, Prefix, Protocols,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::Addrs;
use libfuzzer_sys::fuzz_target;

const RECORD: usize = 12;

fn v4(bits: u8) -> [u8; 4] {
    let byte = |bit: u8| if bits >> bit & 1 == 1 { 0xff } else { 0 };
    [byte(0) & 0x81, byte(1), byte(2), byte(3) & 0x0f]
}

/// The bits are in both halves, which are compared one behind the other.
fn v6(bits: u8) -> [u8; 16] {
    let mut addr = [0; 16];
    for (byte, place) in [0, 7, 8, 15].into_iter().enumerate() {
        addr[place] = v4(bits)[byte];
    }
    addr
}

/// One prefix of each family; further ones are whole addresses.
fn prefixes(bits: u8, len: u8) -> Vec<Prefix> {
    let both = |bits, len: u8| {
        [
            Prefix {
                addr: Addr::V4(v4(bits)),
                len,
            },
            Prefix {
                addr: Addr::V6(v6(bits)),
                len: len * 4,
            },
        ]
    };
    let first = both(bits, len & 31);
    match len >> 6 {
        0 => Vec::new(),
        1 => first.to_vec(),
        _ => [first, both(bits >> 4, 32)].concat(),
    }
}

fn ports(a: u8, b: u8) -> Vec<Ports> {
    match b & 3 {
        0 => Vec::new(),
        // Pages are of 256 ports: ranges end in them and between them.
        _ => vec![Ports {
            first: u16::from(a.min(b)) * 64,
            last: u16::from(a.max(b)) * 64 + 63 * u16::from(b & 1),
        }],
    }
}

fn class(record: &[u8]) -> Class {
    let value = u32::from(record[8] & 3);
    Class {
        priority: i32::from(record[0] & 3),
        service: u16::from(record[0]),
        protocols: Protocols::from_bits(record[1] & 7).expect("three bits"),
        dst: prefixes(record[2], record[3]),
        src: prefixes(record[4], record[5]),
        dport: ports(record[6], record[7]),
        sport: ports(record[9], record[10]),
        matches: match record[8] >> 6 {
            0 | 1 => Vec::new(),
            which => vec![ByteMatch {
                transport: Proto::ALL[usize::from(which) - 1],
                offset: record[8] >> 4 & 3,
                len: 1,
                mask: 3,
                value,
            }],
        },
        udp_encap: (record[11] & 1 == 1).then_some(64 * u16::from(record[11])),
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(one) = ByteMatch::parse(text) {
            assert_eq!(ByteMatch::parse(&one.to_string()), Ok(one));
        }
    }
    let Some((packet, records)) = data.split_first_chunk::<10>() else {
        return;
    };
    let header = |at: usize| Header {
        sport: u16::from(packet[at]) * 64 + 63,
        dport: u16::from(packet[at + 1]) * 64,
        bytes: &packet[6..],
    };
    let asked = Asked {
        addrs: match packet[7] & 2 {
            0 => Addrs::V4 {
                src: v4(packet[0]),
                dst: v4(packet[1]),
            },
            _ => Addrs::V6 {
                src: v6(packet[0]),
                dst: v6(packet[1]),
            },
        },
        transport: Proto::ALL
            .get(usize::from(packet[6] & 3))
            .map(|one| (*one, header(2))),
        inner: (packet[7] & 1 == 1).then(|| header(4)),
    };
    let classes: Vec<Class> = records.chunks_exact(RECORD).take(200).map(class).collect();
    // There may be more ports of SCTP over UDP than fit.
    if let Ok(mut words) = compile(&classes) {
        let expected = class_model::lookup(&classes, &asked);
        let found = Classes::new(&words).expect("as compiled").lookup(&asked);
        assert_eq!(
            found.map(|found| (found.class as usize, found.service)),
            expected.map(|place| (place, classes[place].service))
        );
        let built = Classes::new(&words).expect("as compiled");
        if let Some((proto, header)) = asked.transport {
            // What a common packet is asked first says the same, or nothing.
            let quick = built.of_ports(&asked.addrs, proto, (header.sport, header.dport));
            assert!(quick.is_none() || quick == found);
            assert_eq!(
                built.may_take(&asked.addrs, proto),
                class_model::may_take(&classes, &asked.addrs, proto)
            );
        }
        assert_eq!(built.astray(256), None);
        // Words that the tools did not make may mean anything, but must do no harm.
        for (word, bytes) in words.iter_mut().skip(1).zip(data.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3] & packet[9]]);
        }
        if let Some(classes) = Classes::new(&words) {
            let _ = classes.lookup(&asked);
            for proto in Proto::ALL {
                let _ = classes.of_ports(&asked.addrs, proto, (u16::from(packet[4]), 80));
                let _ = classes.may_take(&asked.addrs, proto);
                let _ = classes.reads(proto, u16::from(packet[5]) * 64);
            }
            let _ = classes.by_rank(u32::from(packet[9]));
            if let Some(rank) = classes.astray(256) {
                assert!(rank < classes.len());
            }
        }
    }
});
