// SPDX-License-Identifier: GPL-2.0

//! What docs/maglev.md promises.

use super::fill::{Fill, Steps};
use super::size::{default_size, SizeError, MAX_SIZE};
use super::*;
use crate::backend::{Backend, State, MAX_BACKENDS};
use crate::packet::addr::Addr;
use crate::siphash::SipKey;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

fn key(seed: u8) -> SipKey {
    SipKey::new(&[seed; 16])
}

fn member(number: u16, weight: u16) -> Member {
    let [high, low] = number.to_be_bytes();
    Member {
        backend: Backend {
            addr: Addr::V4([10, 0, high, low]),
            state: State::Active,
            healthy: true,
        },
        weight,
    }
}

fn members(weights: impl IntoIterator<Item = u16>) -> Vec<Member> {
    (0..)
        .zip(weights)
        .map(|(n, weight)| member(n, weight))
        .collect()
}

/// What a table is built in: no slice is longer than it must be.
struct Slices {
    rows: Vec<u8>,
    cursors: Vec<Cursor>,
    free: Vec<u64>,
    without: Vec<Cursor>,
    owners: Vec<u8>,
    group: Vec<u32>,
}

impl Slices {
    fn new(members: &[Member], size: u32, hops: usize) -> Self {
        let of_further = |len| if hops > 1 { len } else { 0 };
        let more = of_further(size as usize);
        Self {
            rows: vec![0xee; size as usize * hops],
            cursors: vec![Cursor::default(); members.len()],
            free: vec![0x5555; words_needed(size)],
            without: vec![Cursor::default(); of_further(members.len())],
            owners: vec![0xdd; more],
            group: vec![7; more],
        }
    }

    fn lend(&mut self) -> (&mut [u8], Room<'_>) {
        let room = Room {
            cursors: &mut self.cursors,
            free: &mut self.free,
            without: &mut self.without,
            owners: &mut self.owners,
            group: &mut self.group,
        };
        (&mut self.rows, room)
    }

    /// Bytes of all of them, the table's included.
    fn bytes(&self) -> usize {
        size_of_val(&*self.rows)
            + size_of_val(&*self.cursors)
            + size_of_val(&*self.free)
            + size_of_val(&*self.without)
            + size_of_val(&*self.owners)
            + size_of_val(&*self.group)
    }
}

/// The rows of a table, and how often its builder was given a pause.
fn try_rows(
    seed: u8,
    members: &[Member],
    size: u32,
    hops: usize,
) -> Result<(Vec<u8>, usize), RowsError> {
    let mut slices = Slices::new(members, size, hops);
    let (rows, mut room) = slices.lend();
    let table = Table {
        seed: &key(seed),
        members,
        size,
        hops,
    };
    let mut pauses = 0;
    build(&table, rows, &mut room, &mut || pauses += 1)?;
    Ok((slices.rows, pauses))
}

fn rows(seed: u8, members: &[Member], size: u32, hops: usize) -> Vec<u8> {
    try_rows(seed, members, size, hops).expect("a table").0
}

fn counts(rows: &[u8], backends: usize) -> Vec<u32> {
    let mut counts = vec![0; backends];
    rows.iter()
        .for_each(|index| counts[usize::from(*index)] += 1);
    counts
}

/// Rows of others than `gone` that have another backend without it.
fn needless(seed: u8, members: &[Member], size: u32, gone: usize) -> usize {
    let before = rows(seed, members, size, 1);
    let mut left = members.to_vec();
    left.remove(gone);
    let after = rows(seed, &left, size, 1);
    let old_index = |new: u8| usize::from(new) + usize::from(usize::from(new) >= gone);
    let moved = before
        .iter()
        .zip(&after)
        .filter(|(old, new)| usize::from(**old) != gone && usize::from(**old) != old_index(**new));
    moved.count()
}

#[test]
fn example_of_the_paper() {
    let permutations = [(3, 4), (0, 2), (3, 1)];
    for steps in [Steps::Prime, Steps::Walked] {
        let fill = |backends: &[u8]| {
            let mut cursors: Vec<Cursor> = backends
                .iter()
                .map(|&index| {
                    let (offset, skip) = permutations[usize::from(index)];
                    Cursor::new(Permutation { offset, skip }, 1, index)
                })
                .collect();
            fill::prepare(7, &mut cursors);
            let (mut rows, mut free) = ([9; 7], [0]);
            Fill::new(7, steps, &mut rows, &mut free, &mut cursors)
                .and_then(|fill| fill.run(&mut || ()))
                .expect("a table");
            rows
        };
        assert_eq!(fill(&[0, 1, 2]), [1, 0, 1, 0, 2, 2, 0]);
        assert_eq!(fill(&[0, 2]), [0, 0, 0, 0, 2, 2, 2]);
    }
    // The model knows the example too.
    let backends = permutations.map(|(offset, skip)| (offset as usize, skip as usize, 1));
    assert_eq!(model::textbook(7, &backends), [1, 0, 1, 0, 2, 2, 0]);
}

