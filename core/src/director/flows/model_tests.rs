// SPDX-License-Identifier: GPL-2.0

//! A flow table against a map with times.

use super::*;
use crate::director::classify::bind::Proto;
use crate::director::ids::{Roster, Tag};
use crate::director::inspect::{Candidate, Kind, Turn};
use crate::director::keepers::Keepers;
use crate::packet::flow::FlowKey;
use crate::packet::ip::{Addrs, Fragment};
use crate::siphash::SipKey;
use proptest::collection::vec;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::vec::Vec;

const SECRET: SipKey = SipKey::new(b"fedcba9876543210");
/// How long a closed connection is kept, as the documents say.
const CLOSING: u64 = 10;

/// A service as a module has it: backends by their index, which of them keep flows.
struct Service {
    buckets: Vec<Bucket>,
    rules: Rules,
    roster: Roster,
    keepers: Keepers,
    /// Addresses, which are numbers here, and whether the backend keeps its flows.
    backends: Vec<(u8, bool)>,
    now: Cell<u64>,
    learns: bool,
    asks: Cell<bool>,
    events: RefCell<Vec<Event>>,
}

impl Service {
    fn new(buckets: usize, rules: Rules, backends: &[(u8, bool)]) -> Self {
        let mut service = Self {
            buckets: (0..buckets).map(|_| Bucket::new()).collect(),
            rules,
            roster: Roster::new(),
            keepers: Keepers::none(),
            backends: Vec::new(),
            now: Cell::new(0),
            learns: true,
            asks: Cell::new(true),
            events: RefCell::default(),
        };
        service.load(backends);
        service
    }

    /// Other backends, as a load brings them; whose flows were given up is swept out.
    fn load(&mut self, backends: &[(u8, bool)]) {
        let mut roster = Roster::new();
        let left = roster.succeed(&self.roster, backends.len(), |new, old| {
            backends[usize::from(new)].0 == self.backends[usize::from(old)].0
        });
        self.roster = roster;
        self.backends = backends.to_vec();
        let keeps = |index| backends.get(usize::from(index)).is_some_and(|one| one.1);
        self.keepers.fill(&self.roster, keeps);
        if left {
            for bucket in &self.buckets {
                bucket.release(|tag| self.roster.backend(tag).is_none());
            }
        }
    }

    /// The address that a packet goes to whose row has this backend first, and what was counted.
    fn packet(&self, packet: &Candidate, first: Option<u8>) -> (Option<u8>, Option<Event>) {
        let index = first.map(|addr| self.index(addr));
        // Every other packet is asked about as the module does: first whether its flow is known without a row.
        let asks = self.asks.replace(!self.asks.get());
        let key = asks.then(|| key(self, packet)).flatten();
        let other = match key {
            Some(key) => {
                if let Some(known) = known(self, packet, &key) {
                    let event = self.events.borrow_mut().pop();
                    assert_eq!(event, Some(Event::Known));
                    return (Some(self.backends[usize::from(known)].0), event);
                }
                learn(self, packet, &key, index)
            }
            None => follow(self, packet, index),
        };
        assert!(other.is_none() || other != index);
        let addr = other.or(index).map(|at| self.backends[usize::from(at)].0);
        (addr, self.events.borrow_mut().pop())
    }

    fn index(&self, addr: u8) -> u8 {
        self.backends.iter().position(|one| one.0 == addr).unwrap() as u8
    }
}

impl Memory for Service {
    fn secret(&self) -> &SipKey {
        &SECRET
    }
    fn rules(&self) -> Rules {
        self.rules
    }
    fn table(&self) -> FlowTable<'_> {
        FlowTable {
            buckets: &self.buckets,
            secret: &SECRET,
            rules: self.rules,
            // The clock of a machine that has been up for a while.
            now: (self.now.get() + 65_000) as u16,
        }
    }
    fn backend(&self, tag: Tag) -> Option<u8> {
        self.keepers.backend(tag)
    }
    fn tag(&self, backend: u8) -> Option<Tag> {
        Some(self.roster.id(backend)?.tag())
    }
    fn learns(&self) -> bool {
        self.learns
    }
    fn count(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }
}

