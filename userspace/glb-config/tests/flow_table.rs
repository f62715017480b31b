// SPDX-License-Identifier: GPL-2.0

//! `flows` of a table: from JSON to the binary format and back; what cannot be is said with its field.

use glb_config::build::{why_not_v2, write_v3};
use glb_config::compiled::Format;
use glb_config::file::read_bytes;
use glb_config::rows::compile_all;
use glb_config::tables::{self, Config};
use glb_core::director::flows::{By, Rules, Spec};
use serde_json::{json, Value};

fn text(flows: &Value) -> String {
    json!({"tables": [
        {"name": "web", "hash_key": "000102030405060708090a0b0c0d0e0f", "seed": "00112233445566778899aabbccddeeff", "flows": flows,
         "binds": [{"ip": "1.1.1.1", "proto": "tcp", "port": 80}],
         "backends": [{"ip": "10.0.0.1", "state": "active", "healthy": true}, {"ip": "10.0.0.2", "state": "draining", "healthy": true}]},
        {"name": "old", "hash_key": "000102030405060708090a0b0c0d0e0f", "seed": "ff112233445566778899aabbccddeeff",
         "binds": [{"ip": "1.1.1.2", "proto": "tcp", "port": 80}],
         "backends": [{"ip": "10.0.0.1", "state": "active", "healthy": true}, {"ip": "10.0.0.2", "state": "active", "healthy": true}]}
    ]})
    .to_string()
}

fn config(flows: &Value) -> Config {
    tables::read("t.json", &text(flows))
        .into_result()
        .unwrap()
        .0
}

#[test]
fn what_is_not_said_has_its_default() {
    let spec = |flows| config(&flows).tables[0].words.flows;
    assert_eq!(spec(json!({})), Some(Spec::default()));
    let given = json!({"buckets": 1_000_000, "timeout_s": 43_200, "by": "source"});
    let wanted = Spec {
        buckets: 1_000_000,
        rules: Rules {
            timeout: 43_200,
            by: By::Source,
        },
    };
    assert_eq!(spec(given), Some(wanted));
    assert_eq!(config(&json!({})).tables[1].words.flows, None);
}

/// Packets that name no further hops lose their connections when rows move, unless they are remembered.
#[test]
fn without_a_word_flows_are_remembered_where_nothing_else_keeps_them() {
    let spec = |forward: Value, flows: Value| {
        let mut tree: Value = serde_json::from_str(&text(&flows)).unwrap();
        let table = tree["tables"][0].as_object_mut().unwrap();
        table.insert("version".to_owned(), json!(3));
        table.insert("forward".to_owned(), forward);
        if flows == json!("nothing") {
            table.remove("flows");
        }
        let read = tables::read("t.json", &tree.to_string());
        read.into_result().unwrap().0.tables[0].words.flows
    };
    let some = Some(Spec::default());
    for (forward, default) in [
        (json!({"kind": "gue"}), None),
        (json!({"kind": "gre"}), some),
        (json!({"kind": "ipip"}), some),
        (json!({"kind": "l3dsr", "dscp": 1}), some),
    ] {
        assert_eq!(
            spec(forward.clone(), json!("nothing")),
            default,
            "{forward}"
        );
        assert_eq!(spec(forward.clone(), json!(null)), default, "{forward}");
        assert_eq!(spec(forward.clone(), json!(false)), None, "{forward}");
        assert_eq!(spec(forward.clone(), json!({})), some, "{forward}");
    }
}

#[test]
fn a_binary_file_has_them_and_only_in_the_version_with_words() {
    let config = config(&json!({"buckets": 5, "timeout_s": 300}));
    let compiled = compile_all(&config, &mut |_, _| ()).unwrap();
    let mut bytes = Vec::new();
    write_v3(&compiled, &[], &mut bytes).unwrap();
    assert_eq!(bytes[4..8], 4u32.to_le_bytes());
    let (file, issues) = read_bytes("f", &bytes, &mut |_, _| ())
        .into_result()
        .unwrap();
    assert_eq!((issues, file.format), (vec![], Format::V3));
    assert_eq!(file.tables, compiled);
    assert_eq!(file.tables[0].words.flows, Spec::new(5, 300, By::Flow).ok());
    let said: Vec<String> = why_not_v2("t.json", &config)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        ["t.json: table \"web\": flows: {...}: cannot be built as format version 2: it has no place for them"]
    );
}

