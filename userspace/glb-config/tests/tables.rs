// SPDX-License-Identifier: GPL-2.0

//! Files of tables: what is accepted, and what is said of each fault.

use glb_config::tables::{self, Rule};
use glb_core::backend::State;
use glb_core::packet::addr::Addr;

const GOOD: &str = r#"{
  "tables": [
    { "name": "api",
      "hash_key": "12345678901234561234567890123456",
      "seed": "49a3d861d661ae5ab06ed9326871a2f5",
      "binds": [
        {"ip": "1.1.1.1", "proto": "tcp", "port": 80},
        {"ip": "fd00::/64", "proto": "udp", "port_start": 1, "port_end": 65535} ],
      "backends": [
        {"ip": "10.0.0.1", "state": "active", "healthy": true, "healthchecks": {"http": 80, "gue": 19523}},
        {"ip": "10.0.0.2", "state": "filling"},
        {"ip": "10.0.0.3", "state": "inactive", "healthy": true} ] } ],
  "healthchecks": {"interval_ms": 100, "trigger": 1}
}"#;

#[test]
fn a_good_file_is_read() {
    let (config, issues) = tables::read("f.json", GOOD).into_result().unwrap();
    assert_eq!(issues, []);
    let table = &config.tables[0];
    assert_eq!(table.name.as_deref(), Some("api"));
    assert_eq!(table.rule, Rule::V2);
    assert_eq!(table.seed[..2], [0x49, 0xa3]);
    assert_eq!(table.binds[1].prefix_len, 64);
    assert_eq!(
        (table.binds[1].port_start, table.binds[1].port_end),
        (1, 65535)
    );
    assert_eq!(table.backends[0].backend.addr, Addr::V4([10, 0, 0, 1]));
    assert_eq!(table.backends[0].checks.gue, Some(19523));
    // A missing `healthy` counts as false.
    assert!(!table.backends[1].backend.healthy);
    assert_eq!(table.backends[2].backend.state, State::Inactive);
    assert_eq!(config.healthchecks.interval_ms, 100);
    assert_eq!(config.healthchecks.timeout_ms, 1000);
}

#[test]
fn unknown_fields_are_kept_and_warned_of() {
    let text = GOOD.replace(
        r#""healthy": true, "healthchecks""#,
        r#""heathy": true, "rack": {"row": 7}, "healthchecks""#,
    );
    let (config, issues) = tables::read("f.json", &text).into_result().unwrap();
    let said: Vec<String> = issues.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            r#"f.json: warning: table "api": backends[0].heathy: unknown field, ignored; did you mean "healthy"?"#,
            r#"f.json: warning: table "api": backends[0].rack: unknown field, ignored"#,
        ]
    );
    assert_eq!(config.tree["tables"][0]["backends"][0]["rack"]["row"], 7);
}

/// The messages for a file in which one piece of the good one is replaced.
fn said(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    let checked = tables::read("f.json", &GOOD.replace(from, to));
    checked.issues.iter().map(ToString::to_string).collect()
}

