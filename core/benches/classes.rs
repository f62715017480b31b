// SPDX-License-Identifier: GPL-2.0

//! What the class of a packet costs with 10 and with 10,000 classes. Packets go to all classes in turn, in a shuffled order,
//! so that 10,000 classes also show what their memory costs.

use divan::counter::ItemsCount;
use glb_core::director::classify::bind::Proto;
use glb_core::director::classify::flow::{
    compile, Asked, ByteMatch, Class, Classes, Header, Ports, Prefix, Protocols,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::Addrs;

fn main() {
    divan::main();
}

const PACKETS: usize = 4096;

/// How the classes look.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Each an IPv4 address of its own, one port.
    Addresses,
    /// Each an IPv6 address of its own, one port.
    AddressesV6,
    /// All at one address, one port each.
    Ports,
    /// Each an address of its own, and 1,000 prefixes of sources, of which there are 100 lists.
    Sources,
    /// Each 1,000 prefixes of destinations, of which there are 100 lists, and a few ports.
    Destinations,
    /// Addresses; each has a neighbour of higher priority that wants a byte which packets do not have; and one class at the
    /// end takes all.
    Bytes,
}

const KINDS: [Kind; 6] = [
    Kind::Addresses,
    Kind::AddressesV6,
    Kind::Ports,
    Kind::Sources,
    Kind::Destinations,
    Kind::Bytes,
];

/// A list of 1,000 prefixes, of 100.
fn list(number: u32) -> Vec<Prefix> {
    (0..1_000u32)
        .map(|i| Prefix {
            addr: Addr::V4((0x2000_0000 | (number % 100) << 20 | i << 8).to_be_bytes()),
            len: 24,
        })
        .collect()
}

fn host(i: u32) -> Prefix {
    Prefix {
        addr: Addr::V4((0x0a00_0000 | i).to_be_bytes()),
        len: 32,
    }
}

fn host_v6(i: u32) -> Prefix {
    let [a, b, c, d] = i.wrapping_mul(2_654_435_761).to_be_bytes();
    Prefix {
        addr: Addr::V6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]),
        len: 128,
    }
}

fn port(first: u16, last: u16) -> Vec<Ports> {
    vec![Ports { first, last }]
}

fn class(kind: Kind, i: u32, count: u32) -> Class {
    let one = Class {
        priority: 10,
        protocols: Protocols::ANY.with(Proto::Tcp),
        dport: port(443, 443),
        ..Class::default()
    };
    match kind {
        Kind::Addresses => Class {
            dst: vec![host(i)],
            ..one
        },
        Kind::AddressesV6 => Class {
            dst: vec![host_v6(i)],
            ..one
        },
        Kind::Ports => Class {
            dst: vec![host(0)],
            dport: port(1_024 + i as u16, 1_024 + i as u16),
            ..one
        },
        Kind::Sources => Class {
            dst: vec![host(i)],
            src: list(i),
            ..one
        },
        Kind::Destinations => Class {
            dst: list(i),
            dport: port((i / 100) as u16 * 100, (i / 100) as u16 * 100 + 9),
            ..one
        },
        Kind::Bytes if i == count - 1 => Class {
            priority: 0,
            ..Class::default()
        },
        Kind::Bytes => Class {
            dst: vec![host(i / 2)],
            matches: match i % 2 {
                0 => vec![ByteMatch::parse("tcp[13:1] & 0x02 = 0x02").unwrap()],
                _ => Vec::new(),
            },
            ..one
        },
    }
}

/// A packet to a class, and bytes of its header.
fn packet(kind: Kind, i: u32, step: u32) -> (Addrs, u16) {
    let v4 = |src, dst| Addrs::V4 { src, dst };
    let of = |prefix: Prefix| match prefix.addr {
        Addr::V4(bytes) => bytes,
        Addr::V6(_) => unreachable!("IPv4 was asked for"),
    };
    let client = [0x20, (i % 100) as u8 >> 4, 0, 0];
    match kind {
        Kind::Addresses => (v4(client, of(host(i))), 443),
        Kind::AddressesV6 => match host_v6(i).addr {
            Addr::V6(dst) => (Addrs::V6 { src: dst, dst }, 443),
            Addr::V4(_) => unreachable!("IPv6 was asked for"),
        },
        Kind::Ports => (v4(client, of(host(0))), 1_024 + i as u16),
        Kind::Sources => {
            let src = list(i)[(step % 1_000) as usize];
            (v4(of(src), of(host(i))), 443)
        }
        Kind::Destinations => {
            let dst = list(i)[(step % 1_000) as usize];
            (v4(client, of(dst)), (i / 100) as u16 * 100 + 3)
        }
        Kind::Bytes => (v4(client, of(host(i / 2))), 443),
    }
}

#[divan::bench(args = KINDS, consts = [10, 10_000], sample_size = 20)]
fn lookup<const N: u32>(bencher: divan::Bencher<'_, '_>, kind: Kind) {
    let classes: Vec<Class> = (0..N).map(|i| class(kind, i, N)).collect();
    let words = compile(&classes).unwrap();
    let classes = Classes::new(&words).unwrap();
    // A fixed shuffle: a step that has no factor in common with N.
    let packets: Vec<(Addrs, u16)> = (0..PACKETS as u64)
        .map(|i| packet(kind, (i * 7919 % u64::from(N)) as u32, i as u32))
        .collect();
    let bytes = [0; 20];
    let of_class = |(addrs, dport): &(Addrs, u16)| {
        let header = Header {
            sport: 40_000,
            dport: *dport,
            bytes: &bytes,
        };
        classes.lookup(&Asked {
            addrs: *addrs,
            transport: Some((Proto::Tcp, header)),
            inner: None,
        })
    };
    assert_eq!(packets.iter().filter_map(of_class).count(), PACKETS);
    bencher
        .counter(ItemsCount::new(PACKETS))
        .bench_local(|| packets.iter().filter_map(of_class).count());
}

#[divan::bench(args = KINDS, sample_count = 1, sample_size = 1)]
fn compile_10_000(bencher: divan::Bencher<'_, '_>, kind: Kind) {
    let classes: Vec<Class> = (0..10_000).map(|i| class(kind, i, 10_000)).collect();
    bencher.bench_local(|| compile(&classes).unwrap().len());
}
