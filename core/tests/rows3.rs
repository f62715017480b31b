// SPDX-License-Identifier: GPL-2.0

//! Version 3 rows: what docs/rows-v3.md promises, over random sets of backends.

use glb_core::backend::{Backend, State};
use glb_core::director::select::hash::ROWS;
use glb_core::director::select::rows::v3::{build, Member, Room, RowsError, MAX_HOPS};
use glb_core::packet::addr::Addr;
use glb_core::siphash::SipKey;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

struct Table {
    members: Vec<Member>,
    hops: usize,
    rows: Vec<u8>,
}

impl Table {
    fn new(seed: u8, members: &[Member], hops: usize) -> Self {
        let mut rows = vec![0xee; ROWS * hops];
        let mut room = Room {
            costs: &mut vec![7; ROWS * hops],
            first: &mut vec![7; ROWS],
            before: &mut vec![7; ROWS],
            sorted: &mut vec![7; ROWS * 2],
        };
        build(
            &SipKey::new(&[seed; 16]),
            members,
            hops,
            &mut rows,
            &mut room,
        )
        .unwrap();
        Self {
            members: members.to_vec(),
            hops,
            rows,
        }
    }

    fn rows(&self) -> impl Iterator<Item = Vec<Addr>> + '_ {
        let addr = |index: &u8| self.members[usize::from(*index)].backend.addr;
        self.rows
            .chunks(self.hops)
            .map(move |row| row.iter().map(addr).collect())
    }

    fn member(&self, addr: Addr) -> Option<&Member> {
        self.members.iter().find(|m| m.backend.addr == addr)
    }

    /// Rows where the first hop of `self` is still in use in `after`, but not among the row's hops.
    fn lost(&self, after: &Table) -> usize {
        let lost = |(old, new): &(Vec<Addr>, Vec<Addr>)| {
            let there = after
                .member(old[0])
                .is_some_and(|m| m.backend.state != State::Inactive);
            there && !new.contains(&old[0])
        };
        self.rows().zip(after.rows()).filter(lost).count()
    }
}

fn member(n: u8, weight: u16, domain: u16) -> Member {
    Member {
        backend: Backend {
            addr: Addr::V4([10, 0, 0, n]),
            state: State::Active,
            healthy: true,
        },
        weight,
        domain,
    }
}

/// Backends that are all good, with weights, in a few domains or each in one of its own.
fn good(most: u8) -> impl Strategy<Value = Vec<Member>> {
    let weights = prop_oneof![
        Just(1u16),
        1..=4u16,
        prop::sample::select(vec![1u16, 10, 100])
    ];
    let domains = prop_oneof![Just(0u16), 1..5u16];
    (2..=most, weights, domains, any::<u32>()).prop_map(|(count, weight, domains, mix)| {
        (0..count)
            .map(|n| {
                let mixed = (u32::from(n) ^ mix).wrapping_mul(0x9e37_79b9) >> 16;
                let domain = match domains {
                    0 => 1000 + u16::from(n),
                    some => mixed as u16 % some,
                };
                member(n, 1 + mixed as u16 % weight, domain)
            })
            .collect()
    })
}

/// What can happen to a backend.
#[derive(Debug, Clone, Copy)]
enum Event {
    Leaves,
    Deactivated,
    Drains,
    Fails,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Leaves),
        Just(Event::Deactivated),
        Just(Event::Drains),
        Just(Event::Fails)
    ]
}

fn happen(members: &[Member], events: &[(usize, Event)]) -> Vec<Member> {
    let mut after = members.to_vec();
    let mut gone = HashSet::new();
    for &(pick, event) in events {
        let index = pick % after.len();
        let backend = &mut after[index].backend;
        match event {
            Event::Leaves => {
                gone.insert(backend.addr);
            }
            Event::Deactivated => backend.state = State::Inactive,
            Event::Drains => backend.state = State::Draining,
            Event::Fails => backend.healthy = false,
        }
    }
    after.retain(|m| !gone.contains(&m.backend.addr));
    after
}