#[test]
fn each_fault_is_named_with_file_table_field_and_value() {
    let api = r#"f.json: table "api": "#;
    let cases = [
        (
            "\"12345678901234561234567890123456\"",
            "\"1234567890123456123456789012345g\"",
            r#"hash_key: "1234567890123456123456789012345g": must be 32 hexadecimal digits"#,
        ),
        (
            "\"49a3d861d661ae5ab06ed9326871a2f5\"",
            "\"49a3\"",
            r#"seed: "49a3": must be 32 hexadecimal digits"#,
        ),
        (
            "\"49a3d861d661ae5ab06ed9326871a2f5\"",
            "5",
            "seed: 5: must be a string",
        ),
        (
            "\"1.1.1.1\"",
            "\"1.1.1.1/33\"",
            r#"binds[0].ip: "1.1.1.1/33": prefix length must be from 0 to 32"#,
        ),
        (
            "\"1.1.1.1\"",
            "\"1.1.1\"",
            r#"binds[0].ip: "1.1.1": must be an IPv4 or IPv6 address, or a prefix of one"#,
        ),
        (
            "\"tcp\"",
            "\"dccp\"",
            r#"binds[0].proto: "dccp": must be "tcp", "udp", "sctp" or "any""#,
        ),
        (
            "\"port\": 80",
            "\"port\": 65536",
            "binds[0].port: 65536: must be a whole number from 0 to 65535",
        ),
        (
            "\"port\": 80",
            "\"port\": \"80\"",
            r#"binds[0].port: "80": must be a whole number from 0 to 65535"#,
        ),
        (
            ", \"port\": 80",
            "",
            "binds[0].port: is missing, as are port_start and port_end",
        ),
        (
            "\"port_end\": 65535",
            "\"port_end\": 0",
            "binds[1].port_start: 1: must not be above port_end, 0",
        ),
        (
            ", \"port_end\": 65535",
            "",
            "binds[1].port_end: is missing, but port_start is there",
        ),
        (
            "\"10.0.0.1\"",
            "\"10.0.0.1/32\"",
            r#"backends[0].ip: "10.0.0.1/32": must be an IPv4 or IPv6 address"#,
        ),
        (
            "\"filling\"",
            "\"full\"",
            r#"backends[1].state: "full": must be "filling", "active", "draining" or "inactive""#,
        ),
        (
            "\"healthy\": true, \"h",
            "\"healthy\": 1, \"h",
            "backends[0].healthy: 1: must be true or false",
        ),
        (
            "\"http\": 80",
            "\"http\": 0",
            "backends[0].healthchecks.http: 0: must be a whole number from 1 to 65535",
        ),
        (
            "\"state\": \"filling\"",
            "\"state\": \"filling\", \"weight\": 2",
            r#"backends[1].weight: 2: needs "version": 3 in the table"#,
        ),
        (
            "\"name\": \"api\",",
            "\"name\": \"api\", \"hops\": 3,",
            r#"hops: 3: needs "version": 3; tables of version 2 have two hops"#,
        ),
        (
            "\"name\": \"api\",",
            "\"name\": \"api\", \"version\": 4,",
            "version: 4: must be a whole number from 2 to 3",
        ),
    ];
    for (from, to, message) in cases {
        assert_eq!(said(from, to), [format!("{api}{message}")]);
    }
    assert_eq!(
        said("\"trigger\": 1", "\"trigger\": 1001"),
        ["f.json: healthchecks.trigger: 1001: must be a whole number from 0 to 1000"]
    );
}

#[test]
fn all_faults_are_reported_at_once() {
    let text = r#"{"tables": [
        {"name": "a", "hash_key": "x", "seed": "y", "binds": [{"ip": "z", "proto": "q", "port": -1}],
         "backends": [{"ip": 5, "state": 6, "healthy": 7}]},
        {"name": "a", "hash_key": "00000000000000000000000000000000", "binds": 1, "backends": []}, 8],
        "healthchecks": []}"#;
    let checked = tables::read("f.json", text);
    assert!(checked.value.is_none());
    let fields: Vec<(Option<&str>, &str)> = checked
        .issues
        .iter()
        .map(|issue| (issue.table.as_deref(), issue.field.as_str()))
        .collect();
    let (a, none) = (Some("a"), None);
    assert_eq!(
        fields,
        [
            (none, "healthchecks"),
            (a, "hash_key"),
            (a, "seed"),
            (a, "binds[0].ip"),
            (a, "binds[0].proto"),
            (a, "binds[0].port"),
            (a, "backends[0].ip"),
            (a, "backends[0].state"),
            (a, "backends[0].healthy"),
            (a, "seed"),
            (a, "binds"),
            (a, "backends"),
            (a, "name"),
            (Some("#2"), ""),
        ]
    );
}

#[test]
fn too_many_backends_and_binds() {
    let backend = r#"{"ip": "10.0.0.1", "state": "active", "healthy": true}"#;
    let backends = vec![backend; 300].join(",");
    let bind = r#"{"ip": "1.1.1.1", "proto": "tcp", "port": 80}"#;
    let binds = vec![bind; 257].join(",");
    let text = format!(
        r#"{{"tables": [{{"name": "big", "hash_key": "{k}", "seed": "{k}", "binds": [{binds}], "backends": [{backends}]}}]}}"#,
        k = "0".repeat(32)
    );
    let checked = tables::read("f.json", &text);
    let errors: Vec<String> = checked.errors().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            r#"f.json: table "big": binds: has 257 binds; a table holds at most 256"#,
            r#"f.json: table "big": backends: has 300 backends; a table holds at most 256"#,
        ]
    );
}

