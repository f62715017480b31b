// SPDX-License-Identifier: GPL-2.0

//! `glbctl table diff`: which roll-outs are safe, and which connections the others break.

mod common;

use common::{glbctl, table, Dir, Run};
use serde_json::{json, Value};

type States<'s> = &'s [(u8, &'s str, bool)];

const FOUR: States<'_> = &[
    (1, "active", true),
    (2, "active", true),
    (3, "active", true),
    (4, "active", true),
];

/// Four backends, one of them in another state.
fn third(state: &str, healthy: bool) -> Value {
    let mut states = FOUR.to_vec();
    states[2] = (3, state, healthy);
    table(&states)
}

/// Compares two tables, with more arguments.
struct Diff(Dir);

impl Diff {
    fn new(name: &str) -> Self {
        Self(Dir::new(&format!("diff-{name}")))
    }

    fn run(&self, words: &str, old: &Value, new: &Value) -> Run {
        let old = self.0.file("old.json", &old.to_string());
        let new = self.0.file("new.json", &new.to_string());
        glbctl(&format!("table diff {words}"), &[&old, &new])
    }

    fn json(&self, words: &str, old: &Value, new: &Value) -> Value {
        let run = self.run(&format!("--json --exit-code {words}"), old, new);
        let diff = run.json();
        let safe = diff["safe"].as_bool().unwrap();
        assert_eq!(run.code, if safe { 0 } else { 3 }, "{diff}");
        assert_eq!(diff["dangers"].as_array().unwrap().is_empty(), safe);
        diff
    }

    /// The kinds of the dangers, with the backends' or VIPs' names, and `older` where it is.
    fn dangers(&self, words: &str, old: &Value, new: &Value) -> Vec<String> {
        let diff = self.json(words, old, new);
        let dangers = diff["dangers"].as_array().unwrap();
        let mut said: Vec<String> = dangers
            .iter()
            .map(|one| {
                let whom = one["backend"].as_str().or(one["vip"].as_str());
                let older = if one["older"] == true { " older" } else { "" };
                format!(
                    "{} {}{older}",
                    one["kind"].as_str().unwrap(),
                    whom.unwrap_or("-")
                )
            })
            .collect();
        said.sort();
        said
    }
}

fn rows(diff: &Value, field: &str) -> u64 {
    diff["tables"][0][field].as_u64().unwrap()
}

#[test]
fn the_round_of_a_backend_is_safe_and_its_last_step_once_it_has_no_connections() {
    let diff = Diff::new("round");
    let steps = ["active", "draining", "inactive", "filling", "active"];
    for pair in steps.windows(2) {
        let (old, new) = (third(pair[0], true), third(pair[1], true));
        let said = diff.dangers("", &old, &new);
        if pair[1] == "inactive" {
            // Whether it still has any, no file says.
            assert_eq!(said, ["backend 1.1.1.3 older"], "{pair:?}");
            assert_eq!(diff.dangers("--settled", &old, &new), [] as [&str; 0]);
            let text = diff.run("", &old, &new).out;
            assert!(
                text.contains("1.1.1.3: connections from before that it still has break"),
                "{text}"
            );
            assert!(text.ends_with("say so: --settled\n"), "{text}");
        } else {
            assert_eq!(said, [] as [&str; 0], "{pair:?}");
            assert!(diff
                .run("", &old, &new)
                .out
                .ends_with("\nsafe: no connection breaks\n"));
        }
    }
    // Called off, failed, and healthy again; nothing at all.
    for (old, new) in [
        (third("draining", true), third("active", true)),
        (third("active", true), third("active", false)),
        (third("active", false), third("active", true)),
        (table(FOUR), table(FOUR)),
    ] {
        assert_eq!(diff.dangers("", &old, &new), [] as [&str; 0], "{new}");
    }
}

#[test]
fn a_backend_that_is_taken_out_loses_its_connections() {
    let diff = Diff::new("out");
    let removed = |gone: &[u8]| {
        let left: Vec<_> = FOUR
            .iter()
            .filter(|(n, ..)| !gone.contains(n))
            .copied()
            .collect();
        table(&left)
    };
    for (new, expected) in [
        (third("inactive", true), &["backend 1.1.1.3"][..]),
        (removed(&[3]), &["backend 1.1.1.3"]),
        (removed(&[2, 4]), &["backend 1.1.1.2", "backend 1.1.1.4"]),
    ] {
        assert_eq!(diff.dangers("", &table(FOUR), &new), expected);
        // Nothing makes connections of now older ones.
        assert_eq!(diff.dangers("--settled", &table(FOUR), &new), expected);
        let found = diff.json("", &table(FOUR), &new);
        let of_backends: u64 = found["tables"][0]["backends"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["lost"].as_u64().unwrap())
            .sum();
        assert_eq!(rows(&found, "lost"), of_backends);
        // All rows of those that go, and no others, are lost; none of them moved without need.
        assert_eq!(
            (rows(&found, "lost"), rows(&found, "needless")),
            (rows(&found, "moved"), 0)
        );
        let share = expected.len() as f64 * 25.0;
        let lost = found["vips"][0]["lost_percent"].as_f64().unwrap();
        assert_eq!(found["vips"][0]["vip"], "tcp 9.9.9.9 port 80");
        assert!((lost - share).abs() < 1.0, "{lost}");
    }
    let text = diff.run("", &table(FOUR), &removed(&[3])).out;
    for said in [
        "  1.1.1.3: state: active -> none\n",
        "\nvip tcp 9.9.9.9 port 80: 2",
        "% of its connections break\nNOT SAFE:\n  table \"t\": 1.1.1.3: its connections break in 2",
        "it is removed, and was active; drain it first",
    ] {
        assert!(text.contains(said), "{said:?} in {text}");
    }
    // One that has drained is removed like one that becomes inactive; one that is inactive has none.
    let old = third("draining", true);
    assert_eq!(
        diff.dangers("", &old, &removed(&[3])),
        ["backend 1.1.1.3 older"]
    );
    let old = third("inactive", true);
    assert_eq!(diff.dangers("", &old, &removed(&[3])), [] as [&str; 0]);
}

#[test]
fn more_than_one_step_at_a_time() {
    let diff = Diff::new("steps");
    let with = |second: (&'static str, bool), third: (&'static str, bool)| {
        let mut states = FOUR.to_vec();
        states[1] = (2, second.0, second.1);
        states[2] = (3, third.0, third.1);
        table(&states)
    };
    let active = ("active", true);
    // Both stay in their rows, in the one order or the other.
    let both = with(("draining", true), ("draining", true));
    assert_eq!(diff.dangers("", &table(FOUR), &both), [] as [&str; 0]);
    // Two come in at once: where both are first and second, he who was there is out.
    let old = with(("inactive", true), ("inactive", true));
    let said = diff.dangers("", &old, &with(("filling", true), ("filling", true)));
    assert_eq!(said, ["backend 1.1.1.1", "backend 1.1.1.4"]);
    // One after the other: those from before the first step break, if they have not ended.
    let old = with(("filling", true), ("inactive", true));
    let said = diff.dangers("", &old, &with(("filling", true), ("filling", true)));
    assert_eq!(said, ["backend 1.1.1.1 older", "backend 1.1.1.4 older"]);
    // What drains while another is down comes behind it, and the one that is down passes nothing on.
    let old = with(active, ("active", false));
    let found = diff.json("", &old, &with(("draining", true), ("active", false)));
    assert_eq!(found["dangers"][0]["backend"], "1.1.1.2");
    assert_eq!(found["dangers"][0]["older"], false);
    let reason = found["dangers"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("comes behind a hop that is down"),
        "{reason}"
    );
    let note = found["notes"][0].as_str().unwrap();
    assert!(note.contains("reach a backend that is down"), "{note}");
}

#[test]
fn keys_and_seeds() {
    let diff = Diff::new("keys");
    let mut new = table(FOUR);
    new["tables"][0]["hash_key"] = json!("22345678901234561234567890123456");
    assert_eq!(diff.dangers("", &table(FOUR), &new), ["hash-key -"]);
    let found = diff.json("", &table(FOUR), &new);
    // With two hops of four, half of the connections find their backends by chance.
    let lost = found["dangers"][0]["percent"].as_f64().unwrap();
    assert!((49.0..51.0).contains(&lost), "{lost}");
    assert_eq!(
        (
            rows(&found, "moved"),
            &found["tables"][0]["hash_key_changed"]
        ),
        (0, &json!(true))
    );
    assert!(rows(&found, "lost") > 30_000);
    let changed = &found["changes"][0];
    assert_eq!(changed["field"], "hash_key");
    assert!(!found.to_string().contains("1234567890"), "keys are secret");
    let mut new = table(FOUR);
    new["tables"][0]["seed"] = json!("59a3d861d661ae5ab06ed9326871a2f5");
    let all = [
        "backend 1.1.1.1",
        "backend 1.1.1.2",
        "backend 1.1.1.3",
        "backend 1.1.1.4",
    ];
    assert_eq!(diff.dangers("", &table(FOUR), &new), all);
}

#[test]
fn binds() {
    let diff = Diff::new("binds");
    let with = |binds: Value| {
        let mut file = table(FOUR);
        file["tables"][0]["binds"] = binds;
        file
    };
    let bind = |ip: &str, port: u16| json!({"ip": ip, "proto": "tcp", "port": port});
    let new = with(json!([bind("9.9.9.8", 80)]));
    assert_eq!(
        diff.dangers("", &table(FOUR), &new),
        ["vip tcp 9.9.9.9 port 80"]
    );
    let found = diff.json("", &table(FOUR), &new);
    let changes: Vec<_> = found["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (&c["old"], &c["new"]))
        .collect();
    let (nothing, old, new) = (
        json!(null),
        json!("tcp 9.9.9.9 port 80"),
        json!("tcp 9.9.9.8 port 80"),
    );
    assert_eq!(changes, [(&old, &nothing), (&nothing, &new)]);
    // More binds, and a wider one in the place of a narrow one, take nothing away.
    for binds in [
        json!([bind("9.9.9.9", 80), bind("9.9.9.9", 443)]),
        json!([{"ip": "9.9.0.0/16", "proto": "tcp", "port_start": 1, "port_end": 65535}]),
    ] {
        assert_eq!(
            diff.dangers("", &table(FOUR), &with(binds)),
            [] as [&str; 0]
        );
    }
    // The file without the table, and a VIP that another table takes over.
    assert_eq!(
        diff.dangers("", &table(FOUR), &json!({"tables": []})),
        ["vip tcp 9.9.9.9 port 80"]
    );
    let mut new = table(FOUR);
    let mut other = table(&[(7, "active", true), (8, "active", true)])["tables"][0].clone();
    other["name"] = json!("other");
    other["seed"] = json!("59a3d861d661ae5ab06ed9326871a2f5");
    new["tables"].as_array_mut().unwrap().insert(0, other);
    let found = diff.json("", &table(FOUR), &new);
    assert_eq!(found["vips"][0]["lost_percent"], 100.0);
    let reason = found["dangers"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("leave table \"t\" for \"other\""),
        "{reason}"
    );
    // Under another name with the same rows nothing happens to it.
    let mut new = table(FOUR);
    new["tables"][0]["name"] = json!("renamed");
    let found = diff.json("", &table(FOUR), &new);
    assert_eq!(
        (&found["safe"], &found["removed"], &found["added"]),
        (&json!(true), &json!(["t"]), &json!(["renamed"]))
    );
}

#[test]
fn settings() {
    let diff = Diff::new("settings");
    let conf = |name: &str, more: Value| {
        let mut conf = json!({"outbound_src_ip": "10.0.0.1"});
        conf.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        diff.0.file(name, &conf.to_string())
    };
    let ports = json!({"src_addr": true, "src_port": true});
    let plain = conf("plain", json!({}));
    let step = conf(
        "step",
        json!({"hash_fields": ports, "alt_hash_fields": {"src_addr": true}}),
    );
    let done = conf("done", json!({"hash_fields": ports}));
    let said = |old: &std::path::Path, new: &std::path::Path, more: &str| {
        let words = format!(
            "--old-config {} --new-config {} {more}",
            old.display(),
            new.display()
        );
        diff.dangers(&words, &table(FOUR), &table(FOUR))
    };
    // At once, and in the two steps that there are for it.
    assert_eq!(said(&plain, &done, ""), ["hash-fields -"]);
    assert_eq!(said(&plain, &step, ""), [] as [&str; 0]);
    assert_eq!(said(&step, &done, ""), ["hash-fields - older"]);
    assert_eq!(said(&step, &done, "--settled"), [] as [&str; 0]);
    let words = format!(
        "--old-config {} --new-config {}",
        plain.display(),
        done.display()
    );
    let found = diff.json(&words, &table(FOUR), &table(FOUR));
    let lost = found["vips"][0]["lost_percent"].as_f64().unwrap();
    assert!((49.0..51.0).contains(&lost), "{lost}");
    assert_eq!(found["changes"][0]["field"], "director.hash_fields");
    // One side alone says nothing about a change.
    let run = diff.run(
        &format!("--old-config {}", plain.display()),
        &table(FOUR),
        &table(FOUR),
    );
    assert_eq!(run.code, 2, "{}", run.err);
}

#[test]
fn health_checks_are_told_and_break_nothing() {
    let diff = Diff::new("checks");
    let mut old = table(FOUR);
    old["healthchecks"] = json!({"interval_ms": 2000});
    old["tables"][0]["backends"][0]["healthchecks"] = json!({"http": 80, "gue": 19523});
    let mut new = old.clone();
    new["healthchecks"] = json!({"interval_ms": 500});
    new["tables"][0]["backends"][0]["healthchecks"] = json!({"http": 8080});
    new["tables"][0]["backends"][1]["weight"] = json!(2);
    new["tables"][0]["backends"][1]
        .as_object_mut()
        .unwrap()
        .remove("weight");
    let text = diff.run("", &old, &new).out;
    for said in [
        "healthchecks.interval_ms: 2000 -> 500\n",
        "  1.1.1.1: healthchecks.gue: 19523 -> none\n",
        "  1.1.1.1: healthchecks.http: 80 -> 8080\n",
        "safe: no connection breaks\n",
    ] {
        assert!(text.contains(said), "{said:?} in {text}");
    }
}

#[test]
fn the_sources_of_a_health_checker_say_nothing_of_health() {
    let diff = Diff::new("sources");
    let strip = |mut file: Value| {
        for backend in file["tables"][0]["backends"].as_array_mut().unwrap() {
            backend.as_object_mut().unwrap().remove("healthy");
        }
        file
    };
    // Were all taken for down, no row would move.
    let found = diff.json("", &strip(table(FOUR)), &strip(third("draining", true)));
    let moved = rows(&found, "moved");
    assert!((15_000..18_000).contains(&moved), "{moved}");
    assert_eq!(found["notes"].as_array().unwrap().len(), 2);
    // Beside a published table its health is taken.
    let found = diff.json("", &third("active", false), &strip(third("active", false)));
    assert_eq!((rows(&found, "moved"), &found["safe"]), (0, &json!(true)));
    let note = found["notes"][0].as_str().unwrap();
    assert!(note.ends_with("it is taken from the other side"), "{note}");
}

#[test]
fn binary_files_and_longer_rows() {
    let diff = Diff::new("binary");
    let build = |name: &str, file: &Value| {
        let src = diff.0.file("src.json", &file.to_string());
        let dst = diff.0.path(name);
        assert_eq!(glbctl("table build", &[&src, &dst]).code, 0);
        dst
    };
    let (old, new) = (
        build("old.bin", &table(FOUR)),
        build("new.bin", &third("inactive", true)),
    );
    let run = glbctl("table diff --exit-code --json", &[&old, &new]);
    assert_eq!(run.code, 3, "{}", run.err);
    // Inactive is not told from draining in this format, but the rows tell.
    assert_eq!(run.json()["dangers"][0]["backend"], "1.1.1.3");
    assert_eq!(glbctl("table diff --exit-code", &[&old, &old]).code, 0);
    // With three hops two may come in at once; who had their rows before may fall out when both are active.
    let v3 = |mut file: Value| {
        file["tables"][0]["version"] = json!(3);
        file
    };
    let two = |second, third| {
        let mut states = FOUR.to_vec();
        (states[1].1, states[2].1) = (second, third);
        v3(table(&states))
    };
    let (out, filling) = (two("inactive", "inactive"), two("filling", "filling"));
    assert_eq!(diff.dangers("", &out, &filling), [] as [&str; 0]);
    for words in ["", "--settled"] {
        let said = diff.dangers(words, &filling, &two("active", "active"));
        assert!(said.iter().all(|one| one.ends_with(" older")), "{said:?}");
        assert_eq!(said.is_empty(), words == "--settled");
    }
    let one = two("filling", "active");
    assert_eq!(
        diff.dangers("", &one, &two("active", "active")),
        [] as [&str; 0]
    );
    // From version 2 to version 3 with the same seed no connection is lost.
    assert_eq!(
        diff.dangers("", &table(FOUR), &v3(table(FOUR))),
        [] as [&str; 0]
    );
}

/// Nobody behind the first hop is named there, so nobody can hold the connections of the row's former first hop.
#[test]
fn without_a_list_of_hops_and_a_flow_table_every_change_of_a_first_hop_breaks_connections() {
    let diff = Diff::new("forward");
    for kind in ["gue", "gre", "ipip"] {
        let by = |mut tree: Value| {
            tree["tables"][0]["version"] = json!(3);
            tree["tables"][0]["forward"] = json!({"kind": kind});
            tree["tables"][0]["flows"] = json!(false);
            tree
        };
        let (old, new) = (by(third("active", true)), by(third("draining", true)));
        let said = diff.dangers("", &old, &new);
        // Beside the rows of the one that drains a few others are levelled anew (docs/rows-v3.md).
        let expected: &[&str] = match kind {
            "gue" => &[],
            _ => &["backend 1.1.1.1", "backend 1.1.1.3", "backend 1.1.1.4"],
        };
        assert_eq!(said, expected, "{kind}");
        let text = diff.run("", &old, &new).out;
        assert_eq!(
            text.contains("packets name no further ones"),
            kind != "gue",
            "{text}"
        );
    }
    // The first hops stay; who waits behind them does not matter to those that are named nowhere.
    let mut other = third("active", true);
    other["tables"][0]["version"] = json!(3);
    let gue = other.clone();
    other["tables"][0]["forward"] = json!({"kind": "gre"});
    let found = diff.json("", &gue, &other);
    let change = &found["changes"][0];
    assert_eq!(
        (&change["field"], &change["old"], &change["new"]),
        (&json!("forward"), &json!("gue"), &json!("gre")),
        "{found}"
    );
    assert_eq!(found["safe"], false);
    assert!(diff
        .dangers("", &gue, &other)
        .contains(&"forward -".to_owned()));
}

/// The second set of hash fields adds hops behind the first row's, which these headers do not list.
#[test]
fn without_a_list_of_hops_a_second_set_of_hash_fields_saves_nothing() {
    let diff = Diff::new("forward-fields");
    let old = diff
        .0
        .file("old.conf", r#"{"outbound_src_ip": "10.0.0.1"}"#);
    let new = diff.0.file(
        "new.conf",
        r#"{"outbound_src_ip": "10.0.0.1", "hash_fields": {"src_addr": true, "src_port": true}, "alt_hash_fields": {"src_addr": true}}"#,
    );
    let words = format!(
        "--old-config {} --new-config {}",
        old.display(),
        new.display()
    );
    let mut table = table(FOUR);
    table["tables"][0]["version"] = json!(3);
    let gue = table.clone();
    table["tables"][0]["forward"] = json!({"kind": "ipip"});
    let remembers = table.clone();
    table["tables"][0]["flows"] = json!(false);
    assert_eq!(diff.dangers(&words, &gue, &gue), [] as [&str; 0]);
    assert_eq!(diff.dangers(&words, &table, &table), ["hash-fields -"]);
    let text = diff.run(&words, &table, &table).out;
    assert!(text.contains("alt_hash_fields does not help"), "{text}");
    // A flow is known by all of its tuple, whatever is hashed for the row.
    let found = diff.json(&words, &remembers, &remembers);
    assert_eq!(found["dangers"], json!([]), "{found}");
    let kept = found["vips"][0]["kept_percent"].as_f64().unwrap();
    // One of four backends is found by chance.
    assert!((74.0..76.0).contains(&kept), "{kept}");
}

/// A table by GRE, whose flows are remembered as its forward's default is, or as `flows` says.
fn by_gre(mut tree: Value, flows: &Value) -> Value {
    let table = &mut tree["tables"][0];
    table["version"] = json!(3);
    table["forward"] = json!({"kind": "gre"});
    if !flows.is_null() {
        table["flows"] = flows.clone();
    }
    tree
}

#[test]
fn a_flow_table_keeps_the_connections_of_backends_that_stay() {
    let diff = Diff::new("flows");
    let null = Value::Null;
    let remembers = |tree: Value| by_gre(tree, &null);
    for (before, after) in [
        ("active", "draining"),
        ("draining", "active"),
        ("inactive", "filling"),
    ] {
        let (old, new) = (
            remembers(third(before, true)),
            remembers(third(after, true)),
        );
        let found = diff.json("", &old, &new);
        assert_eq!(found["dangers"], json!([]), "{before} {after}: {found}");
        let (kept, moved) = (rows(&found, "kept"), rows(&found, "moved"));
        assert!(moved > 16_000 && kept == moved, "{kept} {moved}");
        assert_eq!((rows(&found, "lost"), rows(&found, "older_lost")), (0, 0));
        let of_backends = found["tables"][0]["backends"].as_array().unwrap().iter();
        let of_backends = of_backends.map(|one| one["kept"].as_u64().unwrap());
        assert_eq!(of_backends.sum::<u64>(), kept);
        // The same of a table that remembers nothing.
        let none = json!(false);
        let none =
            [(before, true), (after, true)].map(|(state, up)| by_gre(third(state, up), &none));
        let without = diff.json("", &none[0], &none[1]);
        assert_eq!((rows(&without, "lost"), rows(&without, "kept")), (kept, 0));
        // Of which connections that cannot be said is said.
        let note = found["notes"][0].as_str().unwrap();
        for said in [
            "only its flow table keeps connections",
            "untracked_flow_packets",
            "send no packet for 40 s",
            "another director",
        ] {
            assert!(note.contains(said), "{said}: {note}");
        }
        let text = diff.run("", &old, &new).out;
        assert!(
            text.ends_with("safe: no connection breaks that its director's flow table knows\n"),
            "{text}"
        );
        assert!(
            text.contains(&format!(", kept by the flow table {kept} rows")),
            "{text}"
        );
    }
    // The timeout may change, as may the key of the rows' hash: flows are known by another one.
    let mut other = remembers(third("draining", true));
    other["tables"][0]["flows"] = json!({"timeout_s": 300});
    other["tables"][0]["hash_key"] = json!("22345678901234561234567890123456");
    let old = remembers(third("active", true));
    let found = diff.json("", &old, &other);
    assert_eq!(found["dangers"], json!([]), "{found}");
    let change = json!({"table": "t", "field": "flows", "old": "by flow for 40 s in 16384 buckets", "new": "by flow for 300 s in 16384 buckets"});
    assert!(
        found["changes"].as_array().unwrap().contains(&change),
        "{found}"
    );
}

#[test]
fn a_flow_table_keeps_nothing_of_backends_that_go_and_of_tables_that_change() {
    let diff = Diff::new("flows-gone");
    let null = Value::Null;
    let remembers = |tree: Value| by_gre(tree, &null);
    let gone = remembers(table(&[FOUR[0], FOUR[1], FOUR[3]]));
    let reason = |old: &Value, new: &Value| {
        let found = diff.json("", old, new);
        let dangers = found["dangers"].as_array().unwrap().clone();
        let reasons = dangers
            .iter()
            .map(|one| one["reason"].as_str().unwrap().to_owned());
        reasons.collect::<Vec<_>>().join("\n")
    };
    let active = remembers(third("active", true));
    // A backend that serves nothing any more, is down, or is removed.
    for new in [
        remembers(third("inactive", true)),
        remembers(third("active", false)),
        gone.clone(),
    ] {
        assert_eq!(diff.dangers("", &active, &new), ["backend 1.1.1.3"]);
        assert!(rows(&diff.json("", &active, &new), "lost") > 15_000);
    }
    let down = reason(&active, &remembers(third("active", false)));
    assert!(
        down.contains("leads nothing to a backend that is down"),
        "{down}"
    );
    // No row leads to one that drains, and its connections are there all the same.
    let draining = remembers(third("draining", true));
    for new in [&gone, &remembers(third("inactive", true))] {
        assert_eq!(diff.dangers("", &draining, new), ["backend 1.1.1.3 older"]);
        assert_eq!(diff.dangers("--settled", &draining, new), [] as [&str; 0]);
        let reason = reason(&draining, new);
        assert!(reason.contains("glbctl flows --backend"), "{reason}");
    }
    // One that no flow is remembered of has none.
    let none = json!(false);
    let unremembered = by_gre(third("draining", true), &none);
    let found = diff.dangers("", &unremembered, &by_gre(gone.clone(), &none));
    assert!(
        !found.iter().any(|one| one.contains("1.1.1.3")),
        "{found:?}"
    );
    // Other buckets, another key, no flow table any more, another name: all is forgotten.
    for (flows, said) in [
        (json!({"buckets": 16}), "change its buckets or its key"),
        (json!({"by": "source"}), "change its buckets or its key"),
        (json!(false), "change its buckets or its key"),
    ] {
        let new = by_gre(third("draining", true), &flows);
        let dangers = diff.dangers("", &active, &new);
        assert!(dangers.contains(&"flows - older".to_owned()), "{dangers:?}");
        assert!(
            dangers.contains(&"backend 1.1.1.3".to_owned()),
            "{dangers:?}"
        );
        assert!(reason(&active, &new).contains(said));
        // Without another change those break that are not where their rows lead.
        let new = by_gre(third("active", true), &flows);
        assert_eq!(diff.dangers("", &active, &new), ["flows - older"]);
    }
    let mut renamed = remembers(third("active", true));
    renamed["tables"][0]["name"] = json!("other");
    assert_eq!(diff.dangers("", &active, &renamed), ["flows - older"]);
    assert!(reason(&active, &renamed).contains("table \"t\" has another name"));
    // One that is new knows nothing yet.
    let new = remembers(third("draining", true));
    let old = by_gre(third("active", true), &json!(false));
    assert!(diff
        .dangers("", &old, &new)
        .contains(&"backend 1.1.1.3".to_owned()));
    assert!(reason(&old, &new).contains("its flow table is new"));
}
