// SPDX-License-Identifier: GPL-2.0

//! `glbctl backend status`: who has which share of the rows, and whose connections still depend on second chance.
//!
//! Which connections a backend holds is only known to itself: it counts those that depend on second chance, and the packets of
//! established ones. So each proxy is asked for both, twice.

use super::left::{told, Held, Here, Told, Wanted};
use super::{ip, wanted};
use crate::cli::backend::BackendStatus;
use crate::cli::values::OrNone;
use crate::http::{label, samples, Url};
use crate::load;
use crate::output::{grouped, print, Failure};
use crate::places::CONF;
use glb_config::io_reason;
use glb_config::quoted;
use glb_config::rows::compile;
use glb_config::tables::{Config, Table};
use glb_core::backend::{Backend, State};
use glb_core::settings::Settings;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// What a proxy that runs the redirect counts, as Prometheus names it.
const ESTABLISHED: &str = "glb_redirect_accepted_established_packets_total";
/// How what is said ends where nothing is to be feared.
const SAFE: &str = "safe to go on";
/// The health checker's word on a backend.
const UP: &str = "glb_healthcheck_backend_up";
/// The longest that a step of a request may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Report {
    /// Why the health checker was of no help, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    checker_error: Option<String>,
    /// For how long the counters were watched.
    watched_seconds: f64,
    tables: Vec<TableReport>,
}

#[derive(Serialize)]
struct TableReport {
    table: String,
    backends: Vec<BackendReport>,
    /// Connections of all backends that depend on second chance, as far as they are known.
    dependent_connections: u64,
    /// Connections that come first to backends that leave: draining or unhealthy ones. They are left too.
    leaving_connections: u64,
    /// The backends of which they are not known. Inactive ones do not count: what they had is lost.
    unknown: Vec<IpAddr>,
    /// Why it is not known who is healthy, and so which rows directors have.
    #[serde(skip_serializing_if = "Option::is_none")]
    health_error: Option<String>,
    /// None is left, and all is known.
    safe: bool,
}

#[derive(Serialize)]
struct BackendReport {
    ip: IpAddr,
    state: &'static str,
    /// Nothing: neither the checker nor the file says so.
    healthy: Option<bool>,
    /// Rows that it is the first hop of, and rows that it is a later hop of.
    first_rows: usize,
    later_rows: usize,
    /// Packets of established connections; nothing if it was not asked, or did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    established_packets_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_error: Option<String>,
    /// Its connections that depend on second chance; nothing if they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependent_connections: Option<u64>,
    /// Its connections that come to it first; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_hop_connections: Option<u64>,
    /// Why they are not known, or why there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependent_error: Option<String>,
    /// Connections of other backends that it is the first hop of; nothing if those of one of them are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by_others: Option<u64>,
    /// What an operator may do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// Packets of established connections.
type Rate = Result<f64, String>;

/// What came of asking a proxy.
struct Asked {
    rate: Rate,
    told: Result<Told, String>,
}

/// What is known of connections.
struct Known<'a> {
    asked: &'a BTreeMap<IpAddr, Asked>,
    here: &'a Here,
    settings: &'a Settings,
    /// Why the health checker does not tell who is healthy, if it was asked.
    checker: Option<&'a str>,
}

pub(super) fn run(args: &BackendStatus, json: bool) -> Result<(), Failure> {
    let config = load::config(&args.file, true)?;
    let tables = wanted(&config, &args.file, args.table.as_deref())?;
    let (health, checker_error) = match &args.checker {
        OrNone(None) => (HashMap::new(), None),
        OrNone(Some(url)) => match health(url) {
            Ok(health) => (health, None),
            Err(reason) => (HashMap::new(), Some(reason)),
        },
    };
    let mut asked: BTreeMap<IpAddr, Asked> = BTreeMap::new();
    if let OrNone(Some(url)) = &args.metrics {
        let backends = tables.iter().flat_map(|(_, table)| &table.backends);
        let addrs: Vec<IpAddr> = backends.map(|one| ip(one.backend.addr)).collect();
        asked = ask(url, addrs, Duration::from_secs_f64(args.interval));
    }
    let settings = settings(args, json)?;
    let (judged, healthy) = judged(&config, &health);
    let here = Here::count(&judged, &settings, args);
    let known = Known {
        asked: &asked,
        here: &here,
        settings: &settings,
        checker: checker_error.as_deref(),
    };
    let mut report = Report {
        checker_error: checker_error.clone(),
        watched_seconds: args.interval,
        tables: Vec::new(),
    };
    for (index, _) in tables {
        let table = &judged.tables[index];
        report
            .tables
            .push(table_report(table, index, &healthy[index], &known)?);
    }
    let file = load::name(&args.file);
    print(json, &report, |out| write(out, &report, &file))
}

