// SPDX-License-Identifier: GPL-2.0

//! `/metrics`, for Prometheus. docs/healthcheck.md lists the names, on which dashboards depend.

use super::kernel;
use super::Facts;
use crate::logic::engine::Watched;
use crate::logic::event::Mark;
use crate::logic::plan::PlannedBackend;
use crate::logic::probe::Kind;
use crate::publish::PublishError;
use crate::source::is_error;
use glb_config::DeadRows;
use glb_daemon::server::Answer;
use glb_daemon::text::{Text, Type};
use std::collections::HashSet;

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl Facts<'_> {
    pub(super) fn metrics(&self) -> Answer {
        let mut text = Text::default();
        self.daemon(&mut text);
        self.backends(&mut text);
        self.targets(&mut text);
        self.checks(&mut text);
        self.publications(&mut text);
        self.kernel(&mut text);
        Answer::metrics(text.finish())
    }

    /// The modules of this machine, those that are there.
    fn kernel(&self, text: &mut Text) {
        if self.settings.is_kernel() {
            let help = "Whether the director's module is loaded.";
            text.family("glb_healthcheck_director_loaded", Type::Gauge, help)
                .sample(&[], truth(self.director.is_there()));
            let help = "How often loaded tables were gone and were loaded again.";
            text.family(
                "glb_healthcheck_director_lost_tables_total",
                Type::Counter,
                help,
            )
            .sample(&[], self.director.lost as f64);
        }
        let director = kernel::director();
        if let Some(settings) = director.settings {
            let help = "Settings that must be the same on all directors of a fleet.";
            let labels = kernel::shared(&settings);
            let labels: Vec<(&str, &str)> = labels
                .iter()
                .map(|(name, value)| (*name, &**value))
                .collect();
            text.family("glb_director_config_info", Type::Gauge, help)
                .sample(&labels, 1.0);
        }
        let of = [
            ("GLBREDIRECT", kernel::redirect()),
            ("director", director.counters),
        ];
        for (module, counters) in of {
            for counter in counters {
                let help = format!("{} of the {module} module.", counter.name);
                text.named(counter.metric, Type::Counter, &help)
                    .sample(&[], counter.value as f64);
            }
        }
        for (name, help, value) in director.gauges {
            text.family(name, Type::Gauge, help)
                .sample(&[], value as f64);
        }
        director.services.write(text);
        director.gateway.write(text);
    }

    fn daemon(&self, text: &mut Text) {
        text.family("glb_healthcheck_build_info", Type::Gauge, "The program.")
            .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        let help = "Seconds since the daemon started.";
        text.family("glb_healthcheck_uptime_seconds", Type::Gauge, help)
            .sample(&[], self.age(self.started));
        let help = "Whether the configuration and the table were good when they were last read.";
        let good = !self.source.issues.iter().any(is_error);
        text.family("glb_healthcheck_source_valid", Type::Gauge, help)
            .sample(&[], truth(good));
        let help = "Reads of the configuration and the table.";
        text.family("glb_healthcheck_source_reads_total", Type::Counter, help)
            .sample(&[("outcome", "success")], self.source.good_reads as f64)
            .sample(&[("outcome", "failure")], self.source.bad_reads as f64);
    }

    /// Each backend of each table once: a table of version 2 may name one twice.
    fn each_backend(&self) -> Vec<(&str, String, &PlannedBackend, Mark)> {
        let mut seen = HashSet::new();
        let mut backends = Vec::new();
        for (table, marks) in self.engine.tables() {
            for (backend, mark) in table.backends.iter().zip(marks) {
                if seen.insert((&table.name, backend.addr)) {
                    backends.push((&*table.name, backend.addr.to_string(), backend, *mark));
                }
            }
        }
        backends
    }

    fn backends(&self, text: &mut Text) {
        let backends = self.each_backend();
        let mut gauge = |name, help, value: &dyn Fn(Mark) -> bool| {
            let mut family = text.family(name, Type::Gauge, help);
            for (table, addr, _, mark) in &backends {
                family.sample(&[("table", table), ("backend", addr)], truth(value(*mark)));
            }
        };
        gauge(
            "glb_healthcheck_backend_up",
            "Whether all checks of the backend pass, after dampening.",
            &|mark| mark.believed,
        );
        gauge(
            "glb_healthcheck_backend_marked_up",
            "Whether the backend is healthy in the published table.",
            &|mark| mark.healthy,
        );
        gauge(
            "glb_healthcheck_backend_held_up",
            "Whether the backend fails but is not marked down, because too many fail.",
            &Mark::is_held,
        );
        let help = "The state that the operator wants of the backend.";
        let mut family = text.family("glb_healthcheck_backend_state", Type::Gauge, help);
        for (table, addr, backend, _) in &backends {
            let state = backend.state.name();
            family.sample(
                &[("table", table), ("backend", addr), ("state", state)],
                1.0,
            );
        }
        let help = "Share of the table's rows that lead to a backend that is down.";
        let mut family = text.family("glb_healthcheck_dead_rows_ratio", Type::Gauge, help);
        for (table, _) in self.engine.tables() {
            let share = self.dead_rows(&table.name).map_or(0.0, DeadRows::share);
            family.sample(&[("table", &table.name)], share);
        }
        let help = "The tables. Directors with the same digest have the same table.";
        let mut family = text.family("glb_healthcheck_table_info", Type::Gauge, help);
        for (table, _) in self.engine.tables() {
            let digest = format!("{:016x}", table.digest);
            family.sample(&[("table", &table.name), ("digest", &digest)], 1.0);
        }
        let help = "Changes of the published health of backends.";
        text.family("glb_healthcheck_backend_changes_total", Type::Counter, help)
            .sample(&[], self.engine.stats().backend_changes as f64);
    }

    fn targets(&self, text: &mut Text) {
        // Two targets differ in timing alone where tables check one thing at two paces.
        let mut seen = HashSet::new();
        let targets: Vec<(&Watched, String)> = self
            .engine
            .targets()
            .map(|watched| (watched, watched.target.probe.to_string()))
            .filter(|(watched, said)| {
                seen.insert((watched.target.probe.kind().name(), said.clone()))
            })
            .collect();
        let mut gauge = |name, help, value: &dyn Fn(&Watched) -> Option<f64>| {
            let mut family = text.family(name, Type::Gauge, help);
            for (watched, said) in &targets {
                if let Some(value) = value(watched) {
                    let kind = watched.target.probe.kind().name();
                    family.sample(&[("kind", kind), ("target", said)], value);
                }
            }
        };
        gauge(
            "glb_healthcheck_target_up",
            "Whether the check passes, after dampening; absent before the first result.",
            &|watched| watched.damper.believed().map(truth),
        );
        gauge(
            "glb_healthcheck_target_last_latency_seconds",
            "How long the last check took.",
            &|watched| Some(watched.last.as_ref()?.latency.as_secs_f64()),
        );
    }

    fn checks(&self, text: &mut Text) {
        let stats = self.engine.stats();
        let kinds = || Kind::ALL.iter().map(|kind| kind.name()).zip(&stats.kinds);
        let help =
            "Checks made. The outcome unable is a failure on this machine, not of the backend.";
        let mut family = text.family("glb_healthcheck_checks_total", Type::Counter, help);
        for (kind, stats) in kinds() {
            for (outcome, count) in [
                ("success", stats.good),
                ("failure", stats.bad),
                ("unable", stats.unable),
            ] {
                family.sample(&[("kind", kind), ("outcome", outcome)], count as f64);
            }
        }
        let help = "How long checks took.";
        let mut family = text.family(
            "glb_healthcheck_check_duration_seconds",
            Type::Histogram,
            help,
        );
        for (kind, stats) in kinds() {
            family.histogram(&[("kind", kind)], &stats.latency);
        }
        let help = "Checks skipped because the previous one of the same target was still running.";
        text.family("glb_healthcheck_checks_left_out_total", Type::Counter, help)
            .sample(&[], stats.overruns as f64);
        let help = "Changes of the results of targets, after dampening.";
        text.family("glb_healthcheck_target_changes_total", Type::Counter, help)
            .sample(&[], stats.target_changes as f64);
    }

    fn publications(&self, text: &mut Text) {
        let publications = self.publications;
        let help = "Publications of the table: file and reload command, or load into the kernel.";
        let mut family = text.family("glb_healthcheck_reloads_total", Type::Counter, help);
        for (outcome, count) in PublishError::OUTCOMES.iter().zip(publications.outcomes) {
            family.sample(&[("outcome", outcome)], count as f64);
        }
        let help = "How long publications took.";
        text.family(
            "glb_healthcheck_reload_duration_seconds",
            Type::Histogram,
            help,
        )
        .histogram(&[], &publications.time);
        let help = "Whether the current results of the checks are published.";
        text.family("glb_healthcheck_published", Type::Gauge, help)
            .sample(&[], truth(self.engine.is_published()));
        if let Some(at) = publications.last_good {
            let help = "Seconds since the last publication that succeeded.";
            text.family("glb_healthcheck_last_reload_age_seconds", Type::Gauge, help)
                .sample(&[], self.age(at));
        }
    }
}
