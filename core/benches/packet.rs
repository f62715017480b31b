// SPDX-License-Identifier: GPL-2.0

//! What a director's packet costs in the core: inspect, classify, hash, row, encode; with 10 and with
//! 10,000 binds. Packets go to all binds and rows in turn, in a shuffled order.

use divan::counter::ItemsCount;
use glb_core::director::classify::bind::{
    build, words_needed, Bind, BindId, Classifier, Entry, Proto,
};
use glb_core::director::select::hash::{packet_hash, HashFields, ROWS};
use glb_core::director::{header_len, inspect, source_port, Kind, Params, Tunnel};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::{Addrs, Family};
use glb_core::packet::view::View;
use glb_core::siphash::SipKey;

fn main() {
    divan::main();
}

const PACKETS: usize = 4096;

/// Binds at addresses of their own, 256 a table, as tables have at most.
fn entries(count: u32) -> Vec<Entry> {
    (0..count)
        .map(|i| Entry {
            bind: Bind {
                addr: Addr::V4(i.wrapping_mul(2_654_435_761).to_be_bytes()),
                prefix_len: 32,
                proto: Some(Proto::Tcp),
                port_start: 443,
                port_end: 443,
            },
            id: BindId {
                table: (i / 256) as u16,
                bind: (i % 256) as u16,
            },
        })
        .collect()
}

/// A SYN without a payload.
fn packet(src: [u8; 4], dst: [u8; 4]) -> [u8; 40] {
    let mut packet = [0; 40];
    packet[..10].copy_from_slice(&[0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6]);
    packet[12..16].copy_from_slice(&src);
    packet[16..20].copy_from_slice(&dst);
    packet[20..24].copy_from_slice(&[0xb2, 0x6e, 443u16.to_be_bytes()[0], 443u16.to_be_bytes()[1]]);
    packet[33] = 2;
    packet
}

#[divan::bench(consts = [10, 10_000], sample_size = 10)]
fn parse_classify_hash_row_encode<const N: u32>(bencher: divan::Bencher<'_, '_>) {
    let mut entries = entries(N);
    let packets: Vec<[u8; 40]> = (0..PACKETS as u32)
        .map(|i| {
            let bind = entries[(u64::from(i) * 7919 % u64::from(N)) as usize].bind;
            let Addr::V4(dst) = bind.addr else {
                unreachable!("IPv4 binds")
            };
            packet(i.wrapping_mul(0x9e37_79b9).to_be_bytes(), dst)
        })
        .collect();
    let mut words = vec![0; words_needed(&entries)];
    let used = build(&mut entries, &mut words).unwrap();
    words.truncate(used);
    let classifier = Classifier::new(&words);
    let tables = N as usize / 256 + 1;
    let rows: Vec<Vec<[u8; 2]>> = (0..tables)
        .map(|t| {
            (0..ROWS)
                .map(|r| [(r + t) as u8, (r * 7 + t) as u8])
                .collect()
        })
        .collect();
    let backends: Vec<[u8; 4]> = (0..=255).map(|n| [10, 0, 0, n]).collect();
    let key = SipKey::new(&[7; 16]);
    let mut out = [0; 40];
    let mut one = |bytes: &[u8; 40]| -> Option<u8> {
        let candidate = inspect(View::whole(bytes), Family::V4).ok()?;
        let Kind::Flow(proto) = candidate.kind else {
            return None;
        };
        let Addrs::V4 { dst, .. } = candidate.key.addrs else {
            return None;
        };
        let id = classifier.lookup(Addr::V4(dst), proto, candidate.key.dst_port)?;
        let hash = packet_hash(&key, HashFields::DEFAULT, &candidate.key);
        let [first, second] = *rows
            .get(usize::from(id.table))?
            .get(usize::from(hash.row()))?;
        let params = Params {
            src: Addr::V4([65; 4]),
            dst: Addr::V4(*backends.get(usize::from(first))?),
            src_port: source_port(hash, candidate.hint),
            dst_port: 19523,
            flow_label: 0,
            tos: 0,
            inner: Family::V4,
            inner_len: candidate.len,
        };
        let header = out.get_mut(..header_len(Family::V4, 1))?;
        let others = [Addr::V4(*backends.get(usize::from(second))?)];
        Tunnel::Gue.write(&params, &others[..], header)?;
        Some(header[19])
    };
    assert!(packets.iter().all(|packet| one(packet).is_some()));
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        packets
            .iter()
            .map(|packet| u64::from(one(divan::black_box(packet)).unwrap_or(0)))
            .sum::<u64>()
    });
}
