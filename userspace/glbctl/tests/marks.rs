// SPDX-License-Identifier: GPL-2.0

//! Identifiers and marks of backends, in what the tools show, compare, export and edit.

mod common;

use common::{glbctl, schema, table, Dir};
use serde_json::{json, Value};
use std::fs;

/// A table that marks, whose backends have these last bytes and ids.
fn marks(backends: &[(u8, Option<u8>)]) -> Value {
    let states: Vec<(u8, &str, bool)> =
        backends.iter().map(|(n, _)| (*n, "active", true)).collect();
    let mut file = table(&states);
    let one = &mut file["tables"][0];
    one["select"] = json!({"kind": "maglev", "size": 1021});
    one["forward"] = json!({"kind": "mark", "offset": 5000});
    one["flows"] = json!({"buckets": 16});
    for (place, (_, id)) in backends.iter().enumerate() {
        if let Some(id) = id {
            one["backends"][place]["id"] = json!(id);
        }
    }
    file
}

fn fits(command: &str, value: &Value) {
    let faults = schema::Schema::read("glbctl").faults(command, value);
    assert_eq!(faults, [] as [String; 0], "{command}");
}

#[test]
fn identifiers_and_marks_are_shown_of_both_forms() {
    let dir = Dir::new("marks-shown");
    let src = dir.file("t.json", &marks(&[(1, Some(7)), (2, None)]).to_string());
    let bin = dir.path("t.bin");
    assert_eq!(glbctl("table build", &[&src, &bin]).code, 0);
    for file in [&src, &bin] {
        let shown = glbctl("--json table show", &[file]).json();
        fits("table show", &shown);
        let said = |one: &Value| (one["identifier"].as_u64(), one["mark"].as_u64());
        let backends = shown[0]["backends"].as_array().expect("a list");
        let all: Vec<_> = backends.iter().map(said).collect();
        assert_eq!(all, [(Some(7), Some(5007)), (Some(1), Some(5001))]);
        let text = glbctl("table show", &[file]).out;
        assert!(text.contains("identifier 7  mark 5007"), "{text}");
        let found = glbctl("--json lookup 192.0.2.1:1024 9.9.9.9:80 --table", &[file]).json();
        fits("lookup", &found);
        let hop = &found["hops"][0];
        let mark = 5000 + hop["identifier"].as_u64().expect("one");
        assert_eq!(hop["mark"].as_u64(), Some(mark), "{hop}");
    }
    // What is shown is read again, as of a running director.
    let shown = dir.file("shown.json", &glbctl("--json table show", &[&src]).out);
    let diff = glbctl("--json table diff", &[&shown, &src]);
    assert!(!diff.out.contains("identifier"), "{diff:?}");
    // Of others nothing is said that is not so.
    let plain = dir.file(
        "plain.json",
        &table(&[(1, "active", true), (2, "active", true)]).to_string(),
    );
    let text = glbctl("--json table show", &[&plain]).out;
    assert!(
        !text.contains("identifier") && !text.contains("mark"),
        "{text}"
    );
}

#[test]
fn a_backend_whose_mark_changes_is_named() {
    let dir = Dir::new("marks-diff");
    let dangers = |old: &[(u8, Option<u8>)], new: &[(u8, Option<u8>)]| -> Vec<String> {
        let old = dir.file("old.json", &marks(old).to_string());
        let new = dir.file("new.json", &marks(new).to_string());
        let diff = glbctl("--json table diff", &[&old, &new]).json();
        fits("table diff", &diff);
        let dangers = diff["dangers"].as_array().expect("a list").iter();
        let said = dangers.filter_map(|one| one["reason"].as_str());
        let said = said.filter(|one| one.contains("its mark changes"));
        said.map(ToOwned::to_owned).collect()
    };
    let turned = dangers(&[(1, None), (2, None)], &[(2, None), (1, None)]);
    assert_eq!(turned.len(), 2, "{turned:?}");
    assert!(
        turned[0].contains("1.1.1.2: its mark changes, 5001 -> 5000"),
        "{turned:?}"
    );
    let named = dangers(&[(1, None), (2, None)], &[(2, Some(1)), (1, Some(0))]);
    assert_eq!(named, [] as [String; 0]);
}

#[test]
fn no_backend_moves_to_another_mark_unasked() {
    let dir = Dir::new("marks-remove");
    let mut file = marks(&[(1, None), (2, None), (3, Some(5))]);
    file["tables"][0]["backends"][0]["state"] = json!("inactive");
    let src = dir.file("t.json", &file.to_string());
    let run = glbctl("backend remove t 1.1.1.1 --file", &[&src]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.err.contains("1 backends behind 1.1.1.1 have no \"id\""),
        "{run:?}"
    );
    file["tables"][0]["backends"][1]["id"] = json!(1);
    let src = dir.file("t.json", &file.to_string());
    let run = glbctl("backend remove t 1.1.1.1 --file", &[&src]);
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn identifiers_are_exported_and_given() {
    let dir = Dir::new("marks-edit");
    let src = dir.file("t.json", &marks(&[(1, Some(2)), (2, None)]).to_string());
    let bin = dir.path("t.bin");
    assert_eq!(glbctl("table build", &[&src, &bin]).code, 0);
    let out = dir.path("out.json");
    let run = glbctl("table export -o", &[&out, &bin]);
    assert_eq!(run.code, 0, "{run:?}");
    let read =
        |path| -> Value { serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap() };
    let ids = |file: &Value| -> Vec<Value> {
        let backends = file["tables"][0]["backends"].as_array().unwrap().iter();
        backends.map(|one| one["id"].clone()).collect()
    };
    assert_eq!(ids(&read(&out)), [json!(2), Value::Null]);
    // The place of a third one is taken: it gets the least that is free.
    let run = glbctl("backend add t 1.1.1.3 --inactive --file", &[&src]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(ids(&read(&src)), [json!(2), Value::Null, json!(0)]);
    let run = glbctl("backend add t 1.1.1.4 --inactive --file", &[&src]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(ids(&read(&src)).last(), Some(&Value::Null));
}
