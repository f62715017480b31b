// SPDX-License-Identifier: GPL-2.0

//! What only many tables together can have too much of: flows, and counters.

use glb_config::tables::{self, Config};
use glb_config::{Issue, Severity};
use glb_core::director::counts::MAX_BACKENDS;
use serde_json::{json, Value};

/// A file of so many services with so many backends each, the first of which says this of its flows.
fn file(tables: usize, backends: usize, first: &Value) -> String {
    let backends: Vec<Value> = (0..backends)
        .map(|one| json!({"ip": format!("10.1.{}.{}", one / 250, one % 250), "state": "active", "healthy": true}))
        .collect();
    let table = |number: usize| {
        let mut table = json!({"name": format!("t{number}"), "select": {"kind": "maglev", "size": 1021},
            "forward": {"kind": "gre"}, "hash_key": "12345678901234561234567890123456",
            "seed": format!("{number:032x}"), "backends": &backends,
            "binds": [{"ip": format!("10.2.{}.{}", number / 250, number % 250), "proto": "any"}]});
        if number == 0 {
            table["flows"] = first.clone();
        }
        table
    };
    let tables: Vec<Value> = (0..tables).map(table).collect();
    json!({ "tables": tables }).to_string()
}

fn read(text: &str) -> (Option<Config>, Vec<Issue>) {
    match tables::read("t", text).into_result() {
        Ok((config, issues)) => (Some(config), issues),
        Err(issues) => (None, issues),
    }
}

fn buckets(config: &Config) -> Vec<Option<u32>> {
    let all = config.tables.iter();
    all.map(|table| table.words.flows.map(|spec| spec.buckets))
        .collect()
}

#[test]
fn flows_of_many_tables_share_what_there_is() {
    let (config, issues) = read(&file(1_024, 1, &Value::Null));
    assert_eq!(issues, []);
    assert!(buckets(&config.unwrap())
        .iter()
        .all(|one| *one == Some(16_384)));
    let (config, issues) = read(&file(1_025, 1, &Value::Null));
    assert_eq!(
        issues.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["t: warning: tables: 1025 do not say how many flows they remember: 8192 buckets each instead of 16384, as all together \
          may take 1024 MiB; set flows.buckets where more are needed, \"flows\": false where none are"]
    );
    assert!(buckets(&config.unwrap())
        .iter()
        .all(|one| *one == Some(8_192)));
    // What one has, the others have not.
    for (first, own, others) in [
        (json!(false), None, 16_384),
        (json!({"timeout_s": 9}), Some(8_192), 8_192),
        (json!({"buckets": 1}), Some(1), 8_192),
        (json!({"buckets": 524_288}), Some(524_288), 8_192),
        (json!({"buckets": 1_048_576}), Some(1_048_576), 8_192),
    ] {
        let (config, _) = read(&file(1_025, 1, &first));
        let found = buckets(&config.unwrap());
        assert_eq!(found[0], own, "{first}");
        assert!(
            found[1..].iter().all(|one| *one == Some(others)),
            "{first} {:?}",
            found[1]
        );
    }
}

#[test]
fn flows_that_are_asked_for_and_cannot_be_are_refused() {
    let mut file: Value = serde_json::from_str(&file(17, 1, &Value::Null)).unwrap();
    for table in &mut file["tables"].as_array_mut().unwrap()[..16] {
        table["flows"] = json!({"buckets": 1_048_576});
    }
    let (config, issues) = read(&file.to_string());
    assert!(config.is_none());
    assert_eq!(
        issues.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["t: tables: 1 do not say how many flows they remember, and nothing of the 1024 MiB for all is left: set flows.buckets, \
          or \"flows\": false"]
    );
    file["tables"][16]["flows"] = json!(false);
    let (config, issues) = read(&file.to_string());
    assert!(config.is_some(), "{issues:?}");
    file["tables"][16]["flows"] = json!({"buckets": 1});
    let (config, issues) = read(&file.to_string());
    assert!(config.is_none());
    assert_eq!(
        issues[0].to_string(),
        "t: table \"t16\": flows.buckets: 1: flows of all tables up to this one need 1025 MiB: at most 1024; fewer buckets, or \
         \"flows\": false"
    );
}

#[test]
fn counters_of_many_backends_are_refused() {
    let many = MAX_BACKENDS / 256;
    let (config, issues) = read(&file(many, 256, &Value::Null));
    assert!(config.is_some(), "{issues:?}");
    let (config, issues) = read(&file(many + 1, 256, &Value::Null));
    assert!(config.is_none());
    assert_eq!(issues[0].severity, Severity::Error);
    assert_eq!(
        issues[0].to_string(),
        "t: tables: 131328 backends of services in all tables, which have counters: at most 131072; tables of gue without flows \
         and without another select have none"
    );
    // GLB's own have none.
    let plain = file(many + 1, 256, &json!(false))
        .replace(r#""forward":{"kind":"gre"},"#, "")
        .replace(
            r#""select":{"kind":"maglev","size":1021}"#,
            r#""version":3"#,
        );
    let (config, issues) = read(&plain);
    assert!(config.is_some(), "{issues:?}");
}

/// SCTP's ports are what these hash, and a packet of a bind for all protocols has none.
#[test]
fn a_hash_of_nfqlb_takes_no_bind_for_all_protocols() {
    let with = |compat: &str| {
        let select = format!(r#"{{"kind":"maglev","compat":"{compat}","size":1024}}"#);
        let text = file(1, 2, &Value::Null);
        read(&text.replace(r#"{"kind":"maglev","size":1021}"#, &select))
    };
    for compat in ["vpp", "vpp-sticky"] {
        let (config, issues) = with(compat);
        assert!(config.is_some(), "{issues:?}");
    }
    for compat in ["nfqlb", "nfqlb-sctp-ports"] {
        let (config, issues) = with(compat);
        assert!(config.is_none());
        assert_eq!(
            issues[0].to_string(),
            format!(
                "t: table \"t0\": binds[0].proto: \"any\" does not go with compat {compat}, which hashes ports of SCTP: what \"any\" \
                 takes has none; give one bind for each of \"tcp\", \"udp\" and \"sctp\""
            )
        );
    }
}
