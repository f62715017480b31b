// SPDX-License-Identifier: GPL-2.0

//! The decisions of the health checker: which checks are due, what their results mean, and when a changed table
//! is published.
//!
//! ```text
//!   load ──> targets ──due──> (checks run) ──result──> dampers ──> marks of backends ──> publication
//!            (pace)                                                (held back)           (gate)
//! ```

use super::damper::Damper;
use super::event::{self, Event, Mark};
use super::gate::Gate;
use super::hold;
use super::known::Known;
use super::pace::{Pace, Phases, FIRST_WITHIN};
use super::plan::{Plan, PlannedTable};
use super::probe::{Kind, Target};
use super::stats::Stats;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The backend did what it should.
    Good,
    /// It did not.
    Bad(String),
    /// The check could not be made, for a reason on this machine: no descriptor left, no permission. It
    /// says nothing about the backend.
    Unable(String),
}

impl Outcome {
    /// Why it is not good.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Good => None,
            Self::Bad(reason) | Self::Unable(reason) => Some(reason),
        }
    }
}

/// Names a target for as long as it is in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetId(u64);

/// A result and when it came.
#[derive(Debug, Clone)]
pub(crate) struct Last {
    pub(crate) outcome: Outcome,
    pub(crate) latency: Duration,
    pub(crate) at: Instant,
}

/// A target and what is known of it.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) target: Arc<Target>,
    pub(crate) damper: Damper,
    pub(crate) last: Option<Last>,
    pace: Pace,
    in_flight: bool,
}

/// The plan in use.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) plan: Plan,
    /// The targets of the plan, by position.
    pub(crate) ids: Vec<TargetId>,
    pub(crate) loaded: Instant,
    pub(crate) marks: Vec<Vec<Mark>>,
    generation: u64,
    /// How many targets have not had any result.
    awaited: usize,
    /// When their results are no longer waited for.
    patience: Instant,
}

/// A table that goes out.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    /// The operator's file with what the checks found.
    pub(crate) tree: Value,
}

/// What a publication is compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    generation: u64,
    healthy: Vec<Vec<bool>>,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Engine {
    max_down_percent: u8,
    gate: Gate,
    phases: Phases,
    next_id: u64,
    ids: HashMap<Arc<Target>, TargetId>,
    watched: HashMap<TargetId, Watched>,
    /// When targets are due. Entries of targets that are gone stay until their time.
    queue: BinaryHeap<Reverse<(Instant, TargetId)>>,
    current: Option<Current>,
    /// Since when the checks of a table's backend fail.
    down_since: HashMap<(String, IpAddr), Instant>,
    /// What is to be published: the version of the current plan and marks.
    wanted: Option<Version>,
    publishing: Option<Version>,
    published: Option<Version>,
    /// There is nobody to publish to.
    withheld: bool,
    /// What was published before this program started, for the first plan.
    taken_over: Known,
    stats: Stats,
}

impl Engine {
    pub(crate) fn new(max_down_percent: u8, reload_interval: Duration) -> Self {
        Self {
            max_down_percent,
            gate: Gate::new(reload_interval),
            phases: Phases::default(),
            next_id: 0,
            ids: HashMap::new(),
            watched: HashMap::new(),
            queue: BinaryHeap::new(),
            current: None,
            down_since: HashMap::new(),
            wanted: None,
            publishing: None,
            published: None,
            withheld: false,
            taken_over: Known::new(),
            stats: Stats::new(),
        }
    }

    /// Takes over what was published before: the first plan starts from that, and it takes as many results as
    /// ever to change it. A restart is no reason to believe a single result.
    pub(crate) fn take_over(&mut self, known: Known) {
        self.taken_over = known;
    }

    /// Takes other settings; they count from here on.
    pub(crate) fn configure(&mut self, max_down_percent: u8, reload_interval: Duration) {
        self.max_down_percent = max_down_percent;
        self.gate.set_interval(reload_interval);
    }

    /// Takes a plan. Targets that were there before keep what is known of them and their pace. The plan is
    /// published even if it is the same as before: somebody asked for it.
    pub(crate) fn load(&mut self, now: Instant, plan: Plan) -> Vec<Event> {
        let mut longest = Duration::ZERO;
        let mut ids = Vec::with_capacity(plan.targets.len());
        let mut kept = HashMap::with_capacity(plan.targets.len());
        let beliefs = beliefs(&plan, &self.taken_over);
        for (target, belief) in plan.targets.iter().zip(beliefs) {
            let id = match self.ids.get(target) {
                Some(id) => *id,
                None => {
                    longest = longest.max(target.interval().min(FIRST_WITHIN) + target.timeout());
                    self.watch(now, target.clone(), belief)
                }
            };
            ids.push(id);
            kept.insert(target.clone(), id);
        }
        self.ids = kept;
        let stay: HashSet<TargetId> = ids.iter().copied().collect();
        self.watched.retain(|id, _| stay.contains(id));
        let awaited = self.watched.values().filter(|w| w.last.is_none()).count();
        let (generation, mut patience) = match &self.current {
            Some(current) => (current.generation + 1, current.patience),
            None => (0, now),
        };
        // A plan is not held up for ever by a target that stays silent.
        patience = patience.max(now + longest + Duration::from_millis(500));
        let marks = self.unmarked(&plan);
        let mut events = match &self.current {
            Some(current) => event::changes(&current.plan, &plan),
            None => Vec::new(),
        };
        self.taken_over.clear();
        self.stats.plans += 1;
        self.current = Some(Current {
            plan,
            ids,
            loaded: now,
            marks,
            generation,
            awaited,
            patience,
        });
        events.extend(self.mark(now));
        events
    }

