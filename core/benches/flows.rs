// SPDX-License-Identifier: GPL-2.0

//! What a flow table costs a packet: one of a known flow, one of a flood of made-up flows that find no room, and one of a protocol
//! without ports; of 1,000 flows, which stay in the caches, of 100,000, and of 1,000,000. How many cache misses that is,
//! tests/bench/misses counts.

#[path = "../tests/shared/service.rs"]
mod service;

use divan::counter::ItemsCount;
use glb_core::director::classify::bind::Proto;
use glb_core::director::flows::follow;
use glb_core::director::{Candidate, Kind};
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::Addrs;
use service::Service;

fn main() {
    divan::main();
}

fn packets(kind: Kind, first: u32, count: u32) -> Vec<Candidate> {
    let packet = |n: u32| Candidate {
        kind,
        key: FlowKey {
            addrs: Addrs::V4 {
                src: (0x0a00_0000 + first + n).to_be_bytes(),
                dst: [1, 1, 1, 1],
            },
            src_port: if matches!(kind, Kind::Portless(_)) {
                0
            } else {
                n as u16
            },
            dst_port: 0,
        },
        hint: 0,
        len: 40,
        fragment: None,
        flags: 0x10,
    };
    (0..count).map(packet).collect()
}

fn run(bencher: divan::Bencher<'_, '_>, service: &Service, packets: &[Candidate]) {
    bencher
        .counter(ItemsCount::new(packets.len()))
        .bench_local(|| {
            for packet in packets {
                divan::black_box(follow(service, packet, Some(0)));
            }
        });
}

const TCP: Kind = Kind::Flow(Proto::Tcp);

#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn known(bencher: divan::Bencher<'_, '_>, flows: u32) {
    let service = Service::new(flows as usize, 2);
    run(bencher, &service, &packets(TCP, 0, flows));
}

#[divan::bench(args = [1_000, 100_000])]
fn known_without_ports(bencher: divan::Bencher<'_, '_>, flows: u32) {
    let service = Service::new(flows as usize, 2);
    run(bencher, &service, &packets(Kind::Portless(50), 0, flows));
}

#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn flood(bencher: divan::Bencher<'_, '_>, flows: u32) {
    let service = Service::new(flows as usize, 2);
    // The table is full of others: twelve come to a bucket of four. One bucket of 400 has room until the flood has filled it.
    for start in 0..12 {
        for packet in packets(TCP, start * flows, flows) {
            follow(&service, &packet, Some(1));
        }
    }
    run(bencher, &service, &packets(TCP, 0x0200_0000, flows));
}
