// SPDX-License-Identifier: GPL-2.0

//! `glbctl stats`, `glbctl redirect stats`.

use super::director;
use crate::output::{print, Failure};
use glb_netlink::Glb;
use serde_json::{Map, Value};
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

/// Prints the director's counters, or those of its services.
pub(crate) fn run(watch: Option<f64>, services: bool, json: bool) -> Result<(), Failure> {
    let mut glb = director()?;
    if services {
        return counters(&mut || of_services(&mut glb), watch, json);
    }
    counters(&mut || glb.stats(), watch, json)
}

/// The counters of all services, each behind the name of its service.
fn of_services(glb: &mut Glb) -> Result<Vec<(String, u64)>, glb_netlink::Error> {
    let mut all = Vec::new();
    for service in glb.service_stats()? {
        let label = match service.name.is_empty() {
            true => service.table.to_string(),
            false => service.name,
        };
        let counters = service.counters.into_iter();
        all.extend(counters.map(|(name, value)| (format!("{label}/{name}"), value)));
    }
    Ok(all)
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
    let mut silent = true;
    for ((name, value), (_, old)) in now.iter().zip(before) {
        let more = value.saturating_sub(*old);
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