fn usable(members: &[Member]) -> bool {
    members.iter().any(|m| m.backend.state != State::Inactive)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The promise: with k hops, k - 1 backends may leave, drain or fail at once.
    #[test]
    fn all_hops_but_one_may_leave_at_once(
        seed in any::<u8>(),
        members in good(30),
        hops in 2..6usize,
        events in prop::collection::vec((any::<usize>(), event()), 5),
    ) {
        let old = Table::new(seed, &members, hops);
        let after = happen(&members, &events[..hops - 1]);
        prop_assume!(usable(&after));
        let new = Table::new(seed, &after, hops);
        prop_assert_eq!(old.lost(&new), 0);
    }

    /// Leaving alone may even go on and on.
    #[test]
    fn any_number_may_leave(
        seed in any::<u8>(),
        members in good(20),
        hops in 2..4usize,
        events in prop::collection::vec((any::<usize>(), Just(Event::Leaves)), 12),
    ) {
        let old = Table::new(seed, &members, hops);
        let after = happen(&members, &events);
        prop_assume!(usable(&after));
        prop_assert_eq!(old.lost(&Table::new(seed, &after, hops)), 0);
    }

    /// Any number of backends may come in at once, as filling.
    #[test]
    fn any_number_may_fill(
        seed in any::<u8>(),
        members in good(20),
        hops in 2..5usize,
        filling in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
    ) {
        let mut after = members.clone();
        for index in &filling {
            after[index.index(members.len())].backend.state = State::Filling;
        }
        let before: Vec<Member> =
            after.iter().copied().filter(|m| m.backend.state == State::Active).collect();
        prop_assume!(!before.is_empty());
        let old = Table::new(seed, &before, hops);
        prop_assert_eq!(old.lost(&Table::new(seed, &after, hops)), 0);
    }

    /// With three hops or more, one may also come in without filling first.
    #[test]
    fn one_may_come_in_unannounced_with_three_hops(
        seed in any::<u8>(),
        members in good(20),
        hops in 3..6usize,
        new in any::<prop::sample::Index>(),
    ) {
        // Domains are left out: a new one takes a place in every row.
        let members: Vec<Member> =
            members.iter().map(|m| Member { domain: m.domain_of_its_own(), ..*m }).collect();
        let mut before = members.clone();
        before.remove(new.index(members.len()));
        let old = Table::new(seed, &before, hops);
        prop_assert_eq!(old.lost(&Table::new(seed, &members, hops)), 0);
    }

    /// Rows depend on the set, not on the order in which it is written down.
    #[test]
    fn order_of_the_file_does_not_matter(
        seed in any::<u8>(),
        members in good(30),
        events in prop::collection::vec((any::<usize>(), event()), 0..6),
        turn in any::<usize>(),
    ) {
        let members = happen(&members, &events);
        prop_assume!(usable(&members));
        let mut other = members.clone();
        other.reverse();
        let by = turn % members.len();
        other.rotate_left(by);
        let (a, b) = (Table::new(seed, &members, 3), Table::new(seed, &other, 3));
        prop_assert!(a.rows().eq(b.rows()));
    }

    /// The first hop is good where any backend is; hops differ where there are enough; the second is of
    /// another domain where there is one.
    #[test]
    fn rows_are_as_good_as_they_can_be(
        seed in any::<u8>(),
        members in good(30),
        hops in 2..6usize,
        events in prop::collection::vec((any::<usize>(), event()), 0..25),
    ) {
        let members = happen(&members, &events);
        prop_assume!(usable(&members));
        let table = Table::new(seed, &members, hops);
        let in_use: Vec<&Member> =
            members.iter().filter(|m| m.backend.state != State::Inactive).collect();
        let is_good = |m: &&Member| m.backend.healthy && m.backend.state == State::Active;
        let any_good = in_use.iter().any(is_good);
        let all_good = in_use.iter().all(is_good);
        let domains: HashSet<u16> = in_use.iter().map(|m| m.domain).collect();
        for row in table.rows() {
            let first = table.member(row[0]).unwrap();
            prop_assert!(first.backend.state != State::Inactive);
            prop_assert!(!any_good || is_good(&first));
            let different: HashSet<&Addr> = row.iter().collect();
            prop_assert_eq!(different.len(), hops.min(in_use.len()));
            if all_good && domains.len() > 1 {
                prop_assert!(table.member(row[1]).unwrap().domain != first.domain);
            }
        }
    }
}

