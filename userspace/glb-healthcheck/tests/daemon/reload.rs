// SPDX-License-Identifier: GPL-2.0

//! The reload command: not too often, never twice at a time, never for ever.

use crate::backends::Web;
use crate::harness::{table, Place};
use crate::wait::wait;
use serde_json::json;
use std::time::Instant;

/// A backend that flaps all the time, a command that takes long, and an operator who reloads.
#[test]
fn flapping_makes_few_reloads() {
    let place = Place::new("often");
    let webs = [Web::new(), Web::new()];
    let timing = json!({"interval_ms": 30, "timeout_ms": 60000, "trigger": 1});
    place.write(
        "src.json",
        &table(&timing, &webs.each_ref().map(Web::backend)),
    );
    let (lock, overlap, runs) = (
        place.path("lock"),
        place.path("overlap"),
        place.path("runs"),
    );
    let (lock, overlap, runs) = (lock.display(), overlap.display(), runs.display());
    place.configure(&json!({
        "reload_interval_ms": 2000,
        "reload_command": format!(
            // So long that a second one, if there were any, would find the first.
            "mkdir {lock} || touch {overlap}; cat /proc/uptime >> {runs}; sleep 0.4; rmdir {lock}"),
    }));
    let start = Instant::now();
    let daemon = place.start();
    let mut flips = 0;
    wait("four reloads", || {
        flips += 1;
        webs[0].set_status(if flips % 8 < 4 { 500 } else { 200 });
        if flips % 20 == 0 {
            daemon.signal("-HUP");
        }
        (place.runs().len() >= 4).then_some(())
    });
    let runs = place.runs();
    // Between the daemon's start of a publication and the command's first line are a disk and a shell, which may take long
    // for one and not for the next; so the runs are held against all the time that there was, which no delay makes shorter.
    // Without the limit there would be one each 0.4 s. (That the limit is exact is shown in simulated time.)
    let took = start.elapsed().as_secs_f64();
    assert!(
        runs.len() as f64 <= 1.0 + took / 2.0,
        "{runs:?} in {took} s"
    );
    assert!(
        !place.path("overlap").exists(),
        "two commands ran at a time"
    );
    // At rest, what is published is what is the case.
    webs[0].set_status(200);
    place.wait_published(&[true, true]);
}

#[test]
fn a_failing_command_is_told_and_tried_again() {
    let place = Place::new("failing");
    let webs = [Web::new(), Web::new()];
    let timing = json!({"interval_ms": 50, "timeout_ms": 60000, "trigger": 1});
    place.write(
        "src.json",
        &table(&timing, &webs.each_ref().map(Web::backend)),
    );
    let (runs, good) = (place.path("runs"), place.path("good"));
    let command = format!(
        "cat /proc/uptime >> {}; test -e {}",
        runs.display(),
        good.display()
    );
    place.configure(&json!({"reload_command": command}));
    let daemon = place.start();
    wait("two tries", || (place.runs().len() >= 2).then_some(()));
    // Nothing was ever published, so the page says that this daemon is of no use yet.
    let (status, body) = daemon.get("/health");
    assert_eq!(status, 503);
    assert!(body.contains("exit status 1"), "{body}");
    assert!(body.contains("\"starting\""), "{body}");
    place.write("good", "");
    wait("success", || (daemon.get("/health").0 == 200).then_some(()));
    daemon.wait_status("ok");
    let log = place.text("log");
    assert_eq!(log.matches("could not be published").count(), 1, "{log}");
}

#[test]
fn a_command_that_hangs_is_stopped() {
    let place = Place::new("hanging");
    let webs = [Web::new(), Web::new()];
    let timing = json!({"interval_ms": 50, "timeout_ms": 60000, "trigger": 1});
    place.write(
        "src.json",
        &table(&timing, &webs.each_ref().map(Web::backend)),
    );
    let runs = place.path("runs");
    // Longer than the limit, whatever happens.
    let command = format!("cat /proc/uptime >> {}; sleep 300", runs.display());
    place.configure(&json!({"reload_command": command, "reload_timeout_ms": 1500}));
    let daemon = place.start();
    wait("two tries", || (place.runs().len() >= 2).then_some(()));
    let problems = daemon.health()["problems"].to_string();
    assert!(
        problems.contains("stopped, since it ran for more than 1.5 s"),
        "{problems}"
    );
    let metrics = daemon.get("/metrics").1;
    assert!(
        !metrics.contains("glb_healthcheck_reloads_total{outcome=\"timed_out\"} 0"),
        "{metrics}"
    );
}

/// The end waits for a command that runs.
#[test]
fn the_end_does_not_cut_a_command_short() {
    let place = Place::new("end");
    let webs = [Web::new(), Web::new()];
    let timing = json!({"interval_ms": 50, "timeout_ms": 60000, "trigger": 1});
    place.write(
        "src.json",
        &table(&timing, &webs.each_ref().map(Web::backend)),
    );
    let (begun, done) = (place.path("begun"), place.path("done"));
    let command = format!(
        // The daemon is told to end in the middle.
        "touch {}; sleep 1; touch {}",
        begun.display(),
        done.display()
    );
    place.configure(&json!({"reload_command": command}));
    let daemon = place.start();
    wait("the command to begin", || begun.exists().then_some(()));
    assert!(daemon.stop().success());
    assert!(done.exists());
}