fn flow(n: u16) -> FlowKey {
    let addrs = if n % 2 == 0 {
        Addrs::V4 {
            src: [10, 0, 0, (n / 7) as u8],
            dst: [1, 1, 1, 1],
        }
    } else {
        let mut src = [0x20; 16];
        src[15] = (n / 7) as u8;
        Addrs::V6 { src, dst: [1; 16] }
    };
    FlowKey {
        addrs,
        src_port: n,
        dst_port: 443,
    }
}

fn candidate(kind: Kind, key: FlowKey, turn: Turn) -> Candidate {
    Candidate {
        kind,
        key,
        hint: 0,
        len: 40,
        fragment: None,
        flags: match turn {
            Turn::Amid => 0x10,
            Turn::Opens => 2,
            Turn::Ends => 1,
        },
    }
}

fn tcp(n: u16, turn: Turn) -> Candidate {
    candidate(Kind::Flow(Proto::Tcp), flow(n), turn)
}

const BY_FLOW: Rules = Rules {
    timeout: 40,
    by: By::Flow,
};
const BY_SOURCE: Rules = Rules {
    timeout: 40,
    by: By::Source,
};

/// What the model has of a flow: backend, second of its last packet, whether it closes.
type Known = (u8, u64, bool);

/// What the property tests do.
#[derive(Debug, Clone)]
enum Step {
    /// A packet of a flow, whose row has this backend first.
    Packet(u16, u8, Turn),
    /// So many seconds pass.
    Wait(u64),
    /// These backends, the ones that keep flows; all others of ten are drained of them.
    Load(Vec<(u8, bool)>),
}