/// The settings of the directors, as far as connections depend on them.
fn settings(args: &BackendStatus, json: bool) -> Result<Settings, Failure> {
    let usual = Path::new(CONF);
    let named = args.config.as_deref();
    let path = named.or_else(|| usual.exists().then_some(usual));
    match path {
        Some(path) => Ok(load::director(path, json)?.settings),
        None => Ok(Settings::DEFAULT),
    }
}

/// What is said of the health of the backends of each table; nothing where nobody says so.
type Healthy = Vec<Vec<Option<bool>>>;

/// The tables with the health that the health checker says, or the file; and who is said to be healthy.
fn judged(config: &Config, health: &HashMap<(String, IpAddr), bool>) -> (Config, Healthy) {
    let mut judged = config.clone();
    let mut all = Vec::new();
    for (index, table) in judged.tables.iter_mut().enumerate() {
        let tree = &config.tree["tables"][index]["backends"];
        let label = table.label(index);
        let mut healthy = Vec::new();
        for (place, one) in table.backends.iter_mut().enumerate() {
            let checked = health.get(&(label.clone(), ip(one.backend.addr))).copied();
            let told = checked.or_else(|| tree[place]["healthy"].as_bool());
            // As the health checker does with a backend that it does not check.
            one.backend.healthy = told.unwrap_or(true);
            healthy.push(told);
        }
        all.push(healthy);
    }
    (judged, all)
}

fn table_report(
    table: &Table,
    index: usize,
    healthy: &[Option<bool>],
    known: &Known<'_>,
) -> Result<TableReport, Failure> {
    let label = table.label(index);
    let failed = |reason| Failure::Message(format!("table {}: {reason}", quoted(&label)));
    let compiled = compile(table).map_err(failed)?;
    let mut rows = vec![(0usize, 0usize); table.backends.len()];
    for row in compiled.rows() {
        for (hop, backend) in row.iter().enumerate() {
            if let Some(rows) = rows.get_mut(usize::from(*backend)) {
                match hop {
                    0 => rows.0 += 1,
                    _ => rows.1 += 1,
                }
            }
        }
    }
    let wanted = Wanted {
        label: &label,
        digest: table.digest_with_health(),
        settings: known.settings,
    };
    let of_all: Vec<Option<Result<Held, String>>> = table
        .backends
        .iter()
        .map(|one| known.of(index, ip(one.backend.addr), &wanted))
        .collect();
    let all = || table.backends.iter().zip(&of_all);
    let is_known = |held: &Option<Result<Held, String>>| matches!(held, Some(Ok(held)) if held.doubt.is_none());
    // An inactive backend is in no row: what it had is lost, and its machine may be gone.
    let matters = |state: State| state != State::Inactive;
    let unknown: Vec<IpAddr> = all()
        .filter(|(one, held)| matters(one.backend.state) && !is_known(held))
        .map(|(one, _)| ip(one.backend.addr))
        .collect();
    let known_ones = || {
        all().filter_map(|(one, held)| {
            let held = held.as_ref()?.as_ref().ok()?;
            matters(one.backend.state).then_some((one.backend, held))
        })
    };
    let left: u64 = known_ones().map(|(_, held)| held.dependent()).sum();
    let leaving = known_ones().filter(|(one, _)| is_leaving(*one));
    let leaving: u64 = leaving.map(|(_, held)| held.first).sum();
    let health_error = health_error(table, healthy, known.checker);
    let backends = table.backends.iter().zip(healthy).zip(rows).zip(&of_all);
    let backends = backends.map(|(((one, healthy), (first_rows, later_rows)), held)| {
        let own = ip(one.backend.addr);
        let rate = known.asked.get(&own).map(|asked| &asked.rate);
        let count = held.as_ref().and_then(|of| of.as_ref().ok());
        let by_others = known_ones()
            .filter_map(|(_, held)| held.by_hop.get(&own))
            .sum();
        let others_known = unknown.iter().all(|addr| *addr == own);
        let held_by_others = others_known.then_some(by_others);
        let error = match held {
            Some(Ok(held)) => held.doubt.clone(),
            Some(Err(reason)) => Some(reason.clone()),
            None => None,
        };
        BackendReport {
            ip: own,
            state: one.backend.state.name(),
            healthy: *healthy,
            first_rows,
            later_rows,
            established_packets_per_second: rate.and_then(|rate| rate.as_ref().ok().copied()),
            metrics_error: rate.and_then(|rate| rate.as_ref().err().cloned()),
            dependent_connections: count.map(Held::dependent),
            first_hop_connections: count.map(|held| held.first),
            dependent_error: error.clone(),
            held_by_others,
            advice: advice(
                one.backend.state,
                count.map(|held| held.dependent() + held.first),
                held_by_others,
                rate,
            )
            .map(|said| doubted(said, error.as_deref().or(health_error.as_deref()))),
        }
    });
    let backends = backends.collect();
    Ok(TableReport {
        backends,
        dependent_connections: left,
        leaving_connections: leaving,
        safe: left + leaving == 0 && unknown.is_empty() && health_error.is_none(),
        health_error,
        unknown,
        table: label,
    })
}

