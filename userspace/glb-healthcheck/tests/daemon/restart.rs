// SPDX-License-Identifier: GPL-2.0

//! What a daemon takes over from the one before it.

use crate::backends::Web;
use crate::harness::{table, Daemon, Place};
use crate::wait::wait;
use serde_json::{json, Value};
use std::fs;

/// A trigger so high that a test is through long before it, on a machine of any speed.
fn patient() -> Value {
    json!({"interval_ms": 1000, "timeout_ms": 60_000, "trigger": 1000})
}

/// The number of results that there were of each backend's check.
fn checked(daemon: &Daemon<'_>) -> usize {
    let health = daemon.health();
    let backends = health["tables"][0]["backends"].as_array().unwrap();
    let had = |backend: &&Value| backend["checks"][0]["last_age_seconds"].is_number();
    backends.iter().filter(had).count()
}

/// One refused check after a restart is no reason to take a backend out, nor one good one to take it in.
#[test]
fn health_is_taken_over_and_judged_anew_from_there() {
    let place = Place::new("takeover");
    let webs = [Web::new(), Web::new(), Web::new(), Web::new()];
    let backends = webs.each_ref().map(Web::backend);
    place.write("src.json", &table(&patient(), &backends));
    place.configure(&json!({}));
    webs[1].set_status(500);
    let daemon = place.start();
    place.wait_published(&[true, false, true, true]);
    daemon.wait_status("degraded");
    assert!(daemon.stop().success());
    // While no daemon runs, one fails, and one is mended.
    webs[0].set_status(500);
    webs[1].set_status(200);
    let daemon = place.start();
    assert!(
        place
            .text("log")
            .contains("dst.json: backends: 3 up, 1 down"),
        "{}",
        place.text("log")
    );
    wait("a result of each", || (checked(&daemon) == 4).then_some(()));
    wait("the first publication", || {
        (place.runs().len() == 2).then_some(())
    });
    assert_eq!(place.published().unwrap(), [true, false, true, true]);
    let checks = |daemon: &Daemon<'_>, n: usize| {
        daemon.health()["tables"][0]["backends"][n]["checks"][0].clone()
    };
    let first = checks(&daemon, 0);
    assert_eq!(first["healthy"], true);
    assert!(first["opposite_results"].as_u64() >= Some(1), "{first}");
    assert_eq!(first["last_failure"], "status 500, expected 200");
    let second = checks(&daemon, 1);
    assert_eq!(second["healthy"], false);
    assert!(second["opposite_results"].as_u64() >= Some(1), "{second}");
    assert!(daemon.stop().success());
    // From there on the trigger decides.
    let mut fast = patient();
    fast["interval_ms"] = 100.into();
    fast["trigger"] = 3.into();
    place.write("src.json", &table(&fast, &backends));
    let _daemon = place.start();
    place.wait_published(&[false, true, true, true]);
}

/// Without anything that was published, the first result counts, as deployed.
#[test]
fn the_first_start_believes_the_first_result() {
    let place = Place::new("first");
    let webs = [Web::new(), Web::new()];
    place.write(
        "src.json",
        &table(&patient(), &webs.each_ref().map(Web::backend)),
    );
    place.configure(&json!({}));
    webs[1].set_status(500);
    // Neither half a file, nor a table that no checker has seen, says anything of health.
    for before in [
        None,
        Some("{\"tables\": [".to_owned()),
        Some(place.text("src.json")),
    ] {
        match before {
            Some(text) => place.write("dst.json", &text),
            None => drop(fs::remove_file(place.path("dst.json"))),
        }
        let daemon = place.start();
        place.wait_published(&[true, false]);
        assert!(daemon.stop().success());
    }
    assert!(!place.text("log").contains("going on from"));
}

/// As deployed, a configuration without a command runs none.
#[test]
fn no_command_no_reload() {
    let place = Place::new("no-command");
    let webs = [Web::new(), Web::new()];
    place.write(
        "src.json",
        &table(&patient(), &webs.each_ref().map(Web::backend)),
    );
    place.configure(&json!({"reload_command": null}));
    let daemon = place.start();
    place.wait_published(&[true, true]);
    daemon.wait_status("ok");
    assert!(place.text("log").contains("reload_command: is missing"));
    assert_eq!(place.runs().len(), 0);
    assert!(daemon.stop().success());
}

/// Files as the deployed daemon writes them, and the emptiest one.
#[test]
fn a_source_without_tables() {
    let place = Place::new("no-tables");
    place.configure(&json!({}));
    for text in [r#"{"healthchecks": null, "tables": null}"#, "{}"] {
        place.write("src.json", text);
        let daemon = place.start();
        daemon.wait_status("ok");
        assert_eq!(
            place
                .text("dst.json")
                .split_whitespace()
                .collect::<String>(),
            text.replace(' ', "")
        );
        assert!(daemon.stop().success());
    }
}