fn step() -> impl Strategy<Value = Step> {
    let turn = prop_oneof![
        6 => Just(Turn::Amid),
        1 => Just(Turn::Opens),
        2 => Just(Turn::Ends)
    ];
    prop_oneof![
        12 => (0u16..60, 0u8..10, turn).prop_map(|(n, first, turn)| Step::Packet(n, first, turn)),
        3 => (0u64..30).prop_map(Step::Wait),
        1 => vec((0u8..10, prop::bool::weighted(0.8)), 1..10).prop_map(Step::Load),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A table with room for all: each packet goes where a map with times says.
    #[test]
    fn packets_go_where_a_map_says(
        steps in vec(step(), 1..200),
        timeout in prop_oneof![Just(1u16), Just(7), Just(40), Just(Rules::MAX_TIMEOUT)],
        source in any::<bool>(),
    ) {
        let by = if source { By::Source } else { By::Flow };
        // 60 flows: that five of them come to one of 65,536 buckets does not happen with this secret.
        let all: Vec<(u8, bool)> = (0..10).map(|addr| (addr, true)).collect();
        let mut service = Service::new(1 << 16, Rules { timeout, by }, &all);
        let mut model: HashMap<FlowName, Known> = HashMap::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Wait(seconds) => now += seconds,
                Step::Load(mut backends) => {
                    let mut seen = [false; 10];
                    backends.retain(|one| !core::mem::replace(&mut seen[usize::from(one.0)], true));
                    service.load(&backends);
                    model.retain(|_, known| seen[usize::from(known.0)]);
                }
                Step::Packet(n, first, turn) => {
                    service.now.set(now);
                    let first = service.backends[usize::from(first) % service.backends.len()].0;
                    let keeps = |addr: u8| service.backends.contains(&(addr, true));
                    let name = FlowName::new(by, &flow(n));
                    let alive = |&&(_, last, closing): &&Known| {
                        let timeout = u64::from(timeout);
                        now - last <= if closing { timeout.min(CLOSING) } else { timeout }
                    };
                    let known = model.get(&name).filter(alive).filter(|one| keeps(one.0) || one.0 == first);
                    let (goes, event, was_closing) = match known {
                        Some(&(addr, _, closing)) => (addr, Event::Known, closing),
                        None => (first, Event::First, false),
                    };
                    let seen = service.packet(&tcp(n, turn), Some(first));
                    prop_assert_eq!(seen, (Some(goes), Some(event)));
                    let closing = match turn {
                        _ if source => false,
                        Turn::Amid => was_closing,
                        Turn::Opens => false,
                        Turn::Ends => true,
                    };
                    model.insert(name, (goes, now, closing));
                }
            }
        }
        // What is listed is what the map has.
        let tick = (now + 65_000) as u16;
        let mut listed: Vec<_> = service
            .buckets
            .iter()
            .flat_map(|bucket| bucket.list(service.rules, tick).collect::<Vec<_>>())
            .map(|one| {
                let index = service.roster.backend(one.tag).unwrap();
                (service.backends[usize::from(index)].0, u64::from(one.idle), one.closing)
            })
            .collect();
        let mut wanted: Vec<_> = model
            .values()
            .filter(|one| {
                let timeout = u64::from(timeout);
                now - one.1 <= if one.2 { timeout.min(CLOSING) } else { timeout }
            })
            .map(|&(addr, last, closing)| (addr, now - last, closing))
            .collect();
        listed.sort_unstable();
        wanted.sort_unstable();
        prop_assert_eq!(listed, wanted);
    }

    /// A table that is far too small: a flow that is tracked stays with its backend, and no other is counted as known.
    #[test]
    fn a_full_table_gives_up_no_flow(packets in vec((0u16..200, 0u8..10), 1..400)) {
        let all: Vec<(u8, bool)> = (0..10).map(|addr| (addr, true)).collect();
        let service = Service::new(3, BY_FLOW, &all);
        let mut tracked: HashMap<u16, u8> = HashMap::new();
        for (n, first) in packets {
            let (goes, event) = service.packet(&tcp(n, Turn::Amid), Some(first));
            match tracked.get(&n) {
                Some(addr) => prop_assert_eq!((goes, event), (Some(*addr), Some(Event::Known))),
                None if event == Some(Event::First) => {
                    prop_assert_eq!(goes, Some(first));
                    tracked.insert(n, first);
                }
                None => prop_assert_eq!((goes, event), (Some(first), Some(Event::Untracked))),
            }
        }
        prop_assert!(tracked.len() <= 3 * ENTRIES);
    }
}

/// What a table tells apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum FlowName {
    Flow(Vec<u8>, u16, u16),
    Client(Vec<u8>),
}

impl FlowName {
    fn new(by: By, key: &FlowKey) -> Self {
        let (src, dst) = match &key.addrs {
            Addrs::V4 { src, dst } => (src.to_vec(), dst.to_vec()),
            Addrs::V6 { src, dst } => (src.to_vec(), dst.to_vec()),
        };
        match by {
            By::Flow => Self::Flow([src, dst].concat(), key.src_port, key.dst_port),
            By::Source => Self::Client(src),
        }
    }
}

const TWO: [(u8, bool); 2] = [(1, true), (2, true)];

#[test]
fn without_a_backend_nothing_is_kept() {
    let mut service = Service::new(16, BY_FLOW, &TWO);
    let packet = tcp(4, Turn::Amid);
    assert_eq!(
        service.packet(&packet, None),
        (None, Some(Event::NoBackend))
    );
    assert_eq!(
        service.packet(&packet, Some(2)),
        (Some(2), Some(Event::First))
    );
    // No row has a backend any more, but the flow has.
    assert_eq!(service.packet(&packet, None), (Some(2), Some(Event::Known)));
    service.load(&[(1, true), (2, false)]);
    assert_eq!(
        service.packet(&packet, None),
        (None, Some(Event::NoBackend))
    );
    assert_eq!(
        service.packet(&packet, Some(1)),
        (Some(1), Some(Event::First))
    );
}