#[test]
fn no_backend_left_is_an_error_and_one_a_warning() {
    let all = GOOD
        .replace("\"active\"", "\"inactive\"")
        .replace("\"filling\"", "\"inactive\"");
    let checked = tables::read("f.json", &all);
    let said: Vec<String> = checked.issues.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [r#"f.json: table "api": backends: all are inactive: a table needs one that is not"#]
    );
    let one = tables::read("f.json", &GOOD.replace("\"filling\"", "\"inactive\""));
    assert!(one.value.is_some());
    assert!(one.issues[0]
        .to_string()
        .contains("only one is not inactive"));
}

#[test]
fn two_tables_need_two_seeds() {
    let second = GOOD.replace("\"api\"", "\"web\"");
    let text = format!(
        r#"{{"tables": [{}, {}]}}"#,
        table_of(GOOD),
        table_of(&second)
    );
    let checked = tables::read("f.json", &text);
    let errors: Vec<String> = checked.errors().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            r#"f.json: table "web": seed: "49a3d861d661ae5ab06ed9326871a2f5": must differ from the seed of table "api""#
        ]
    );
    assert!(checked
        .issues
        .iter()
        .any(|i| i.reason.contains("a bind of table \"api\" already")));
}

fn table_of(text: &str) -> String {
    let tree: serde_json::Value = serde_json::from_str(text).unwrap();
    tree["tables"][0].to_string()
}

#[test]
fn not_json_says_where() {
    let checked = tables::read("f.json", "{\"tables\": [}");
    assert_eq!(
        checked.issues[0].to_string(),
        "f.json: not JSON: expected value at line 1 column 13"
    );
}

