// SPDX-License-Identifier: GPL-2.0

//! How long a table's rows take to build: 65,536 rows over 256 backends (version 3: and fewer), one thread, IPv4 and IPv6.
//!
//! `baseline` is compiled for any x86-64; `dispatched` is the same source compiled for the vectors that this
//! processor has, which is what the tools run.

use glb_core::backend::{Backend, State};
use glb_core::director::select::hash::ROWS;
use glb_core::director::select::rows::v2::build_rows;
use glb_core::director::select::rows::v3 as rows3;
use glb_core::director::select::rows::v3::{Member, Room};
use glb_core::packet::addr::Addr;
use glb_core::siphash::SipKey;

fn main() {
    divan::main();
}

fn backends(v6: bool) -> Vec<Backend> {
    (0..=255u8)
        .map(|i| Backend {
            addr: if v6 {
                Addr::V6([0xfd, i, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i])
            } else {
                Addr::V4([10, 0, 1, i])
            },
            state: State::Active,
            healthy: true,
        })
        .collect()
}

#[divan::bench(args = [false, true], sample_count = 10, sample_size = 1)]
fn baseline(bencher: divan::Bencher<'_, '_>, v6: bool) {
    let backends = backends(v6);
    let seed = SipKey::new(b"a seed, 16 bytes");
    let mut rows = vec![[0u8; 2]; ROWS];
    bencher.bench_local(|| build_rows(&seed, divan::black_box(&backends), &mut rows));
}

#[divan::bench(args = [false, true], sample_count = 10, sample_size = 1)]
fn dispatched(bencher: divan::Bencher<'_, '_>, v6: bool) {
    let backends = backends(v6);
    let seed = SipKey::new(b"a seed, 16 bytes");
    let mut rows = vec![[0u8; 2]; ROWS];
    let arch = pulp::Arch::new();
    bencher.bench_local(|| {
        arch.dispatch(Build {
            seed,
            backends: divan::black_box(&backends),
            rows: &mut rows,
        })
    });
}

/// A version 3 table of three hops, as the tools build it; by the number of backends.
#[divan::bench(args = [16, 64, 256], sample_count = 10, sample_size = 1)]
fn version_3(bencher: divan::Bencher<'_, '_>, count: usize) {
    const HOPS: usize = 3;
    let members: Vec<Member> = (1000..)
        .zip(backends(false))
        .take(count)
        .map(|(domain, backend)| Member {
            backend,
            weight: 1,
            domain,
        })
        .collect();
    let mut rows = vec![0; ROWS * HOPS];
    let (mut costs, mut sorted) = (vec![0; ROWS * HOPS], vec![0; ROWS * 2]);
    let (mut first, mut before) = (vec![0; ROWS], vec![0; ROWS]);
    bencher.bench_local(|| {
        pulp::Arch::new().dispatch(Version3 {
            seed: SipKey::new(b"a seed, 16 bytes"),
            members: divan::black_box(&members),
            hops: HOPS,
            rows: &mut rows,
            room: Room {
                costs: &mut costs,
                first: &mut first,
                before: &mut before,
                sorted: &mut sorted,
            },
        })
    });
}

struct Version3<'a> {
    seed: SipKey,
    members: &'a [Member],
    hops: usize,
    rows: &'a mut [u8],
    room: Room<'a>,
}

impl pulp::WithSimd for Version3<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(mut self, _: S) -> bool {
        let Self { members, hops, .. } = self;
        rows3::build(&self.seed, members, hops, self.rows, &mut self.room).is_ok()
    }
}

struct Build<'a> {
    seed: SipKey,
    backends: &'a [Backend],
    rows: &'a mut [[u8; 2]],
}

impl pulp::WithSimd for Build<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> bool {
        build_rows(&self.seed, self.backends, self.rows).is_ok()
    }
}
