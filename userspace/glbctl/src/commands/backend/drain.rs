// SPDX-License-Identifier: GPL-2.0

//! `glbctl backend drain`: the step after which connections depend on a second hop, so that those are looked at before.

use super::change::{self, Other};
use super::health::{checked, published, without_redirect};
use super::status::counter;
use super::{ip, wanted};
use crate::cli::backend::Drain;
use crate::cli::values::OrNone;
use crate::commands::say::Say;
use crate::http::Url;
use crate::load;
use crate::output::Failure;
use glb_config::quoted;
use glb_config::tables::Table;
use glb_core::backend::State;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

/// How often a proxy is asked while it is waited for.
const PACE: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Drain, json: bool) -> Result<(), Failure> {
    load::only_a_file(&args.change.file)?;
    let config = load::config_with_classes(&args.change.file, true)?;
    let tables = wanted(&config, &args.change.file, args.change.table.as_deref())?;
    let has = |table: &&(usize, &Table)| {
        let mut backends = table.1.backends.iter();
        backends.any(|one| ip(one.backend.addr) == args.change.backend)
    };
    let labels: Vec<String> = tables
        .iter()
        .filter(has)
        .map(|(index, table)| table.label(*index))
        .collect();
    // What cannot be waited for is told before anything changes.
    let awaited = args.wait.then(|| able_to_wait(args)).transpose()?;
    let mut warnings = Vec::new();
    let health = match &args.checker {
        OrNone(None) => HashMap::new(),
        OrNone(Some(url)) => checked(url).unwrap_or_else(|reason| {
            warnings.push(format!(
                "health checker: {reason}: whether the others are healthy is the file's word"
            ));
            HashMap::new()
        }),
    };
    let lacks = match &args.metrics {
        OrNone(None) => BTreeMap::new(),
        OrNone(Some(url)) => {
            // Only where it is: the others of its tables are who will pass its packets on.
            let others: BTreeSet<IpAddr> = tables
                .iter()
                .filter(has)
                .flat_map(|(_, table)| &table.backends)
                .map(|one| ip(one.backend.addr))
                .filter(|addr| *addr != args.change.backend)
                .collect();
            without_redirect(url, others)
        }
    };
    let fault = |other: &Other<'_>| {
        if other.entry["healthy"].as_bool() == Some(false) {
            return Some("is not healthy, by the file".to_owned());
        }
        let key = (other.table.clone(), other.addr);
        if let Some(fault) = health.get(&key).and_then(|checked| checked.fault()) {
            return Some(fault);
        }
        let lacks = lacks.get(&other.addr) == Some(&true);
        lacks.then(|| "has no redirect: it would drop what is not its own".to_owned())
    };
    change::run(&args.change, State::Draining, json, &fault, warnings)?;
    match awaited {
        Some(awaited) => wait(args, &labels, awaited, json),
        None => Ok(()),
    }
}

/// The checker, and the proxy's metrics.
fn able_to_wait(args: &Drain) -> Result<(&Url, Url), Failure> {
    let (OrNone(Some(checker)), OrNone(Some(metrics))) = (&args.checker, &args.metrics) else {
        let message = "--wait asks the health checker and the proxy: neither may be none";
        return Err(Failure::Message(message.to_owned()));
    };
    let metrics = metrics.of(args.change.backend);
    let backend = args.change.backend;
    let failed = |who: &str, reason: String| Failure::Message(format!("--wait: {who}: {reason}"));
    checked(checker).map_err(|reason| failed("the health checker", reason))?;
    counter(&metrics).map_err(|reason| failed(&backend.to_string(), reason))?;
    Ok((checker, metrics))
}

/// Waits until the directors send it nothing new, and nobody else anything.
fn wait(
    args: &Drain,
    tables: &[String],
    (checker, metrics): (&Url, Url),
    json: bool,
) -> Result<(), Failure> {
    let mut say = Say::new(json);
    let mut say = |what: &str| say.say(what);
    say("waiting until the health checker has it draining");
    while let Err(reason) = is_draining(tables, args.change.backend, checker) {
        say(&format!("health checker: {reason}"));
        thread::sleep(PACE);
    }
    say("waiting until no packet of its connections comes");
    let silence = Duration::from_secs_f64(args.silence);
    let mut last = None;
    let mut since = Instant::now();
    loop {
        match counter(&metrics) {
            // Only a look can find that nothing came; time that passed since the last one proves nothing.
            Ok(count) if last == Some(count) => {
                if since.elapsed() >= silence {
                    break;
                }
            }
            Ok(count) => {
                last = Some(count);
                since = Instant::now();
            }
            // Who does not answer may still have connections.
            Err(reason) => {
                say(&format!("{}: {reason}", args.change.backend));
                last = None;
            }
        }
        thread::sleep(PACE.min(silence));
    }
    say(&format!(
        "no packet of its connections for {} s: it may be deactivated",
        args.silence
    ));
    Ok(())
}

/// Why the directors have it not draining in all of these tables, by the health checker's word.
fn is_draining(tables: &[String], backend: IpAddr, checker: &Url) -> Result<(), String> {
    let all = published(checker)?;
    for table in tables {
        let one = all.get(&(table.clone(), backend));
        let state = one.map(|one| one.state.as_str());
        if state != Some(State::Draining.name()) {
            let state = state.unwrap_or("not at all");
            let table = quoted(table);
            return Err(format!(
                "it has the backend {state} in table {table}: has it been reloaded?"
            ));
        }
    }
    Ok(())
}
