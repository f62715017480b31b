// SPDX-License-Identifier: GPL-2.0

//! Packets of known flows, for `tests/bench/misses`, which counts the cache misses: `flow_misses FLOWS ROUNDS`.
//!
//! Nothing but the flow table takes memory: a packet is made from its number. Neighbouring numbers have nothing to do with each
//! other in the table, as its buckets are found by a hash.

#[path = "../tests/shared/service.rs"]
mod service;

use glb_core::director::classify::bind::Proto;
use glb_core::director::flows::{follow, key, known, Event};
use glb_core::director::{Candidate, Kind};
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::Addrs;
use service::Service;
use std::hint::black_box;

fn packet(number: u32) -> Candidate {
    Candidate {
        kind: Kind::Flow(Proto::Tcp),
        key: FlowKey {
            addrs: Addrs::V4 {
                src: (0x0a00_0000 + number).to_be_bytes(),
                dst: [1, 1, 1, 1],
            },
            src_port: number as u16,
            dst_port: 80,
        },
        hint: 0,
        len: 40,
        fragment: None,
        flags: 0x10,
    }
}

fn main() {
    let numbers: Vec<u32> = std::env::args()
        .skip(1)
        .map(|word| word.parse().expect("flow_misses FLOWS ROUNDS"))
        .collect();
    let [flows, rounds] = numbers[..] else {
        panic!("flow_misses FLOWS ROUNDS");
    };
    let service = Service::new(flows as usize, 2);
    for number in 0..flows {
        follow(&service, &packet(number), Some(0));
    }
    for number in (0..rounds).flat_map(|_| 0..flows) {
        let packet = packet(number);
        // As the packet path asks.
        let found = key(&service, &packet).and_then(|key| known(&service, &packet, &key));
        if black_box(found).is_none() {
            follow(&service, &packet, Some(0));
        }
    }
    let (known, sent) = (
        service.events[Event::Known.index()].get(),
        u64::from(flows) * u64::from(rounds),
    );
    assert!(
        known * 100 >= sent * 99,
        "{known} of {sent} packets are of known flows"
    );
}
