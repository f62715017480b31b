// SPDX-License-Identifier: GPL-2.0

//! The cache against a memory without bounds: what it says is right or nothing, whether there is room or not, and all of it where
//! there is room.

use super::*;
use crate::geneve::envelope::Envelope;
use crate::packet::ip::Addrs;
use crate::siphash::SipKey;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashMap;
use std::vec::Vec;

const SECRET: SipKey = SipKey::new(b"0123456789abcdef");

fn buckets(count: usize) -> Vec<Bucket> {
    (0..count).map(|_| Bucket::new()).collect()
}

fn cache(buckets: &[Bucket], limits: Limits, now: u32) -> Cache<'_> {
    Cache {
        buckets,
        secret: &SECRET,
        limits,
        now,
    }
}

fn v4(client: u32, port: u16, proto: u8) -> Tuple {
    Tuple {
        addrs: Addrs::V4 {
            src: client.to_be_bytes(),
            dst: [192, 0, 2, 1],
        },
        proto,
        src_port: port,
        dst_port: 443,
    }
}

fn v6(client: u32, port: u16, proto: u8) -> Tuple {
    let mut src = [0xfd; 16];
    src[12..].copy_from_slice(&client.to_be_bytes());
    Tuple {
        addrs: Addrs::V6 {
            src,
            dst: [0xfc; 16],
        },
        ..v4(client, port, proto)
    }
}

/// The `n`th header.
struct Sent {
    options: [u8; 32],
    n: u32,
}

impl Sent {
    fn new(n: u32) -> Self {
        let mut options = [5; 32];
        options[28..].copy_from_slice(&n.to_be_bytes());
        Self { options, n }
    }

    fn envelope(&self, inner: &Addrs) -> Envelope<'_> {
        let protocol = match inner {
            Addrs::V4 { .. } => [0x08, 0x00],
            Addrs::V6 { .. } => [0x86, 0xdd],
        };
        let [n0, n1, n2, n3] = self.n.to_be_bytes();
        Envelope {
            outer: Addrs::V4 {
                src: [10, 0, n2, n3],
                dst: [10, 1, 0, 1],
            },
            ports: [n2, n3, 0x17, 0xc1],
            has_checksum: self.n % 2 == 1,
            base: [8, 0, protocol[0], protocol[1], n0, n1, n2, n3],
            options: &self.options,
        }
    }
}

/// What is done to the cache.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A packet comes: endpoint, client, reversed, what it does, whether the header is a new one.
    Come(u8, u8, bool, Turn, bool),
    /// A packet goes back: the endpoint if it is known, client, reversed, what it does.
    Go(Option<u8>, u8, bool, Turn),
    /// Seconds pass.
    Wait(u16),
}

fn turns() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => Just(Turn::Amid),
        2 => Just(Turn::Opens),
        1 => Just(Turn::Ends),
        1 => Just(Turn::Resets),
    ]
}

fn turns_back() -> impl Strategy<Value = Turn> {
    prop_oneof![12 => turns(), 1 => Just(Turn::Reports)]
}

fn steps(clients: u8, reversed: f64) -> impl Strategy<Value = Vec<Step>> {
    let client = 0..clients;
    let back = move || prop::bool::weighted(reversed);
    let come = (1u8..=2, client.clone(), back(), turns(), any::<bool>());
    let endpoint = prop_oneof![2 => Just(None), 1 => (1u8..=2).prop_map(Some)];
    let go = (endpoint, client, back(), turns_back());
    let step = prop_oneof![
        12 => come.prop_map(|(endpoint, client, back, turn, new)| Step::Come(endpoint, client, back, turn, new)),
        12 => go.prop_map(|(endpoint, client, back, turn)| Step::Go(endpoint, client, back, turn)),
        1 => prop_oneof![1u16..60, 1u16..500].prop_map(Step::Wait),
    ];
    vec(step, 1..200)
}

fn tuple(client: u8, reversed: bool) -> Tuple {
    // Of each kind some.
    let proto = [6, 17, 47][usize::from(client) % 3];
    let port = if proto == 47 { 0 } else { 1000 };
    let mut tuple = match client % 2 {
        0 => v4(client.into(), port, proto),
        _ => v6(client.into(), port, proto),
    };
    if proto == 47 {
        tuple.dst_port = 0;
    }
    if reversed {
        tuple.reversed()
    } else {
        tuple
    }
}

/// One flow in one direction at one endpoint, as the model has it.
#[derive(Debug, Clone, Copy)]
struct Known {
    header: u32,
    last: u32,
    fin_come: bool,
    fin_gone: bool,
    reset: bool,
    is_tcp: bool,
}

