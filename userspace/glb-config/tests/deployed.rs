// SPDX-License-Identifier: GPL-2.0

//! Forms of files that the deployed tools write or accept: null, absent, empty, another case, a string where
//! another of them has a number. What they are read as here is what those tools make of them.
//!
//! The tools read with Go's encoding/json (null leaves a field as if it were absent, the case of names does
//! not matter) and with jansson (the type that is asked for, or nothing).

use glb_config::tables::{self, Config};
use glb_config::{director, healthcheck, Issue};
use serde_json::{json, Map, Value};

const KEY: &str = "12345678901234561234567890123456";
const SEED: &str = "34567890123456783456789012345678";

/// A file as the deployed checker writes it: its order of fields, and null for what the source does not have.
fn written() -> Value {
    json!({"healthchecks": null, "tables": [{
        "name": "web", "hash_key": KEY, "seed": SEED,
        "binds": [{"ip": "10.10.10.10", "proto": "tcp", "port": 80}],
        "backends": [
            {"ip": "192.168.50.10", "state": "active", "healthy": true,
             "healthchecks": {"http": 80, "http_uri": "/up", "gue": 19523}},
            {"ip": "192.168.50.11", "state": "active", "healthy": true, "healthchecks": null}]}]})
}

fn said(issues: &[Issue]) -> Vec<String> {
    issues.iter().map(ToString::to_string).collect()
}

/// The file's meaning without the tree, and what is said of it.
fn meaning(file: &Value) -> (String, Vec<String>) {
    let checked = tables::read("f", &file.to_string());
    let said = said(&checked.issues);
    let Some(mut config) = checked.value else {
        panic!("{file}: {said:?}");
    };
    config.tree = Value::Null;
    (format!("{config:?}"), said)
}

/// The written file with other values at some places; `None` takes a field out.
fn with(changes: &[(&str, Option<Value>)]) -> Value {
    let mut file = written();
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = file.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => drop(parent.insert(name.to_owned(), value.clone())),
            None => drop(parent.remove(name)),
        }
    }
    file
}

#[test]
fn what_the_checker_writes_is_read_without_a_word() {
    let (_, said) = meaning(&written());
    assert_eq!(said, [] as [&str; 0]);
}

/// Null and absent are one, wherever the deployed tools know the field and do without it.
#[test]
fn null_is_absent() {
    let all = json!({"http": 80, "http_uri": "/up", "gue": 19523, "fou": null, "tcp": null});
    for pointer in [
        "/healthchecks",
        "/tables/0/name",
        "/tables/0/binds",
        "/tables/0/backends/0/healthy",
        "/tables/0/backends/0/healthchecks",
        "/tables/0/backends/0/healthchecks/http",
        "/tables/0/backends/0/healthchecks/http_uri",
        "/tables/0/backends/0/healthchecks/gue",
        "/tables/0/backends/0/healthchecks/fou",
        "/tables/0/backends/0/healthchecks/tcp",
        "/tables/0/binds/0/port_start",
        "/tables/0/binds/0/port_end",
    ] {
        let place = |value| {
            let file = with(&[
                ("/tables/0/backends/0/healthchecks", Some(all.clone())),
                (pointer, value),
            ]);
            meaning(&file)
        };
        assert_eq!(place(Some(Value::Null)), place(None), "{pointer}");
    }
    let timing = |value| {
        let timing = json!({"interval_ms": value, "timeout_ms": value, "trigger": value});
        meaning(&with(&[("/healthchecks", Some(timing))]))
    };
    // 0 stands for the default.
    assert_eq!(timing(Value::Null), meaning(&written()));
    assert_eq!(timing(json!(0)), meaning(&written()));
    assert_eq!(
        meaning(&with(&[("/healthchecks", Some(json!({})))])),
        meaning(&written())
    );
}

fn read(file: &str) -> (Option<Config>, Vec<String>) {
    let checked = tables::read("f", file);
    (checked.value, said(&checked.issues))
}

