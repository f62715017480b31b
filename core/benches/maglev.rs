// SPDX-License-Identifier: GPL-2.0

//! How long a Maglev table takes to build, one thread: 65,537 rows over 256 backends and fewer, beside the textbook's fill
//! in the same run; tables with hops behind the first; and the flow hashes of other systems.
//!
//! `textbook` computes each place of a permutation where it is looked at, as the paper writes it, without its table of
//! permutations (65 MB here). `textbook_stepping` adds the skip to the last place instead: no multiplication, no division.
//! Both keep an entry for each row that says whether it is free, and both begin with the hashes, as ours does.

use divan::counter::ItemsCount;
use glb_core::backend::{Backend, State};
use glb_core::director::select::maglev::{
    self, nfqlb, vpp, words_needed, Cursor, Member, Permutation, Room, Table,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::Addrs;
use glb_core::siphash::SipKey;

fn main() {
    divan::main();
}

const SIZE: u32 = 65_537;
const BACKENDS: [usize; 3] = [16, 64, 256];

fn seed() -> SipKey {
    SipKey::new(b"a seed, 16 bytes")
}

fn addr(index: usize) -> Addr {
    Addr::V4([10, 0, 1, index as u8])
}

fn member(index: usize, weight: u16) -> Member {
    Member {
        backend: Backend {
            addr: addr(index),
            state: State::Active,
            healthy: true,
        },
        weight,
    }
}

/// Memory for tables, taken once.
struct Memory {
    rows: Vec<u8>,
    cursors: Vec<Cursor>,
    free: Vec<u64>,
    without: Vec<Cursor>,
    owners: Vec<u8>,
    group: Vec<u32>,
}

impl Memory {
    fn new(size: u32, cursors: usize, hops: usize) -> Self {
        Self {
            rows: vec![0; size as usize * hops],
            cursors: vec![Cursor::default(); cursors],
            free: vec![0; words_needed(size)],
            without: vec![Cursor::default(); cursors],
            owners: vec![0; size as usize],
            group: vec![0; size as usize],
        }
    }

    fn build(&mut self, members: &[Member], size: u32, hops: usize) {
        let table = Table {
            seed: &seed(),
            members: divan::black_box(members),
            size,
            hops,
        };
        let mut room = Room {
            cursors: &mut self.cursors,
            free: &mut self.free,
            without: &mut self.without,
            owners: &mut self.owners,
            group: &mut self.group,
        };
        maglev::build(&table, &mut self.rows, &mut room, &mut || ()).expect("a table");
    }
}

fn ours(bencher: divan::Bencher<'_, '_>, weights: &[u16], size: u32, hops: usize) {
    let members: Vec<Member> = (0..)
        .zip(weights)
        .map(|(index, weight)| member(index, *weight))
        .collect();
    let mut memory = Memory::new(size, members.len(), hops);
    bencher.bench_local(|| memory.build(&members, size, hops));
}

#[divan::bench(args = BACKENDS, sample_count = 100, sample_size = 1)]
fn maglev_65537(bencher: divan::Bencher<'_, '_>, count: usize) {
    ours(bencher, &vec![1; count], SIZE, 1);
}

#[divan::bench(args = BACKENDS, sample_count = 100, sample_size = 1)]
fn textbook(bencher: divan::Bencher<'_, '_>, count: usize) {
    let mut rows = vec![None; SIZE as usize];
    bencher.bench_local(|| {
        let permutations = permutations(divan::black_box(count));
        let mut next = vec![0u64; count];
        rows.fill(None);
        let size = u64::from(SIZE);
        let mut filled = 0;
        for index in (0..count).cycle() {
            let (offset, skip) = permutations[index];
            let (offset, skip) = (u64::from(offset), u64::from(skip));
            let mut row = (offset + next[index] * skip) % size;
            while rows[row as usize].is_some() {
                next[index] += 1;
                row = (offset + next[index] * skip) % size;
            }
            rows[row as usize] = Some(index as u8);
            next[index] += 1;
            filled += 1;
            if filled == size {
                break;
            }
        }
    });
}

#[divan::bench(args = BACKENDS, sample_count = 100, sample_size = 1)]
fn textbook_stepping(bencher: divan::Bencher<'_, '_>, count: usize) {
    let mut rows = vec![None; SIZE as usize];
    bencher.bench_local(|| {
        let mut permutations = permutations(divan::black_box(count));
        rows.fill(None);
        let mut filled = 0;
        for index in (0..count).cycle() {
            let (next, skip) = &mut permutations[index];
            let step = |row: u32| match row + *skip {
                over if over >= SIZE => over - SIZE,
                within => within,
            };
            while rows[*next as usize].is_some() {
                *next = step(*next);
            }
            rows[*next as usize] = Some(index as u8);
            *next = step(*next);
            filled += 1;
            if filled == SIZE {
                break;
            }
        }
    });
}

fn permutations(count: usize) -> Vec<(u32, u32)> {
    let seed = seed();
    (0..count)
        .map(|index| {
            let Permutation { offset, skip } = Permutation::new(&seed, addr(index), SIZE);
            (offset, skip)
        })
        .collect()
}

/// One of 256 backends has 1,000 times the weight of the others: in most rounds it alone has a turn.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn uneven_weights(bencher: divan::Bencher<'_, '_>) {
    let mut weights = vec![1; 256];
    weights[0] = 1000;
    ours(bencher, &weights, SIZE, 1);
}