trait OwnDomain {
    fn domain_of_its_own(&self) -> u16;
}

impl OwnDomain for Member {
    fn domain_of_its_own(&self) -> u16 {
        match self.backend.addr {
            Addr::V4([.., n]) => 1000 + u16::from(n),
            Addr::V6(_) => unreachable!("the tests use IPv4"),
        }
    }
}

/// First hops of each backend against its fair share: the largest and the smallest, in per cent.
fn balance(table: &Table) -> (f64, f64) {
    let mut loads: HashMap<Addr, u32> = HashMap::new();
    for row in table.rows() {
        *loads.entry(row[0]).or_default() += 1;
    }
    let good = || {
        let good = |m: &&Member| m.backend.healthy && m.backend.state == State::Active;
        table.members.iter().filter(good)
    };
    let total: f64 = good().map(|m| f64::from(m.weight)).sum();
    let deviations: Vec<f64> = good()
        .map(|m| {
            let fair = ROWS as f64 * f64::from(m.weight) / total;
            let load = loads.get(&m.backend.addr).copied().unwrap_or(0);
            (f64::from(load) / fair - 1.0) * 100.0
        })
        .collect();
    let of = |pick: fn(f64, f64) -> f64| deviations.iter().copied().reduce(pick).unwrap();
    (of(f64::max), of(f64::min))
}

fn many(count: u16) -> Vec<Member> {
    (0..count).map(|n| member(n as u8, 1, 1000 + n)).collect()
}

#[test]
fn loads_are_even_and_little_moves() {
    for (count, hops) in [(2, 2), (5, 2), (40, 3), (100, 2), (256, 2), (256, 3)] {
        let members = many(count);
        let old = Table::new(9, &members, hops);
        let (most, least) = balance(&old);
        assert!(
            most < 2.0 && least > -2.0,
            "{count} backends: {most} {least}"
        );
        let mut left = members.clone();
        let gone = left.remove(usize::from(count) / 2).backend.addr;
        let mut failed = members.clone();
        failed[usize::from(count) / 2].backend.healthy = false;
        for after in [left, failed] {
            let new = Table::new(9, &after, hops);
            let moved = old
                .rows()
                .zip(new.rows())
                .filter(|(old, new)| old[0] != gone && old[0] != new[0])
                .count();
            let share = moved as f64 * 100.0 / ROWS as f64;
            assert!(
                share < 0.7,
                "{count} backends, {hops} hops: {share} % moved needlessly"
            );
            let (most, least) = balance(&new);
            assert!(
                most < 2.0 && least > -2.0,
                "{count} backends: {most} {least}"
            );
        }
    }
}

#[test]
fn weights_are_kept() {
    let mut members = many(60);
    for (index, member) in members.iter_mut().enumerate() {
        member.weight = [1, 2, 3, 10][index % 4];
    }
    let (most, least) = balance(&Table::new(3, &members, 3));
    assert!(most < 2.0 && least > -2.0, "{most} {least}");
}

#[test]
fn loads_stay_even_with_domains_and_when_many_are_bad() {
    let mut members = many(120);
    for (index, member) in members.iter_mut().enumerate() {
        member.domain = index as u16 % 3;
        member.backend.healthy = index % 4 != 0;
        if index % 10 == 1 {
            member.backend.state = State::Draining;
        }
    }
    let (most, least) = balance(&Table::new(3, &members, 3));
    assert!(most < 2.0 && least > -2.0, "{most} {least}");
}

