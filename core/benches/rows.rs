// SPDX-License-Identifier: GPL-2.0

//! How long a table's rows take to build: 65,536 rows over 256 backends, one thread, IPv4 and IPv6.
//!
//! `baseline` is compiled for any x86-64; `dispatched` is the same source compiled for the vectors that this
//! processor has, which is what the tools run.

use glb_core::addr::Addr;
use glb_core::backend::{Backend, State};
use glb_core::hash::ROWS;
use glb_core::rendezvous::build_rows;
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