/// Whether a backend is on its way out, so that connections that come to it first have to end too.
fn is_leaving(one: Backend) -> bool {
    !one.healthy || matches!(one.state, State::Draining | State::Inactive)
}

/// Why it is not known who is healthy. Nobody checks inactive backends, and they are in no row.
fn health_error(table: &Table, healthy: &[Option<bool>], checker: Option<&str>) -> Option<String> {
    let mut all = table.backends.iter().zip(healthy);
    let silent =
        all.find(|(one, healthy)| healthy.is_none() && one.backend.state != State::Inactive);
    match (checker, silent) {
        (Some(reason), _) => Some(format!("health is not known: the health checker {reason}")),
        (None, Some((one, _))) => Some(format!(
            "health is not known: neither the health checker nor the file says whether {} is healthy",
            ip(one.backend.addr)
        )),
        (None, None) => None,
    }
}

/// What is said unless there is a reason to doubt it; that some are left is true all the same.
fn doubted(said: String, doubt: Option<&str>) -> String {
    match doubt {
        Some(doubt) if said.ends_with(SAFE) => format!("unknown: {doubt}"),
        _ => said,
    }
}

impl Known<'_> {
    /// The connections of a backend that depend on second chance; nothing where nobody was asked.
    fn of(
        &self,
        table: usize,
        backend: IpAddr,
        wanted: &Wanted<'_>,
    ) -> Option<Result<Held, String>> {
        let asked = self.asked.get(&backend);
        let told = asked.map(|asked| {
            let told = asked.told.as_ref().map_err(Clone::clone)?;
            told.of(wanted, backend)
        });
        match told {
            Some(Ok(held)) => Some(Ok(held)),
            // It needs no exporter to count on this machine.
            told => self.here.of(table, backend).or(told),
        }
    }
}

fn advice(
    state: State,
    left: Option<u64>,
    held_by_others: Option<u64>,
    rate: Option<&Rate>,
) -> Option<String> {
    let advice = match (state, left, held_by_others, rate) {
        (State::Draining, Some(0), ..) => format!("0 left: {SAFE}"),
        (State::Draining, Some(count), ..) => format!("{} left: wait", grouped(count)),
        (State::Filling, _, Some(0), _) => format!("0 left on the others: {SAFE}"),
        (State::Filling, _, Some(count), _) => {
            format!("{} left on the others: wait", grouped(count))
        }
        (State::Draining, None, _, Some(Ok(rate))) if *rate > 0.0 => {
            "still holds connections: wait".to_owned()
        }
        (State::Draining, None, _, Some(Ok(_))) => {
            "no packets of connections: may be deactivated".to_owned()
        }
        _ => return None,
    };
    Some(advice)
}