impl Known {
    /// After a packet has gone back in the other direction.
    fn answered(&mut self, turn: Turn, now: u32) {
        self.last = now;
        match turn {
            Turn::Opens => {
                self.fin_come = false;
                self.fin_gone = false;
                self.reset = false;
            }
            Turn::Ends => self.fin_gone = true,
            Turn::Resets => self.reset = true,
            Turn::Amid | Turn::Reports => {}
        }
    }

    fn is_over(&self, age: u32) -> bool {
        let idle = if self.is_tcp { 300 } else { 100 };
        let limit = match (self.fin_come, self.fin_gone, self.reset) {
            (false, false, false) => idle,
            (true, false, false) | (false, true, false) => idle.min(120),
            _ => 10,
        };
        age > limit
    }
}

/// Runs steps; answers how often a header was found, and whether anything had no room.
fn run(steps: &[Step], buckets: &[Bucket]) -> Result<(usize, bool), TestCaseError> {
    let limits = Limits::new(100, 300).unwrap();
    let mut known: HashMap<(u8, u8, bool), Known> = HashMap::new();
    let (mut now, mut headers, mut found, mut full) = (u32::MAX - 300, 0, 0, false);
    for step in steps {
        let cache = cache(buckets, limits, now);
        match *step {
            Step::Wait(seconds) => now = now.wrapping_add(seconds.into()),
            Step::Come(endpoint, client, back, turn, new) => {
                let key = (endpoint, client, back);
                let tuple = tuple(client, back);
                let old = known.get(&key).copied();
                let old = old.filter(|old| !old.is_over(now.wrapping_sub(old.last)));
                if new || old.is_none() {
                    headers += 1;
                }
                let header = match old {
                    Some(old) if !new => old.header,
                    _ => headers,
                };
                let sent = Sent::new(header);
                let event =
                    cache.record(endpoint.into(), &tuple, turn, &sent.envelope(&tuple.addrs));
                let is_lost = matches!(event, Event::Refused | Event::Replaced);
                full |= is_lost;
                if !full {
                    let expected = match old {
                        Some(_) => Event::Known,
                        None => Event::First,
                    };
                    prop_assert_eq!(event, expected);
                }
                if event == Event::Refused {
                    // It is not let in.
                    continue;
                }
                let mut next = old.unwrap_or(Known {
                    header,
                    last: now,
                    fin_come: false,
                    fin_gone: false,
                    reset: false,
                    is_tcp: tuple.proto == 6,
                });
                next.header = header;
                next.last = now;
                match turn {
                    Turn::Opens => {
                        next.fin_come = false;
                        next.fin_gone = false;
                        next.reset = false;
                    }
                    Turn::Ends => next.fin_come = true,
                    Turn::Resets => next.reset = true,
                    Turn::Amid | Turn::Reports => {}
                }
                known.insert(key, next);
            }
            Step::Go(endpoint, client, back, turn) => {
                let wanted = tuple(client, back);
                let seen = cache.find(&wanted, turn, endpoint.map(u64::from));
                // All that it may be.
                let alive: Vec<(u8, u8, bool)> = known
                    .iter()
                    .filter(|(key, one)| {
                        key.1 == client
                            && endpoint.is_none_or(|endpoint| endpoint == key.0)
                            && !one.is_over(now.wrapping_sub(one.last))
                    })
                    .map(|(key, _)| *key)
                    .collect();
                let mut endpoints: Vec<u8> = alive.iter().map(|key| key.0).collect();
                endpoints.sort_unstable();
                endpoints.dedup();
                match seen {
                    Found::Header(held) => {
                        let held = held.unpack().unwrap();
                        // Never another's, full or not. A flow that lost its entry has lost what was known of its FINs, and
                        // lives longer after its next packet.
                        let own = held.endpoint as u8;
                        prop_assert!(endpoints == [own] || (full && endpoints.is_empty()));
                        let mut key = (own, client, back);
                        if held.tuple != wanted {
                            prop_assert_eq!(held.tuple, wanted.reversed());
                            prop_assert!(full || !alive.contains(&key));
                            key.2 = !back;
                        }
                        let one = known.get_mut(&key).unwrap();
                        let sent = Sent::new(one.header);
                        prop_assert_eq!(held.envelope(), sent.envelope(&wanted.addrs));
                        if key.2 == back {
                            one.last = now;
                            one.fin_come |= turn == Turn::Ends;
                            one.reset |= turn == Turn::Resets;
                            // What is passed on answers what came in the other direction.
                            let other = (own, client, !back);
                            if alive.contains(&other) {
                                known.get_mut(&other).unwrap().answered(turn, now);
                            }
                        } else {
                            one.answered(turn, now);
                        }
                        found += 1;
                    }
                    Found::Nothing => prop_assert!(full || endpoints.is_empty()),
                    Found::Several => prop_assert!(full || endpoints.len() == 2),
                    Found::Busy => prop_assert!(false, "one CPU"),
                }
            }
        }
    }
    Ok((found, full))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn with_room_it_knows_all(steps in steps(12, 0.2)) {
        let (_, full) = run(&steps, &buckets(64))?;
        prop_assert!(!full);
    }

    #[test]
    fn without_room_it_never_says_what_is_wrong(steps in steps(40, 0.2)) {
        run(&steps, &buckets(1))?;
        run(&steps, &buckets(2))?;
    }
}

