// SPDX-License-Identifier: GPL-2.0

//! Changes of the operator's source file: new tables, backends, their states, binds.

mod common;

use common::raw::{code, err, four, glbctl, out};
use common::Dir;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A file as operators write it, with what nobody knows in it.
const BACKENDS: &str = r#"{
  "tables": [
    { "name": "api", "x-note": "ours",   "hash_key": "12345678901234561234567890123456",
      "seed": "49a3d861d661ae5ab06ed9326871a2f5", "binds": [{"ip": "9.9.9.9", "proto": "tcp", "port": 80}],
      "backends": [
        {"ip": "1.1.1.1", "state": "active", "rack": 1.50},
        {"ip": "1.1.1.2", "state": "active"},	{"ip": "1.1.1.3", "state": "active"} ] },
    { "name": "web", "hash_key": "12345678901234561234567890123456",
      "seed": "59a3d861d661ae5ab06ed9326871a2f5", "binds": [{"ip": "9.9.9.9", "proto": "tcp", "port": 81}],
      "backends": [{"ip": "1.1.1.1", "state": "active"}, {"ip": "1.1.1.4", "state": "active"}] }
  ],
  "note": "kept"
}
"#;

#[test]
fn a_backend_goes_round_and_nothing_else_in_the_file_changes() {
    let dir = Dir::new("round");
    let file = dir.file("src.json", BACKENDS);
    let mut expected = BACKENDS.to_owned();
    for (command, from, to) in [
        ("drain", "active", "draining"),
        ("deactivate", "draining", "inactive"),
        ("fill", "inactive", "filling"),
        ("activate", "filling", "active"),
        ("drain", "active", "draining"),
        ("activate", "draining", "active"),
    ] {
        let done = glbctl(&[&"backend", &command, &"api", &"1.1.1.1", &"--file", &file]);
        assert_eq!(code(&done), 0, "{}", err(&done));
        let change = format!("table \"api\": 1.1.1.1: {from} -> {to}\n");
        assert!(out(&done).starts_with(&change), "{}", out(&done));
        let field = |state| format!(r#"{{"ip": "1.1.1.1", "state": "{state}", "rack": 1.50}}"#);
        expected = expected.replace(&field(from), &field(to));
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    }
    assert_eq!(expected, BACKENDS);
    let again = glbctl(&[
        &"backend",
        &"activate",
        &"api",
        &"1.1.1.1",
        &"--file",
        &file,
    ]);
    assert_eq!(
        (code(&again), &*out(&again)),
        (0, "1.1.1.1 is active already\n")
    );
    assert_eq!(dir.names(), ["src.json"]);
}

#[test]
fn a_step_that_breaks_connections_is_refused() {
    let dir = Dir::new("refused");
    let file = dir.file("src.json", BACKENDS);
    let step = |args: &[&str]| {
        let mut all: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"backend"];
        all.extend(args.iter().map(|arg| arg as &dyn AsRef<std::ffi::OsStr>));
        all.extend([&"--file" as &dyn AsRef<std::ffi::OsStr>, &file]);
        glbctl(&all)
    };
    let skipped = step(&["deactivate", "api", "1.1.1.1"]);
    assert_eq!(code(&skipped), 1);
    let reason =
        "table \"api\": 1.1.1.1: it is active; only what is draining becomes inactive (--force";
    assert!(err(&skipped).contains(reason), "{}", err(&skipped));
    assert_eq!(code(&step(&["drain", "#0", "1.1.1.1"])), 0);
    let second = step(&["drain", "api", "1.1.1.2"]);
    let reason = "1.1.1.1 is draining: with 2 hops a row only 1 may leave active at a time";
    assert!(
        code(&second) == 1 && err(&second).contains(reason),
        "{}",
        err(&second)
    );
    // Another table is another matter, and all tables are changed together or not at all.
    let before = fs::read_to_string(&file).unwrap();
    assert_eq!(code(&step(&["drain", "--all", "1.1.1.2"])), 1);
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    assert_eq!(code(&step(&["drain", "--all", "1.1.1.4"])), 0);
    let forced = step(&["drain", "api", "1.1.1.2", "--force", "--json"]);
    assert_eq!(code(&forced), 0);
    let report: serde_json::Value = serde_json::from_str(&out(&forced)).unwrap();
    assert_eq!(report["changes"][0]["to"], "draining");
    assert!(report["warnings"][0]
        .as_str()
        .unwrap()
        .contains("1.1.1.1 is draining"));
    for (args, status, said) in [
        (
            &["drain", "api", "1.1.1.9"][..],
            1,
            "table \"api\" has no backend 1.1.1.9",
        ),
        (
            &["drain", "--all", "1.1.1.9"],
            1,
            "no table has the backend 1.1.1.9",
        ),
        (
            &["drain", "nosuch", "1.1.1.1"],
            1,
            "there is no table \"nosuch\"",
        ),
        (&["drain", "1.1.1.1"], 2, "Usage"),
        (&["drain", "api", "host"], 2, "invalid"),
        (&["drain", "--all", "api", "1.1.1.1"], 2, "cannot be used"),
    ] {
        let done = step(args);
        assert_eq!(code(&done), status, "{args:?}: {}", err(&done));
        assert!(err(&done).contains(said), "{args:?}: {}", err(&done));
    }
}

