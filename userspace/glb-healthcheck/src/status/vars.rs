// SPDX-License-Identifier: GPL-2.0

//! `/debug/vars`: counters under the names that the deployed daemon has, for the scripts that read them.

use super::Facts;
use crate::logic::probe::Kind;
use glb_daemon::server::Answer;
use serde_json::{json, Map, Value};

impl Facts<'_> {
    pub(super) fn vars(&self) -> Answer {
        let stats = self.engine.stats();
        let source = self.source;
        let [good, write_failed, command_failed, timed_out, load_failed] =
            self.publications.outcomes;
        let executed = good + command_failed + timed_out + load_failed;
        let checks = Kind::ALL.iter().zip(&stats.kinds).map(|(kind, stats)| {
            let counters = json!({"Good": stats.good, "Bad": stats.bad, "Unable": stats.unable});
            (kind.name().to_owned(), counters)
        });
        let body = json!({
            "cmdline": std::env::args().collect::<Vec<_>>(),
            "HealthCheckerApp": {
                "BackendTargetSyncs": stats.plans,
                "BackendHealthChanged": stats.backend_changes,
                "ForwardingTableReloadAttempts": source.good_reads + source.bad_reads,
                "ForwardingTableReloads": source.good_reads,
                "ForwardingTableReloadFailures": source.bad_reads,
                "ForwardingTableWrites": executed,
                "ForwardingTableWriteFailures": write_failed,
                "ReloadsExecuted": executed,
                "ReloadFailures": command_failed + timed_out + load_failed,
            },
            "Checks": Value::Object(checks.collect::<Map<_, _>>()),
            "ChecksLeftOut": stats.overruns,
            "TargetHealthChanged": stats.target_changes,
        });
        Answer::json(200, format!("{body:#}\n"))
    }
}
