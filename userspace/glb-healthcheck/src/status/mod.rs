// SPDX-License-Identifier: GPL-2.0

//! The status pages of the daemon, for people, scripts and Prometheus.

pub(crate) mod flows;
mod gateway;
mod health;
mod kernel;
mod metrics;
mod services;
mod vars;

use crate::logic::director::Director;
use crate::logic::engine::{Engine, Outcome};
use crate::publish::PublishError;
use crate::rows::TableRows;
use crate::source::{is_error, Settings};
use glb_config::{DeadRows, Issue};
use glb_daemon::histogram::{self, Histogram};
use glb_daemon::server::{self, Answer};
use std::time::{Duration, Instant};

/// The pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Health,
    Vars,
    Metrics,
}

impl server::Page for Page {
    fn at(path: &str) -> Option<Self> {
        match path {
            "/health" => Some(Self::Health),
            "/debug/vars" => Some(Self::Vars),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }

    const THERE_ARE: &'static str = "there are /health, /metrics and /debug/vars\n";
}

/// What came of reading the operator's files.
#[derive(Debug, Default)]
pub(crate) struct SourceState {
    pub(crate) good_reads: u64,
    pub(crate) bad_reads: u64,
    /// What was wrong the last time.
    pub(crate) issues: Vec<Issue>,
}

/// What came of publications.
#[derive(Debug)]
pub(crate) struct Publications {
    /// By the order of [`PublishError::OUTCOMES`].
    pub(crate) outcomes: [u64; PublishError::OUTCOMES.len()],
    pub(crate) last_error: Option<String>,
    pub(crate) last_good: Option<Instant>,
    pub(crate) time: Histogram,
}

impl Publications {
    pub(crate) fn new() -> Self {
        Self {
            outcomes: Default::default(),
            last_error: None,
            last_good: None,
            time: Histogram::new(histogram::OF_RELOADS),
        }
    }

    pub(crate) fn note(&mut self, now: Instant, took: Duration, result: &Result<(), PublishError>) {
        let outcome = match result {
            Ok(()) => PublishError::OUTCOMES[0],
            Err(error) => error.outcome(),
        };
        for (name, count) in PublishError::OUTCOMES.iter().zip(&mut self.outcomes) {
            *count += u64::from(*name == outcome);
        }
        self.time.observe(took);
        match result {
            Ok(()) => {
                self.last_good = Some(now);
                self.last_error = None;
            }
            Err(error) => self.last_error = Some(error.to_string()),
        }
    }
}

/// The first of a list, and how many more there are.
fn some_of(list: &[String]) -> String {
    const SOME: usize = 10;
    match list.get(..SOME) {
        Some(some) if list.len() > SOME => {
            format!("{} and {} more", some.join(", "), list.len() - SOME)
        }
        _ => list.join(", "),
    }
}

/// All that pages are made from.
pub(crate) struct Facts<'a> {
    pub(crate) now: Instant,
    pub(crate) started: Instant,
    pub(crate) settings: &'a Settings,
    pub(crate) engine: &'a Engine,
    pub(crate) source: &'a SourceState,
    pub(crate) publications: &'a Publications,
    /// Rows of what is published that lead to a backend that is down.
    pub(crate) dead: &'a [TableRows],
    pub(crate) director: &'a Director,
}

impl Facts<'_> {
    pub(crate) fn page(&self, page: Page) -> Answer {
        match page {
            Page::Health => self.health(),
            Page::Vars => self.vars(),
            Page::Metrics => self.metrics(),
        }
    }

    fn age(&self, at: Instant) -> f64 {
        self.now.saturating_duration_since(at).as_secs_f64()
    }

    /// What an operator should see to.
    fn problems(&self) -> Vec<String> {
        let errors = self.source.issues.iter().filter(|issue| is_error(issue));
        let mut problems: Vec<String> = errors.map(ToString::to_string).collect();
        if !problems.is_empty() {
            problems.push("the last good table stays in use".to_owned());
        }
        problems.extend(self.publications.last_error.clone());
        problems.extend(self.director.fault().map(str::to_owned));
        for (table, marks) in self.engine.tables() {
            let down = table.backends.iter().zip(marks);
            let down: Vec<String> = down
                .filter(|(_, mark)| !mark.healthy)
                .map(|(backend, _)| backend.addr.to_string())
                .collect();
            if !down.is_empty() {
                let (count, of) = (down.len(), marks.len());
                let which = some_of(&down);
                problems.push(format!(
                    "table {}: {count} of {of} backends are down: {which}",
                    table.name
                ));
            }
            let held = marks.iter().filter(|mark| mark.is_held()).count();
            if held > 0 {
                let percent = self.engine.max_down_percent();
                problems.push(format!(
                    "table {}: holding back: {held} failing backends stay up, since no more than {percent} % \
                     may be marked down",
                    table.name
                ));
            }
        }
        let unable =
            self.engine
                .targets()
                .filter_map(|watched| match &watched.last.as_ref()?.outcome {
                    Outcome::Unable(reason) => Some((watched, reason)),
                    _ => None,
                });
        let unable: Vec<_> = unable.collect();
        if let Some((watched, reason)) = unable.first() {
            let probe = &watched.target.probe;
            problems.push(format!(
                "{} checks can not be made, such as {} {probe}: {reason}",
                unable.len(),
                probe.kind().name()
            ));
        }
        problems.extend(self.dead.iter().map(ToString::to_string));
        problems
    }

    /// The dead rows of a table, if it has any.
    fn dead_rows(&self, table: &str) -> Option<&DeadRows> {
        let found = self.dead.iter().find(|one| one.table == table);
        found.map(|one| &one.rows)
    }

    /// One line on it all.
    pub(crate) fn summary(&self) -> String {
        let (mut tables, mut up, mut down, mut held) = (0, 0, 0, 0);
        for (_, marks) in self.engine.tables() {
            tables += 1;
            for mark in marks {
                match mark {
                    mark if mark.is_held() => held += 1,
                    mark if mark.healthy => up += 1,
                    _ => down += 1,
                }
            }
        }
        let mut summary = format!("{tables} tables; backends: {up} up, {down} down");
        if held > 0 {
            summary += &format!(", {held} failing but held up");
        }
        let errors = self.source.issues.iter().filter(|i| is_error(i)).count();
        if errors > 0 {
            summary += &format!("; {errors} errors in the files, the last good table stays in use");
        }
        if self.publications.last_error.is_some() {
            summary += "; the last reload failed";
        }
        if let Some(fault) = self.director.fault() {
            summary += &format!("; {fault}");
        }
        summary
    }
}
