// SPDX-License-Identifier: GPL-2.0

//! The engine in simulated time: a world of backends that fail and recover, checks that take their time,
//! and publications that last or fail.

use super::engine::{Engine, Outcome, TargetId};
use super::event::Event;
use super::hold::most_down;
use super::plan::Plan;
use proptest::prelude::*;
use serde_json::{json, Value};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

fn file(tables: &[usize], checks: &Value) -> String {
    let table = |(number, count): (usize, &usize)| {
        let backend = |n| json!({"ip": format!("10.0.{number}.{n}"), "state": "active", "healthchecks": checks});
        json!({
            "name": format!("t{number}"),
            "hash_key": "12345678901234561234567890123456",
            "seed": format!("{number:032x}"),
            "binds": [{"ip": "9.9.9.9", "proto": "tcp", "port": number + 1}],
            "backends": (1..=*count).map(backend).collect::<Vec<_>>(),
        })
    };
    json!({"tables": tables.iter().enumerate().map(table).collect::<Vec<_>>()}).to_string()
}

fn plan(tables: &[usize], checks: &Value) -> Plan {
    let checked = glb_config::tables::read("f", &file(tables, checks));
    Plan::new(checked.into_result().expect("a good file").0)
}

/// Something that is seen from outside.
#[derive(Debug)]
struct Seen {
    start: Instant,
    end: Instant,
    /// By table and backend.
    healthy: Vec<Vec<bool>>,
}

struct World {
    engine: Engine,
    now: Instant,
    /// Which targets answer, by their text.
    sick: HashMap<String, Outcome>,
    /// How long a check runs.
    latency: Duration,
    /// How long publications take, and every how manyth fails.
    publishing: Duration,
    fail_every: usize,
    running: Vec<(Instant, TargetId, Outcome)>,
    published_at: Option<Instant>,
    seen: Vec<Seen>,
    checks: Vec<(Instant, String)>,
    events: Vec<Event>,
}

impl World {
    fn new(percent: u8) -> Self {
        Self {
            engine: Engine::new(percent, Duration::from_secs(10)),
            now: Instant::now(),
            sick: HashMap::new(),
            latency: 3 * MS,
            publishing: 50 * MS,
            fail_every: usize::MAX,
            running: Vec::new(),
            published_at: None,
            seen: Vec::new(),
            checks: Vec::new(),
            events: Vec::new(),
        }
    }

    fn load(&mut self, plan: Plan) {
        let events = self.engine.load(self.now, plan);
        self.events.extend(events);
    }

    fn set(&mut self, place: &str, outcome: Outcome) {
        self.sick.insert(place.to_owned(), outcome);
    }

    fn fail(&mut self, place: &str) {
        self.set(place, Outcome::Bad("no answer".into()));
    }

    /// Lets the world go on until nothing is left to do before `end`.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let due = self.engine.due(self.now);
            for (id, target) in due {
                let place = target.probe.to_string();
                let outcome = self.sick.get(&place).cloned().unwrap_or(Outcome::Good);
                assert!(self.running.iter().all(|(_, other, _)| *other != id));
                self.checks.push((self.now, place));
                self.running.push((self.now + self.latency, id, outcome));
            }
            if let Some(publication) = self.engine.publication(self.now) {
                assert!(self.published_at.is_none(), "two publications at a time");
                self.published_at = Some(self.now + self.publishing);
                self.seen.push(Seen {
                    start: self.now,
                    end: self.now + self.publishing,
                    healthy: health(&publication.tree),
                });
            }
            let results = self.running.iter().map(|(at, ..)| *at).min();
            let next = [self.engine.wake_at(self.now), results, self.published_at];
            let next = next.into_iter().flatten().min().filter(|next| *next <= end);
            let Some(next) = next else {
                break;
            };
            // Time stands still only while something is done.
            self.now = self.now.max(next);
            let done = |(at, ..): &(Instant, TargetId, Outcome)| *at <= self.now;
            let (done, running) = self.running.drain(..).partition(done);
            self.running = running;
            let done: Vec<_> = done;
            for (_, id, outcome) in done {
                let events = self.engine.result(self.now, id, outcome, self.latency);
                self.events.extend(events);
            }
            if self.published_at.is_some_and(|at| at <= self.now) {
                self.published_at = None;
                let good = self.seen.len() % self.fail_every != 0;
                self.engine.published(good);
            }
        }
        self.now = end;
    }

    fn last(&self) -> &[Vec<bool>] {
        &self.seen.last().expect("a publication").healthy
    }

    fn said(&self) -> Vec<String> {
        self.events.iter().map(ToString::to_string).collect()
    }
}

