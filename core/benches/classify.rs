// SPDX-License-Identifier: GPL-2.0

//! What a look-up costs with 10 and with 10,000 binds. Packets go to all binds in turn, in a shuffled
//! order, so that 10,000 binds also show what their memory costs.

use divan::counter::ItemsCount;
use glb_core::director::classify::bind::{
    build, words_needed, Bind, BindId, Classifier, Entry, Proto,
};
use glb_core::packet::addr::Addr;

fn main() {
    divan::main();
}

const PACKETS: usize = 4096;

/// How the binds look.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Each an IPv4 address of its own, one port.
    Addresses,
    /// Each an IPv6 address of its own, one port.
    AddressesV6,
    /// All at one IPv4 address, one port each.
    Ports,
    /// All at one IPv4 address, a range of ports each, overlapping.
    Ranges,
    /// IPv4 prefixes of /16 to /32, half of them with a range of ports.
    Prefixes,
}

const KINDS: [Kind; 5] = [
    Kind::Addresses,
    Kind::AddressesV6,
    Kind::Ports,
    Kind::Ranges,
    Kind::Prefixes,
];

fn bind(kind: Kind, i: u32, count: u32) -> Bind {
    let scattered = i.wrapping_mul(2_654_435_761);
    let [a, b, c, d] = scattered.to_be_bytes();
    let port = (1024 + i * (60_000 / count)) as u16;
    let (addr, prefix_len, port_start, port_end) = match kind {
        Kind::Addresses => (Addr::V4([a, b, c, d]), 32, 443, 443),
        Kind::AddressesV6 => (
            Addr::V6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]),
            128,
            443,
            443,
        ),
        Kind::Ports => (Addr::V4([10, 0, 0, 1]), 32, port, port),
        Kind::Ranges => (
            Addr::V4([10, 0, 0, 1]),
            32,
            port,
            port + (i % 50) as u16 * 10,
        ),
        Kind::Prefixes => (
            Addr::V4([a, b, c, d]),
            16 + (i % 10) as u8 * 16 / 9,
            1,
            if i % 2 == 0 { 65535 } else { 443 },
        ),
    };
    Bind {
        addr,
        prefix_len,
        proto: Some(Proto::Tcp),
        port_start,
        port_end,
    }
}

#[divan::bench(args = KINDS, consts = [10, 10_000], sample_size = 20)]
fn lookup<const N: u32>(bencher: divan::Bencher<'_, '_>, kind: Kind) {
    let mut entries: Vec<Entry> = (0..N)
        .map(|i| Entry {
            bind: bind(kind, i, N),
            id: BindId {
                table: (i / 256) as u16,
                bind: (i % 256) as u16,
            },
        })
        .collect();
    // A fixed shuffle: a step that has no factor in common with N.
    let packets: Vec<(Addr, u16)> = (0..PACKETS as u64)
        .map(|i| entries[(i * 7919 % u64::from(N)) as usize].bind)
        .map(|bind| (bind.addr, bind.port_start))
        .collect();
    let mut words = vec![0; words_needed(&entries)];
    let used = build(&mut entries, &mut words).unwrap();
    words.truncate(used);
    let classifier = Classifier::new(&words);
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        packets
            .iter()
            .filter(|(dst, port)| classifier.lookup(*dst, Proto::Tcp, *port).is_some())
            .count()
    });
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn build_10_000(bencher: divan::Bencher<'_, '_>) {
    let entries: Vec<Entry> = (0..10_000)
        .map(|i| Entry {
            bind: bind(Kind::Prefixes, i, 10_000),
            id: BindId {
                table: 0,
                bind: i as u16,
            },
        })
        .collect();
    let mut words = vec![0; words_needed(&entries)];
    bencher
        .with_inputs(|| entries.clone())
        .bench_local_values(|mut entries| build(&mut entries, &mut words).unwrap());
}