#[test]
fn a_fill_refuses_what_is_no_table() {
    let cursor = |offset, skip, weight| Cursor::new(Permutation { offset, skip }, weight, 0);
    let tried = |size: u32, rows: usize, cursors: &[Cursor]| {
        let (mut rows, mut free, mut cursors) = (vec![0; rows], vec![0; 1], cursors.to_vec());
        let fill = Fill::new(size, Steps::Walked, &mut rows, &mut free, &mut cursors);
        fill.and_then(|fill| fill.run(&mut || ()))
    };
    assert_eq!(tried(7, 7, &[cursor(6, 6, 1)]), Some(()));
    assert_eq!(tried(7, 6, &[cursor(6, 6, 1)]), None, "too few rows");
    assert_eq!(tried(65, 65, &[cursor(6, 6, 1)]), None, "too few bits");
    assert_eq!(tried(7, 7, &[]), None, "nobody");
    assert_eq!(tried(7, 7, &[cursor(6, 6, 0)]), None, "no weight");
    assert_eq!(tried(7, 7, &[cursor(7, 6, 1)]), None, "an offset outside");
    assert_eq!(tried(7, 7, &[cursor(6, 7, 1)]), None, "a skip outside");
    assert_eq!(tried(7, 7, &[cursor(6, 0, 1)]), None, "no skip");
    assert_eq!(
        tried(6, 6, &[cursor(0, 2, 1)]),
        None,
        "a skip that misses rows"
    );
}

#[test]
fn equal_weights_have_equal_rows_in_tables_of_every_size() {
    let all: Vec<Member> = members([1; MAX_BACKENDS]);
    for size in (2..2_003).filter(|size| size::is_prime(*size)) {
        for backends in 1..=MAX_BACKENDS.min(size as usize) {
            let rows = rows(size as u8, &all[..backends], size, 1);
            let counts = counts(&rows, backends);
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{backends} in {size}");
        }
    }
}

#[test]
fn equal_weights_have_equal_rows_in_large_tables() {
    for size in [65_537, MAX_SIZE] {
        for backends in [1, 2, 3, 5, 100, 255, 256] {
            // Weights are a ratio: a ring with 2 * 65,537 / 400 replicas each elsewhere has half of the backends.
            let rows = rows(1, &members(vec![327; backends]), size, 1);
            let counts = counts(&rows, backends);
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{backends} in {size}");
        }
    }
}

#[test]
fn weights_are_shares() {
    let shares = |weights: &[u16], size: u32| {
        let counts = counts(&rows(3, &members(weights.to_vec()), size, 1), weights.len());
        let sum: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
        for (count, weight) in counts.iter().zip(weights) {
            let share = f64::from(size) * f64::from(*weight) / f64::from(sum);
            assert!(
                (f64::from(*count) - share).abs() <= 1.0,
                "{weights:?} {counts:?}"
            );
        }
        counts
    };
    assert_eq!(shares(&[2, 13, 111, 10], 1_021), [15, 98, 833, 75]);
    assert_eq!(shares(&[2, 1, 1], 65_537), [32_769, 16_384, 16_384]);
    shares(&[1, 1000], 1_021);
    shares(&[0, 7, 0, 5, 1], 65_537);
    shares(&[1000, 999, 1], MAX_SIZE);
}

#[test]
fn nobody_is_left_without_a_row() {
    // Weights far above what the size has room for.
    for size in [257, 509, 1_021] {
        let weights = (0..256u16).map(|n| 1 + n * n % 1000);
        let rows = rows(5, &members(weights), size, 1);
        assert!(counts(&rows, 256).iter().all(|count| *count > 0), "{size}");
    }
}

#[test]
fn few_rows_move_without_need() {
    for backends in [2, 3, 5, 16, 64, 128, 256] {
        for seed in 0..3 {
            let gone = usize::from(seed) * 37 % backends;
            for weight in [1, 100] {
                let moved = needless(seed, &members(vec![weight; backends]), 65_537, gone);
                assert!(moved * 100 < 65_537, "{backends}, seed {seed}: {moved}");
            }
        }
    }
}

