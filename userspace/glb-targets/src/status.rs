// SPDX-License-Identifier: GPL-2.0

//! The status pages: `/health` for people and scripts, `/metrics` for Prometheus.

use crate::etcd::Etcd;
use crate::kernel::{Done, Part};
use crate::plan::{Plan, Refused};
use crate::source::is_error;
use crate::table::Base;
use crate::target::{text, Target};
use glb_config::targets::TargetsConf;
use glb_config::Issue;
use glb_daemon::histogram::{Histogram, OF_RELOADS};
use glb_daemon::server::{self, Answer};
use glb_daemon::text::{Text, Type};
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::time::Duration;

/// The pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Health,
    Metrics,
}

impl server::Page for Page {
    fn at(path: &str) -> Option<Self> {
        match path {
            "/health" => Some(Self::Health),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }

    const THERE_ARE: &'static str = "there are /health and /metrics\n";
}

/// What was counted since the start.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Reads of the files: good ones, bad ones.
    pub(crate) reads: [u64; 2],
    /// Jobs in the kernel that came to their end.
    pub(crate) jobs: u64,
    loads: u64,
    /// How often the director had lost the table.
    pub(crate) lost: u64,
    errors: [u64; Part::ALL.len()],
    /// From a change to the kernel.
    pub(crate) change: Histogram,
    rules: usize,
    routes: usize,
}

impl Counts {
    pub(crate) fn new() -> Self {
        Self {
            reads: [0; 2],
            jobs: 0,
            loads: 0,
            lost: 0,
            errors: Default::default(),
            change: Histogram::new(OF_RELOADS),
            rules: 0,
            routes: 0,
        }
    }

    pub(crate) fn take(&mut self, done: &Done) {
        self.jobs += 1;
        self.loads += u64::from(done.made_load);
        (self.rules, self.routes) = (done.rules, done.routes);
        let of_targets = done.failed.iter().map(|_| Part::Target);
        let others = done.errors.iter().map(|(part, _)| *part);
        for part in of_targets.chain(others) {
            self.errors[part as usize] += 1;
        }
    }
}

/// All that pages are made from.
pub(crate) struct Facts<'a> {
    pub(crate) uptime: Duration,
    pub(crate) config: &'a TargetsConf,
    pub(crate) base: &'a Base,
    pub(crate) plan: &'a Plan,
    pub(crate) issues: &'a [Issue],
    /// Where targets are registered in one.
    pub(crate) etcd: Option<&'a Etcd>,
    pub(crate) active: &'a BTreeSet<(usize, u16)>,
    pub(crate) failed: &'a [Refused],
    pub(crate) errors: &'a [(Part, String)],
    pub(crate) gone: Option<&'a str>,
    pub(crate) load: Option<u32>,
    pub(crate) counts: &'a Counts,
}

/// What a target can be.
const STATES: [&str; 4] = ["active", "failed", "waiting", "refused"];

