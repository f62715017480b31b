// SPDX-License-Identifier: GPL-2.0

//! The log: its forms, what is told, and what is not told twice.

use crate::backends::Web;
use crate::harness::{fast, table, Daemon, Place};
use crate::wait::wait;
use serde_json::{json, Value};
use std::os::linux::fs::MetadataExt;

/// A place with two servers and their table.
fn set_up(name: &str) -> (Place, [Web; 2]) {
    let place = Place::new(name);
    let webs = [Web::new(), Web::new()];
    write(&place, &webs, "active");
    place.configure(&json!({}));
    (place, webs)
}

/// Writes the table with the second backend in this state.
fn write(place: &Place, webs: &[Web; 2], state: &str) {
    let mut backends = webs.each_ref().map(Web::backend);
    backends[1]["state"] = state.into();
    place.write("src.json", &table(&fast(), &backends));
}

#[test]
fn objects_for_programs() {
    let (place, webs) = set_up("json-log");
    let mut daemon = Daemon::start(&place, |command| {
        command.args(["--log-format", "json"]);
    });
    place.wait_published(&[true, true]);
    webs[0].set_status(500);
    place.wait_published(&[false, true]);
    write(&place, &webs, "draining");
    daemon.reload();
    let lines: Vec<Value> = place
        .text("log")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        assert!(
            line["timestamp"].is_string() && line["message"].is_string(),
            "{line}"
        );
        assert!(
            ["INFO", "WARN", "ERROR"].contains(&line["level"].as_str().unwrap()),
            "{line}"
        );
    }
    let of = |change: &str| -> &Value {
        let found = lines.iter().find(|line| line["change"] == change);
        found.unwrap_or_else(|| panic!("no {change} in {lines:?}"))
    };
    let health = of("health");
    assert_eq!(health["level"], "WARN");
    assert_eq!(health["table"], "web");
    assert_eq!(health["backend"], webs[0].ip().to_string());
    let state = of("state");
    assert_eq!(state["backend"], webs[1].ip().to_string());
    let said = format!(
        "table web: backend {} was active, is draining",
        webs[1].ip()
    );
    assert_eq!(state["message"], said);
}

/// What the operator has changed is told when it is read.
#[test]
fn changes_of_the_file_are_told() {
    let (place, webs) = set_up("told");
    let mut daemon = place.start();
    daemon.wait_status("ok");
    let [first, second] = webs.each_ref().map(Web::ip);
    write(&place, &webs, "inactive");
    daemon.reload();
    let third = Web::new();
    place.write(
        "src.json",
        &table(&fast(), &[webs[1].backend(), third.backend()]),
    );
    daemon.reload();
    let log = place.text("log");
    for said in [
        format!("table web: backend {second} was active, is inactive"),
        format!("table web: backend {second} was inactive, is active"),
        format!("table web: backend {} is new, and active", third.ip()),
        format!("table web: backend {first} is gone; it was active"),
    ] {
        assert_eq!(log.matches(&said).count(), 1, "{said} in:\n{log}");
    }
}

/// The journal is told how grave a line is, and the time and level that it knows are left out. A variable that
/// was inherited by a program whose output goes elsewhere does not count.
#[test]
fn priorities_for_the_journal() {
    for form in ["text", "json"] {
        let (place, webs) = set_up(&format!("journal-{form}"));
        place.write("log", "");
        let log = std::fs::metadata(place.path("log")).unwrap();
        let stream = format!("{}:{}", log.st_dev(), log.st_ino());
        let run = |stream: &str| {
            let daemon = Daemon::start(&place, |command| {
                command
                    .args(["--log-format", form])
                    .env("JOURNAL_STREAM", stream);
            });
            wait("a publication", || place.published());
            daemon
        };
        let daemon = run(&stream);
        place.wait_published(&[true, true]);
        webs[0].set_status(500);
        place.wait_published(&[false, true]);
        assert!(daemon.stop().success());
        let text = place.text("log");
        let priorities: Vec<&str> = text.lines().map(|line| &line[..3]).collect();
        assert!(
            priorities.iter().all(|p| ["<3>", "<4>", "<6>"].contains(p)),
            "{text}"
        );
        let down = text.lines().find(|line| line.contains("is down")).unwrap();
        let said = format!("table web: backend {} is down", webs[0].ip());
        if form == "json" {
            let line: Value = serde_json::from_str(down.strip_prefix("<4>").unwrap()).unwrap();
            assert_eq!(line["message"], said);
        } else {
            assert_eq!(down, format!("<4>{said}"));
        }
        place.write("log", "");
        assert!(run("1:2").stop().success());
        assert!(!place.text("log").contains("<6>"));
    }
}

/// A fault that stays is told once, and again when somebody asks for it.
#[test]
fn a_fault_that_stays_is_told_once() {
    let (place, _webs) = set_up("flood");
    let mut daemon = place.start();
    daemon.wait_status("ok");
    place.write("src.json", "{");
    daemon.reload();
    let reads = || {
        let vars: Value = serde_json::from_str(&daemon.get("/debug/vars").1).unwrap();
        vars["HealthCheckerApp"]["ForwardingTableReloadFailures"].as_u64()
    };
    wait("two more reads", || (reads()? >= 3).then_some(()));
    let log = place.text("log");
    assert_eq!(
        log.matches("the last good table stays in use").count(),
        1,
        "{log}"
    );
    assert_eq!(log.matches("not JSON").count(), 1, "{log}");
    daemon.reload();
    let log = place.text("log");
    assert_eq!(
        log.matches("the last good table stays in use").count(),
        2,
        "{log}"
    );
}
