// SPDX-License-Identifier: GPL-2.0

//! `glbctl stats`, `glbctl redirect stats`.

use super::director;
use crate::output::{print, Failure};
use crate::text::addr;
use glb_netlink::Glb;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

/// Whose counters.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    /// The director's.
    All,
    /// Those of its services.
    Services,
    /// Those of the services' backends.
    Backends,
}

impl Of {
    /// What was asked for; one of them at most.
    pub(crate) fn asked(services: bool, backends: bool) -> Self {
        match (services, backends) {
            (true, _) => Self::Services,
            (_, true) => Self::Backends,
            (false, false) => Self::All,
        }
    }
}

/// Prints counters of the director.
pub(crate) fn run(watch: Option<f64>, of: Of, json: bool) -> Result<(), Failure> {
    let mut glb = director()?;
    let mut read = || match of {
        Of::All => glb.stats(),
        Of::Services => of_services(&mut glb),
        Of::Backends => of_backends(&mut glb),
    };
    counters(&mut read, watch, json)
}

/// The counters of all services, each behind the name of its service.
fn of_services(glb: &mut Glb) -> Result<Vec<(String, u64)>, glb_netlink::Error> {
    let mut all = Vec::new();
    for service in glb.service_stats()? {
        let label = label(service.table, service.name);
        let counters = service.counters.into_iter();
        all.extend(counters.map(|(name, value)| (format!("{label}/{name}"), value)));
    }
    Ok(all)
}

/// The counters of all backends of services, each behind the names of its service and its backend.
fn of_backends(glb: &mut Glb) -> Result<Vec<(String, u64)>, glb_netlink::Error> {
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    for backend in glb.backend_stats()? {
        let service = label(backend.table, backend.name);
        let mut label = format!("{service}/{}", addr(backend.addr));
        // A table may have an address twice, and tables may share a name.
        if !seen.insert(label.clone()) {
            label = format!("{label}#{}.{}", backend.table, backend.id);
        }
        let counters = backend.counters.into_iter();
        all.extend(counters.map(|(name, value)| (format!("{label}/{name}"), value)));
    }
    Ok(all)
}

/// What a table is called.
fn label(index: u32, name: String) -> String {
    match name.is_empty() {
        true => index.to_string(),
        false => name,
    }
}

/// Prints counters; with `watch`, again and again, with what has changed.
pub(super) fn counters(
    read: &mut dyn FnMut() -> Result<Vec<(String, u64)>, glb_netlink::Error>,
    watch: Option<f64>,
    json: bool,
) -> Result<(), Failure> {
    let mut before = read()?;
    let Some(seconds) = watch else {
        return print(json, &object(&before), |out| {
            let width = before.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            before
                .iter()
                .try_for_each(|(name, value)| writeln!(out, "{name:<width$}  {value:>12}"))
        });
    };
    let pause = Duration::try_from_secs_f64(seconds)
        .map_err(|_| Failure::Message(format!("cannot wait for {seconds} seconds")))?;
    loop {
        let started = Instant::now();
        thread::sleep(pause);
        let now = read()?;
        let elapsed = started.elapsed().as_secs_f64();
        let shown = show(&before, &now, elapsed, json);
        match shown {
            Ok(()) => before = now,
            // The reader had enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(Failure::Message(format!("standard output: {error}"))),
        }
    }
}

fn object(counters: &[(String, u64)]) -> Map<String, Value> {
    let values = counters.iter();
    values
        .map(|(name, value)| (name.clone(), Value::from(*value)))
        .collect()
}

/// The counters that have changed, with their rates.
fn show(
    before: &[(String, u64)],
    now: &[(String, u64)],
    elapsed: f64,
    json: bool,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, &object(now))?;
        writeln!(out)?;
        return out.flush();
    }
    let before: HashMap<&str, u64> = before
        .iter()
        .map(|(name, value)| (&**name, *value))
        .collect();
    let mut silent = true;
    for (name, value) in now {
        let old = before.get(&**name).copied().unwrap_or(0);
        // A load may bring services and backends; one that comes back counts from 0.
        let more = value.checked_sub(old).unwrap_or(*value);
        if more > 0 {
            silent = false;
            writeln!(
                out,
                "{name:<40}  {value:>12}  {:>12.0}/s",
                more as f64 / elapsed
            )?;
        }
    }
    if silent {
        writeln!(out, "no packets")?;
    }
    writeln!(out)?;
    out.flush()
}