#[test]
fn a_backend_that_keeps_no_flows_still_gets_its_rows() {
    let service = Service::new(16, BY_FLOW, &[(1, false), (2, false)]);
    let packet = tcp(4, Turn::Amid);
    assert_eq!(
        service.packet(&packet, Some(2)),
        (Some(2), Some(Event::First))
    );
    assert_eq!(
        service.packet(&packet, Some(2)),
        (Some(2), Some(Event::Known))
    );
    assert_eq!(
        service.packet(&packet, Some(1)),
        (Some(1), Some(Event::First))
    );
}

#[test]
fn what_has_no_flow_of_its_own_follows_and_learns_nothing() {
    let service = Service::new(16, BY_FLOW, &TWO);
    let error = candidate(Kind::IcmpError(Proto::Tcp), flow(4), Turn::Amid);
    let mut later = candidate(Kind::LaterFragment(Proto::Tcp), flow(4), Turn::Amid);
    later.fragment = Some(Fragment { id: 1, offset: 9 });
    let echo = candidate(Kind::Echo, flow(4), Turn::Amid);
    for packet in [&error, &later, &echo] {
        assert_eq!(service.packet(packet, Some(2)), (Some(2), None));
    }
    assert_eq!(service.packet(&tcp(4, Turn::Opens), Some(1)).0, Some(1));
    assert_eq!(service.packet(&error, Some(2)), (Some(1), None));
    assert_eq!(service.packet(&later, Some(2)), (Some(1), None));
    assert_eq!(service.packet(&echo, Some(2)), (Some(2), None));
    // UDP of the same addresses and ports is another flow.
    let udp = candidate(Kind::Flow(Proto::Udp), flow(4), Turn::Amid);
    assert_eq!(service.packet(&udp, Some(2)), (Some(2), Some(Event::First)));
    // They lengthen no flow's life.
    service.now.set(41);
    assert_eq!(service.packet(&error, Some(2)), (Some(2), None));
    let by_source = Service::new(16, BY_SOURCE, &TWO);
    assert_eq!(by_source.packet(&udp, Some(1)).0, Some(1));
    for packet in [&error, &later, &echo] {
        assert_eq!(by_source.packet(packet, Some(2)), (Some(1), None));
    }
}

#[test]
fn a_question_changes_nothing() {
    let mut service = Service::new(16, BY_FLOW, &TWO);
    service.learns = false;
    assert_eq!(
        service.packet(&tcp(4, Turn::Amid), Some(2)),
        (Some(2), None)
    );
    service.learns = true;
    service.packet(&tcp(4, Turn::Amid), Some(1));
    service.learns = false;
    service.now.set(30);
    assert_eq!(
        service.packet(&tcp(4, Turn::Ends), Some(2)),
        (Some(1), None)
    );
    service.now.set(41);
    assert_eq!(
        service.packet(&tcp(4, Turn::Amid), Some(2)),
        (Some(2), None)
    );
}

#[test]
fn a_million_flows_in_64_mb() {
    const FLOWS: u32 = 1_000_000;
    // 64 MB are 1,000,000 buckets; any number will do.
    let buckets = 64_000_000 / size_of::<Bucket>();
    assert!(buckets <= Rules::MAX_BUCKETS as usize);
    let service = Service::new(buckets, BY_FLOW, &TWO);
    let mut untracked = 0;
    for n in 0..FLOWS {
        let (_, event) = service.packet(&numbered(n), Some(1));
        untracked += u32::from(event != Some(Event::First));
    }
    // Of a Poisson distribution with mean 1, 0.44 % is above 4.
    assert!(untracked < 5_000, "{untracked}");
    let known = (0..FLOWS).filter(|n| service.packet(&numbered(*n), Some(2)).0 == Some(1));
    assert_eq!(known.count() as u32, FLOWS - untracked);
}