#[test]
fn one_backend_and_all_bad() {
    let table = Table::new(1, &many(1), 4);
    assert!(table.rows.iter().all(|index| *index == 0));
    let mut members = many(4);
    for member in &mut members {
        member.backend.healthy = false;
    }
    let (most, _) = {
        let table = Table::new(1, &members, 2);
        let mut loads = [0u32; 4];
        table
            .rows
            .chunks(2)
            .for_each(|row| loads[usize::from(row[0])] += 1);
        (*loads.iter().max().unwrap(), table)
    };
    assert!(
        most < 17_000,
        "traffic is not even when all are said to be bad"
    );
}

/// Sets of every kind with a hash of their rows: directors of all versions must build the same.
#[test]
fn rows_are_those_of_all_versions() {
    let weights = [1, 2, 3, 10];
    let mut weighted = many(100);
    let mut mixed = many(40);
    let mut filling = many(20);
    for (index, member) in weighted.iter_mut().enumerate() {
        member.weight = weights[index % 4];
    }
    for (index, member) in mixed.iter_mut().enumerate() {
        member.domain = index as u16 % 3;
        member.backend.healthy = index % 4 != 0;
        if index % 10 == 1 {
            member.backend.state = State::Draining;
        }
    }
    for (index, member) in filling.iter_mut().enumerate() {
        if index % 5 == 0 {
            member.backend.state = State::Filling;
        }
        member.backend.healthy = index % 3 != 0;
    }
    let of = |seed, members: &[Member], hops| {
        SipKey::new(&[0; 16]).hash(&Table::new(seed, members, hops).rows)
    };
    let hashes = [
        of(9, &many(16), 3),
        of(3, &weighted, 2),
        of(5, &mixed, 4),
        of(7, &filling, 3),
        of(1, &many(2), 3),
        of(2, &many(256), 5),
    ];
    assert_eq!(hashes.map(|hash| format!("{hash:016x}")), GOLDEN);
}

const GOLDEN: [&str; 6] = [
    "cf08398d5b468cf4",
    "520239b56986d938",
    "bbd8f26cf96742ba",
    "79fd52c5b16a554d",
    "97fedade455b02fc",
    "cc645876df789840",
];

#[test]
fn bad_arguments_are_named() {
    let mut rows = vec![0; ROWS * 2];
    let (mut costs, mut first, mut before) = (vec![0; ROWS * 2], vec![0; ROWS], vec![0; ROWS]);
    let mut sorted = vec![0; ROWS * 2];
    let mut try_build = |members: &[Member], hops: usize| {
        let mut room = Room {
            costs: &mut costs,
            first: &mut first,
            before: &mut before,
            sorted: &mut sorted,
        };
        build(&SipKey::new(&[0; 16]), members, hops, &mut rows, &mut room)
    };
    let inactive = Member {
        backend: Backend {
            state: State::Inactive,
            ..member(1, 1, 1).backend
        },
        ..member(1, 1, 1)
    };
    assert_eq!(try_build(&[], 2), Err(RowsError::NoBackend));
    assert_eq!(try_build(&[inactive], 2), Err(RowsError::NoBackend));
    assert_eq!(
        try_build(&vec![member(1, 1, 1); 257], 2),
        Err(RowsError::Backends)
    );
    assert_eq!(try_build(&many(3), 1), Err(RowsError::Hops));
    assert_eq!(try_build(&many(3), MAX_HOPS + 1), Err(RowsError::Hops));
    assert_eq!(
        try_build(&[member(1, 1, 1), member(2, 0, 2)], 2),
        Err(RowsError::Weight(1))
    );
    assert_eq!(try_build(&many(3), 3), Err(RowsError::Room));
}