/// Small tables move more: their mean over many seeds is what docs/maglev.md says.
#[test]
fn how_many_rows_of_small_tables_move() {
    let mean = |weights: &[u16], size: u32| {
        let of = members(weights.to_vec());
        let moved: usize = (0..=255).map(|seed| needless(seed, &of, size, 0)).sum();
        moved as f64 * 100.0 / 256.0 / f64::from(size)
    };
    assert!(mean(&[1, 1, 1], 1_021) < 0.7);
    assert!(mean(&[2, 13, 111, 10], 1_021) < 1.0);
    assert!(mean(&[1; 5], 1_021) < 1.5);
    assert!(mean(&[100; 5], 4_093) < 0.8);
    assert!(mean(&[100; 5], 10_007) < 0.4);
}

#[test]
fn the_sum_of_reduced_weights() {
    assert_eq!(reduced(&members([100; 5])), 5);
    assert_eq!(reduced(&members([10, 25, 0])), 7);
    assert_eq!(reduced(&members([0, 0])), 0);
    assert_eq!(reduced(&[]), 0);
    assert_eq!(reduced(&members([7, 3])), 10);
    // Who drains counts.
    let mut some = members([4, 4, 2]);
    some[0].backend.state = State::Draining;
    some[1].backend.state = State::Inactive;
    assert_eq!(reduced(&some), 5);
    assert_eq!(default_size(reduced(&some)), 65_537);
}

#[test]
fn a_row_for_every_hash() {
    for size in [2, 7, 65_537, MAX_SIZE] {
        assert_eq!(row(PacketHash(0), size), 0);
        assert_eq!(row(PacketHash(u64::MAX), size), size - 1);
    }
    // Which half it is.
    assert_eq!(row(PacketHash(0xffff_ffff), 65_537), 0);
    assert_eq!(row(PacketHash(1 << 63), 65_537), 32_768);
}

#[test]
fn whose_turn_it_is_follows_from_states_and_health() {
    let has = |change: &dyn Fn(&mut [Member])| {
        let mut of = members([1; 4]);
        change(&mut of);
        let rows = rows(9, &of, 1_021, 1);
        counts(&rows, 4)
            .iter()
            .map(|count| *count > 0)
            .collect::<Vec<bool>>()
    };
    let set = |state| move |of: &mut [Member]| of[1].backend.state = state;
    assert_eq!(has(&set(State::Active)), [true, true, true, true]);
    assert_eq!(has(&set(State::Filling)), [true, true, true, true]);
    assert_eq!(has(&set(State::Draining)), [true, false, true, true]);
    assert_eq!(has(&set(State::Inactive)), [true, false, true, true]);
    assert_eq!(
        has(&|of| of[2].backend.healthy = false),
        [true, true, false, true]
    );
    assert_eq!(has(&|of| of[3].weight = 0), [true, true, true, false]);
    // Better to someone than to nobody.
    let sick = |of: &mut [Member]| of.iter_mut().for_each(|of| of.backend.healthy = false);
    assert_eq!(has(&sick), [true, true, true, true]);
    assert_eq!(
        has(&|of| {
            sick(of);
            of[0].backend.state = State::Draining;
        }),
        [false, true, true, true]
    );
    assert_eq!(
        has(&|of| of
            .iter_mut()
            .for_each(|of| of.backend.state = State::Draining)),
        [true, true, true, true]
    );
}

#[test]
fn a_drain_keeps_connections_at_the_second_hop() {
    let before = rows(4, &members([1; 5]), 1_021, 2);
    let mut draining = members([1; 5]);
    draining[2].backend.state = State::Draining;
    let after = rows(4, &draining, 1_021, 2);
    for (old, new) in before.chunks(2).zip(after.chunks(2)) {
        assert_ne!(new[0], 2);
        // Also in rows that moved without need, everybody who had connections is found.
        assert!(new.contains(&old[0]), "{old:?} {new:?}");
    }
}

#[test]
fn the_root_is_that_of_the_library() {
    for size in 0..=MAX_SIZE {
        assert_eq!(fill::most_listed(size), size.isqrt().min(256), "{size}");
    }
}

