// SPDX-License-Identifier: GPL-2.0

//! The connections of a proxy that depend on second chance, counted when `/metrics` is asked for.
//!
//! The count runs beside the main loop, one at a time, and whoever asks waits for it no longer than [`BOUND`]. A count that takes
//! longer goes on for the sake of the rows that it computes, which the next one uses; its numbers are of an earlier moment by
//! then, and nobody gets them.

use crate::source::is_error;
use glb_config::flows::{own, ports, Census, Counted, FileTables, Listed, Own, Proxy, Seen};
use glb_config::healthcheck::RedirectFlows;
use glb_config::opened::open_source;
use glb_config::{director, io_reason, Checked, Stamp};
use glb_core::packet::addr::Addr;
use glb_core::settings::Settings;
use glb_netlink::machine::Machine;
use glb_netlink::sock_diag::Sockets;
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::{spawn_blocking, JoinHandle};
use tokio::time::{timeout_at, Instant};

/// How long a page waits for the count. `glbctl` waits two seconds for the page.
const BOUND: Duration = Duration::from_secs(1);

/// The connections of one table.
#[derive(Debug, Clone)]
pub(crate) struct OfTable {
    pub(crate) label: String,
    /// What tells the table from others; binary files do not say.
    pub(crate) digest: Option<u64>,
    pub(crate) own: Option<Own>,
    /// The addresses of all its backends, each once.
    pub(crate) backends: Vec<Addr>,
    pub(crate) counted: Counted,
}

/// What was counted.
#[derive(Debug, Clone)]
pub(crate) struct Flows {
    pub(crate) tables: Vec<OfTable>,
    /// Connections of VIPs that no table has.
    pub(crate) outside: u64,
    pub(crate) settings: Settings,
    pub(crate) took: Duration,
}

/// What came of counting, or why there is nothing.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Counts, and keeps the rows that it has computed.
pub(crate) struct Counter {
    slot: Mutex<Slot>,
    bound: Duration,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            slot: Mutex::default(),
            bound: BOUND,
        }
    }
}

#[derive(Default)]
struct Slot {
    /// A count that was not waited for.
    late: Option<JoinHandle<Done>>,
    kept: Option<Kept>,
    /// What went wrong last, which is not told again.
    fault: Option<String>,
}

struct Done {
    kept: Option<Kept>,
    result: Result<Flows>,
}

/// Tables, and what they were read from.
struct Kept {
    wanted: RedirectFlows,
    stamps: Vec<Stamp>,
    tables: FileTables,
}

impl Counter {
    /// The connections that there are now.
    pub(crate) async fn count(&self, wanted: RedirectFlows) -> Result<Flows> {
        let end = Instant::now() + self.bound;
        let late = || format!("counting takes longer than {:?}", self.bound);
        let Ok(mut slot) = timeout_at(end, self.slot.lock()).await else {
            return Err(late());
        };
        let mut result = Err(late());
        if let Some(mut before) = slot.late.take() {
            match timeout_at(end, &mut before).await {
                Ok(done) => slot.kept = done.ok().and_then(|done| done.kept),
                Err(_) => slot.late = Some(before),
            }
        }
        if slot.late.is_none() {
            let kept = slot.kept.take();
            let mut running = spawn_blocking(move || count(kept, wanted));
            match timeout_at(end, &mut running).await {
                Ok(Ok(done)) => {
                    slot.kept = done.kept;
                    result = done.result;
                }
                Ok(Err(error)) => result = Err(format!("counting failed: {error}")),
                Err(_) => slot.late = Some(running),
            }
        }
        let fault = result.as_ref().err().cloned();
        if slot.fault != fault {
            match &fault {
                Some(reason) => tracing::warn!("connections are not counted: {reason}"),
                None => tracing::info!("connections are counted"),
            }
            slot.fault = fault;
        }
        result
    }
}

fn count(kept: Option<Kept>, wanted: RedirectFlows) -> Done {
    let began = std::time::Instant::now();
    let current = |kept: &Kept| kept.wanted == wanted && kept.stamps == stamps(&wanted);
    let kept = match kept.filter(current) {
        Some(kept) => Ok(kept),
        None => read(wanted),
    };
    match kept {
        Err(reason) => Done {
            kept: None,
            result: Err(reason),
        },
        Ok(mut kept) => {
            let result = counted(&mut kept).map(|flows| Flows {
                took: began.elapsed(),
                ..flows
            });
            Done {
                kept: Some(kept),
                result,
            }
        }
    }
}

fn stamps(wanted: &RedirectFlows) -> Vec<Stamp> {
    let paths = [Some(&wanted.table), wanted.director.as_ref()];
    paths
        .into_iter()
        .flatten()
        .map(|path| Stamp::of(path))
        .collect()
}

fn read(wanted: RedirectFlows) -> Result<Kept> {
    let stamps = stamps(&wanted);
    let name = wanted.table.display().to_string();
    let bytes = std::fs::read(&wanted.table).map_err(|error| fault(&wanted.table, &error))?;
    let mut opened = good(open_source(&name, &bytes))?;
    opened.assume_health();
    let settings = match &wanted.director {
        None => Settings::DEFAULT,
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| fault(path, &error))?;
            good(director::read(&path.display().to_string(), &text))?.settings
        }
    };
    let tables = FileTables::new(opened, settings).map_err(|reason| format!("{name}: {reason}"))?;
    Ok(Kept {
        wanted,
        stamps,
        tables,
    })
}

