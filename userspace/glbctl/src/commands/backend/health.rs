// SPDX-License-Identifier: GPL-2.0

//! Who can be relied upon for connections: by the health checker's `/health`, and by the proxies themselves.

use super::status::PATIENCE;
use crate::http::{samples, Url};
use glb_config::io_reason;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::thread;

/// Every counter of a proxy's redirect begins and ends so.
const REDIRECT: &str = "glb_redirect_";
const COUNTER: &str = "_total";

/// A backend as the health checker has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) state: String,
    healthy: bool,
    /// It fails its checks, and is published as healthy since too many do.
    held_up: bool,
    /// What its checks said last.
    failures: Vec<String>,
}

/// Backends, by table and address.
type ByTable = HashMap<(String, IpAddr), Checked>;

/// What the health checker says of backends.
pub(super) fn checked(url: &Url) -> Result<ByTable, String> {
    ask(url).map(|(all, _)| all)
}

/// The same, if directors have what it says.
pub(super) fn published(url: &Url) -> Result<ByTable, String> {
    let (all, is_published) = ask(url)?;
    is_published
        .then_some(all)
        .ok_or_else(|| "it has not published what it has read yet".to_owned())
}

/// What it says, and whether it is published.
fn ask(url: &Url) -> Result<(ByTable, bool), String> {
    let page = url.get(PATIENCE).map_err(|error| io_reason(&error))?;
    let page: Value = serde_json::from_str(&page).map_err(|error| format!("no JSON: {error}"))?;
    let all = read(&page).ok_or("this is no /health of glb-healthcheck: it has no tables")?;
    Ok((all, is_published(&page)))
}

fn is_published(page: &Value) -> bool {
    page["published"]["current"] == true
}

fn read(page: &Value) -> Option<ByTable> {
    let mut all = HashMap::new();
    for (index, table) in page["tables"].as_array()?.iter().enumerate() {
        let name = table["name"].as_str().map(ToOwned::to_owned);
        let name = name.unwrap_or_else(|| format!("#{index}"));
        for one in table["backends"].as_array()? {
            let addr = one["ip"].as_str()?.parse().ok()?;
            let checks = one["checks"].as_array().into_iter().flatten();
            let failures = checks.filter_map(|check| check["last_failure"].as_str());
            let checked = Checked {
                state: one["state"].as_str()?.to_owned(),
                healthy: one["healthy"].as_bool()?,
                held_up: one["held_up"].as_bool().unwrap_or(false),
                failures: failures.map(ToOwned::to_owned).collect(),
            };
            all.insert((name.clone(), addr), checked);
        }
    }
    Some(all)
}

impl Checked {
    /// What is wrong with it, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        if self.healthy && !self.held_up {
            return None;
        }
        let mut fault = "fails its checks".to_owned();
        if self.held_up {
            fault += ", and is held up";
        }
        if !self.failures.is_empty() {
            fault += &format!(" ({})", self.failures.join("; "));
        }
        Some(fault)
    }
}

/// Which proxies answer and do not pass packets on, as they show no counter of the redirect. Those that do not answer say
/// nothing: who shows no metrics may be a good proxy.
pub(super) fn without_redirect(url: &Url, addrs: BTreeSet<IpAddr>) -> BTreeMap<IpAddr, bool> {
    let lacks = |addr: IpAddr| -> Option<bool> {
        let page = url.of(addr).get(PATIENCE).ok()?;
        // Numbers of connections are no counters: whoever lists sockets has them.
        let is_counter = |name: &str| name.starts_with(REDIRECT) && name.ends_with(COUNTER);
        let has = samples(&page).any(|(name, _)| is_counter(name));
        Some(!has)
    };
    thread::scope(|scope| {
        let asked = addrs.into_iter();
        let asked: Vec<_> = asked
            .map(|addr| {
                let thread = thread::Builder::new().spawn_scoped(scope, move || lacks(addr));
                (addr, thread)
            })
            .collect();
        let told = asked.into_iter().filter_map(|(addr, thread)| {
            let lacks = thread.ok()?.join().ok()??;
            Some((addr, lacks))
        });
        told.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_checker_says() {
        let page = json!({"tables": [
            {"name": "api", "backends": [
                {"ip": "10.0.0.1", "state": "active", "healthy": true, "checks": []},
                {"ip": "10.0.0.2", "state": "active", "healthy": false,
                 "checks": [{"last_failure": "timed out"}, {"kind": "tcp"}]}]},
            {"name": null, "backends": [
                {"ip": "fd00::1", "state": "draining", "healthy": true, "held_up": true, "checks": []}]}]});
        let all = read(&page).expect("good");
        let fault = |table: &str, addr: &str| {
            all[&(table.to_owned(), addr.parse().expect("an address"))].fault()
        };
        assert_eq!(fault("api", "10.0.0.1"), None);
        assert_eq!(
            fault("api", "10.0.0.2").as_deref(),
            Some("fails its checks (timed out)")
        );
        assert_eq!(
            fault("#1", "fd00::1").as_deref(),
            Some("fails its checks, and is held up")
        );
        assert_eq!(read(&json!({"x": 1})), None);
        assert!(is_published(&json!({"published": {"current": true}})));
        for not in [
            json!({}),
            json!({"published": {"current": false, "running": true}}),
        ] {
            assert!(!is_published(&not));
        }
    }
}