/// The largest table.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn largest(bencher: divan::Bencher<'_, '_>) {
    ours(bencher, &[1; 256], maglev::size::MAX_SIZE, 1);
}

#[divan::bench(args = BACKENDS, sample_count = 3, sample_size = 1)]
fn two_hops(bencher: divan::Bencher<'_, '_>, count: usize) {
    ours(bencher, &vec![1; count], SIZE, 2);
}

#[divan::bench(args = BACKENDS, sample_count = 1, sample_size = 1)]
fn three_hops(bencher: divan::Bencher<'_, '_>, count: usize) {
    ours(bencher, &vec![1; count], SIZE, 3);
}

/// Five servers of weight 100 in 1,024 rows.
#[divan::bench(sample_count = 100, sample_size = 1)]
fn vpp_1024(bencher: divan::Bencher<'_, '_>) {
    let servers: Vec<vpp::Server> = (0..5)
        .map(|index| vpp::Server {
            addr: addr(index),
            weight: 100,
        })
        .collect();
    let mut memory = Memory::new(1024, vpp::cursors_needed(&servers), 1);
    bencher.bench_local(|| {
        let room = (&mut memory.cursors[..], &mut memory.free[..]);
        vpp::build(
            1024,
            divan::black_box(&servers),
            &mut memory.rows,
            room,
            &mut || (),
        )
    });
}

/// Four of 32 targets in 997 rows.
#[divan::bench(sample_count = 100, sample_size = 1)]
fn nfqlb_997(bencher: divan::Bencher<'_, '_>) {
    let active: Vec<bool> = (0..32).map(|slot| slot < 4).collect();
    let mut memory = Memory::new(997, 32, 1);
    bencher.bench_local(|| {
        let room = (&mut memory.cursors[..], &mut memory.free[..]);
        nfqlb::build(
            997,
            divan::black_box(&active),
            &mut memory.rows,
            room,
            &mut || (),
        )
    });
}

const FLOWS: usize = 1024;

fn flows() -> Vec<FlowKey> {
    let flow = |number: u32| FlowKey {
        addrs: Addrs::V4 {
            src: number.wrapping_mul(0x9e37_79b9).to_be_bytes(),
            dst: [10, 0, 0, 1],
        },
        src_port: number as u16,
        dst_port: 443,
    };
    (0..FLOWS as u32).map(flow).collect()
}

#[divan::bench]
fn flow_hash_of_vpp(bencher: divan::Bencher<'_, '_>) {
    let flows = flows();
    bencher.counter(ItemsCount::new(FLOWS)).bench_local(|| {
        let hash = |flow| vpp::flow_hash(flow, vpp::By::Flow);
        divan::black_box(&flows)
            .iter()
            .map(hash)
            .fold(0, |a, b| a ^ b)
    });
}

#[divan::bench]
fn flow_hash_of_nfqlb(bencher: divan::Bencher<'_, '_>) {
    let flows = flows();
    bencher.counter(ItemsCount::new(FLOWS)).bench_local(|| {
        let hash = |flow| nfqlb::flow_hash(flow, 6, nfqlb::Sctp::Flow);
        divan::black_box(&flows)
            .iter()
            .map(hash)
            .fold(0, |a, b| a ^ b)
    });
}
