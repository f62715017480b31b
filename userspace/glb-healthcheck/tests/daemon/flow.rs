// SPDX-License-Identifier: GPL-2.0

//! From checks to the published table.

use crate::backends::{backend, Web};
use crate::harness::{fast, table, Place};
use crate::loopback::{address, free_port};
use crate::wait::wait;
use serde_json::{json, Value};
use std::net::TcpListener;

/// The deployed files as they are, unknown fields and backends without checks included.
#[test]
fn the_table_is_published_with_what_the_checks_found() {
    let place = Place::new("flow");
    let web = Web::new();
    let nobody = address();
    let port = free_port(nobody);
    let mut backends = vec![
        web.backend(),
        backend(nobody, json!({"http": port, "http_uri": "/x"})),
        backend(nobody, json!({"tcp": port})),
        json!({"ip": "192.0.2.1", "state": "inactive", "healthchecks": {"http": 80}}),
        json!({"ip": "192.0.2.2", "state": "active", "healthy": false}),
    ];
    backends[0]["rack"] = json!({"row": 7, "names": ["a", "b"]});
    backends[2]["state"] = json!("draining");
    let text = table(&fast(), &backends).replacen('{', "{\"owner\": \"edge\", ", 1);
    place.write("src.json", &text);
    place.configure(&json!({}));
    let daemon = place.start();
    place.wait_published(&[true, false, false, true, true]);
    // Only `healthy` was added: all else is as the operator wrote it, and in that order.
    let mut expected: Value = serde_json::from_str(&text).unwrap();
    for (index, healthy) in [true, false, false, true, true].into_iter().enumerate() {
        expected["tables"][0]["backends"][index]["healthy"] = healthy.into();
    }
    let dst = place.text("dst.json");
    let published: Value = serde_json::from_str(&dst).unwrap();
    assert_eq!(published.to_string(), expected.to_string());
    // The operator's file is the operator's.
    assert_eq!(place.text("src.json"), text);
    wait("the reload command", || {
        (place.runs().len() == 1).then_some(())
    });
    // Backends that are down are something to see to.
    daemon.wait_status("degraded");
    let health = daemon.health();
    let problem = format!("table web: 2 of 5 backends are down: {nobody}, {nobody}");
    assert_eq!(health["problems"][0], problem);
    let first = &health["tables"][0]["backends"][0];
    assert_eq!(
        (&first["healthy"], &first["passing"]),
        (&true.into(), &true.into())
    );
    daemon.wait_failure(1, "refused");
    let vars: Value = serde_json::from_str(&daemon.get("/debug/vars").1).unwrap();
    assert_eq!(vars["HealthCheckerApp"]["ReloadsExecuted"], 1);
    assert_eq!(daemon.get("/nowhere").0, 404);
    let request = web.requests().pop().unwrap();
    let said = |line: String| assert!(request.contains(&line), "{request}");
    said("GET / HTTP/1.1\r\n".into());
    said(format!("host: {}\r\n", web.place));
    said("user-agent: glb-healthcheck/".into());
    assert!(daemon.stop().success());
}

#[test]
fn a_backend_goes_down_and_comes_back() {
    let (place, webs) = Place::with_webs::<2>("flip");
    let daemon = place.start();
    place.wait_published(&[true, true]);
    webs[1].set_status(503);
    place.wait_published(&[true, false]);
    daemon.wait_failure(1, "status 503, expected 200");
    webs[1].set_status(200);
    place.wait_published(&[true, true]);
    // Each change was one reload.
    wait("three reloads", || (place.runs().len() == 3).then_some(()));
    assert!(place.text("log").contains("table web: backend"));
}