/// Two endpoints, one bucket, many flows, and who goes back never knows the endpoint.
#[test]
fn a_flood_never_brings_out_the_header_of_another_endpoint() {
    let few = buckets(1);
    let full = cache(&few, Limits::DEFAULT, 7);
    for client in 0..8 {
        let tuple = v4(client, 1000, 6);
        let sent = Sent::new(client);
        let event = full.record(1, &tuple, Turn::Opens, &sent.envelope(&tuple.addrs));
        assert_eq!(event, Event::First);
        let held = full.find(&tuple.reversed(), Turn::Amid, None);
        assert!(matches!(held, Found::Header(_)));
        let event = full.record(1, &tuple, Turn::Amid, &sent.envelope(&tuple.addrs));
        assert_eq!(event, Event::Known);
    }
    // All are settled. The same flow at another endpoint finds no room. It is not let in, so it has no answers, and those of the first
    // endpoint are certain.
    let tuple = v4(3, 1000, 6);
    let sent = Sent::new(99);
    let event = full.record(2, &tuple, Turn::Opens, &sent.envelope(&tuple.addrs));
    assert_eq!(event, Event::Refused);
    let back = tuple.reversed();
    assert_eq!(full.find(&back, Turn::Amid, Some(2)), Found::Nothing);
    assert!(has_header_of(&full, &tuple, 3));
    let own = full.find(&back, Turn::Amid, Some(1));
    assert!(matches!(own, Found::Header(held) if held.endpoint() == 1));
    // One endpoint's flood takes nothing from its settled flows.
    for client in 1000..2000 {
        let tuple = v4(client, 1000, 17);
        let event = full.record(1, &tuple, Turn::Amid, &sent.envelope(&tuple.addrs));
        assert_eq!(event, Event::Refused);
        assert_eq!(
            full.find(&tuple.reversed(), Turn::Amid, None),
            Found::Nothing
        );
    }
    let kept = full.listed(&few[0]).count();
    assert_eq!(kept, 8);
}

fn has_header_of(cache: &Cache<'_>, tuple: &Tuple, n: u32) -> bool {
    match cache.find(&tuple.reversed(), Turn::Amid, None) {
        Found::Header(held) => {
            held.unpack().unwrap().envelope() == Sent::new(n).envelope(&tuple.addrs)
        }
        _ => false,
    }
}

/// Another endpoint's flood of flows that are given up for each other does not make answers of flows uncertain that were there before.
#[test]
fn one_endpoints_flood_leaves_anothers_answers() {
    let few = buckets(2);
    let at = |now| cache(&few, Limits::DEFAULT, now);
    let come = |now: u32, endpoint: u64, tuple: &Tuple, n: u32| {
        let sent = Sent::new(n);
        at(now).record(endpoint, tuple, Turn::Amid, &sent.envelope(&tuple.addrs))
    };
    for client in 0..6 {
        let tuple = v4(client, 1000, 6);
        assert_eq!(come(0, 1, &tuple, client), Event::First);
        assert!(has_header_of(&at(0), &tuple, client));
        assert_eq!(come(0, 1, &tuple, client), Event::Known);
    }
    for client in 1000..3000 {
        let event = come(1, 2, &v4(client, 1000, 17), 7);
        assert!(matches!(event, Event::First | Event::Replaced), "{event:?}");
    }
    for client in 0..6 {
        assert!(has_header_of(&at(1), &v4(client, 1000, 6), client));
    }
    // One that comes now could be the same as one that was given up.
    let late = v4(6, 1000, 6);
    assert_eq!(come(1, 1, &late, 6), Event::Replaced);
    let seen = at(1).find(&late.reversed(), Turn::Amid, None);
    assert_eq!(seen, Found::Several);
    // One of the flows that were there before comes from the other endpoint, too, and is given up.
    let both = v4(5, 1000, 6);
    assert_eq!(come(2, 2, &both, 8), Event::Replaced);
    let seen = at(2).find(&both.reversed(), Turn::Amid, None);
    assert_eq!(seen, Found::Several);
    for client in 3000..5000 {
        come(3, 2, &v4(client, 1000, 17), 7);
    }
    let seen = at(3).find(&both.reversed(), Turn::Amid, None);
    assert_eq!(seen, Found::Several);
    assert!(has_header_of(&at(3), &v4(4, 1000, 6), 4));
    // As long as that could live.
    assert_eq!(come(300, 1, &both, 5), Event::Known);
    assert!(has_header_of(&at(3 + 350 + 17), &both, 5));
}