#[test]
fn a_forward_has_its_own_parameters() {
    let said = |forward: &str, backend: &str| -> Vec<String> {
        let text = GOOD
            .replace(
                r#""name": "api","#,
                &format!(r#""name": "api", "version": 3, "forward": {forward},"#),
            )
            .replace(r#", "port_start": 1, "port_end": 65535"#, r#", "port": 53"#)
            .replace("fd00::/64", backend);
        let checked = tables::read("f.json", &text);
        checked.errors().map(ToString::to_string).collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(said(r#"{"kind": "l3dsr", "dscp": 0}"#, "1.1.1.0/24"), none);
    assert_eq!(said(r#"{"kind": "l3dsr", "dscp": 63}"#, "1.1.1.0/24"), none);
    for (forward, error) in [
        (
            r#"{"kind": "l3dsr", "dscp": 64}"#,
            "forward.dscp: 64: must be a whole number from 0 to 63",
        ),
        (
            r#"{"kind": "l3dsr", "dscp": -1}"#,
            "forward.dscp: -1: must be a whole number from 0 to 63",
        ),
        (r#"{"kind": "l3dsr"}"#, "forward.dscp: is missing"),
        (
            r#"{"kind": "gre", "dscp": 1}"#,
            r#"forward.dscp: 1: needs "kind": "l3dsr""#,
        ),
    ] {
        let want = format!("f.json: table \"api\": {error}");
        assert_eq!(said(forward, "1.1.1.0/24"), [want]);
    }
    assert_eq!(
        said(r#"{"kind": "l3dsr", "dscp": 1}"#, "fd00::/64"),
        ["f.json: table \"api\": binds[1].ip: is IPv6, and the backends are IPv4: forward l3dsr needs one family"]
    );
    assert_eq!(said(r#"{"kind": "gre"}"#, "fd00::/64"), none);
    for (forward, error) in [
        (
            r#"{"kind": "nat", "target_port": 0}"#,
            "forward.target_port: 0: must be a whole number from 1 to 65535",
        ),
        (
            r#"{"kind": "nat", "target_port": 1, "dscp": 1}"#,
            r#"forward.dscp: 1: needs "kind": "l3dsr""#,
        ),
        (
            r#"{"kind": "l3dsr", "target_port": 1, "dscp": 1}"#,
            r#"forward.target_port: 1: needs "kind": "nat""#,
        ),
    ] {
        let want = format!("f.json: table \"api\": {error}");
        assert_eq!(said(forward, "1.1.1.1"), [want]);
    }
    let node_port = said(r#"{"kind": "nat", "node_port": 30964}"#, "1.1.1.1");
    assert!(
        node_port.len() == 1 && node_port[0].contains("forward.node_port: 30964: cannot be: "),
        "{node_port:?}"
    );
}

/// Tables that translate: each with its name, its forward's parameters, its binds and its backends.
fn translating(tables: &[(&str, &str, &str, &str)]) -> Vec<String> {
    let table = |(name, more, binds, backend): &(&str, &str, &str, &str)| {
        format!(
            r#"{{"name": "{name}", "version": 3, "forward": {{"kind": "nat"{more}}}, "hash_key": "{name:0>32}",
                "seed": "{name:0>32}", "binds": [{binds}],
                "backends": [{{"ip": "{backend}", "state": "active", "healthy": true}}]}}"#
        )
    };
    let tables: Vec<String> = tables.iter().map(table).collect();
    let text = format!(r#"{{"tables": [{}]}}"#, tables.join(","));
    let checked = tables::read("f.json", &text);
    checked.errors().map(ToString::to_string).collect()
}

#[test]
fn answers_have_one_source() {
    let web = r#"{"ip": "9.9.9.9", "proto": "tcp", "port": 80}"#;
    let dns = r#"{"ip": "9.9.9.9", "proto": "udp", "port_start": 53, "port_end": 54}"#;
    let none: [&str; 0] = [];
    assert_eq!(
        translating(&[("a", r#", "target_port": 80"#, web, "10.0.0.1")]),
        none
    );
    assert_eq!(translating(&[("a", "", dns, "10.0.0.1")]), none);
    for (more, bind, error) in [
        ("", web.replace("9.9.9.9", "9.9.9.0/24"), "ip: is a prefix"),
        (
            r#", "target_port": 5353"#,
            dns.to_owned(),
            "port: are several ports, and target_port makes them one",
        ),
        ("", web.replace("9.9.9.9", "fd00::9"), "ip: is IPv6"),
        (
            "",
            dns.replace("54", "40000"),
            "port_end: is above 32767, where systems take",
        ),
        (
            r#", "target_port": 8080"#,
            web.replace("80", "0"),
            "port: is 0, which an answer could not be given back",
        ),
        (
            "",
            r#"{"ip": "9.9.9.9", "proto": "any"}"#.to_owned(),
            "proto: is any, and forward nat needs tcp, udp or sctp",
        ),
    ] {
        let said = translating(&[("a", more, &bind, "10.0.0.1")]);
        let want = format!(r#"f.json: table "a": binds[0].{error}"#);
        assert!(said.len() == 1 && said[0].starts_with(&want), "{said:?}");
    }
    // Each mistake is one error: what is said of a bind is not said of another one that meets it.
    let both = format!("{}, {web}", web.replace("9.9.9.9", "9.9.9.0/24"));
    let said = translating(&[("a", r#", "target_port": 8080"#, &both, "10.0.0.1")]);
    assert!(
        said.len() == 1 && said[0].contains("binds[0].ip: is a prefix"),
        "{said:?}"
    );
    // A check that nobody could answer.
    let checked =
        r#"10.0.0.1", "healthchecks": {"tcp": 80, "through": true}, "weight": 1, "domain": "r"#;
    let said = translating(&[("a", "", web, checked)]);
    assert!(
        said.len() == 1
            && said[0].contains("backends[0].healthchecks.through: is true, and with forward nat"),
        "{said:?}"
    );
    // A backend that is itself asked.
    let next = web.replace("9.9.9.9", "10.0.0.1");
    let said = translating(&[("a", "", web, "10.0.0.1"), ("b", "", &next, "10.0.0.2")]);
    assert_eq!(
        said,
        [
            r#"f.json: table "a": binds[0]: sends packets to 10.0.0.1, which is an address of binds[0] of table "b": an answer would not get the sources of both; with forward nat a backend must have an address that is not bound"#
        ]
    );
    // Two services, of one port of one backend.
    let other = web.replace("80", "8080");
    let to = r#", "target_port": 8080"#;
    let said = translating(&[("a", to, web, "10.0.0.1"), ("b", "", &other, "10.0.0.1")]);
    assert_eq!(
        said,
        [
            r#"f.json: table "b": binds[0]: sends packets to 10.0.0.1 tcp port 8080, as binds[0] of table "a" does: an answer from there does not say which of the two was asked; give one of them another target_port"#
        ]
    );
    assert_eq!(
        translating(&[("a", to, web, "10.0.0.1"), ("b", "", &other, "10.0.0.2")]),
        none
    );
    assert_eq!(
        translating(&[("a", "", web, "10.0.0.1"), ("b", "", &other, "10.0.0.1")]),
        none
    );
}