fn health(tree: &Value) -> Vec<Vec<bool>> {
    let table = |table: &Value| {
        let backends = table["backends"].as_array().unwrap().iter();
        backends.map(|b| b["healthy"].as_bool().unwrap()).collect()
    };
    tree["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(table)
        .collect()
}

#[test]
fn the_first_table_goes_out_when_every_target_has_a_result() {
    let mut world = World::new(50);
    world.fail("10.0.0.2:80");
    world.load(plan(&[4], &json!({"tcp": 80})));
    let start = world.now;
    world.run(Duration::from_secs(60));
    assert_eq!(world.seen.len(), 1, "{:?}", world.seen);
    assert_eq!(world.last(), [[true, false, true, true]]);
    let took = world.seen[0].start - start;
    assert!(took < Duration::from_millis(2100), "{took:?}");
    // 4 targets, every 2 s, for 60 s.
    assert!(
        world.checks.len().abs_diff(120) <= 4,
        "{}",
        world.checks.len()
    );
}

#[test]
fn three_failures_take_a_backend_down_and_three_successes_bring_it_back() {
    let mut world = World::new(50);
    world.load(plan(&[4], &json!({"tcp": 80})));
    world.run(Duration::from_secs(30));
    let checks = |world: &World| {
        let of = |(_, place): &&(Instant, String)| place == "10.0.0.3:80";
        world.checks.iter().filter(of).count()
    };
    world.events.clear();
    for (failing, place) in [(true, 1), (false, 2)] {
        let outcome = if failing {
            Outcome::Bad("refused".into())
        } else {
            Outcome::Good
        };
        world.set("10.0.0.3:80", outcome);
        let (before, published) = (checks(&world), world.seen.len());
        while world.events.len() < 2 * place {
            world.run(10 * MS);
            assert!(
                checks(&world) - before <= 3,
                "no change after three results"
            );
        }
        assert_eq!(checks(&world) - before, 3);
        world.run(Duration::from_secs(20));
        assert_eq!(world.seen.len(), published + 1);
        assert_eq!(world.last(), [[true, true, !failing, true]]);
    }
    assert_eq!(
        world.said(),
        [
            "tcp 10.0.0.3:80: fails: refused",
            "table t0: backend 10.0.0.3 is down",
            "tcp 10.0.0.3:80: passes",
            "table t0: backend 10.0.0.3 is up",
        ]
    );
}

#[test]
fn half_of_the_backends_stay_up_and_it_is_said() {
    let mut world = World::new(50);
    world.load(plan(&[4, 1], &json!({"tcp": 80})));
    world.run(Duration::from_secs(30));
    world.events.clear();
    for n in 1..=3 {
        world.fail(&format!("10.0.0.{n}:80"));
        world.run(Duration::from_secs(30));
    }
    world.fail("10.0.1.1:80");
    world.run(Duration::from_secs(30));
    assert_eq!(world.last(), [vec![false, false, true, true], vec![true]]);
    let said = world.said();
    let held = "table t0: 3 of 4 backends fail; holding back: 10.0.0.3 stay up, since no more may be marked \
                down (max_down_percent)";
    assert!(said.iter().any(|said| said == held), "{said:?}");
    assert!(said.contains(&"table t0: backend 10.0.0.3 fails, but is held up".to_owned()));
    // The first recovers: the one that was held up is marked down now.
    world.set("10.0.0.1:80", Outcome::Good);
    world.run(Duration::from_secs(30));
    assert_eq!(world.last(), [vec![true, false, false, true], vec![true]]);
}

#[test]
fn what_can_not_be_checked_stays_as_it_was() {
    let mut world = World::new(50);
    world.fail("10.0.0.1:80");
    world.set("10.0.0.2:80", Outcome::Unable("no permission".into()));
    world.load(plan(&[4], &json!({"tcp": 80})));
    world.run(Duration::from_secs(30));
    assert_eq!(world.last(), [[false, true, true, true]]);
    let unable = Outcome::Unable("too many open files".into());
    for n in 1..=4 {
        world.set(&format!("10.0.0.{n}:80"), unable.clone());
    }
    let published = world.seen.len();
    world.run(Duration::from_secs(60));
    assert_eq!(world.seen.len(), published);
}

/// A restart: what was published is the start, and the trigger decides from there.
#[test]
fn what_was_published_is_where_a_restart_begins() {
    let mut world = World::new(50);
    let known = [(1, false), (2, true), (3, true)];
    let key = |n| ("t0".to_owned(), format!("10.0.0.{n}").parse().unwrap());
    let known = known.map(|(n, healthy)| (key(n), healthy));
    world.engine.take_over(known.into_iter().collect());
    world.fail("10.0.0.2:80");
    // This one was not there before.
    world.fail("10.0.0.4:80");
    world.load(plan(&[4], &json!({"tcp": 80})));
    world.run(Duration::from_secs(3));
    // The first results: one says that the first is back, one that the second fails.
    assert_eq!(world.last(), [[false, true, true, false]]);
    world.run(Duration::from_secs(30));
    assert_eq!(world.last(), [[true, false, true, false]]);
    // A later plan has nothing of it.
    world.fail("10.0.1.1:80");
    world.load(plan(&[4, 2], &json!({"tcp": 80})));
    world.run(Duration::from_secs(30));
    assert_eq!(world.last()[1], [false, true]);
}

/// Two tables check one thing of one backend, which one of them had taken out for another reason.
#[test]
fn a_target_of_two_tables_is_believed_if_one_of_them_passed() {
    let mut world = World::new(100);
    let mut file: Value = serde_json::from_str(&file(&[2, 2], &json!({"tcp": 80}))).unwrap();
    file["tables"][1]["backends"][0]["ip"] = "10.0.0.1".into();
    file["tables"][1]["backends"][0]["healthchecks"]["http"] = 81.into();
    let config = glb_config::tables::read("f", &file.to_string())
        .value
        .unwrap();
    let key = |table: &str| (table.to_owned(), "10.0.0.1".parse().unwrap());
    let known = [(key("t0"), true), (key("t1"), false)];
    world.engine.take_over(known.into_iter().collect());
    world.fail("10.0.0.1:81/");
    world.load(Plan::new(config));
    world.run(Duration::from_secs(3));
    assert_eq!(world.last(), [[true, true], [false, true]]);
}

#[test]
fn a_hanging_check_is_not_started_again() {
    let mut world = World::new(50);
    world.latency = Duration::from_secs(5);
    world.load(plan(&[2], &json!({"tcp": 80})));
    // World::run asserts that no target has two checks.
    world.run(Duration::from_secs(60));
    assert!(world.engine.stats().overruns > 10);
    assert_eq!(world.seen.len(), 1);
}

#[test]
fn a_new_plan_keeps_what_is_known() {
    let mut world = World::new(50);
    world.fail("10.0.0.2:80");
    world.load(plan(&[4], &json!({"tcp": 80})));
    world.run(Duration::from_secs(30));
    // An operator's reload goes out at once, since no target is new, and nobody is up by it.
    world.load(plan(&[4], &json!({"tcp": 80})));
    world.run(MS);
    assert_eq!(world.seen.len(), 2);
    assert_eq!(world.last(), [[true, false, true, true]]);
    // A further backend: the table waits for its first result.
    world.fail("10.0.0.5:80");
    let before = world.now;
    world.load(plan(&[5], &json!({"tcp": 80})));
    world.run(Duration::from_secs(30));
    assert_eq!(world.seen.len(), 3);
    assert_eq!(world.last(), [[true, false, true, true, false]]);
    assert!(world.seen[2].start >= before + Duration::from_secs(9));
}

#[test]
fn a_silent_new_target_does_not_hold_up_the_plan() {
    let mut world = World::new(50);
    world.latency = Duration::from_secs(3600);
    world.load(plan(&[3], &json!({"tcp": 80})));
    world.run(Duration::from_secs(10));
    assert_eq!(world.seen.len(), 1);
    assert_eq!(world.last(), [[true, true, true]]);
}

#[test]
fn a_failed_publication_is_tried_again() {
    let mut world = World::new(50);
    world.fail_every = 2;
    world.load(plan(&[2], &json!({"tcp": 80})));
    world.run(Duration::from_secs(30));
    world.fail("10.0.0.1:80");
    world.run(Duration::from_secs(40));
    assert_eq!(world.seen.len(), 3);
    assert!(world.engine.is_published());
    assert_eq!(world.last(), [[false, true]]);
}

#[test]
fn a_thousand_targets_are_spread() {
    let mut world = World::new(50);
    world.load(plan(&[250, 250, 250, 250], &json!({"tcp": 80})));
    let start = world.now;
    world.run(Duration::from_secs(20));
    assert!(world.checks.len().abs_diff(10_000) <= 1000);
    // In no 20 ms, a hundredth of the interval, are there more than twice a hundredth of the checks.
    let mut slots = HashMap::new();
    for (at, _) in &world.checks {
        *slots.entry((*at - start).as_millis() / 20).or_insert(0) += 1;
    }
    let most = slots.values().max().copied().unwrap_or(0);
    assert!(most <= 20, "{most}");
}

/// Something that happens to the world.
#[derive(Debug, Clone)]
enum Step {
    /// A backend of a table answers this way from here on.
    Set(usize, usize, Outcome),
    Wait(u64),
    Reload,
    Latency(u64),
    Publishing(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Good),
        3 => Just(Outcome::Bad("x".into())),
        1 => Just(Outcome::Unable("y".into())),
    ];
    let step = prop_oneof![
        5 => (0usize..3, 1usize..8, outcome).prop_map(|(table, n, o)| Step::Set(table, n, o)),
        5 => (0u64..9000).prop_map(Step::Wait),
        1 => Just(Step::Reload),
        1 => (0u64..3000).prop_map(Step::Latency),
        1 => (0u64..20_000).prop_map(Step::Publishing),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens: publications do not overlap and are 10 s apart, none marks down more than the
    /// share, and when the world has come to rest, what is published is what is the case.
    #[test]
    fn rules_that_always_hold(steps in steps(), fail_every in 2usize..6, percent in 0u8..=100) {
        let sizes = [7, 4, 1];
        let mut world = World::new(percent);
        world.fail_every = fail_every;
        world.load(plan(&sizes, &json!({"tcp": 80})));
        for step in steps {
            match step {
                Step::Set(table, n, outcome) => world.set(&format!("10.0.{table}.{n}:80"), outcome),
                Step::Wait(ms) => world.run(MS * ms as u32),
                Step::Reload => world.load(plan(&sizes, &json!({"tcp": 80}))),
                Step::Latency(ms) => world.latency = MS * ms as u32,
                Step::Publishing(ms) => world.publishing = MS * ms as u32,
            }
        }
        world.latency = 3 * MS;
        world.publishing = 50 * MS;
        for outcome in world.sick.values_mut() {
            if matches!(outcome, Outcome::Unable(_)) {
                *outcome = Outcome::Good;
            }
        }
        world.run(Duration::from_secs(90));
        for pair in world.seen.windows(2) {
            prop_assert!(pair[1].start >= pair[0].start + Duration::from_secs(10));
            prop_assert!(pair[1].start >= pair[0].end);
        }
        for seen in &world.seen {
            for healthy in &seen.healthy {
                let down = healthy.iter().filter(|healthy| !**healthy).count();
                prop_assert!(down <= most_down(healthy.len(), percent));
            }
        }
        prop_assert!(world.engine.is_published());
        let last = world.last().to_vec();
        for (table, healthy) in last.iter().enumerate() {
            let bad = |n: usize| matches!(world.sick.get(&format!("10.0.{table}.{}:80", n + 1)), Some(Outcome::Bad(_)));
            let failing = (0..healthy.len()).filter(|n| bad(*n)).count();
            let down = healthy.iter().filter(|healthy| !**healthy).count();
            prop_assert_eq!(down, failing.min(most_down(healthy.len(), percent)));
            for (n, healthy) in healthy.iter().enumerate() {
                prop_assert!(*healthy || bad(n));
            }
        }
    }
}
