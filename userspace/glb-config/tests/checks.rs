// SPDX-License-Identifier: GPL-2.0

//! The `healthchecks` of a backend: what is read, what is refused, and in which words.

use glb_config::tables::{self, HttpCheck, HttpsCheck, Timing};
use glb_config::Checked;

/// A file with one backend that has these health checks.
fn read(checks: &str) -> Checked<tables::Config> {
    let text = format!(
        r#"{{"healthchecks": {{"interval_ms": 5000, "timeout_ms": 400, "trigger": 2}},
        "tables": [{{"name": "t", "hash_key": "12345678901234561234567890123456",
        "seed": "49a3d861d661ae5ab06ed9326871a2f5",
        "binds": [{{"ip": "9.9.9.9", "proto": "tcp", "port": 80}}],
        "backends": [{{"ip": "1.1.1.1", "state": "active", "healthchecks": {checks}}},
                     {{"ip": "1.1.1.2", "state": "active"}}]}}]}}"#
    );
    tables::read("f", &text)
}

fn said(checked: &Checked<tables::Config>) -> Vec<String> {
    let start = "f: table \"t\": backends[0].healthchecks";
    let warning = "f: warning: table \"t\": backends[0].healthchecks";
    let strip = |said: String| match said.strip_prefix(start) {
        Some(rest) => rest.to_owned(),
        None => format!("warning{}", said.strip_prefix(warning).unwrap_or(&said)),
    };
    checked
        .issues
        .iter()
        .map(|issue| strip(issue.to_string()))
        .collect()
}

#[test]
fn every_kind() {
    let checked = read(
        r#"{"http": 80, "http_uri": "/up", "http_status": 204, "https": 443, "https_host": "www.example.net",
        "https_status": [301, 200, 301], "https_verify": true, "tcp": 22, "gue": 19523, "gue_vip": true,
        "fou": 9523, "interval_ms": 100}"#,
    );
    assert_eq!(said(&checked), [] as [&str; 0]);
    let config = checked.value.unwrap();
    let [first, second] = &config.tables[0].backends[..] else {
        panic!("two backends");
    };
    let (first, second) = (&first.checks, &second.checks);
    let http = HttpCheck {
        port: 80,
        uri: "/up".into(),
        host: None,
        status: vec![204],
    };
    let https = HttpsCheck {
        http: HttpCheck {
            port: 443,
            uri: "/".into(),
            host: Some("www.example.net".into()),
            status: vec![200, 301],
        },
        verify: true,
    };
    assert_eq!(first.http, Some(http));
    assert_eq!(first.https, Some(https));
    assert_eq!(
        (first.tcp, first.gue, first.gue_vip, first.fou),
        (Some(22), Some(19523), true, Some(9523))
    );
    let own = Timing {
        interval_ms: 100,
        timeout_ms: 400,
        trigger: 2,
    };
    assert_eq!(first.timing.or(&config.healthchecks), own);
    assert_eq!(*second, tables::Checks::default());
    assert_eq!(
        second.timing.or(&config.healthchecks),
        Timing {
            interval_ms: 5000,
            ..own
        }
    );
}

#[test]
fn all_that_is_wrong_is_said() {
    let checked = read(
        r#"{"http": 0, "http_uri": "up", "http_host": "a b", "http_status": [], "https": "x", "https_uri": "/a b",
        "https_status": 99, "https_verify": true, "gue_vip": 1, "timeout_ms": 0, "tpc": 1}"#,
    );
    assert!(checked.value.is_none());
    assert_eq!(
        said(&checked),
        [
            "warning.tpc: unknown field, ignored; did you mean \"tcp\"?",
            ".http: 0: must be a whole number from 1 to 65535",
            ".http_uri: \"up\": must begin with / or ?, and have no control characters",
            ".http_host: \"a b\": must be a host name or an address",
            ".http_status: []: is empty: no answer would be good",
            ".https: \"x\": must be a whole number from 1 to 65535",
            ".https_status: 99: must be a whole number from 200 to 599",
            ".https_verify: true: needs https_host, the name that the certificate must be for",
            "warning.gue_vip: 1: has no effect without gue, the port of the tunnel",
            ".gue_vip: 1: must be true or false",
        ]
    );
}

#[test]
fn what_has_no_effect_is_said() {
    let checked = read(
        r#"{"http_uri": "/", "https_host": "a", "interval_ms": 10, "timeout_ms": 20, "gue_vip": true}"#,
    );
    assert!(checked.value.is_some());
    assert_eq!(
        said(&checked),
        [
            "warning.http_uri: \"/\": has no effect without http, the port",
            "warning.https_host: \"a\": has no effect without https, the port",
            "warning.gue_vip: true: has no effect without gue, the port of the tunnel",
            "warning.timeout_ms: is above interval_ms, 10: a check that hangs delays the next",
        ]
    );
}

#[test]
fn hosts() {
    let long = "a".repeat(64);
    for (host, good) in [
        ("example.net", true),
        ("example.net.", true),
        ("10.0.0.1", true),
        ("fd00::1", true),
        ("a_b.c", true),
        ("", false),
        ("a..b", false),
        ("-a", false),
        ("a:80", false),
        ("a\\r\\nX: y", false),
        (&long, false),
    ] {
        let checked = read(&format!(r#"{{"http": 80, "http_host": "{host}"}}"#));
        assert_eq!(checked.value.is_some(), good, "{host}");
    }
}

#[test]
fn through_the_forward() {
    let checked = read(r#"{"http": 80, "through": true}"#);
    assert_eq!(said(&checked), [] as [&str; 0]);
    assert!(checked.value.unwrap().tables[0].backends[0].checks.through);
    for (checks, expected) in [
        (
            r#"{"gue": 19523, "through": true}"#,
            "warning.through: true: has no effect without http, https or tcp, the port",
        ),
        (
            r#"{"http": 80, "tcp": 8080, "through": true}"#,
            "warning.through: no bind is an address with TCP port 8080: none is asked",
        ),
        (
            r#"{"http": 80, "through": 1}"#,
            ".through: 1: must be true or false",
        ),
    ] {
        assert_eq!(said(&read(checks)), [expected], "{checks}");
    }
}