#[test]
fn what_cannot_be_is_said_with_its_field() {
    for (flows, field, wanted) in [
        (json!({"buckets": 0}), "flows.buckets: 0", "1 to 1048576"),
        (
            json!({"buckets": 1_048_577}),
            "flows.buckets: 1048577",
            "1 to 1048576",
        ),
        (json!({"timeout_s": 0}), "flows.timeout_s: 0", "1 to 43200"),
        (
            json!({"timeout_s": 43_201}),
            "flows.timeout_s: 43201",
            "1 to 43200",
        ),
        (
            json!({"by": "client"}),
            "flows.by: \"client\"",
            "must be \"flow\" or \"source\"",
        ),
        (json!({"by": 1}), "flows.by: 1", "string"),
        (
            json!(true),
            "flows: true",
            "must be an object, or false for none",
        ),
        (json!("no"), "flows: \"no\"", "object"),
    ] {
        let issues = tables::read("t.json", &text(&flows))
            .into_result()
            .unwrap_err();
        let said: Vec<String> = issues.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        for part in ["t.json: table \"web\"", field, wanted] {
            assert!(said[0].contains(part), "{part}: {said:?}");
        }
    }
}

/// Two tables, each with its `flows`, of which the second has the binds of the first in other words.
fn sharing(first: &Value, second: &Value) -> String {
    let mut tree: Value = serde_json::from_str(&text(first)).unwrap();
    tree["tables"][0]["binds"] = json!([
        {"ip": "1.1.1.3", "proto": "tcp", "port": 80},
        {"ip": "1.1.0.0/16", "proto": "tcp", "port_start": 80, "port_end": 90}
    ]);
    tree["tables"][1]["binds"] = json!([
        {"ip": "1.1.1.3", "proto": "udp", "port": 80},
        {"ip": "1.1.1.2/16", "proto": "tcp", "port_start": 80, "port_end": 90}
    ]);
    tree["tables"][1]["flows"] = second.clone();
    tree.to_string()
}

#[test]
fn tables_of_one_bind_remember_flows_both_or_not_at_all() {
    for (first, second, wanted) in [
        (
            json!({}),
            json!(false),
            "which remembers flows, and this table does not",
        ),
        (
            json!(false),
            json!({}),
            "which does not remember flows, and this table does",
        ),
    ] {
        let checked = tables::read("t.json", &sharing(&first, &second));
        let errors: Vec<String> = checked.errors().map(ToString::to_string).collect();
        let wanted = format!(
            "t.json: table \"old\": binds[1].ip: \"1.1.1.2/16\": is a bind of table \"web\" too, {wanted}: give both tables \
             \"flows\", or both \"flows\": false, or only one of them the bind"
        );
        assert_eq!(errors, [wanted]);
        let warned = |issue: &glb_config::Issue| issue.reason.contains("already");
        assert!(!checked.issues.iter().any(warned));
    }
    for alike in [json!({}), json!(false)] {
        let checked = tables::read("t.json", &sharing(&alike, &alike));
        let warned = |issue: &&glb_config::Issue| issue.reason.contains("already");
        assert_eq!(checked.issues.iter().filter(warned).count(), 1);
        assert!(checked.into_result().is_ok());
    }
}

/// Nobody has checked a binary file before it is loaded.
#[test]
fn a_binary_file_with_such_tables_is_refused() {
    let read = |second: &Value| {
        let config = tables::read("t.json", &sharing(&json!({}), &json!({})));
        let mut compiled = compile_all(&config.into_result().unwrap().0, &mut |_, _| ()).unwrap();
        if second.is_null() {
            compiled[1].words.flows = None;
        }
        let mut bytes = Vec::new();
        write_v3(&compiled, &[], &mut bytes).unwrap();
        read_bytes("f", &bytes, &mut |_, _| ()).into_result()
    };
    assert!(read(&json!({})).is_ok());
    let said: Vec<String> = read(&Value::Null)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(said.len(), 1, "{said:?}");
    let wanted = "table \"old\": binds[1] is a bind of table \"web\" too, which remembers flows, and this table does not";
    assert!(said[0].contains(wanted), "{said:?}");
}
