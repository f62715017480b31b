// SPDX-License-Identifier: GPL-2.0

//! Packets of known flows, for `tests/bench/misses`, which counts the cache misses: `flow_misses FLOWS ROUNDS`.
//!
//! Nothing but the flow table takes memory: a packet is made from its number. Neighbouring numbers have nothing to do with each
//! other in the table, as its buckets are found by a hash.

use glb_core::director::classify::bind::Proto;
use glb_core::director::flows::{follow, key, known, Bucket, By, Event, FlowTable, Memory, Rules};
use glb_core::director::ids::{Roster, Tag};
use glb_core::director::{Candidate, Kind};
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::Addrs;
use glb_core::siphash::SipKey;
use std::cell::Cell;
use std::hint::black_box;

const SECRET: SipKey = SipKey::new(b"0123456789abcdef");

/// A service of two backends.
struct Service {
    buckets: Vec<Bucket>,
    roster: Roster,
    known: Cell<u64>,
}

impl Memory for Service {
    fn table(&self) -> FlowTable<'_> {
        FlowTable {
            buckets: &self.buckets,
            secret: &SECRET,
            rules: self.rules(),
            now: 7,
        }
    }
    fn secret(&self) -> &SipKey {
        &SECRET
    }
    fn rules(&self) -> Rules {
        Rules {
            timeout: 40,
            by: By::Flow,
        }
    }
    fn backend(&self, tag: Tag) -> Option<u8> {
        self.roster.backend(tag)
    }
    fn tag(&self, backend: u8) -> Option<Tag> {
        Some(self.roster.id(backend)?.tag())
    }
    fn learns(&self) -> bool {
        true
    }
    fn count(&self, event: Event) {
        self.known
            .set(self.known.get() + u64::from(event == Event::Known));
    }
}

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
    let mut roster = Roster::new();
    roster.succeed(&Roster::new(), 2, |_, _| false);
    let service = Service {
        buckets: (0..flows).map(|_| Bucket::new()).collect(),
        roster,
        known: Cell::new(0),
    };
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
    let (known, sent) = (service.known.get(), u64::from(flows) * u64::from(rounds));
    assert!(
        known * 100 >= sent * 99,
        "{known} of {sent} packets are of known flows"
    );
}
