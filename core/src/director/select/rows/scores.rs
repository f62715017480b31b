// SPDX-License-Identifier: GPL-2.0

//! Scores of backends in rows, by rendezvous hashing (github/glb-director, docs/development/glb-hashing.md).
//!
//! The arithmetic runs over arrays of [`LANES`] rows side by side: loops that compilers turn into vector instructions where
//! the target has them.

use crate::packet::addr::Addr;
use crate::siphash::{self, tail_4, words_16, SipKey};

/// Rows built at once.
pub const LANES: usize = 8;

/// The digest of a row, as the hash's result (little-endian bytes make the digest).
#[inline]
#[must_use]
pub fn row_digest(seed: &SipKey, row: u32) -> u64 {
    seed.hash_4(row.to_be_bytes())
}

/// The score of a backend in the row with this digest; the lowest score is the primary.
#[inline]
#[must_use]
pub fn score(seed: &SipKey, digest: u64, addr: Addr) -> u64 {
    let mut state = seed.start();
    state.absorb(digest);
    match addr {
        Addr::V4(bytes) => state.absorb(tail_4(12, bytes)),
        Addr::V6(bytes) => {
            let [low, high] = words_16(&bytes);
            state.absorb(low);
            state.absorb(high);
            state.absorb(24 << 56);
        }
    }
    // Scores are compared as the digest's bytes read as a big-endian integer.
    state.finish().swap_bytes()
}

/// [`LANES`] running hashes, word by word, so that a loop over them is a loop over vectors.
pub(super) struct Lanes {
    v0: [u64; LANES],
    v1: [u64; LANES],
    v2: [u64; LANES],
    v3: [u64; LANES],
}

impl Lanes {
    /// The hashes after the digests of the rows `row`, `row` + 1, ... were absorbed.
    #[inline(always)]
    pub(super) fn rows(seed: &SipKey, row: u32) -> Self {
        let mut lanes = Self {
            v0: [0; LANES],
            v1: [0; LANES],
            v2: [0; LANES],
            v3: [0; LANES],
        };
        let mut row = row;
        let places = lanes
            .v0
            .iter_mut()
            .zip(&mut lanes.v1)
            .zip(&mut lanes.v2)
            .zip(&mut lanes.v3);
        for (((v0, v1), v2), v3) in places {
            let mut state = seed.start();
            state.absorb(row_digest(seed, row));
            (*v0, *v1, *v2, *v3) = (state.v0, state.v1, state.v2, state.v3);
            row = row.wrapping_add(1);
        }
        lanes
    }

    /// The scores of a backend in these rows, as [`score`].
    #[inline(always)]
    pub(super) fn scores(&self, addr: Addr) -> [u64; LANES] {
        let mut scores = [0u64; LANES];
        match addr {
            Addr::V4(bytes) => self.ends(&mut scores, |state| state.absorb(tail_4(12, bytes))),
            Addr::V6(bytes) => {
                let [low, high] = words_16(&bytes);
                self.ends(&mut scores, |state| {
                    state.absorb(low);
                    state.absorb(high);
                    state.absorb(24 << 56);
                });
            }
        }
        scores
    }

    /// What the hashes come to if each absorbs the same; they themselves stay.
    #[inline(always)]
    fn ends(&self, scores: &mut [u64; LANES], absorb: impl Fn(&mut siphash::State)) {
        let lanes = self.v0.iter().zip(&self.v1).zip(&self.v2).zip(&self.v3);
        for ((((v0, v1), v2), v3), score) in lanes.zip(scores) {
            let mut state = siphash::State {
                v0: *v0,
                v1: *v1,
                v2: *v2,
                v3: *v3,
            };
            absorb(&mut state);
            *score = state.finish().swap_bytes();
        }
    }
}