#[test]
fn known_flows_are_written_once_a_second_at_most() {
    let service = Service::new(1, BY_FLOW, &TWO);
    let words = || {
        let listed = service.buckets[0].list(BY_FLOW, service.table().now);
        listed.collect::<Vec<_>>()
    };
    service.packet(&tcp(4, Turn::Opens), Some(1));
    let first = words();
    assert_eq!(first[0].idle, 0);
    service.now.set(1);
    assert_eq!(words()[0].idle, 1);
    service.packet(&tcp(4, Turn::Amid), Some(1));
    assert_eq!(words(), first);
}

#[test]
fn room_is_had_again_when_its_time_is_over() {
    // Clients differ in their addresses only, and so may flows.
    for rules in [BY_SOURCE, BY_FLOW] {
        let service = Service::new(1, rules, &TWO);
        let packet = |client: u8| {
            let mut packet = tcp(0, Turn::Amid);
            packet.key.addrs = Addrs::V4 {
                src: [10, 0, 1, client],
                dst: [1, 1, 1, 1],
            };
            packet
        };
        for client in 0..8 {
            let event = match client {
                0..4 => Event::First,
                _ => Event::Untracked,
            };
            assert_eq!(service.packet(&packet(client), Some(1)).1, Some(event));
        }
        service.now.set(41);
        for client in 4..8 {
            let seen = service.packet(&packet(client), Some(2));
            assert_eq!(seen, (Some(2), Some(Event::First)));
        }
        for client in 4..8 {
            assert_eq!(service.packet(&packet(client), Some(1)).0, Some(2));
        }
    }
}

#[test]
fn a_sweep_says_how_many_it_ends() {
    let mut service = Service::new(256, BY_FLOW, &TWO);
    for n in 0..40 {
        let first = if n % 4 == 0 { 1 } else { 2 };
        assert_eq!(
            service.packet(&tcp(n, Turn::Amid), Some(first)).1,
            Some(Event::First)
        );
    }
    let tag = service.tag(0).unwrap();
    let released = |service: &Service| -> usize {
        let buckets = service.buckets.iter();
        buckets.map(|bucket| bucket.release(|of| of == tag)).sum()
    };
    assert_eq!(released(&service), 10);
    assert_eq!(released(&service), 0);
    service.load(&[(3, true)]);
    for n in 0..40 {
        assert_eq!(
            service.packet(&tcp(n, Turn::Amid), Some(3)).1,
            Some(Event::First)
        );
    }
}

/// A TCP packet of one of many flows, by its number.
fn numbered(n: u32) -> Candidate {
    let key = FlowKey {
        addrs: Addrs::V4 {
            src: (0x0a00_0000 + n / 50_000).to_be_bytes(),
            dst: [1, 1, 1, 1],
        },
        src_port: (n % 50_000) as u16,
        dst_port: 443,
    };
    candidate(Kind::Flow(Proto::Tcp), key, Turn::Amid)
}

/// The backend that a row of these has first, in place of a Maglev table: another one for most flows with another list.
fn by_row(n: u32, usable: &[u8]) -> u8 {
    usable[(n.wrapping_mul(0x9e37_79b9) >> 7) as usize % usable.len()]
}