#[test]
fn what_cannot_be_built_is_refused() {
    let error = |members: &[Member], size, hops| try_rows(1, members, size, hops).unwrap_err();
    let five = members([1; 5]);
    assert_eq!(error(&[], 1_021, 1), RowsError::NoBackend);
    assert_eq!(error(&members([0; 5]), 1_021, 1), RowsError::NoBackend);
    assert_eq!(error(&members([1; 257]), 1_021, 1), RowsError::Backends);
    assert_eq!(error(&five, 1_021, 0), RowsError::Hops);
    assert_eq!(error(&five, 1_021, 32), RowsError::Hops);
    assert_eq!(error(&members([1, 1001]), 1_021, 1), RowsError::Weight(1));
    let size = |size| RowsError::Size(size);
    assert_eq!(error(&five, 1_000, 1), size(SizeError::NotPrime(1_009)));
    assert_eq!(error(&five, 3, 1), size(SizeError::TooSmall(5)));
    assert_eq!(error(&five, 655_379, 1), size(SizeError::TooLarge));
    let mut down = members([1; 4]);
    down[3].backend.healthy = false;
    // It would have no room when the last one is up again.
    assert_eq!(error(&down, 3, 1), size(SizeError::TooSmall(5)));
    assert_eq!(error(&members([1; 256]), 65_537, 3), RowsError::Work);
    assert_eq!(error(&members([1; 3]), 655_373, 31), RowsError::Work);
    let mut gone = five;
    gone.iter_mut()
        .for_each(|of| of.backend.state = State::Inactive);
    assert_eq!(error(&gone, 1_021, 1), RowsError::NoBackend);
}

#[test]
fn a_slice_that_is_too_short_is_refused() {
    let of = members([1; 5]);
    let table = Table {
        seed: &key(1),
        members: &of,
        size: 1_021,
        hops: 2,
    };
    let tried = |short: usize| {
        let len = |which: usize, len: usize| if which == short { len - 1 } else { len };
        let mut rows = vec![0; len(1, 2_042)];
        let mut room = Room {
            cursors: &mut vec![Cursor::default(); len(2, 5)],
            free: &mut vec![0; len(3, 16)],
            without: &mut vec![Cursor::default(); len(4, 5)],
            owners: &mut vec![0; len(5, 1_021)],
            group: &mut vec![0; len(6, 1_021)],
        };
        build(&table, &mut rows, &mut room, &mut || ())
    };
    assert_eq!(tried(0), Ok(()));
    for short in 1..=5 {
        assert_eq!(tried(short), Err(RowsError::Room), "{short}");
    }
}

#[test]
fn pauses_come_often() {
    // A fill of 65,537 rows takes some 360,000 steps of walking, and 32,896 computed ones.
    let (_, pauses) = try_rows(1, &members([1; 256]), 65_537, 1).unwrap();
    assert!((4..12).contains(&pauses), "{pauses}");
    let (_, pauses) = try_rows(1, &members([1; 256]), MAX_SIZE, 1).unwrap();
    assert!(pauses >= 60, "{pauses}");
}

#[test]
fn memory_while_building_is_below_four_tables() {
    for (backends, size) in [(256, 65_537), (256, 25_601), (10, 1_021), (2, 1_021)] {
        let members = members(vec![1; backends]);
        for hops in [1, 2] {
            // In a small table with rows of two, the list of the last rows is much.
            if hops == 2 && size < 10_000 {
                continue;
            }
            let mut slices = Slices::new(&members, size, hops);
            let all = slices.bytes() + size_of::<Fill<'_>>();
            let table = slices.rows.len();
            assert!(all < 4 * table, "{backends} in {size}, {hops} hops: {all}");
            // It is built in these, and in none that is shorter.
            let seed = key(1);
            let input = Table {
                seed: &seed,
                members: &members,
                size,
                hops,
            };
            let build_in = |slices: &mut Slices| {
                let (rows, mut room) = slices.lend();
                build(&input, rows, &mut room, &mut || ())
            };
            assert_eq!(build_in(&mut slices), Ok(()));
            slices.free.pop();
            assert_eq!(build_in(&mut slices), Err(RowsError::Room));
        }
    }
}

#[test]
fn as_many_hops_as_packets_have_room_for() {
    assert_eq!(MAX_HOPS, crate::director::select::rows::v3::MAX_HOPS);
    assert_eq!(MAX_WEIGHT, crate::director::select::rows::v3::MAX_WEIGHT);
    // With fewer backends than hops the last is repeated.
    let rows = rows(1, &members([1; 3]), 101, 5);
    for row in rows.chunks(5) {
        let mut all = row[..3].to_vec();
        all.sort();
        assert_eq!(all, [0, 1, 2]);
        assert_eq!(row[3..], [row[2], row[2]]);
    }
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        6 => Just(State::Active),
        1 => Just(State::Filling),
        1 => Just(State::Draining),
        1 => Just(State::Inactive),
    ]
}