    fn watch(&mut self, now: Instant, target: Arc<Target>, belief: Option<bool>) -> TargetId {
        let id = TargetId(self.next_id);
        self.next_id += 1;
        let pace = Pace::new(now, self.phases.next(), target.interval());
        self.queue.push(Reverse((pace.next(), id)));
        let watched = Watched {
            target,
            damper: Damper::new(belief),
            last: None,
            pace,
            in_flight: false,
        };
        self.watched.insert(id, watched);
        id
    }

    /// The marks of a plan that was not there before: as they were for the backends that were, else up.
    fn unmarked(&self, plan: &Plan) -> Vec<Vec<Mark>> {
        let mut before = HashMap::new();
        for ((table, addr), healthy) in &self.taken_over {
            let mark = Mark {
                believed: *healthy,
                healthy: *healthy,
            };
            before.insert((table.as_str(), *addr), mark);
        }
        for (table, marks) in self.tables() {
            for (backend, mark) in table.backends.iter().zip(marks) {
                before.insert((table.name.as_str(), backend.addr), *mark);
            }
        }
        let up = Mark {
            believed: true,
            healthy: true,
        };
        let tables = plan.tables.iter().map(|table| {
            let mark = |addr| *before.get(&(table.name.as_str(), addr)).unwrap_or(&up);
            table.backends.iter().map(|b| mark(b.addr)).collect()
        });
        tables.collect()
    }