/// An appliance that forwards: a sender whom nobody answers cannot fill the cache, however often it sends. A flow that is answered
/// stays.
#[test]
fn what_is_passed_on_and_not_answered_gives_way() {
    let few = buckets(2);
    let cache = cache(&few, Limits::DEFAULT, 0);
    let pass = |tuple: &Tuple| {
        let sent = Sent::new(1);
        let event = cache.record(1, tuple, Turn::Amid, &sent.envelope(&tuple.addrs));
        let seen = cache.find(tuple, Turn::Amid, None);
        assert_eq!(matches!(seen, Found::Header(_)), event.is_kept());
        event
    };
    let living = v4(1, 1000, 17);
    for _ in 0..2 {
        pass(&living);
        pass(&living.reversed());
    }
    for client in 100..1100 {
        let tuple = v4(client, 1000, 17);
        assert_ne!(pass(&tuple), Event::Refused);
        for _ in 0..2 {
            assert_eq!(pass(&tuple), Event::Known);
        }
    }
    assert_eq!(pass(&living), Event::Known);
    assert_eq!(pass(&living.reversed()), Event::Known);
}

/// Where a flood is answered, what has been silent for a minute gives way, the oldest first.
#[test]
fn what_is_silent_gives_way_at_last() {
    let few = buckets(1);
    let at = |now| cache(&few, Limits::DEFAULT, now);
    let come = |now: u32, client: u32| {
        let tuple = v4(client, 1000, 17);
        let sent = Sent::new(client);
        at(now).record(1, &tuple, Turn::Amid, &sent.envelope(&tuple.addrs))
    };
    for client in 0..8 {
        assert_eq!(come(client, client), Event::First);
        assert!(has_header_of(&at(client), &v4(client, 1000, 17), client));
        assert_eq!(come(client, client), Event::Known);
    }
    assert_eq!(come(59, 100), Event::Refused);
    assert_eq!(come(60, 100), Event::Replaced);
    assert!(!has_header_of(&at(60), &v4(0, 1000, 17), 0));
    assert!(has_header_of(&at(60), &v4(1, 1000, 17), 1));
    // What has not got beyond its beginning goes first, however young.
    assert_eq!(come(62, 101), Event::Replaced);
    assert!(!has_header_of(&at(62), &v4(100, 1000, 17), 100));
    assert!(has_header_of(&at(62), &v4(2, 1000, 17), 2));
}

/// In an appliance that forwards, the end of a connection is the end of both of its entries.
#[test]
fn both_directions_end_together() {
    let few = buckets(8);
    let at = |now| cache(&few, Limits::DEFAULT, now);
    let pass = |tuple: &Tuple, turn| {
        let sent = Sent::new(1);
        at(0).record(1, tuple, turn, &sent.envelope(&tuple.addrs));
        at(0).find(tuple, turn, None)
    };
    for (client, ends, seconds) in [
        (1, &[(false, Turn::Resets)][..], 10),
        (2, &[(false, Turn::Ends)], 120),
        (3, &[(false, Turn::Ends), (true, Turn::Ends)], 10),
    ] {
        let tuple = v4(client, 1000, 6);
        pass(&tuple, Turn::Opens);
        pass(&tuple.reversed(), Turn::Amid);
        for &(back, turn) in ends {
            pass(&if back { tuple.reversed() } else { tuple }, turn);
        }
        let there = |now| {
            let listed = few.iter().flat_map(|bucket| at(now).listed(bucket));
            let of_flow = |one: &Listed| [tuple, tuple.reversed()].contains(&one.held.tuple);
            listed.filter(of_flow).count()
        };
        assert_eq!((there(seconds), there(seconds + 1)), (2, 0), "{ends:?}");
    }
}

