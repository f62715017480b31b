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
        let shown = show(&mut io::stdout().lock(), (&before, &now), elapsed, json);
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

/// Counters, each with its name.
type Counters = [(String, u64)];

/// The counters that have changed, with their rates; in JSON all, and the rates beside them.
fn show(
    out: &mut dyn Write,
    (before, now): (&Counters, &Counters),
    elapsed: f64,
    json: bool,
) -> io::Result<()> {
    let changed = changed(before, now);
    let rate = |more: u64| more as f64 / elapsed;
    if json {
        let rates: Map<String, Value> = changed
            .iter()
            .map(|(name, _, more)| ((*name).to_owned(), rate(*more).into()))
            .collect();
        let mut object = object(now);
        object.insert("per_second".to_owned(), rates.into());
        serde_json::to_writer(&mut *out, &object)?;
        writeln!(out)?;
        return out.flush();
    }
    for (name, value, more) in &changed {
        writeln!(out, "{name:<40}  {value:>12}  {:>12.0}/s", rate(*more))?;
    }
    if changed.is_empty() {
        writeln!(out, "no packets")?;
    }
    writeln!(out)?;
    out.flush()
}

/// The counters that have changed: name, value, by how much.
fn changed<'c>(before: &[(String, u64)], now: &'c [(String, u64)]) -> Vec<(&'c str, u64, u64)> {
    let before: HashMap<&str, u64> = before
        .iter()
        .map(|(name, value)| (&**name, *value))
        .collect();
    let each = now.iter().map(|(name, value)| {
        let old = before.get(&**name).copied().unwrap_or(0);
        // A load may bring services and backends; one that comes back counts from 0.
        (&**name, *value, value.checked_sub(old).unwrap_or(*value))
    });
    each.filter(|(_, _, more)| *more > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(list: &[(&str, u64)]) -> Vec<(String, u64)> {
        let owned = |(name, value): &(&str, u64)| ((*name).to_owned(), *value);
        list.iter().map(owned).collect()
    }

    fn shown(before: &[(&str, u64)], now: &[(&str, u64)], json: bool) -> String {
        let mut out = Vec::new();
        let (before, now) = (counters(before), counters(now));
        // Half a second: twice as many in a second.
        show(&mut out, (&before, &now), 0.5, json).unwrap();
        String::from_utf8(out).unwrap()
    }

    const BEFORE: &[(&str, u64)] = &[("web/known", 100), ("web/first", 7), ("old/known", 900)];
    /// One grows, one stays, one counts anew since its table came back, one is new.
    const NOW: &[(&str, u64)] = &[
        ("web/known", 1100),
        ("web/first", 7),
        ("old/known", 30),
        ("new/known", 5),
    ];

    #[test]
    fn what_has_changed_is_told_with_its_rate() {
        let line =
            |name: &str, value: u64, rate: u64| format!("{name:<40}  {value:>12}  {rate:>12}/s\n");
        let wanted = [
            line("web/known", 1100, 2000),
            line("old/known", 30, 60),
            line("new/known", 5, 10),
        ];
        assert_eq!(shown(BEFORE, NOW, false), wanted.concat() + "\n");
        assert_eq!(shown(NOW, NOW, false), "no packets\n\n");
    }

    #[test]
    fn in_json_the_rates_are_beside_the_counters() {
        let said: Value = serde_json::from_str(&shown(BEFORE, NOW, true)).unwrap();
        let wanted = serde_json::json!({
            "web/known": 1100, "web/first": 7, "old/known": 30, "new/known": 5,
            "per_second": {"web/known": 2000.0, "old/known": 60.0, "new/known": 10.0}
        });
        assert_eq!(said, wanted);
        let said: Value = serde_json::from_str(&shown(NOW, NOW, true)).unwrap();
        assert_eq!(said["per_second"], serde_json::json!({}));
    }
}