    /// The checks that are due, to be started now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(TargetId, Arc<Target>)> {
        let mut due = Vec::new();
        while let Some(&Reverse((at, id))) = self.queue.peek() {
            if at > now {
                break;
            }
            self.queue.pop();
            let Some(watched) = self.watched.get_mut(&id) else {
                continue;
            };
            watched.pace.advance(now);
            self.queue.push(Reverse((watched.pace.next(), id)));
            if watched.in_flight {
                self.stats.overruns += 1;
            } else {
                watched.in_flight = true;
                due.push((id, watched.target.clone()));
            }
        }
        due
    }

    /// Takes in the result of a check.
    pub(crate) fn result(
        &mut self,
        now: Instant,
        id: TargetId,
        outcome: Outcome,
        latency: Duration,
    ) -> Vec<Event> {
        // The target may be gone while its check ran.
        let Some(watched) = self.watched.get_mut(&id) else {
            return Vec::new();
        };
        let kind = watched.target.probe.kind();
        let stats = Kind::ALL.iter().position(|k| *k == kind);
        if let Some(stats) = stats.and_then(|at| self.stats.kinds.get_mut(at)) {
            match &outcome {
                Outcome::Good => stats.good += 1,
                Outcome::Bad(_) => stats.bad += 1,
                Outcome::Unable(_) => stats.unable += 1,
            }
            stats.latency.observe(latency);
        }
        watched.in_flight = false;
        let first = watched.last.is_none();
        let trigger = watched.target.timing.trigger;
        let changed = match &outcome {
            Outcome::Good => watched.damper.observe(true, trigger),
            Outcome::Bad(_) => watched.damper.observe(false, trigger),
            Outcome::Unable(_) => false,
        };
        let mut events = Vec::new();
        if changed {
            self.stats.target_changes += 1;
            events.push(Event::Target {
                kind,
                target: watched.target.probe.to_string(),
                reason: outcome.reason().map(str::to_owned),
            });
        }
        watched.last = Some(Last {
            outcome,
            latency,
            at: now,
        });
        if first {
            if let Some(current) = &mut self.current {
                current.awaited = current.awaited.saturating_sub(1);
            }
        }
        if changed {
            events.extend(self.mark(now));
        }
        events
    }

    /// Draws the conclusions from what is believed of the targets.
    fn mark(&mut self, now: Instant) -> Vec<Event> {
        let Some(current) = &mut self.current else {
            return Vec::new();
        };
        let mut events = Vec::new();
        let mut down_since = HashMap::new();
        for (table, marks) in current.plan.tables.iter().zip(&mut current.marks) {
            let since: Vec<Option<Instant>> = table
                .backends
                .iter()
                .map(|backend| {
                    let fails = |position: &usize| {
                        let watched = self.watched.get(&current.ids[*position]);
                        watched.and_then(|w| w.damper.believed()) == Some(false)
                    };
                    if !backend.targets.iter().any(fails) {
                        return None;
                    }
                    let key = (table.name.clone(), backend.addr);
                    let since = self.down_since.get(&key).copied().unwrap_or(now);
                    down_since.insert(key, since);
                    Some(since)
                })
                .collect();
            let down = hold::marked_down(&since, table.usable(), self.max_down_percent);
            let held_before: Vec<IpAddr> = held(table, marks);
            for ((backend, mark), (since, down)) in table
                .backends
                .iter()
                .zip(&mut *marks)
                .zip(since.iter().zip(down))
            {
                let new = Mark {
                    believed: since.is_none(),
                    healthy: !down,
                };
                if std::mem::replace(mark, new) != new {
                    self.stats.backend_changes += 1;
                    events.push(Event::Backend {
                        table: table.name.clone(),
                        addr: backend.addr,
                        mark: new,
                    });
                }
            }
            let held = held(table, marks);
            if held != held_before {
                events.push(Event::Held {
                    table: table.name.clone(),
                    failing: since.iter().flatten().count(),
                    of: table.usable(),
                    held,
                });
            }
        }
        self.down_since = down_since;
        let healthy = |marks: &Vec<Mark>| marks.iter().map(|mark| mark.healthy).collect();
        self.wanted = Some(Version {
            generation: current.generation,
            healthy: current.marks.iter().map(healthy).collect(),
        });
        events
    }

    /// The table that is to go out now. The caller reports back with [`Self::published`].
    pub(crate) fn publication(&mut self, now: Instant) -> Option<Publication> {
        if self.publication_due(now)? > now {
            return None;
        }
        let version = self.wanted.clone()?;
        let tree = self.current.as_ref()?.plan.with_health(&version.healthy);
        self.gate.start(now);
        self.publishing = Some(version);
        Some(Publication { tree })
    }

    /// From when on a publication is to start, if there is anything new.
    fn publication_due(&self, now: Instant) -> Option<Instant> {
        if self.withheld {
            return None;
        }
        let opens = self.gate.opens(now)?;
        let current = self.current.as_ref()?;
        if self.is_published() {
            return None;
        }
        if current.awaited == 0 {
            return Some(opens);
        }
        Some(opens.max(current.patience))
    }

    /// A publication has ended. One that failed is tried again.
    pub(crate) fn published(&mut self, good: bool) {
        let version = self.publishing.take();
        self.gate.finish(!good);
        self.published = version.filter(|_| good);
    }

    /// What was published is not there any more: it goes out again.
    pub(crate) fn lost(&mut self) {
        self.published = None;
    }

    /// Whether to wait with publications, since there is nobody to take them.
    pub(crate) fn withhold(&mut self, withhold: bool) {
        self.withheld = withhold;
    }

    /// When there is something to do, results aside.
    pub(crate) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let check = self.queue.peek().map(|Reverse((at, _))| *at);
        let publication = self.publication_due(now);
        match (check, publication) {
            (Some(check), Some(publication)) => Some(check.min(publication)),
            (check, publication) => check.or(publication),
        }
    }

    pub(crate) fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// The tables of the plan with the marks of their backends.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&PlannedTable, &Vec<Mark>)> {
        self.current
            .iter()
            .flat_map(|current| current.plan.tables.iter().zip(&current.marks))
    }

    /// A target of the plan, by its position.
    pub(crate) fn target(&self, position: usize) -> Option<&Watched> {
        let id = self.current.as_ref()?.ids.get(position)?;
        self.watched.get(id)
    }

    /// All targets of the plan.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Watched> {
        let ids = self.current.iter().flat_map(|current| &current.ids);
        ids.filter_map(|id| self.watched.get(id))
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    pub(crate) fn is_publishing(&self) -> bool {
        self.gate.is_running()
    }

    /// Whether what was last published with success is what should be.
    pub(crate) fn is_published(&self) -> bool {
        self.published.is_some() && self.wanted == self.published
    }

    pub(crate) fn max_down_percent(&self) -> u8 {
        self.max_down_percent
    }
}

/// What is to be believed of a plan's targets, by what was published of their backends. One healthy backend
/// speaks for a target, since all its targets passed; which target of another one failed nobody knows.
fn beliefs(plan: &Plan, known: &Known) -> Vec<Option<bool>> {
    let mut beliefs = vec![None; plan.targets.len()];
    if known.is_empty() {
        return beliefs;
    }
    for table in &plan.tables {
        for backend in &table.backends {
            let Some(healthy) = known.get(&(table.name.clone(), backend.addr)) else {
                continue;
            };
            for position in &backend.targets {
                if let Some(belief) = beliefs.get_mut(*position) {
                    *belief = Some(*healthy || *belief == Some(true));
                }
            }
        }
    }
    beliefs
}

fn held(table: &PlannedTable, marks: &[Mark]) -> Vec<IpAddr> {
    let pairs = table.backends.iter().zip(marks);
    let held = pairs.filter(|(_, mark)| mark.is_held());
    held.map(|(backend, _)| backend.addr).collect()
}