fn addr() -> impl Strategy<Value = Addr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(Addr::V4),
        any::<[u8; 16]>().prop_map(Addr::V6)
    ]
}

/// Members with addresses of their own; all active and healthy, or in every mixture.
fn any_members(most: usize, mixed: bool) -> impl Strategy<Value = Vec<Member>> {
    let weight = prop_oneof![Just(1u16), 0..=4u16, 1..=1000u16];
    let one = (addr(), state(), prop::bool::weighted(0.9), weight);
    prop::collection::vec(one, 1..=most).prop_map(move |mut all| {
        all.sort_by_key(|one| one.0);
        all.dedup_by_key(|one| one.0);
        all.into_iter()
            .map(|(addr, state, healthy, weight)| Member {
                backend: Backend {
                    addr,
                    state: if mixed { state } else { State::Active },
                    healthy: healthy || !mixed,
                },
                weight,
            })
            .collect()
    })
}

/// Sizes from small ones, where all is the end, to some of several parts.
fn some_size(least: u32) -> impl Strategy<Value = u32> {
    let mut sizes = vec![2, 7, 31, 61, 127, 251, 257, 263, 521, 1_021, 4_093];
    sizes.retain(|size| *size >= least);
    prop::sample::select(sizes)
}

/// Takes turns: there is somebody.
fn somebody(members: &[Member]) -> bool {
    members
        .iter()
        .any(|of| of.weight > 0 && of.backend.state != State::Inactive)
}

fn compare(seed: u8, members: &[Member], size: u32, hops: usize) -> Result<(), TestCaseError> {
    if !somebody(members) {
        prop_assert_eq!(
            try_rows(seed, members, size, hops).unwrap_err(),
            RowsError::NoBackend
        );
        return Ok(());
    }
    let ours = rows(seed, members, size, hops);
    let model = model::rows(&key(seed), members, size as usize, hops);
    for (number, (ours, model)) in ours.chunks(hops).zip(&model).enumerate() {
        let ours: Vec<usize> = ours.iter().copied().map(usize::from).collect();
        prop_assert_eq!(&ours, model, "row {}", number);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn many_backends_have_the_rows_of_the_textbook(seed: u8, of in any_members(256, true)) {
        compare(seed, &of, 65_537, 1)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn rows_are_those_of_the_textbook(seed: u8, of in any_members(60, false), size in some_size(60)) {
        compare(seed, &of, size, 1)?;
    }

    #[test]
    fn rows_are_shared_out_by_weight(seed: u8, of in any_members(60, false), size in some_size(60)) {
        prop_assume!(somebody(&of));
        let counts = counts(&rows(seed, &of, size, 1), of.len());
        let takers = of.iter().filter(|of| of.weight > 0).count() as f64;
        let sum: f64 = of.iter().map(|of| f64::from(of.weight)).sum();
        for (count, of) in counts.iter().zip(&of) {
            let part = f64::from(of.weight) / sum;
            let more = f64::from(*count) - f64::from(size) * part;
            prop_assert!(more <= 2.0 && more >= -2.0 - takers * part, "{:?}", counts);
            prop_assert_eq!(*count > 0, of.weight > 0);
        }
    }

    #[test]
    fn hops_are_owners_without_those_before(seed: u8, of in any_members(9, true), size in some_size(9), hops in 2..=5usize) {
        compare(seed, &of, size, hops)?;
    }

    #[test]
    fn the_order_of_the_file_does_not_matter(seed: u8, of in any_members(40, true), size in some_size(40), hops in 1..=3usize) {
        prop_assume!(somebody(&of));
        let addrs = |of: &[Member]| -> Vec<Addr> {
            let addr = |index: &u8| of[usize::from(*index)].backend.addr;
            rows(seed, of, size, hops).iter().map(addr).collect()
        };
        let as_it_is = addrs(&of);
        let mut other = of.clone();
        other.rotate_left(usize::from(seed) % of.len());
        other.reverse();
        prop_assert_eq!(addrs(&other), as_it_is);
    }

    #[test]
    fn weights_are_a_ratio(seed: u8, of in any_members(40, false), size in some_size(40), times in 1..=9u16) {
        let mut of = of;
        of.iter_mut().for_each(|of| of.weight %= MAX_WEIGHT / 9);
        prop_assume!(somebody(&of));
        let mut more = of.clone();
        more.iter_mut().for_each(|of| of.weight *= times);
        prop_assert_eq!(rows(seed, &more, size, 1), rows(seed, &of, size, 1));
    }
}