#[test]
fn a_file_without_tables() {
    for file in [
        r#"{"healthchecks": null, "tables": null}"#,
        r#"{"healthchecks": {"trigger": 5}, "tables": []}"#,
        r#"{"tables": []}"#,
        r#"{"healthchecks": null}"#,
        "{}",
        "null",
    ] {
        let (config, said) = read(file);
        assert_eq!(
            said,
            ["f: warning: tables: there is no table: nothing will match"]
        );
        assert_eq!(config.expect(file).tables.len(), 0);
    }
    // A misspelt name is no empty file.
    let (config, said) = read(r#"{"tabels": []}"#);
    assert!(config.is_none());
    assert_eq!(said.last().unwrap(), "f: tables: is missing");
    for file in ["", "[]", "{", "{}{}", "7"] {
        assert!(read(file).0.is_none(), "{file}");
    }
}

/// The checker writes an empty name for a table that has none, for two of them, too.
#[test]
fn tables_without_names() {
    let mut file = with(&[("/tables/0/name", Some(json!("")))]);
    let mut second = file["tables"][0].clone();
    second["seed"] = json!(KEY);
    second["binds"] = Value::Null;
    file["tables"].as_array_mut().unwrap().push(second);
    let checked = tables::read("f", &file.to_string());
    let said = said(&checked.issues);
    let config = checked.value.unwrap_or_else(|| panic!("{said:?}"));
    assert_eq!(config.tables[0].label(0), "#0");
    assert_eq!(config.tables[1].label(1), "#1");
    assert_eq!(
        said,
        [
            "f: warning: table #0: name: is missing: messages can name this table by its place only",
            "f: warning: table #1: name: is missing: messages can name this table by its place only",
            "f: warning: table #1: binds: is missing: nothing leads to this table",
        ]
    );
}

/// `port` goes before a range.
#[test]
fn a_port_beside_a_range() {
    let file = with(&[
        ("/tables/0/binds/0/port_start", Some(json!(1))),
        ("/tables/0/binds/0/port_end", Some(json!(2))),
    ]);
    let (meant, said) = meaning(&file);
    assert_eq!(meant, meaning(&written()).0);
    assert_eq!(
        said,
        [
            "f: warning: table \"web\": binds[0].port_start: has no effect beside port",
            "f: warning: table \"web\": binds[0].port_end: has no effect beside port",
        ]
    );
}

fn shouted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let field = |(name, value): (&String, &Value)| (name.to_uppercase(), shouted(value));
            Value::Object(map.iter().map(field).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(shouted).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_case_of_names_does_not_matter() {
    let loud = shouted(&written());
    let (meant, said) = meaning(&loud);
    assert_eq!(meant, meaning(&written()).0);
    assert_eq!(
        said[0],
        r#"f: warning: HEALTHCHECKS: is read as "healthchecks", which other tools insist on"#
    );
    assert!(
        said.iter().all(|said| said.contains("is read as")),
        "{said:?}"
    );
    // What is written from it has the names that all tools know.
    let config = tables::read("f", &loud.to_string()).value.unwrap();
    assert_eq!(config.tree.to_string(), written().to_string());
    // The exact name goes first; fields that nobody knows, and what is in them, are nobody's to change.
    let file = with(&[
        ("/tables/0/Name", Some(json!("other"))),
        ("/owner", Some(json!({"NAME": 1, "Name": 2}))),
    ]);
    let config = tables::read("f", &file.to_string()).value.unwrap();
    assert_eq!(config.tables[0].name.as_deref(), Some("web"));
    assert_eq!(config.tree, file);
}

#[test]
fn uris_as_they_are_asked_for() {
    let asked = |uri: &str| {
        let file = with(&[(
            "/tables/0/backends/0/healthchecks/http_uri",
            Some(json!(uri)),
        )]);
        let config = tables::read("f", &file.to_string()).value?;
        Some(config.tables[0].backends[0].checks.http.clone()?.uri)
    };
    for (text, uri) in [
        ("", "/"),
        ("/", "/"),
        ("?a=b", "/?a=b"),
        ("/a b", "/a%20b"),
        ("/\u{fc}", "/%C3%BC"),
        ("/a%20b?c=%26#d", "/a%20b?c=%26"),
        ("/<\"{|}>", "/%3C%22%7B%7C%7D%3E"),
    ] {
        assert_eq!(asked(text).as_deref(), Some(uri), "{text}");
    }
    // The deployed checker fails each check of these.
    for text in ["status", ":80", "/a\n", "/\t"] {
        assert_eq!(asked(text), None, "{text}");
    }
}

/// What the deployed tools refuse, or would make something else of than was meant, is an error here.
#[test]
fn what_stays_an_error() {
    for (pointer, value) in [
        ("/tables/0/backends", json!(null)),
        ("/tables/0/hash_key", json!(null)),
        ("/tables/0/hash_key", json!("")),
        ("/tables/0/seed", json!(null)),
        ("/tables/0/backends/0/ip", json!("")),
        ("/tables/0/backends/0/state", json!(null)),
        ("/tables/0/backends/0/state", json!("Active")),
        ("/tables/0/backends/0/healthy", json!("true")),
        ("/tables/0/backends/0/healthchecks/http", json!("80")),
        ("/tables/0/binds/0/port", json!("80")),
        ("/tables/0/binds/0/port", json!(80.0)),
        ("/tables/0/binds/0/port", json!(null)),
        ("/tables/0/binds/0/proto", json!("TCP")),
        ("/healthchecks", json!([])),
        ("/tables", json!({})),
        ("/tables", json!([null])),
    ] {
        let file = with(&[(pointer, Some(value))]);
        let errors = tables::read("f", &file.to_string()).errors().count();
        assert_eq!(errors, 1, "{file}");
    }
}

#[test]
fn settings_of_directors() {
    let read = |more: Value| {
        let mut file = json!({"outbound_src_ip": "65.65.65.65"});
        for (name, value) in more.as_object().unwrap() {
            file[name] = value.clone();
        }
        director::read("d", &file.to_string()).value.expect("good")
    };
    // A string for the director on DPDK, a number for that on XDP.
    for (port, expected) in [
        (json!("28126"), Some(28126)),
        (json!(28126), Some(28126)),
        (json!(0), None),
        (json!("0"), None),
        (json!(null), None),
    ] {
        assert_eq!(read(json!({"statsd_port": port})).statsd_port, expected);
    }
    let mac = Some([0, 1, 0x22, 0xaa, 0xbb, 0xcc]);
    for text in [
        "00:01:22:aa:bb:CC",
        "0:1:22:aa:bb:cc",
        "00-01-22-aa-bb-cc",
        "0001:22aa:bbcc",
        "0001.22aa.bbcc",
    ] {
        assert_eq!(
            read(json!({"outbound_gateway_mac": text}))
                .settings
                .gateway_mac,
            mac
        );
    }
    for text in [
        "00:01:22:aa:bb",
        "0:1:22:aa:bb:ccc",
        "1:2:3:4:5:+6",
        "0001-22aa-bbcc",
        "",
    ] {
        let file = json!({"outbound_src_ip": "1.2.3.4", "outbound_gateway_mac": text});
        assert_eq!(
            director::read("d", &file.to_string()).errors().count(),
            1,
            "{text}"
        );
    }
    let nothing = read(
        json!({"outbound_gateway_mac": null, "hash_fields": null, "alt_hash_fields": null,
        "forward_icmp_ping_responses": null, "kni_ip": null}),
    );
    let mut plain = read(json!({}));
    plain.tree = nothing.tree.clone();
    assert_eq!(format!("{nothing:?}"), format!("{plain:?}"));
    let fields = read(json!({"Hash_Fields": {"SRC_ADDR": true, "src_port": null}}));
    assert_eq!(fields.settings, plain.settings);
}

#[test]
fn settings_of_the_checker() {
    let plain = healthcheck::read("h", "{}").value.expect("good");
    for file in [
        "null",
        r#"{"forwarding_table": null, "reload_command": null}"#,
        r#"{"forwarding_table": {"src": null, "dst": null}}"#,
        r#"{"Forwarding_Table": {"SRC": "/etc/glb/forwarding_table.src.json"}}"#,
    ] {
        let mut same = healthcheck::read("h", file).value.expect(file);
        assert_eq!(healthcheck::src_of(file), Some(plain.src.clone()), "{file}");
        same.tree = plain.tree.clone();
        assert_eq!(format!("{same:?}"), format!("{plain:?}"), "{file}");
    }
}
