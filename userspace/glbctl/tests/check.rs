// SPDX-License-Identifier: GPL-2.0

//! `glbctl table check` and `table show`: what is said of a table, and what one takes of the other.

mod common;

use common::{glbctl, glbctl_fed, table, Dir};
use serde_json::{json, Value};

const FOUR: &[(u8, &str, bool)] = &[
    (1, "active", true),
    (2, "active", true),
    (3, "active", true),
    (4, "active", true),
];

/// The table without the health of these backends.
fn without_health(places: &[usize]) -> Value {
    let mut file = table(FOUR);
    for place in places {
        let backend = &mut file["tables"][0]["backends"][*place];
        backend.as_object_mut().unwrap().remove("healthy");
    }
    file
}

#[test]
fn a_missing_healthy_is_said_where_rows_are_made_of_it() {
    let dir = Dir::new("unsaid");
    let new = dir.file("new.json", &without_health(&[3]).to_string());
    let dst = dir.path("t.bin");
    let warning = format!(
        "{}: warning: table \"t\": backends[3].healthy: is missing and counts as false: the backend gets no \
         new connections while others are healthy; set it to true\n",
        new.display()
    );
    let checked = glbctl("table check", &[&new]);
    assert_eq!(checked.code, 0);
    assert!(checked.out.starts_with(&warning), "{checked:?}");
    assert!(
        checked
            .out
            .contains("table \"t\": no new connections for 1.1.1.4\n"),
        "{checked:?}"
    );
    for run in [
        glbctl("table build", &[&new, &dst]),
        common::director_cli("build-config", &[&new, &dst]),
        glbctl("lookup 10.0.0.1 9.9.9.9:80 --table", &[&new]),
    ] {
        assert_eq!((run.code, &*run.err), (0, &*warning));
    }
    // The source of the health checker has none at all: one word on the whole of it.
    let src = dir.file("src.json", &without_health(&[0, 1, 2, 3]).to_string());
    let checked = glbctl("--json table check", &[&src]).json();
    let issues = checked[0]["issues"].as_array().unwrap();
    // What comes of it, rows that lead to backends that are down, is said beside it.
    assert_eq!(issues.len(), 2);
    assert_eq!(
        (&issues[0]["field"], &issues[0]["severity"]),
        (&json!("backends"), &json!("warning"))
    );
    assert!(issues[0]["reason"]
        .as_str()
        .unwrap()
        .contains("the source of glb-healthcheck"));
    // Nothing is said where all is said, nor of a backend that gets none anyway.
    let mut drained = without_health(&[2]);
    drained["tables"][0]["backends"][2]["state"] = json!("draining");
    for good in [table(FOUR), drained] {
        let file = dir.file("good.json", &good.to_string());
        let checked = glbctl("--json table check", &[&file]).json();
        assert_eq!(checked[0]["issues"], json!([]), "{good}");
        assert_eq!(checked[0]["tables"][0]["without_rows"], json!([]));
    }
}

#[test]
fn check_takes_what_show_prints() {
    let dir = Dir::new("shown");
    let file = dir.file("t.json", &table(FOUR).to_string());
    let direct = glbctl("--json table check", &[&file]).json();
    for words in ["--json table show", "--json table show --rows"] {
        let shown = glbctl(words, &[&file]);
        let checked = glbctl_fed("--json table check -", &[], shown.out.as_bytes());
        let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
        assert_eq!(checked[0]["ok"], true, "{checked}");
        // All that was found in the file is found in what was shown of it.
        assert_eq!(checked[0]["tables"], direct[0]["tables"]);
    }
    // As the kernel shows it: no keys, no shares.
    let running = json!([{"index": 0, "table": "#0", "generation": 3, "hops": 2,
        "binds": ["tcp 9.9.9.0/24 port 80-90", "udp fd00::1 port 53"],
        "backends": [{"index": 0, "ip": "1.1.1.1", "state": "active", "healthy": true}]}]);
    let check = |file: &Value| {
        let run = glbctl_fed("table check -", &[], file.to_string().as_bytes());
        (run.status.code(), String::from_utf8(run.stdout).unwrap())
    };
    let expected = "standard input: table #0: version 2, 2 hops, 2 binds, 1 backends (1 in rows)\n\
                    standard input: ok (JSON, of table show)\n";
    assert_eq!(check(&running), (Some(0), expected.to_owned()));
    for (pointer, bad, said) in [
        (
            "/0/binds/0",
            json!("tcp 9.9.9.0/33 port 80"),
            "binds[0]: \"tcp 9.9.9.0/33 port 80\": must be as in",
        ),
        (
            "/0/binds/1",
            json!("udp fd00::1 port 90-80"),
            "must be as in",
        ),
        (
            "/0/backends/0/ip",
            json!("host"),
            "backends[0].ip: \"host\": must be an IPv4 or IPv6 address",
        ),
        (
            "/0/backends/0/state",
            json!("gone"),
            "must be \"filling\", \"active\", ",
        ),
        ("/0/hops", json!(1), "must be a whole number from 2 to 31"),
        ("/0/backends", json!([]), "must be 1 to 256"),
    ] {
        let mut other = running.clone();
        *other.pointer_mut(pointer).unwrap() = bad;
        let (code, out) = check(&other);
        assert!(code == Some(1) && out.contains(said), "{pointer}: {out}");
    }
    let mut shown = glbctl("--json table show --rows", &[&file]).json();
    shown[0]["rows"][7] = json!([0, 4]);
    assert!(check(&shown)
        .1
        .contains("rows[7]: must be 2 indexes of backends"));
    shown[0]["rows"][7] = json!([0, 0]);
    shown[0]["backends"][0]["rows"] = json!(1);
    assert!(check(&shown).1.contains("and must be 65536"));
}

#[test]
fn show_finds_tables_by_name_and_by_place() {
    let dir = Dir::new("place");
    let mut file = table(FOUR);
    let mut second = file["tables"][0].clone();
    second["name"] = json!("0");
    second["seed"] = json!("59a3d861d661ae5ab06ed9326871a2f5");
    second["binds"] = json!([]);
    file["tables"].as_array_mut().unwrap().push(second);
    let file = dir.file("t.json", &file.to_string());
    for (wanted, expected) in [("t", "t"), ("#0", "t"), ("1", "0"), ("#1", "0"), ("0", "0")] {
        let shown = glbctl(&format!("--json table show --table {wanted}"), &[&file]).json();
        assert_eq!(shown.as_array().unwrap().len(), 1);
        // A name goes before a place.
        assert_eq!(shown[0]["table"], expected, "{wanted}");
    }
    let missing = glbctl("table show --table 2", &[&file]);
    assert_eq!(missing.code, 1);
    assert!(
        missing.err.ends_with("there is no table \"2\"\n"),
        "{missing:?}"
    );
}
