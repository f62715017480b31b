// SPDX-License-Identifier: GPL-2.0

//! The connections of a proxy that depend on second chance, counted when `/metrics` is asked for.
//!
//! The count runs beside the main loop, one at a time: whoever asks meanwhile waits for the same one, and no longer than
//! [`BOUND`]. A count that takes longer goes on. Its numbers are of an earlier moment by then; who asks next gets them with their
//! age, if that is small and the own count is late again.

use crate::source::is_error;
use glb_config::flows::{own, ports, Census, Counted, FileTables, Listed, Own, Proxy, Seen};
use glb_config::healthcheck::RedirectFlows;
use glb_config::opened::open_source;
use glb_config::{director, io_reason, Checked, Stamp};
use glb_core::packet::addr::Addr;
use glb_core::settings::Settings;
use glb_netlink::machine::Machine;
use glb_netlink::sock_diag::Sockets;
use glb_netlink::unseen::unseen;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{timeout_at, Instant};

/// How long a page waits for the count. `glbctl` waits two seconds for the page.
const BOUND: Duration = Duration::from_secs(1);

/// How long ago a count may have begun that is told where the next one is late.
const FRESH: Duration = Duration::from_secs(5);

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
    /// Connections that no table has.
    pub(crate) outside: u64,
    /// What the redirect asks that was not counted: how many such things there are.
    pub(crate) unseen: u64,
    pub(crate) settings: Settings,
    pub(crate) took: Duration,
    /// When counting began.
    pub(crate) began: std::time::Instant,
}

/// What came of counting, or why there is nothing.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Counts, and keeps the rows that it has computed.
pub(crate) struct Counter {
    slot: Arc<Mutex<Slot>>,
    bound: Duration,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            slot: Arc::default(),
            bound: BOUND,
        }
    }
}

/// Is told what came of a count.
type Running = watch::Receiver<Option<Result<Flows>>>;

/// Held for moments alone, never while something is waited for.
#[derive(Default)]
struct Slot {
    /// The count that runs, for all who wait for it.
    running: Option<(RedirectFlows, Running)>,
    /// What came of the last count, and by what it was counted.
    last: Option<(RedirectFlows, Result<Flows>)>,
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
    /// The connections that there are now, or those of a few seconds ago where counting takes long.
    pub(crate) async fn count(&self, wanted: RedirectFlows) -> Result<Flows> {
        let end = Instant::now() + self.bound;
        let mut result = self.fresh(&wanted, end).await;
        let mut slot = lock(&self.slot);
        if result.is_none() {
            let last = slot.last.as_ref().filter(|(by, _)| *by == wanted);
            let recent = |flows: &&Flows| flows.began.elapsed() <= FRESH;
            let last = last.and_then(|(_, last)| last.as_ref().ok());
            result = last.filter(recent).cloned().map(Ok);
        }
        let late = || Err(format!("counting takes longer than {:?}", self.bound));
        let result = result.unwrap_or_else(late);
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

    /// What comes of a count that runs already or begins now; nothing if it is late.
    async fn fresh(&self, wanted: &RedirectFlows, end: Instant) -> Option<Result<Flows>> {
        let mut running = self.running(wanted)?;
        let done = timeout_at(end, running.wait_for(Option::is_some));
        let counted = done.await.ok()?.map(|result| result.clone());
        // Or who counts has gone without a word.
        counted.unwrap_or_else(|_| Some(Err("counting failed".to_owned())))
    }

    /// The count that runs, which begins if none does; nothing if one runs that is of another configuration.
    fn running(&self, wanted: &RedirectFlows) -> Option<Running> {
        let mut slot = lock(&self.slot);
        let is_alive = |(_, running): &&(_, Running)| running.has_changed().is_ok();
        if let Some((by, running)) = slot.running.as_ref().filter(is_alive) {
            return (by == wanted).then(|| running.clone());
        }
        let (tell, told) = watch::channel(None);
        slot.running = Some((wanted.clone(), told.clone()));
        let (shared, kept, wanted) = (self.slot.clone(), slot.kept.take(), wanted.clone());
        spawn_blocking(move || {
            let done = count(kept, wanted.clone());
            let mut slot = lock(&shared);
            slot.kept = done.kept;
            slot.last = Some((wanted, done.result.clone()));
            slot.running = None;
            tell.send_replace(Some(done.result));
        });
        Some(told)
    }
}

/// What panicked left nothing half done: each field is replaced at once.
fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
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
                began,
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
    let mut census = Census::new(own, &addresses).direct(&kept.wanted.direct);
    let mut failed = None;
    let mut sockets = Sockets::open(&kept.wanted.netns).map_err(error)?;
    sockets
        .connections(&ports(&listed), &mut |_, one| {
            let seen = Seen {
                flow: one.flow,
                listened: one.listened,
                tracked: one.tracked,
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
        unseen: unseen(&sockets).len() as u64,
        settings: *kept.tables.settings(),
        took: Duration::ZERO,
        began: std::time::Instant::now(),
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
            direct: Vec::new(),
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

    fn flows(outside: u64, age: Duration) -> Result<Flows> {
        Ok(Flows {
            tables: Vec::new(),
            outside,
            unseen: 0,
            settings: Settings::DEFAULT,
            took: Duration::ZERO,
            began: std::time::Instant::now()
                .checked_sub(age)
                .expect("an earlier time"),
        })
    }

    #[tokio::test]
    async fn a_count_that_takes_long_is_shared_and_not_waited_for() {
        let path = Path::new("/nowhere/table.json");
        let mut counter = Counter {
            bound: Duration::from_millis(10),
            ..Counter::default()
        };
        let (tell, told) = watch::channel(None);
        lock(&counter.slot).running = Some((wanted(path), told));
        let said = counter.count(wanted(path)).await.expect_err("late");
        assert!(said.contains("longer than"), "{said}");
        // What came late is told while it is of use, to who asks for the same.
        let last = |by: &Path, age| lock(&counter.slot).last = Some((wanted(by), flows(3, age)));
        last(path, Duration::from_secs(1));
        let late = counter.count(wanted(path)).await.expect("told late");
        assert_eq!(late.outside, 3);
        last(Path::new("/other"), Duration::from_secs(1));
        assert!(counter.count(wanted(path)).await.is_err());
        last(path, FRESH * 2);
        assert!(counter.count(wanted(path)).await.is_err());
        // All who wait get the same one.
        counter.bound = Duration::from_secs(600);
        let (one, two, ()) = tokio::join!(
            counter.count(wanted(path)),
            counter.count(wanted(path)),
            async {
                tell.send_replace(Some(flows(7, Duration::ZERO)));
            }
        );
        assert_eq!(
            (one.map(|one| one.outside), two.map(|two| two.outside)),
            (Ok(7), Ok(7))
        );
        // When that one has gone, another begins.
        drop(tell);
        let said = counter.count(wanted(path)).await.expect_err("no file");
        assert!(said.contains("/nowhere/table.json"), "{said}");
        assert!(lock(&counter.slot).running.is_none());
    }
}
