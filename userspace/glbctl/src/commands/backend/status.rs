// SPDX-License-Identifier: GPL-2.0

//! `glbctl backend status`: who has which share of the rows, and who still gets packets of connections.
//!
//! Whether a draining backend holds connections is only known to itself: it counts packets of established
//! connections. So each proxy is asked for that counter, twice.

use super::{ip, wanted};
use crate::cli::backend::BackendStatus;
use crate::cli::values::OrNone;
use crate::http::{samples, Url};
use crate::load;
use crate::output::{print, Failure};
use glb_config::io_reason;
use glb_config::quoted;
use glb_config::rows::compile;
use glb_config::tables::Table;
use glb_core::backend::State;
use glb_core::director::select::hash::ROWS;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

/// What a proxy that runs the redirect counts, as Prometheus names it.
const ESTABLISHED: &str = "glb_redirect_accepted_established_packets_total";
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
    /// What an operator may do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

/// What came of asking a proxy.
type Rate = Result<f64, String>;

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
    let mut rates: BTreeMap<IpAddr, Rate> = BTreeMap::new();
    if let OrNone(Some(url)) = &args.metrics {
        let backends = tables.iter().flat_map(|(_, table)| &table.backends);
        let addrs: Vec<IpAddr> = backends.map(|one| ip(one.backend.addr)).collect();
        rates = ask(url, addrs, Duration::from_secs_f64(args.interval));
    }
    let mut report = Report {
        checker_error,
        watched_seconds: args.interval,
        tables: Vec::new(),
    };
    for (index, table) in tables {
        let tree = &config.tree["tables"][index]["backends"];
        let told = |place: usize, addr: IpAddr| {
            let checked = health.get(&(table.label(index), addr)).copied();
            checked.or_else(|| tree[place]["healthy"].as_bool())
        };
        report
            .tables
            .push(table_report(table, index, &told, &rates)?);
    }
    print(json, &report, |out| write(out, &report))
}

fn table_report(
    table: &Table,
    index: usize,
    health: &dyn Fn(usize, IpAddr) -> Option<bool>,
    rates: &BTreeMap<IpAddr, Rate>,
) -> Result<TableReport, Failure> {
    let label = table.label(index);
    let mut table = table.clone();
    let mut healthy = Vec::new();
    for (place, one) in table.backends.iter_mut().enumerate() {
        let told = health(place, ip(one.backend.addr));
        // As the health checker does with a backend that it does not check.
        one.backend.healthy = told.unwrap_or(true);
        healthy.push(told);
    }
    let failed = |reason| Failure::Message(format!("table {}: {reason}", quoted(&label)));
    let compiled = compile(&table).map_err(failed)?;
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
    let backends = table.backends.iter().zip(healthy).zip(rows);
    let backends = backends.map(|((one, healthy), (first_rows, later_rows))| {
        let rate = rates.get(&ip(one.backend.addr));
        BackendReport {
            ip: ip(one.backend.addr),
            state: one.backend.state.name(),
            healthy,
            first_rows,
            later_rows,
            established_packets_per_second: rate.and_then(|rate| rate.as_ref().ok().copied()),
            metrics_error: rate.and_then(|rate| rate.as_ref().err().cloned()),
            advice: advice(one.backend.state, rate),
        }
    });
    Ok(TableReport {
        table: label,
        backends: backends.collect(),
    })
}

fn advice(state: State, rate: Option<&Rate>) -> Option<&'static str> {
    match (state, rate?) {
        (State::Draining, Ok(rate)) if *rate > 0.0 => Some("still holds connections: wait"),
        (State::Draining, Ok(_)) => Some("no packets of connections: may be deactivated"),
        _ => None,
    }
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

/// A label's value, with what is escaped in it.
fn label(labels: &str, name: &str) -> Option<String> {
    let start = labels.find(&format!("{name}=\""))? + name.len() + 2;
    let mut value = String::new();
    let mut characters = labels.get(start..)?.chars();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
}

/// The rates of all proxies, asked at the same time.
fn ask(url: &Url, mut addrs: Vec<IpAddr>, interval: Duration) -> BTreeMap<IpAddr, Rate> {
    addrs.sort_unstable();
    addrs.dedup();
    let rate = |addr: IpAddr| -> Rate {
        let url = url.of(addr);
        let before = counter(&url)?;
        let started = Instant::now();
        thread::sleep(interval);
        let after = counter(&url)?;
        // A proxy that started anew counts from 0.
        Ok((after - before).max(0.0) / started.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let asked: Vec<_> = addrs
            .into_iter()
            .map(|addr| (addr, scope.spawn(move || rate(addr))))
            .collect();
        asked
            .into_iter()
            .map(|(addr, thread)| {
                let rate = thread.join();
                (
                    addr,
                    rate.unwrap_or_else(|_| Err("asking it failed".to_owned())),
                )
            })
            .collect()
    })
}

pub(super) fn counter(url: &Url) -> Result<f64, String> {
    let page = url.get(PATIENCE).map_err(|error| io_reason(&error))?;
    let mut found = samples(&page).filter(|(name, _)| name.split('{').next() == Some(ESTABLISHED));
    let missing = || format!("has no {ESTABLISHED}: is rust_glb_redirect loaded there?");
    found.next().map(|(_, value)| value).ok_or_else(missing)
}

fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    if let Some(reason) = &report.checker_error {
        writeln!(out, "health checker: {reason}; health is the file's")?;
    }
    let share = |rows: usize| rows as f64 * 100.0 / ROWS as f64;
    for table in &report.tables {
        writeln!(out, "table {}", quoted(&table.table))?;
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
            if let Some(advice) = one.advice {
                write!(out, ": {advice}")?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        let labels = r#"table="a\"b\\c",backend="10.0.0.1"}"#;
        assert_eq!(label(labels, "table").as_deref(), Some("a\"b\\c"));
        assert_eq!(label(labels, "backend").as_deref(), Some("10.0.0.1"));
        assert_eq!(label(labels, "other"), None);
    }

    #[test]
    fn advice_is_given_of_draining_ones() {
        assert!(advice(State::Draining, Some(&Ok(0.5))).is_some_and(|text| text.contains("wait")));
        assert!(advice(State::Draining, Some(&Ok(0.0))).is_some_and(|text| text.contains("may")));
        assert_eq!(advice(State::Draining, Some(&Err("x".to_owned()))), None);
        assert_eq!(advice(State::Draining, None), None);
        assert_eq!(advice(State::Active, Some(&Ok(0.0))), None);
    }
}
