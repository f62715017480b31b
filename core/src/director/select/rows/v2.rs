// SPDX-License-Identifier: GPL-2.0

//! The rows of a version 2 table by rendezvous hashing (github/glb-director,
//! docs/development/glb-hashing.md).
//!
//! Each row puts the backends in an order of its own, by a hash of the row and the backend's address; the
//! first is the primary, the second the secondary. A backend that leaves changes only its own rows, and
//! there its connections' packets were at the second hop already.
//!
//! Deployed directors must get the same rows from the same file, so the rule is kept with its faults: the
//! swap looks at the secondary's state but not at its health, and there is no third choice.
//!
//! A table needs 65,536 x 256 hashes. Rows are therefore built in blocks: a row's digest is absorbed once
//! and not once for every backend, only the two best of a row are kept, and the arithmetic runs over
//! arrays of [`LANES`] rows side by side (72 ms with AVX2 and not 130).

use super::scores::{Lanes, LANES};
use crate::backend::{Backend, State, MAX_BACKENDS};
use crate::director::select::hash::ROWS;
use crate::packet::addr::Addr;
use crate::siphash::SipKey;

/// A row: index of the primary, index of the secondary in the list of backends.
pub type Row = [u8; 2];

/// No backend can be in a row: all of them are inactive, or there is none, or there are more than
/// indexes of a byte can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRows;

/// Builds all rows into `rows`, which must have [`ROWS`] entries (more are left alone).
///
/// Inlined wherever it is called, so that a caller who knows that the processor has wider vectors can have
/// it compiled for them.
#[inline(always)]
pub fn build_rows(seed: &SipKey, backends: &[Backend], rows: &mut [Row]) -> Result<(), NoRows> {
    let (first, second) = first_two_usable(backends)?;
    let mut rest = rows.get_mut(..ROWS).ok_or(NoRows)?;
    let mut row = 0u32;
    while let Some((block, behind)) = rest.split_first_chunk_mut::<LANES>() {
        let best = best_two(seed, backends, row, first, second);
        for ((place, primary), secondary) in block.iter_mut().zip(best.first).zip(best.second) {
            // The casts are exact: `first_two_usable` has bounded the indexes by a byte.
            *place = swap_if_leaving(backends, [primary as u8, secondary as u8]);
        }
        row = row.wrapping_add(LANES as u32);
        rest = behind;
    }
    Ok(())
}

/// The rule that moves new connections away from a primary that drains or is not healthy.
#[inline(always)]
fn swap_if_leaving(backends: &[Backend], row: Row) -> Row {
    let [p, s] = row;
    let (Some(primary), Some(secondary)) =
        (backends.get(usize::from(p)), backends.get(usize::from(s)))
    else {
        return row;
    };
    let leaving = primary.state == State::Draining || !primary.healthy;
    if leaving && secondary.state == State::Active {
        [s, p]
    } else {
        row
    }
}

/// Indexes of the first two backends that may be in a row; the same one twice where there is only one.
fn first_two_usable(backends: &[Backend]) -> Result<(u64, u64), NoRows> {
    if backends.len() > MAX_BACKENDS {
        return Err(NoRows);
    }
    let mut usable = usable(backends).map(|(index, _)| index);
    let first = usable.next().ok_or(NoRows)?;
    Ok((first, usable.next().unwrap_or(first)))
}

/// The backends that may be in a row, with their indexes in the whole list.
#[inline(always)]
fn usable(backends: &[Backend]) -> impl Iterator<Item = (u64, Addr)> + '_ {
    // Not `enumerate`, whose count is checked for overflow, which would leave a panic in the code.
    backends
        .iter()
        .scan(0u64, |next, backend| {
            let index = *next;
            *next = next.wrapping_add(1);
            Some((index, backend))
        })
        .filter(|(_, backend)| backend.state != State::Inactive)
        .map(|(index, backend)| (index, backend.addr))
}

/// The lowest two scores of [`LANES`] rows, as indexes. 64-bit indexes keep all lanes of one width.
struct BestTwo {
    first: [u64; LANES],
    second: [u64; LANES],
}