/// An entry whose time was over when somebody met it does not come to life again when the clock has come round.
#[test]
fn what_was_met_when_it_was_over_is_gone() {
    let few = buckets(2);
    let at = |now| cache(&few, Limits::DEFAULT, now);
    let tuple = v4(1, 1, 17);
    let sent = Sent::new(1);
    at(0).record(1, &tuple, Turn::Amid, &sent.envelope(&tuple.addrs));
    assert_eq!(at(1000).find(&tuple, Turn::Amid, None), Found::Nothing);
    assert_eq!(at(1 << 26).find(&tuple, Turn::Amid, None), Found::Nothing);
}

#[test]
fn options_that_are_too_long_are_not_kept() {
    let few = buckets(1);
    let cache = cache(&few, Limits::DEFAULT, 0);
    let tuple = v4(1, 1, 6);
    let sent = Sent::new(1);
    let long = Envelope {
        options: &[0; MAX_HELD_OPTIONS + 4],
        ..sent.envelope(&tuple.addrs)
    };
    let event = cache.record(1, &tuple, Turn::Amid, &long);
    assert_eq!(event, Event::TooLong);
    assert_eq!(cache.find(&tuple, Turn::Amid, None), Found::Nothing);
}

/// The bound that operators are told: a million flows in 160 MB, of which hardly any finds no room.
#[test]
fn a_million_flows_in_160_megabytes() {
    let spec = Spec::for_flows(1_000_000).unwrap();
    assert!(spec.bytes() <= 160_000_000, "{}", spec.bytes());
    assert_eq!(Spec::for_flows(0), Err(TooMany));
    assert_eq!(Spec::for_flows(MAX_FLOWS + 1), Err(TooMany));
    // The share that finds no room does not depend on the number.
    let spec = Spec::for_flows(50_000).unwrap();
    let many = buckets(spec.buckets());
    let cache = cache(&many, Limits::DEFAULT, 0);
    let mut events = [0; Event::ALL.len()];
    for client in 0..50_000u32 {
        // One behind the other, as clients behind one NAT have them.
        let tuple = v4(0x0a00_0000 | client >> 12, client as u16 & 0xfff, 6);
        let sent = Sent::new(client);
        let envelope = sent.envelope(&tuple.addrs);
        let event = cache.record(1, &tuple, Turn::Opens, &envelope);
        events[event.index()] += 1;
    }
    assert!(events[Event::First.index()] >= 49_950, "{events:?}");
    let listed: usize = many.iter().map(|bucket| cache.listed(bucket).count()).sum();
    assert!(listed >= 49_950, "{listed}");
}

#[test]
fn counters_have_names_of_their_own() {
    for (index, event) in Event::ALL.iter().enumerate() {
        assert_eq!(event.index(), index);
        let same = Event::ALL
            .iter()
            .filter(|other| other.counter() == event.counter());
        assert_eq!(same.count(), 1);
    }
}

/// All of a small cache is counted, and what is over is not; of a large one a sample, whose estimate is near.
#[test]
fn flows_in_use() {
    let fill = |cache: &Cache<'_>, flows: u32| {
        for client in 0..flows {
            let tuple = v4(client, 1000, 17);
            let sent = Sent::new(client);
            let event = cache.record(1, &tuple, Turn::Amid, &sent.envelope(&tuple.addrs));
            assert_eq!(event, Event::First);
        }
    };
    let small = buckets(40);
    let at = |now| cache(&small, Limits::DEFAULT, now);
    assert_eq!(at(1000).in_use(|| {}), 0);
    fill(&at(1000), 100);
    assert_eq!(at(1001).in_use(|| {}), 100);
    let listed: usize = small.iter().map(|one| at(1001).listed(one).count()).sum();
    assert_eq!(listed, 100);
    let over = 1000 + u32::from(Limits::DEFAULT_IDLE) + 2;
    assert_eq!(at(over).in_use(|| {}), 0);
    assert_eq!(cache(&[], Limits::DEFAULT, 1).in_use(|| {}), 0);

    let large = buckets(100_000);
    let cache = cache(&large, Limits::DEFAULT, 1000);
    fill(&cache, 100_000);
    let mut pauses = 0;
    let said = cache.in_use(|| pauses += 1);
    // Every fourth bucket: 25,000 buckets, about as many flows.
    assert_eq!(pauses, 24);
    assert!((97_000..103_000).contains(&said), "{said}");
    assert_ne!(said, 100_000, "a sample, and not all of them");
}