fn fault(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {}", path.display(), io_reason(error))
}

/// What was read, or the first thing that is wrong with it.
fn good<T>(checked: Checked<T>) -> Result<T> {
    let first = |issues: Vec<glb_config::Issue>| {
        let first = issues
            .iter()
            .find(|issue| is_error(issue))
            .map(ToString::to_string);
        first.unwrap_or_default()
    };
    checked.into_result().map(|(value, _)| value).map_err(first)
}

fn counted(kept: &mut Kept) -> Result<Flows> {
    let error = |error: glb_netlink::Error| error.to_string();
    let addresses = Machine::open().and_then(|mut machine| machine.addresses());
    let addresses = addresses.map_err(error)?;
    let addresses: HashSet<Addr> = addresses.into_iter().map(|one| one.addr).collect();
    let listed = Listed::of(kept.tables.opened());
    let proxy = match kept.wanted.backend {
        Some(addr) => Proxy::Named(addr),
        None => Proxy::Here(&addresses),
    };
    let own = own(&listed, proxy)?;
    let mut census = Census::new(own, &addresses);
    let mut failed = None;
    let mut sockets = Sockets::open(&kept.wanted.netns).map_err(error)?;
    sockets
        .connections(&ports(&listed), &mut |_, one| {
            let seen = Seen {
                flow: one.flow,
                listened: one.listened,
            };
            if failed.is_none() {
                failed = census.take(&mut kept.tables, &seen).err();
            }
        })
        .map_err(error)?;
    if let Some(reason) = failed {
        return Err(reason);
    }
    let digests = kept.tables.opened().digests();
    let all = listed.into_iter().zip(digests);
    let all = all.zip(census.own().iter().zip(&census.tables));
    let tables = all.map(|((table, digest), (own, counted))| {
        let mut backends: Vec<Addr> = table.backends.iter().map(|one| one.addr).collect();
        backends.sort_unstable();
        backends.dedup();
        OfTable {
            label: table.label,
            digest,
            own: *own,
            backends,
            counted: counted.clone(),
        }
    });
    Ok(Flows {
        tables: tables.collect(),
        outside: census.outside.values().sum(),
        settings: *kept.tables.settings(),
        took: Duration::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(table: &Path) -> RedirectFlows {
        RedirectFlows {
            table: table.to_owned(),
            director: None,
            backend: Some(Addr::V4([10, 0, 0, 1])),
            netns: Vec::new(),
        }
    }

    fn table(state: &str) -> String {
        format!(
            r#"{{"tables": [{{"name": "t", "hash_key": "12345678901234561234567890123456",
                "seed": "49a3d861d661ae5ab06ed9326871a2f5", "binds": [{{"ip": "192.0.2.7", "proto": "tcp", "port": 80}}],
                "backends": [{{"ip": "10.0.0.1", "state": "{state}"}}, {{"ip": "10.0.0.2", "state": "active"}}]}}]}}"#
        )
    }

    #[tokio::test]
    async fn a_file_that_changes_is_read_again() {
        let path = std::env::temp_dir().join(format!("glb-hc-{}-flows.json", std::process::id()));
        // However slow the machine is.
        let counter = Counter {
            bound: Duration::from_secs(600),
            ..Counter::default()
        };
        let gone = counter.count(wanted(&path)).await.expect_err("no file");
        assert!(
            gone.contains("there is no such file") || gone.contains("No such file"),
            "{gone}"
        );
        let mut digests = Vec::new();
        for state in ["active", "active", "draining"] {
            std::fs::write(&path, table(state)).expect("written");
            let flows = counter.count(wanted(&path)).await.expect("counted");
            let own = flows.tables[0].own.expect("it is in the table");
            assert_eq!(
                (own.addr, own.state.name()),
                (Addr::V4([10, 0, 0, 1]), state)
            );
            digests.push(flows.tables[0].digest);
        }
        assert!(digests[0].is_some() && digests[0] == digests[1] && digests[1] != digests[2]);
        std::fs::write(&path, "{").expect("written");
        let bad = counter.count(wanted(&path)).await.expect_err("bad");
        assert!(bad.contains("flows.json"), "{bad}");
        std::fs::remove_file(&path).expect("removed");
    }

    #[tokio::test]
    async fn a_count_that_takes_long_is_not_waited_for() {
        let path = Path::new("/nowhere/table.json");
        let mut counter = Counter {
            bound: Duration::from_millis(10),
            ..Counter::default()
        };
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let before = Done {
            kept: None,
            result: Err(String::new()),
        };
        counter.slot.lock().await.late = Some(spawn_blocking(move || {
            let _ = ended.recv();
            before
        }));
        let said = counter.count(wanted(path)).await.expect_err("late");
        assert!(said.contains("longer than"), "{said}");
        drop(end);
        counter.bound = Duration::from_secs(600);
        let said = counter.count(wanted(path)).await.expect_err("no file");
        assert!(said.contains("/nowhere/table.json"), "{said}");
    }
}