/// Packets of 100,000 flows, tables loaded between them, and four buckets for so many flows that some find theirs full: no
/// known flow gets another backend, but those of the backend that was removed.
#[test]
fn loads_move_no_known_flow_of_100_000() {
    const FLOWS: u32 = 100_000;
    // What a load says: the backends that keep flows, and those that new flows get.
    type Said<'a> = (&'a [(u8, bool)], &'a [u8]);
    let loads: [Said<'_>; 5] = [
        (&[(0, true), (1, true), (2, true), (3, true)], &[0, 1, 2, 3]),
        // 1 drains.
        (&[(0, true), (1, true), (2, true), (3, true)], &[0, 2, 3]),
        // 4 and 5 come, at the front.
        (
            &[
                (5, true),
                (4, true),
                (0, true),
                (1, true),
                (2, true),
                (3, true),
            ],
            &[5, 4, 0, 2, 3],
        ),
        // 2 is removed.
        (
            &[(3, true), (5, true), (4, true), (0, true), (1, true)],
            &[5, 4, 0, 3],
        ),
        // 2 comes back as another one, 1 takes new flows again.
        (
            &[
                (2, true),
                (3, true),
                (5, true),
                (4, true),
                (0, true),
                (1, true),
            ],
            &[5, 4, 0, 1, 2, 3],
        ),
    ];
    // Three flows to a bucket: of a Poisson distribution with mean 3, a tenth is above 4.
    let mut service = Service::new(FLOWS as usize / 3, BY_FLOW, loads[0].0);
    let mut model: Vec<Option<u8>> = std::vec![None; FLOWS as usize];
    let mut untracked = [0u32; 5];
    for (round, (backends, usable)) in loads.iter().enumerate() {
        // The load comes while a third of the packets of the round have gone.
        let at = if round == 0 { 0 } else { FLOWS / 3 };
        let mut row = loads[round.saturating_sub(1)].1;
        for n in 0..FLOWS {
            if n == at && round > 0 {
                service.load(backends);
                row = usable;
                let there = |addr: &u8| backends.iter().any(|one| one.0 == *addr);
                for known in &mut model {
                    *known = known.filter(there);
                }
            }
            let first = by_row(n, row);
            let (to, event) = service.packet(&numbered(n), Some(first));
            let to = to.expect("a backend");
            match (model[n as usize], event.expect("counted")) {
                (Some(known), Event::Known) => assert_eq!(to, known, "flow {n} of round {round}"),
                (None, Event::First) => {
                    assert_eq!(to, first);
                    model[n as usize] = Some(to);
                }
                (None, Event::Untracked) => {
                    assert_eq!(to, first);
                    untracked[round] += 1;
                }
                (known, event) => panic!("flow {n} of round {round}: {known:?} {event:?}"),
            }
        }
    }
    let share = |n: u32| f64::from(n) / f64::from(FLOWS);
    assert!((0.05..0.15).contains(&share(untracked[0])), "{untracked:?}");
    // Rounds without a removal give nobody room.
    assert_eq!(untracked[0], untracked[1]);
    assert_eq!(untracked[1], untracked[2]);
    // The drained one had kept its flows, and the one that came back has none of its old ones.
    let of = |addr| model.iter().filter(|known| **known == Some(addr)).count();
    assert!(of(1) > 10_000, "{}", of(1));
    assert!(of(2) < of(1), "{}", of(2));
}

/// A flood of made-up tuples fills its own service's table, and no more. No flow that stood there goes, and each packet is
/// counted once. What it costs is `cargo bench -p glb_core --bench flows`.
#[test]
fn a_flood_pushes_nobody_out() {
    const MADE_UP: u32 = 100_000;
    const ESTABLISHED: u32 = 1_000;
    let web = Service::new(1 << 12, BY_FLOW, &TWO);
    let edge = Service::new(1 << 10, BY_FLOW, &TWO);
    let mut held = Vec::new();
    for n in 0..ESTABLISHED {
        let packet = numbered(n);
        assert_eq!(web.packet(&packet, Some(1)).1, Some(Event::First));
        if edge.packet(&packet, Some(1)).1 == Some(Event::First) {
            held.push(n);
        }
    }
    let mut counted = [0u32; Event::ALL.len()];
    for n in 0..MADE_UP {
        let (to, event) = edge.packet(&numbered(1_000_000 + n), Some(2));
        // Whoever finds no room goes by its row.
        assert_eq!(to, Some(2));
        counted[event.expect("counted").index()] += 1;
    }
    let [known, first, untracked, none] = counted;
    assert_eq!((known, none), (0, 0));
    assert_eq!(first + untracked, MADE_UP);
    // The table is full: four to a bucket, but for buckets that a flood of so many misses by chance.
    let room = 4 << 10;
    assert!(first as usize + held.len() <= room);
    assert!(first as usize + held.len() >= room - 8, "{first}");
    for n in held {
        assert_eq!(
            edge.packet(&numbered(n), Some(2)),
            (Some(1), Some(Event::Known))
        );
    }
    // The other service has seen nothing of it.
    for n in 0..ESTABLISHED {
        assert_eq!(
            web.packet(&numbered(n), Some(2)),
            (Some(1), Some(Event::Known))
        );
    }
}