impl Facts<'_> {
    pub(crate) fn page(&self, page: Page) -> Answer {
        match page {
            Page::Health => self.health(),
            Page::Metrics => self.metrics(),
        }
    }

    /// The one of [`STATES`] of a target that has an identifier.
    fn state(&self, target: &Target) -> &'static str {
        if self.active.contains(&(target.service, target.id)) {
            STATES[0]
        } else {
            STATES[1]
        }
    }

    fn targets(&self, service: usize) -> impl Iterator<Item = &Target> {
        let targets = self.plan.targets.iter();
        targets.filter(move |target| target.service == service)
    }

    /// How many targets of a service are in each of [`STATES`]. Those of no service are of none.
    fn states(&self, service: usize) -> [usize; 4] {
        let name = &self.base.services[service].name;
        let of = |all: &[Refused]| all.iter().filter(|one| one.service == *name).count();
        let all = self.targets(service).count();
        let active = self.targets(service);
        let active = active.filter(|one| self.state(one) == STATES[0]).count();
        let (waiting, refused) = (of(&self.plan.waiting), of(&self.plan.refused));
        [active, all - active, waiting, refused]
    }

    /// What an operator should see to.
    fn problems(&self) -> Vec<String> {
        let errors = self.issues.iter().filter(|issue| is_error(issue));
        let mut problems: Vec<String> = errors.map(ToString::to_string).collect();
        if !problems.is_empty() {
            problems.push("the last good targets stay".to_owned());
        }
        if let Some(etcd) = self.etcd {
            problems.extend(etcd.away.clone());
            problems.extend(etcd.bad.iter().cloned());
        }
        problems.extend(self.gone.map(str::to_owned));
        problems.extend(self.errors.iter().map(|(_, reason)| reason.clone()));
        problems.extend(self.plan.refused.iter().map(ToString::to_string));
        problems.extend(self.failed.iter().map(ToString::to_string));
        for (index, service) in self.base.services.iter().enumerate() {
            if self.states(index)[0] == 0 {
                problems.push(format!("service {}: no target gets packets", service.name));
            }
        }
        problems
    }

    /// One line on it all.
    pub(crate) fn summary(&self) -> String {
        let of = |(index, service): (usize, &crate::table::Service)| {
            let states = STATES.iter().zip(self.states(index));
            let states: Vec<String> = states
                .filter(|(name, count)| **name == STATES[0] || *count > 0)
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            format!("{}: {}", service.name, states.join(", "))
        };
        let all = self.base.services.iter().enumerate().map(of);
        let mut summary = all.collect::<Vec<_>>().join("; ");
        let errors = self.issues.iter().filter(|i| is_error(i)).count() + self.errors.len();
        if errors > 0 {
            summary += &format!("; {errors} errors");
        }
        summary
    }

    fn health(&self) -> Answer {
        let problems = self.problems();
        let never = self.load.is_none();
        let status = match (never, problems.is_empty()) {
            (true, _) => "starting",
            (false, true) => "ok",
            (false, false) => "degraded",
        };
        let services = self.base.services.iter().enumerate();
        let services: Vec<Value> = services
            .map(|(index, service)| {
                let targets: Vec<Value> = self.targets(index).map(|one| self.target(one)).collect();
                json!({"name": service.name, "targets": targets})
            })
            .collect();
        let body = json!({
            "status": status,
            "problems": problems,
            "uptime_seconds": self.uptime.as_secs_f64(),
            "load": self.load,
            "services": services,
        });
        Answer::json(if never { 503 } else { 200 }, format!("{body:#}\n"))
    }

    fn target(&self, target: &Target) -> Value {
        let service = &self.base.services[target.service];
        let addresses = target.addresses.iter();
        let addresses: Vec<String> = addresses.map(|one| text(Some(*one))).collect();
        json!({
            "name": target.name,
            "id": target.id,
            "mark": service.mark(target.id),
            "routing_table": service.routing_table(target.id),
            "addresses": addresses,
            "state": self.state(target),
        })
    }

    fn metrics(&self) -> Answer {
        let mut text = Text::default();
        let truth = |value: bool| f64::from(u8::from(value));
        text.family("glb_targets_build_info", Type::Gauge, "The program.")
            .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        let help = "Seconds since the daemon started.";
        text.family("glb_targets_uptime_seconds", Type::Gauge, help)
            .sample(&[], self.uptime.as_secs_f64());
        let help = "Whether the files were good when they were last read.";
        text.family("glb_targets_source_valid", Type::Gauge, help)
            .sample(&[], truth(!self.issues.iter().any(is_error)));
        let help = "Reads of the files.";
        text.family("glb_targets_source_reads_total", Type::Counter, help)
            .sample(&[("outcome", "success")], self.counts.reads[0] as f64)
            .sample(&[("outcome", "failure")], self.counts.reads[1] as f64);
        if let Some(etcd) = self.etcd {
            let help =
                "Whether etcd says which targets there are; otherwise the last known ones stay.";
            text.family("glb_targets_etcd_connected", Type::Gauge, help)
                .sample(&[], truth(etcd.away.is_none() && etcd.specs.is_some()));
            let help = "How often etcd was away.";
            text.family("glb_targets_etcd_lost_total", Type::Counter, help)
                .sample(&[], etcd.lost as f64);
            let help = "Targets that are registered.";
            let count = etcd.specs.as_ref().map_or(0, Vec::len);
            text.family("glb_targets_registrations", Type::Gauge, help)
                .sample(&[], count as f64);
            let help = "Keys that should be targets, and are none.";
            text.family("glb_targets_bad_keys", Type::Gauge, help)
                .sample(&[], etcd.bad.len() as f64);
        }
        let help = "Targets: active ones get packets, the others do not.";
        let mut family = text.family("glb_targets_targets", Type::Gauge, help);
        for (index, service) in self.base.services.iter().enumerate() {
            for (state, count) in STATES.iter().zip(self.states(index)) {
                family.sample(
                    &[("service", &service.name), ("state", state)],
                    count as f64,
                );
            }
        }
        let help = "Identifiers that a service has.";
        let mut family = text.family("glb_targets_identifiers", Type::Gauge, help);
        for service in &self.base.services {
            family.sample(&[("service", &service.name)], service.max_targets.into());
        }
        let help = "Rules of the daemon's in the kernel.";
        text.family("glb_targets_rules", Type::Gauge, help)
            .sample(&[], self.counts.rules as f64);
        let help = "Routes of the daemon's in the kernel.";
        text.family("glb_targets_routes", Type::Gauge, help)
            .sample(&[], self.counts.routes as f64);
        let help = "Whether the director can be asked.";
        text.family("glb_targets_director_loaded", Type::Gauge, help)
            .sample(&[], truth(self.gone.is_none()));
        let help = "Loads of the table with the targets.";
        text.family("glb_targets_loads_total", Type::Counter, help)
            .sample(&[], self.counts.loads as f64);
        let help = "How often the table was gone, or somebody else's, and was loaded again.";
        text.family("glb_targets_lost_tables_total", Type::Counter, help)
            .sample(&[], self.counts.lost as f64);
        let help = "What failed, each time that it was tried.";
        let mut family = text.family("glb_targets_errors_total", Type::Counter, help);
        for (part, count) in Part::ALL.iter().zip(self.counts.errors) {
            family.sample(&[("kind", part.name())], count as f64);
        }
        let help = "From a change in the files to the kernel.";
        text.family("glb_targets_change_seconds", Type::Histogram, help)
            .histogram(&[], &self.counts.change);
        let help = "Where the rules stand among the others.";
        text.family("glb_targets_rule_priority", Type::Gauge, help)
            .sample(&[], self.config.rule_priority.into());
        Answer::metrics(text.finish())
    }
}
