// SPDX-License-Identifier: GPL-2.0

//! The classifier: binds and packets from the input, against a search through all binds. Addresses are
//! made of few bits, so that they nest and collide.

#![no_main]

use glb_core::director::classify::bind::{
    build, words_needed, Bind, BindId, Classifier, Entry, Proto,
};
use glb_core::packet::addr::Addr;
use libfuzzer_sys::fuzz_target;

const RECORD: usize = 8;

fn addr(family: u8, bits: u8) -> Addr {
    let byte = |bit: u8| if bits >> bit & 1 == 1 { 0xff } else { 0 };
    if family & 1 == 0 {
        Addr::V4([byte(0) & 0x81, byte(1), byte(2), byte(3) & 0x0f])
    } else {
        let mut bytes = [0; 16];
        for (place, bit) in [(0, 0), (3, 1), (7, 2), (8, 3), (15, 4)] {
            bytes[place] = byte(bit);
        }
        Addr::V6(bytes)
    }
}

/// The protocol of a bind, if it does not take all.
fn of_bind(byte: u8) -> Option<Proto> {
    (byte & 12 != 12).then(|| proto(byte))
}

fn proto(byte: u8) -> Proto {
    match byte & 18 {
        0 | 16 => Proto::Tcp,
        2 => Proto::Udp,
        _ => Proto::Sctp,
    }
}

fn covers(bind: &Bind, dst: Addr) -> bool {
    bind.addr.bits() == dst.bits()
        && bind.addr.masked(bind.prefix_len) == dst.masked(bind.prefix_len)
}

fuzz_target!(|data: &[u8]| {
    // As words of a classifier, the input may mean anything, but must do no harm.
    let words: Vec<u32> = data
        .chunks_exact(4)
        .map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]))
        .collect();
    let _ = Classifier::new(&words).lookup(addr(0, 5), Proto::Tcp, 80);
    let _ = Classifier::new(&words).lookup_addr(addr(1, 5));
    let _ = Classifier::new(&words).lookup_all(addr(0, 9));

    let mut entries: Vec<Entry> = Vec::new();
    for (index, record) in data.chunks_exact(RECORD).take(300).enumerate() {
        let (a, b) = (
            u16::from_le_bytes([record[3], record[4]]),
            u16::from_le_bytes([record[5], record[6]]),
        );
        let addr = addr(record[0], record[1]);
        let proto = of_bind(record[0]);
        let (start, end) = match proto {
            None => (0, u16::MAX),
            Some(_) if record[7] & 1 == 0 => (a.min(b), a.min(b)),
            Some(_) => (a.min(b), a.max(b)),
        };
        entries.push(Entry {
            bind: Bind {
                addr,
                prefix_len: record[2].min(addr.bits()),
                proto,
                port_start: start,
                port_end: end,
            },
            id: BindId {
                table: 0,
                bind: index as u16,
            },
        });
    }
    let mut words = vec![0x5555_5555; words_needed(&entries)];
    let used = build(&mut entries.clone(), &mut words).expect("the computed size is enough");
    let classifier = Classifier::new(&words[..used]);
    for entry in &entries {
        let bind = entry.bind;
        let asked = bind.proto.unwrap_or(Proto::Udp);
        for port in [
            bind.port_start,
            bind.port_end,
            bind.port_end.wrapping_add(1),
            80,
        ] {
            let expected = entries
                .iter()
                .filter(|e| {
                    covers(&e.bind, bind.addr) && e.bind.proto.is_none_or(|one| one == asked)
                })
                .filter(|e| (e.bind.port_start..=e.bind.port_end).contains(&port))
                .min_by_key(|e| {
                    let width = e.bind.port_end - e.bind.port_start;
                    (
                        128 - e.bind.prefix_len,
                        e.bind.proto.is_none(),
                        width,
                        e.id.bind,
                    )
                })
                // What a bind for all protocols takes of SCTP has no ports.
                .filter(|e| asked != Proto::Sctp || e.bind.proto.is_some())
                .map(|e| e.id);
            assert_eq!(classifier.lookup(bind.addr, asked, port), expected);
        }
        let expected = entries
            .iter()
            .filter(|e| covers(&e.bind, bind.addr) && e.bind.proto.is_none())
            .min_by_key(|e| (128 - e.bind.prefix_len, e.id.bind))
            .map(|e| e.id);
        assert_eq!(classifier.lookup_all(bind.addr), expected);
    }
});