/// What the health checker says of backends, by table and address.
fn health(url: &Url) -> Result<HashMap<(String, IpAddr), bool>, String> {
    let page = url.get(PATIENCE).map_err(|error| io_reason(&error))?;
    let mut health = HashMap::new();
    for (name, value) in samples(&page) {
        let Some(labels) = name
            .strip_prefix(UP)
            .and_then(|rest| rest.strip_prefix('{'))
        else {
            continue;
        };
        if let (Some(table), Some(addr)) = (label(labels, "table"), label(labels, "backend")) {
            if let Ok(addr) = addr.parse() {
                health.insert((table, addr), value > 0.0);
            }
        }
    }
    if health.is_empty() {
        return Err(format!("has no {UP}"));
    }
    Ok(health)
}

/// What all proxies say, asked at the same time.
fn ask(url: &Url, mut addrs: Vec<IpAddr>, interval: Duration) -> BTreeMap<IpAddr, Asked> {
    addrs.sort_unstable();
    addrs.dedup();
    let both = |addr: IpAddr| {
        let url = url.of(addr);
        let before = page(&url);
        let started = Instant::now();
        // Who does not answer is not asked twice.
        if before.is_ok() {
            thread::sleep(interval);
        }
        let after = before.clone().and_then(|_| page(&url));
        let rate = || {
            let (before, after) = (before.clone()?, after.clone()?);
            let grown = established(&after)? - established(&before)?;
            // A proxy that started anew counts from 0.
            Ok(grown.max(0.0) / started.elapsed().as_secs_f64())
        };
        Asked {
            rate: rate(),
            told: after.clone().and_then(|page| told(&page)),
        }
    };
    let failed = || {
        let reason = || "asking it failed".to_owned();
        Asked {
            rate: Err(reason()),
            told: Err(reason()),
        }
    };
    thread::scope(|scope| {
        let asked = addrs.into_iter();
        let asked: Vec<_> = asked
            .map(|addr| {
                let thread = thread::Builder::new().spawn_scoped(scope, move || both(addr));
                (addr, thread)
            })
            .collect();
        let asked = asked.into_iter();
        asked
            .map(|(addr, thread)| {
                let asked = thread.ok().and_then(|thread| thread.join().ok());
                (addr, asked.unwrap_or_else(failed))
            })
            .collect()
    })
}

pub(super) fn counter(url: &Url) -> Result<f64, String> {
    established(&page(url)?)
}

fn page(url: &Url) -> Result<String, String> {
    url.get(PATIENCE).map_err(|error| io_reason(&error))
}

fn established(page: &str) -> Result<f64, String> {
    let mut found = samples(page).filter(|(name, _)| name.split('{').next() == Some(ESTABLISHED));
    let missing = || format!("has no {ESTABLISHED}: is rust_glb_redirect loaded there?");
    found.next().map(|(_, value)| value).ok_or_else(missing)
}