#[test]
fn backend_status_shows_shares_and_whom_it_could_not_ask() {
    let dir = Dir::new("backend-status");
    let file = dir.file(
        "src.json",
        &BACKENDS.replacen("\"active\"", "\"draining\"", 1),
    );
    let metrics = "http://127.0.0.1:1/metrics";
    let status = |more: &[&dyn AsRef<std::ffi::OsStr>]| {
        let mut args: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![
            &"backend",
            &"status",
            &"--file",
            &file,
            &"--interval",
            &"0.01",
            &"--checker",
            &metrics,
        ];
        args.extend(more);
        glbctl(&args)
    };
    let text = status(&[&"api", &"--metrics", &metrics]);
    assert_eq!(code(&text), 0, "{}", err(&text));
    assert!(out(&text).contains("health checker: "), "{}", out(&text));
    assert!(
        out(&text).contains("unknown: Connection refused"),
        "{}",
        out(&text)
    );
    let json = status(&[&"--metrics", &"none", &"--json"]);
    let report: serde_json::Value = serde_json::from_str(&out(&json)).unwrap();
    let backends = report["tables"][0]["backends"].as_array().unwrap();
    let rows = |field: &str| {
        backends
            .iter()
            .map(|one| one[field].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let (first, later) = (rows("first_rows"), rows("later_rows"));
    // The draining one is the first hop of no row.
    assert!(
        first[0] == 0 && first[1] > 30_000 && first[2] > 30_000,
        "{first:?}"
    );
    assert_eq!(
        (first.iter().sum::<u64>(), later.iter().sum::<u64>()),
        (65_536, 65_536)
    );
    assert_eq!(backends[0]["healthy"], serde_json::Value::Null);
    assert_eq!(report["tables"].as_array().unwrap().len(), 2);
}

#[test]
fn a_new_table_has_keys_of_its_own() {
    let dir = Dir::new("new");
    let file = dir.0.join("t.json");
    for name in ["a", "b"] {
        let bind = format!("tcp:10.0.0.{}:80", name.len() + usize::from(name == "b"));
        let output = glbctl(&[
            &"table",
            &"new",
            &name,
            &"--bind",
            &bind,
            &"--bind",
            &"udp:[fd00::/64]:53-54",
            &"--backend",
            &"1.1.1.1",
            &"--backend",
            &"1.1.1.2",
            &"--file",
            &file,
        ]);
        assert_eq!(code(&output), 0, "{}", err(&output));
    }
    let tree: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let keys: std::collections::HashSet<&str> = (0..2)
        .flat_map(|table| {
            ["seed", "hash_key"].map(|key| tree["tables"][table][key].as_str().unwrap())
        })
        .collect();
    assert_eq!(keys.len(), 4);
    assert_eq!(tree["tables"][1]["binds"][1]["port_end"], 54);
    assert_eq!(code(&glbctl(&[&"table", &"check", &file])), 0);
    let printed = glbctl(&[
        &"table",
        &"new",
        &"c",
        &"--version",
        &"3",
        &"--bind",
        &"tcp:10.0.0.9:80",
        &"--backend",
        &"1.1.1.1",
    ]);
    let alone = dir.file("c.json", &out(&printed));
    let output = glbctl(&[&"table", &"check", &alone]);
    assert!(
        out(&output).contains("version 3, 3 hops"),
        "{}",
        out(&output)
    );
    // A name that is there already changes nothing.
    let before = fs::read_to_string(&file).unwrap();
    let again = glbctl(&[
        &"table",
        &"new",
        &"a",
        &"--bind",
        &"tcp:10.0.0.7:80",
        &"--backend",
        &"1.1.1.1",
        &"--file",
        &file,
    ]);
    assert_eq!(code(&again), 1);
    assert!(
        err(&again).contains("another table has this name"),
        "{}",
        err(&again)
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
}

#[test]
fn backends_come_and_go_in_the_file() {
    let dir = Dir::new("members");
    // What nobody here knows, and how it was written, stays.
    let text = four().replace("\"name\": \"t\"", "\"name\":\"t\",\n  \"note\": 1.50");
    let file = dir.file("t.json", &text);
    let backend = |args: &[&str]| {
        let mut all: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"backend"];
        all.extend(args.iter().map(|arg| arg as &dyn AsRef<std::ffi::OsStr>));
        all.push(&"--file");
        all.push(&file);
        glbctl(&all)
    };
    let now = || fs::read_to_string(&file).unwrap();
    let added = backend(&["add", "t", "1.1.1.9"]);
    assert_eq!(code(&added), 0, "{}", err(&added));
    let item = "{\"ip\": \"1.1.1.9\", \"state\": \"filling\", \"healthy\": true}";
    assert_eq!(now(), text.replace("}]}]}", &format!("}},{item}]}}]}}")));
    let with_nine = now();
    let refused = [
        (backend(&["add", "t", "1.1.1.9"]), "has 1.1.1.9 already"),
        (backend(&["add", "t", "1.1.1.10"]), "1.1.1.9 is filling"),
        (
            backend(&["add", "no", "1.1.1.10"]),
            "there is no table \"no\"",
        ),
        (backend(&["remove", "t", "1.1.1.9"]), "1.1.1.9 is filling"),
        (
            backend(&["remove", "t", "1.1.1.77"]),
            "has no backend 1.1.1.77",
        ),
    ];
    for (output, reason) in refused {
        assert_eq!(code(&output), 1);
        assert!(err(&output).contains(reason), "{reason}: {}", err(&output));
    }
    assert_eq!(now(), with_nine);
    assert_eq!(code(&backend(&["add", "t", "1.1.1.10", "--inactive"])), 0);
    assert_eq!(code(&backend(&["remove", "t", "1.1.1.10"])), 0);
    assert_eq!(now(), with_nine);
    assert_eq!(code(&backend(&["remove", "t", "1.1.1.9", "--force"])), 0);
    assert_eq!(now(), text);
    assert_eq!(dir.names(), ["t.json"]);
}

#[test]
fn a_new_backend_has_the_checks_of_the_others() {
    let dir = Dir::new("checks");
    let with = |checks: &str| format!("\"healthy\": true, \"healthchecks\": {checks}}}");
    let same = four().replace("\"healthy\": true}", &with("{\"http\": 80}"));
    let file = dir.file("t.json", &same);
    let add = |args: &[&dyn AsRef<std::ffi::OsStr>]| {
        let first: [&dyn AsRef<std::ffi::OsStr>; 6] =
            [&"backend", &"add", &"t", &"1.1.1.9", &"--file", &file];
        glbctl(&[&first[..], args].concat())
    };
    assert_eq!(code(&add(&[])), 0);
    let checks = || {
        let text = fs::read_to_string(&file).unwrap();
        let tree: serde_json::Value = serde_json::from_str(&text).unwrap();
        tree["tables"][0]["backends"][4]["healthchecks"].to_string()
    };
    assert_eq!(checks(), "{\"http\":80}");
    fs::write(&file, same.replacen("{\"http\": 80}", "{\"tcp\": 81}", 1)).unwrap();
    let output = add(&[]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("--like"), "{}", err(&output));
    assert_eq!(code(&add(&[&"--like", &"1.1.1.1"])), 0);
    assert_eq!(checks(), "{\"tcp\":81}");
}

#[test]
fn binds_come_and_go_in_the_file() {
    let dir = Dir::new("binds");
    let file = dir.file("t.json", &four());
    let bind =
        |action: &str, bind: &str| glbctl(&[&"bind", &action, &"t", &bind, &"--file", &file]);
    let now = || fs::read_to_string(&file).unwrap();
    assert_eq!(code(&bind("add", "udp:[fd00::/64]:53-54")), 0);
    let item = "{\"ip\": \"fd00::/64\", \"proto\": \"udp\", \"port_start\": 53, \"port_end\": 54}";
    assert_eq!(now(), four().replace("80}]", &format!("80}}, {item}]")));
    let again = bind("add", "tcp:9.9.9.9:80");
    assert_eq!(code(&again), 1);
    assert!(
        err(&again).contains("has the bind tcp 9.9.9.9 port 80 already"),
        "{}",
        err(&again)
    );
    let missing = bind("remove", "tcp:9.9.9.9:81");
    assert!(err(&missing).contains("has no bind"), "{}", err(&missing));
    assert_eq!(code(&bind("remove", "udp:[fd00::/64]:53-54")), 0);
    assert_eq!(now(), four());
    for bad in [
        "tcp:9.9.9.9",
        "dccp:9.9.9.9:80",
        "tcp:9.9.9.0/33:80",
        "tcp:9.9.9.9:90-80",
        "9.9.9.9:80",
    ] {
        assert_eq!(code(&bind("add", bad)), 2, "{bad}");
    }
}

#[test]
fn a_drain_looks_at_the_others_health_first() {
    let dir = Dir::new("drain-health");
    let table = |healthy: &str| {
        format!(
            r#"{{"tables": [{{"name": "t", "hash_key": "12345678901234561234567890123456",
            "seed": "34567890123456783456789012345678", "binds": [], "backends": [
            {{"ip": "10.0.0.1", "state": "active", "healthy": true}},
            {{"ip": "10.0.0.2", "state": "active", "healthy": {healthy}}}]}}]}}"#
        )
    };
    let drain = |file: &PathBuf, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glbctl"));
        command.args(["backend", "drain", "t", "10.0.0.1", "--metrics", "none"]);
        command.arg("--file").arg(file).args(more).output().unwrap()
    };
    let bad = dir.file("bad.json", &table("false"));
    let before = fs::read(&bad).unwrap();
    let output = drain(&bad, &["--checker", "none"]);
    assert_eq!(code(&output), 1);
    let said = err(&output);
    assert!(
        said.contains("10.0.0.2 is not healthy, by the file"),
        "{said}"
    );
    assert_eq!(fs::read(&bad).unwrap(), before);
    assert_eq!(code(&drain(&bad, &["--checker", "none", "--force"])), 0);
    let good = dir.file("good.json", &table("true"));
    let before = fs::read(&good).unwrap();
    let output = drain(&good, &["--checker", "none", "--dry-run"]);
    assert_eq!(code(&output), 0);
    assert!(
        out(&output).contains("Nothing was changed"),
        "{}",
        out(&output)
    );
    assert_eq!(fs::read(&good).unwrap(), before);
    // What cannot be waited for changes nothing.
    let output = drain(&good, &["--checker", "none", "--wait"]);
    assert_eq!(code(&output), 1);
    assert_eq!(fs::read(&good).unwrap(), before);
    // A checker that does not answer is told.
    let output = drain(&good, &["--checker", "http://127.0.0.1:1/health"]);
    assert_eq!(code(&output), 0);
    assert!(
        err(&output).contains("health checker: "),
        "{}",
        err(&output)
    );
    assert_ne!(fs::read(&good).unwrap(), before);
}

