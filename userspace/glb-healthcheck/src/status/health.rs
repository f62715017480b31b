// SPDX-License-Identifier: GPL-2.0

//! `/health`: the state of the daemon and of the backends, as JSON.
//!
//! The status is 503 only until the first table is published. Afterwards it is 200 even if there is a problem:
//! a supervisor that restarts the daemon because of an error in a file would make it worse. `problems` lists the
//! problems.

use super::Facts;
use crate::logic::engine::Watched;
use crate::logic::event::Mark;
use crate::logic::plan::PlannedBackend;
use glb_daemon::server::Answer;
use serde_json::{json, Value};

impl Facts<'_> {
    pub(super) fn health(&self) -> Answer {
        let problems = self.problems();
        let never = self.publications.last_good.is_none();
        let status = match (never, problems.is_empty()) {
            (true, _) => "starting",
            (false, true) => "ok",
            (false, false) => "degraded",
        };
        let tables: Vec<Value> = self
            .engine
            .tables()
            .map(|(table, marks)| {
                let backends = table.backends.iter().zip(marks);
                let backends = backends.map(|(backend, mark)| self.backend(backend, *mark));
                let mut value =
                    json!({"name": table.name, "backends": backends.collect::<Vec<_>>()});
                if let Some(rows) = self.dead_rows(&table.name) {
                    value["dead_rows"] = json!({
                        "first_hop": rows.first_hop,
                        "all_hops": rows.all_hops,
                        "share": rows.share(),
                    });
                }
                value
            })
            .collect();
        let settings = &self.settings.config;
        let body = json!({
            "status": status,
            "problems": problems,
            "uptime_seconds": self.age(self.started),
            "source": {
                "file": settings.src,
                "table_age_seconds": self.engine.current().map(|current| self.age(current.loaded)),
                "issues": self.source.issues.iter().map(ToString::to_string).collect::<Vec<_>>(),
            },
            "published": {
                "file": settings.dst,
                "kernel": self.settings.is_kernel(),
                "current": self.engine.is_published(),
                "running": self.engine.is_publishing(),
                "last_success_age_seconds": self.publications.last_good.map(|at| self.age(at)),
                "last_error": self.publications.last_error,
            },
            "tables": tables,
        });
        Answer::json(if never { 503 } else { 200 }, format!("{body:#}\n"))
    }

    fn backend(&self, backend: &PlannedBackend, mark: Mark) -> Value {
        let checks = backend.targets.iter();
        let checks = checks.filter_map(|position| self.engine.target(*position));
        let mut value = json!({
            "ip": backend.addr.to_string(),
            "state": backend.state.name(),
            "healthy": mark.healthy,
            "passing": mark.believed,
            "checks": checks.map(|watched| self.check(watched)).collect::<Vec<_>>(),
        });
        if mark.is_held() {
            value["held_up"] = true.into();
        }
        value
    }

    fn check(&self, watched: &Watched) -> Value {
        let probe = &watched.target.probe;
        let mut value = json!({
            "kind": probe.kind().name(),
            "target": probe.to_string(),
            "healthy": watched.damper.believed(),
            "opposite_results": watched.damper.opposite(),
        });
        if let Some(last) = &watched.last {
            value["last_age_seconds"] = self.age(last.at).into();
            value["last_latency_seconds"] = last.latency.as_secs_f64().into();
            if let Some(reason) = last.outcome.reason() {
                value["last_failure"] = reason.into();
            }
        }
        value
    }
}