fn write(out: &mut dyn Write, report: &Report, file: &str) -> io::Result<()> {
    if let Some(reason) = &report.checker_error {
        writeln!(out, "health checker: {reason}; health is the file's")?;
    }
    for table in &report.tables {
        writeln!(out, "table {}", quoted(&table.table))?;
        // Each row has one first hop.
        let all: usize = table.backends.iter().map(|one| one.first_rows).sum();
        let share = |rows: usize| rows as f64 * 100.0 / all.max(1) as f64;
        writeln!(
            out,
            "  {:<39}  {:<8}  {:<9}  {:>9}  {:>9}  connections",
            "backend", "state", "health", "first hop", "later hop"
        )?;
        for one in &table.backends {
            let health = match one.healthy {
                Some(true) => "healthy",
                Some(false) => "unhealthy",
                None => "unknown",
            };
            write!(
                out,
                "  {:<39}  {:<8}  {health:<9}  {:>7.2} %  {:>7.2} %",
                one.ip,
                one.state,
                share(one.first_rows),
                share(one.later_rows)
            )?;
            match (one.established_packets_per_second, &one.metrics_error) {
                (Some(rate), _) => write!(out, "  {rate:.0} packets/s")?,
                (None, Some(reason)) => write!(out, "  unknown: {reason}")?,
                (None, None) => write!(out, "  not asked")?,
            }
            if let Some(count) = one.dependent_connections {
                write!(out, ", {} by second chance", grouped(count))?;
            }
            if let Some(count) = one.first_hop_connections {
                write!(out, ", {} as first hop", grouped(count))?;
            }
            if let Some(advice) = &one.advice {
                write!(out, ": {advice}")?;
            }
            writeln!(out)?;
        }
        verdict(out, table, file)?;
    }
    Ok(())
}

/// Whether it is safe to go on with a table.
fn verdict(out: &mut dyn Write, table: &TableReport, file: &str) -> io::Result<()> {
    if table.safe {
        return writeln!(out, "  0 left by {file}: {SAFE}");
    }
    let left = left(table);
    if let Some(reason) = &table.health_error {
        writeln!(out, "  unknown: {reason}")?;
    }
    if table.unknown.is_empty() && table.health_error.is_none() {
        return writeln!(out, "  {left}: not yet");
    }
    for addr in &table.unknown {
        let one = table.backends.iter().find(|one| one.ip == *addr);
        let reason = one.and_then(|one| one.dependent_error.as_deref());
        let reason = reason.unwrap_or("it was not asked");
        writeln!(out, "  unknown: connections of {addr}: {reason}")?;
    }
    match table.dependent_connections + table.leaving_connections {
        0 if table.unknown.is_empty() => {
            writeln!(
                out,
                "  none left if all of them are healthy; that is not known"
            )
        }
        0 => writeln!(out, "  none left of those that are known; not all are"),
        _ => writeln!(out, "  {left}, as far as they are known: not yet"),
    }
}

/// What is left of a table, in words.
fn left(table: &TableReport) -> String {
    let of = |count: u64, one: &str, many: &str| match count {
        1 => format!("1 connection {one}"),
        count => format!("{} connections {many}", grouped(count)),
    };
    let (dependent, leaving) = (table.dependent_connections, table.leaving_connections);
    let second = of(
        dependent,
        "depends on second chance",
        "depend on second chance",
    );
    let first = of(
        leaving,
        "comes first to a proxy that leaves",
        "come first to a proxy that leaves",
    );
    match (dependent, leaving) {
        (_, 0) => second,
        (0, _) => first,
        _ => format!("{second}, {first}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_given_of_those_on_their_way() {
        let said = |state, dependent, held, rate: Option<Rate>| {
            advice(state, dependent, held, rate.as_ref()).unwrap_or_default()
        };
        let draining = State::Draining;
        assert_eq!(
            said(draining, None, None, Some(Ok(0.5))),
            "still holds connections: wait"
        );
        let rate_of_0 = said(draining, None, None, Some(Ok(0.0)));
        assert!(rate_of_0.contains("may be deactivated"));
        assert_eq!(said(draining, None, None, Some(Err("x".to_owned()))), "");
        assert_eq!(said(draining, None, Some(0), None), "");
        assert_eq!(said(State::Active, Some(0), Some(0), Some(Ok(0.0))), "");
        // A number is better than a rate: connections may be silent.
        assert_eq!(
            said(draining, Some(1200), None, Some(Ok(0.0))),
            "1,200 left: wait"
        );
        assert_eq!(
            said(draining, Some(0), None, Some(Ok(3.0))),
            "0 left: safe to go on"
        );
        assert_eq!(
            said(State::Filling, Some(9), Some(2), None),
            "2 left on the others: wait"
        );
        assert_eq!(said(State::Filling, Some(9), None, None), "");
    }
}