#[inline(always)]
fn best_two(seed: &SipKey, backends: &[Backend], row: u32, first: u64, second: u64) -> BestTwo {
    let start = Lanes::rows(seed, row);
    let mut best = BestTwo {
        first: [first; LANES],
        second: [second; LANES],
    };
    let mut lowest = [u64::MAX; LANES];
    let mut second_lowest = [u64::MAX; LANES];
    for (index, addr) in usable(backends) {
        let scores = start.scores(addr);
        let places = lowest
            .iter_mut()
            .zip(&mut second_lowest)
            .zip(&mut best.first)
            .zip(&mut best.second);
        for ((((low, second_low), first), second), score) in places.zip(&scores) {
            let score = *score;
            // Strictly lower, so that of two equal scores the earlier backend's stands first, as in a
            // stable sort. Selects and not branches, which no vector could take.
            let is_lowest = score < *low;
            let is_second = score < *second_low;
            *second_low = if is_lowest {
                *low
            } else if is_second {
                score
            } else {
                *second_low
            };
            *second = if is_lowest {
                *first
            } else if is_second {
                index
            } else {
                *second
            };
            *low = if is_lowest { score } else { *low };
            *first = if is_lowest { index } else { *first };
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::super::scores::{row_digest, score};
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn seed() -> SipKey {
        SipKey::new(&0x49a3_d861_d661_ae5a_b06e_d932_6871_a2f5_u128.to_be_bytes())
    }

    fn addr(last: u8) -> Addr {
        Addr::V4([1, 1, 1, last])
    }

    fn active(last: u8) -> Backend {
        Backend {
            addr: addr(last),
            state: State::Active,
            healthy: true,
        }
    }

    fn order(row: u32) -> [u8; 4] {
        let digest = row_digest(&seed(), row);
        let mut hosts = [1, 2, 3, 4];
        hosts.sort_by_key(|&host| score(&seed(), digest, addr(host)));
        hosts
    }

    #[test]
    fn vectors_of_the_specification() {
        let digest = row_digest(&seed(), 0);
        assert_eq!(
            digest.to_le_bytes(),
            0x491c_53a7_2df4_c837_u64.to_be_bytes()
        );
        let scores: Vec<u64> = (1..=4).map(|h| score(&seed(), digest, addr(h))).collect();
        assert_eq!(
            scores,
            [
                0xe471_27dd_8fe0_77de,
                0x8b1d_dec5_575c_8634,
                0x7054_25e3_e522_989b,
                0x6f02_2ce1_ea60_7e16
            ]
        );
        assert_eq!(order(0), [4, 3, 2, 1]);
        assert_eq!(
            row_digest(&seed(), 0xffff).to_le_bytes(),
            0xf223_c0cc_6516_1620_u64.to_be_bytes()
        );
        assert_eq!(order(0xffff), [1, 2, 4, 3]);
        assert_eq!(
            row_digest(&seed(), 0xbb44).to_le_bytes(),
            0xe290_f8f4_30eb_33d3_u64.to_be_bytes()
        );
        assert_eq!(order(0xbb44), [4, 1, 2, 3]);
    }

    #[test]
    fn built_rows_have_the_vectors_orders() {
        let backends: Vec<Backend> = (1..=4).map(active).collect();
        let mut rows = vec![[0u8; 2]; ROWS];
        build_rows(&seed(), &backends, &mut rows).unwrap();
        assert_eq!(rows[0], [3, 2]);
        assert_eq!(rows[0xffff], [0, 1]);
        assert_eq!(rows[0xbb44], [3, 0]);
    }

    #[test]
    fn one_usable_backend_is_both_hops() {
        let mut backends: Vec<Backend> = (1..=3).map(active).collect();
        backends[0].state = State::Inactive;
        backends[2].state = State::Inactive;
        let mut rows = vec![[9u8; 2]; ROWS];
        build_rows(&seed(), &backends, &mut rows).unwrap();
        assert!(rows.iter().all(|row| *row == [1, 1]));
    }

    #[test]
    fn no_usable_backend_is_an_error() {
        let mut backend = active(1);
        backend.state = State::Inactive;
        let mut rows = vec![[0u8; 2]; ROWS];
        assert_eq!(build_rows(&seed(), &[backend], &mut rows), Err(NoRows));
        assert_eq!(build_rows(&seed(), &[], &mut rows), Err(NoRows));
        assert_eq!(
            build_rows(&seed(), &[active(1); 257], &mut rows),
            Err(NoRows)
        );
    }
}