#[test]
fn names_and_status() {
    let place = Place::new("names");
    let web = Web::new();
    web.set_status(301);
    let port = web.place.port();
    let checks = |more: Value| {
        let mut checks =
            json!({"http": port, "http_uri": "/up?a=b", "http_host": "www.example.net"});
        for (name, value) in more.as_object().unwrap() {
            checks[name] = value.clone();
        }
        backend(web.ip(), checks)
    };
    // One backend cannot be three in a table without warnings, which are not the matter here.
    let backends = [
        checks(json!({"http_status": 301})),
        checks(json!({"http_status": [204, 301]})),
        checks(json!({"http_status": 204})),
    ];
    place.write("src.json", &table(&fast(), &backends));
    place.configure(&json!({"max_down_percent": 100}));
    let daemon = place.start();
    // The table knows backends by their addresses, so all three fail with the third.
    daemon.wait_failure(2, "status 301, expected 204");
    let health = daemon.health();
    let backends = &health["tables"][0]["backends"];
    let good = |n: usize| backends[n]["checks"][0]["healthy"].clone();
    assert_eq!(
        (good(0), good(1), good(2)),
        (true.into(), true.into(), false.into())
    );
    let request = web.requests().pop().unwrap();
    assert!(request.starts_with("GET /up?a=b HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("host: www.example.net\r\n"), "{request}");
}

#[test]
fn at_most_half_is_marked_down() {
    let (place, webs) = Place::with_webs::<4>("hold");
    let daemon = place.start();
    place.wait_published(&[true; 4]);
    webs[3].set_status(500);
    place.wait_published(&[true, true, true, false]);
    webs[0].set_status(500);
    place.wait_published(&[false, true, true, false]);
    webs[1].set_status(500);
    webs[2].set_status(500);
    wait("a problem that is told", || {
        let health = daemon.health();
        let problem = health["problems"][0].as_str()?.to_owned();
        problem.contains("2 of 4 backends are down").then_some(())?;
        let problem = health["problems"][1].as_str()?.to_owned();
        problem
            .contains("holding back: 2 failing backends stay up")
            .then_some(())
    });
    assert_eq!(place.published().unwrap(), [false, true, true, false]);
    let health = daemon.health();
    assert_eq!(health["status"], "degraded");
    let held = &health["tables"][0]["backends"][1];
    assert_eq!(
        (&held["held_up"], &held["healthy"], &held["passing"]),
        (&true.into(), &true.into(), &false.into())
    );
    assert!(place.text("log").contains("holding back"));
    webs[3].set_status(200);
    wait("the next one to be marked down", || {
        let down = place.published()?.iter().filter(|up| !**up).count();
        (place.published()?[3] && down == 2).then_some(())
    });
}

/// Rows of two hops that are both down lead nowhere, which is said; rows of version 3 have a way out.
#[test]
fn rows_that_lead_nowhere() {
    for version in [2, 3] {
        let place = Place::new(&format!("rows-{version}"));
        let webs = [Web::new(), Web::new(), Web::new(), Web::new()];
        let text = table(&fast(), &webs.each_ref().map(Web::backend));
        let version_3 = format!("\"name\": \"web\", \"version\": {version}");
        place.write("src.json", &text.replace("\"name\": \"web\"", &version_3));
        place.configure(&json!({}));
        webs[0].set_status(500);
        webs[2].set_status(500);
        let daemon = place.start();
        place.wait_published(&[false, true, false, true]);
        let share = || {
            let page = daemon.get("/metrics").1;
            let line = page
                .lines()
                .find(|line| line.starts_with("glb_healthcheck_dead_rows_ratio{table=\"web\"}"))?;
            line.rsplit(' ').next()?.parse::<f64>().ok()
        };
        let problems = || daemon.health()["problems"].to_string();
        if version == 3 {
            daemon.wait_status("degraded");
            assert_eq!(share(), Some(0.0));
            assert!(!problems().contains("rows"), "{}", problems());
            continue;
        }
        // Of two hops out of four, both are among two with a probability of 1/6.
        let seen = wait("dead rows", || share().filter(|share| *share > 0.0));
        assert!((seen - 1.0 / 6.0).abs() < 0.02, "{seen}");
        assert!(
            problems().contains("lead to an unhealthy backend"),
            "{}",
            problems()
        );
        let told = daemon.health()["tables"][0]["dead_rows"].clone();
        assert_eq!(told["share"], seen);
        assert_eq!(told["first_hop"], told["all_hops"]);
        assert!(place.text("log").contains("lead to an unhealthy backend"));
        webs[2].set_status(200);
        wait("all rows to lead somewhere", || {
            (share() == Some(0.0)).then_some(())
        });
        assert!(place
            .text("log")
            .contains("no row leads to an unhealthy backend any more"));
    }
}

/// A server that takes connections and never answers: the check ends with its timeout, which is the
/// backend's own, and the TCP check of the same port passes.
#[test]
fn own_timing_and_silence() {
    let place = Place::new("silence");
    let address = address();
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let web = Web::new();
    let slow = backend(
        address,
        json!({"http": port, "tcp": port, "interval_ms": 400, "timeout_ms": 120, "trigger": 1}),
    );
    place.write("src.json", &table(&fast(), &[slow, web.backend()]));
    place.configure(&json!({}));
    let daemon = place.start();
    place.wait_published(&[false, true]);
    daemon.wait_failure(0, "no answer within 120 ms");
    // It has 120 ms to connect, too, which may be too short now and then.
    wait("the TCP check to pass", || {
        let health = daemon.health();
        let check = &health["tables"][0]["backends"][0]["checks"][1];
        assert_eq!(check["kind"], "tcp");
        (check["healthy"] == true).then_some(())
    });
}