#[test]
fn a_drain_breaks_connections_where_no_second_hop_is_named() {
    let dir = Dir::new("drain-forward");
    let table = r#"{"tables": [{"name": "t", "version": 3, "forward": {"kind": "gre"}, "flows": false,
        "hash_key": "12345678901234561234567890123456", "seed": "34567890123456783456789012345678", "binds": [], "backends": [
        {"ip": "10.0.0.1", "state": "active", "healthy": true},
        {"ip": "10.0.0.2", "state": "active", "healthy": true}]}]}"#;
    let file = dir.file("t.json", table);
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glbctl"));
        command.args(words).arg("--file").arg(&file);
        command.output().unwrap()
    };
    let none = ["--checker", "none", "--metrics", "none"];
    let drain = [&["backend", "drain", "t", "10.0.0.1"][..], &none].concat();
    let output = run(&drain);
    assert_eq!(code(&output), 1);
    let said = err(&output);
    assert!(said.contains("packets by gre name no second hop"), "{said}");
    let output = run(&["backend", "add", "t", "10.0.0.3"]);
    assert_eq!(code(&output), 1);
    let said = err(&output);
    assert!(said.contains("packets by gre name no second hop"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), table.as_bytes());
    assert_eq!(
        code(&run(&["backend", "add", "t", "10.0.0.3", "--inactive"])),
        0
    );
    assert_eq!(code(&run(&[&drain[..], &["--force"]].concat())), 0);
    // A flow table keeps them, but for some.
    fs::write(&file, table.replace(r#""flows": false,"#, "")).unwrap();
    assert_eq!(code(&run(&["backend", "add", "t", "10.0.0.3"])), 0);
    let output = run(&drain);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let said = err(&output);
    for part in [
        "warning: table \"t\": its flow table keeps",
        "no packet for 40 s",
    ] {
        assert!(said.contains(part), "{said}");
    }
}