/// Nobody here knows TCP's sequence numbers, so anybody who knows the tuple can send a RST that the backend ignores. It moves no
/// flow: a connection that sends within ten seconds stays, however long it lives.
#[test]
fn a_forged_reset_moves_no_flow_that_goes_on() {
    let service = Service::new(16, BY_FLOW, &TWO);
    assert_eq!(
        service.packet(&tcp(4, Turn::Opens), Some(1)).1,
        Some(Event::First)
    );
    let mut reset = tcp(4, Turn::Ends);
    reset.flags = 4;
    for round in 1..100 {
        // The row leads elsewhere, so that a forgotten flow would be seen.
        assert_eq!(
            service.packet(&reset, Some(2)),
            (Some(1), Some(Event::Known))
        );
        service.now.set(round * CLOSING);
        let seen = service.packet(&tcp(4, Turn::Amid), Some(2));
        assert_eq!(seen, (Some(1), Some(Event::Known)));
    }
    // What it can do is documented: silence of more than ten seconds ends the flow.
    service.packet(&reset, Some(2));
    service.now.set(100 * CLOSING + 1);
    assert_eq!(
        service.packet(&tcp(4, Turn::Amid), Some(2)).1,
        Some(Event::First)
    );
}

#[test]
fn protocols_without_ports_are_flows_by_their_addresses() {
    let service = Service::new(64, BY_FLOW, &TWO);
    let other = |n: u16, number: u8, fragment: Option<Fragment>| {
        let mut key = flow(n);
        (key.src_port, key.dst_port) = (0, 0);
        Candidate {
            fragment,
            ..candidate(Kind::Portless(number), key, Turn::Ends)
        }
    };
    for n in [4, 5] {
        let (esp, gre) = (other(n, 50, None), other(n, 47, None));
        assert_eq!(service.packet(&esp, Some(1)), (Some(1), Some(Event::First)));
        assert_eq!(service.packet(&esp, Some(2)), (Some(1), Some(Event::Known)));
        // Another protocol of the same addresses is another flow.
        assert_eq!(service.packet(&gre, Some(2)), (Some(2), Some(Event::First)));
        let later = other(n, 50, Some(Fragment { id: 7, offset: 100 }));
        assert_eq!(
            service.packet(&later, Some(2)),
            (Some(1), Some(Event::Known))
        );
        let mut error = esp;
        error.kind = Kind::PortlessIcmpError(50);
        assert_eq!(service.packet(&error, Some(2)), (Some(1), None));
    }
    // A byte of it that stands where TCP has its flags says nothing.
    service.now.set(40);
    assert_eq!(
        service.packet(&other(4, 50, None), Some(2)).1,
        Some(Event::Known)
    );
}

#[test]
fn tables_that_do_not_say_how_many_buckets_share_what_there_is() {
    let mib = 1 << 20;
    for (tables, others, buckets) in [
        (0, 0, Some(16_384)),
        (1_024, 0, Some(16_384)),
        (1_025, 0, Some(8_192)),
        (2_048, 0, Some(8_192)),
        (2_049, 0, Some(4_096)),
        (4_096, 0, Some(4_096)),
        (1, 1_023 * mib, Some(16_384)),
        (1, 1_024 * mib - 64, Some(1)),
        (1, 1_024 * mib, None),
        (0, 1_024 * mib, Some(16_384)),
        (0, 1_024 * mib + 64, None),
        (usize::MAX, 0, None),
    ] {
        let found = Spec::share(tables, others);
        assert_eq!(found, buckets, "{tables} {others}");
    }
}
