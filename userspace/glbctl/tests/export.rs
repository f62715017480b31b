// SPDX-License-Identifier: GPL-2.0

//! `glbctl table export` of binary files: what is written builds to the same bytes, or nothing is written.

mod common;

use common::{glbctl, glbctl_fed, table, Dir};
use serde_json::{json, Value};
use std::fs;
use std::path::{Path, PathBuf};

/// Two tables of rule 2, the first with all states.
fn two() -> Value {
    let mut tree = table(&[
        (1, "active", true),
        (2, "draining", true),
        (3, "inactive", true),
        (4, "active", false),
        (5, "filling", true),
    ]);
    let mut other = table(&[(7, "active", true), (8, "active", true)])["tables"][0].take();
    other["name"] = json!("other");
    other["seed"] = json!("00a3d861d661ae5ab06ed9326871a2f5");
    other["binds"] = json!([{"ip": "fd00::/64", "proto": "udp", "port_start": 5, "port_end": 9}]);
    other["backends"][1]["healthchecks"] = json!({"http": 80, "http_uri": "/up"});
    tree["tables"].as_array_mut().unwrap().push(other);
    tree["healthchecks"] = json!({"interval_ms": 500});
    tree
}

fn with_rule_3() -> Value {
    let mut tree = two();
    let first = &mut tree["tables"][0];
    first["version"] = json!(3);
    first["hops"] = json!(4);
    first["backends"][0]["weight"] = json!(5);
    first["backends"][0]["domain"] = json!("rack \"a\"");
    first["backends"][4]["domain"] = json!("b");
    tree
}

fn build(dir: &Dir, name: &str, tree: &Value) -> (PathBuf, PathBuf) {
    let src = dir.file(&format!("{name}.json"), &tree.to_string());
    let bin = dir.path(&format!("{name}.bin"));
    let run = glbctl("table build", &[&src, &bin]);
    assert_eq!(run.code, 0, "{run:?}");
    (src, bin)
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn version_3_has_all_that_it_was_made_from() {
    let dir = Dir::new("export3");
    let (_, bin) = build(&dir, "t", &with_rule_3());
    let out = dir.path("out.json");
    let run = glbctl("table export -o", &[&out, &bin]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("byte for byte"), "{run:?}");
    let again = dir.path("again.bin");
    assert_eq!(glbctl("table build", &[&out, &again]).code, 0);
    assert!(fs::read(&bin).unwrap() == fs::read(&again).unwrap());
    let tree = read(&out);
    assert_eq!(
        tree["tables"][0]["seed"],
        "49a3d861d661ae5ab06ed9326871a2f5"
    );
    assert_eq!(tree["tables"][0]["backends"][0]["domain"], "rack \"a\"");
    assert_eq!(tree["tables"][0]["backends"][2]["state"], "inactive");
    assert_eq!(tree["tables"][1]["name"], "other");
    // Health checks are in no binary file. That is said, and the source has them.
    assert!(run.out.contains("without health checks"), "{run:?}");
    let keys = dir.file("keys.json", &with_rule_3().to_string());
    let run = glbctl(
        "--json table export --keys",
        &[&keys, &bin, Path::new("-o"), &out],
    );
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.json()["same_bytes"], true);
    assert_eq!(read(&out), with_rule_3());
}

#[test]
fn version_2_takes_seeds_names_and_checks_from_the_keys() {
    let dir = Dir::new("export2");
    let (_, bin) = build(&dir, "t", &two());
    let out = dir.path("out.json");

    let run = glbctl("table export -o", &[&out, &bin]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.err.contains("has no seeds") && run.err.contains("--keys"),
        "{run:?}"
    );
    assert!(run.err.contains("table restore"), "{run:?}");
    assert!(!out.exists());

    // An older copy: other health, other states, other binds.
    let mut old = two();
    old["tables"][0]["backends"][1]["state"] = json!("active");
    old["tables"][0]["backends"][2]["state"] = json!("draining");
    old["tables"][0]["backends"][3]["healthy"] = json!(true);
    old["tables"][0]["binds"] = json!([]);
    let keys = dir.file("old.json", &old.to_string());
    let run = glbctl("table export --keys", &[&keys, &bin, Path::new("-o"), &out]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.out.contains("1.1.1.3 is in no row, so it is inactive"),
        "{run:?}"
    );
    assert!(run.out.contains("byte for byte"), "{run:?}");
    // Order of the file aside it is the source.
    assert_eq!(read(&out), two());
    let again = dir.path("again.bin");
    assert_eq!(glbctl("table build", &[&out, &again]).code, 0);
    assert!(fs::read(&bin).unwrap() == fs::read(&again).unwrap());

    // A file of version 3 has seeds too.
    let v3 = dir.path("keys.bin");
    let run = glbctl("table build --format 3", &[&keys, &v3]);
    assert_eq!(run.code, 0, "{run:?}");
    let run = glbctl("table export --dry-run --keys", &[&v3, &bin]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("nothing was written"), "{run:?}");
    let run = glbctl("table export --keys", &[&bin, &bin]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("version 2 has no seeds"), "{run:?}");
}

#[test]
fn tables_without_names_are_found_by_what_they_make() {
    let dir = Dir::new("order");
    let (_, bin) = build(&dir, "t", &two());
    let mut turned = two();
    turned["tables"].as_array_mut().unwrap().reverse();
    // One more with the same backends and another seed stands in the first one's place.
    let mut decoy = two()["tables"][0].take();
    decoy["name"] = json!("decoy");
    decoy["seed"] = json!("11a3d861d661ae5ab06ed9326871a2f5");
    turned["tables"].as_array_mut().unwrap().insert(0, decoy);
    let keys = dir.file("keys.json", &turned.to_string());
    let out = dir.path("out.json");
    let run = glbctl("table export --keys", &[&keys, &bin, Path::new("-o"), &out]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(read(&out), two());
}

#[test]
fn what_is_not_proven_is_not_written() {
    let dir = Dir::new("unproven");
    let (src, bin) = build(&dir, "t", &two());
    let out = dir.path("out.json");
    let told = |change: &dyn Fn(&mut Value), text: &str| {
        let mut keys = two();
        change(&mut keys["tables"][0]);
        let keys = dir.file("keys.json", &keys.to_string());
        let run = glbctl("table export --keys", &[&keys, &bin, Path::new("-o"), &out]);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.err.contains(text), "{text}: {run:?}");
        assert!(!out.exists());
    };
    let seed = |tree: &mut Value| tree["seed"] = json!("22a3d861d661ae5ab06ed9326871a2f5");
    told(&seed, "of its 65536 rows are others");
    let proxy = |tree: &mut Value| tree["backends"][0]["ip"] = json!("1.1.1.9");
    told(&proxy, "none has its backends");
    let rule = |tree: &mut Value| tree["version"] = json!(3);
    told(&rule, "none has its backends");
    // The same seed twice is nothing that a file may have.
    let twice = |tree: &mut Value| tree["seed"] = json!("00a3d861d661ae5ab06ed9326871a2f5");
    told(&twice, "must differ from the seed");

    let run = glbctl("table export", &[&src]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("is no binary table"), "{run:?}");
    for file in [&src, &bin] {
        let before = fs::read(file).unwrap();
        let run = glbctl("table export --keys", &[&src, &bin, Path::new("-o"), file]);
        assert_eq!(run.code, 1);
        assert!(
            run.err
                .contains("whose contents would be lost under this name"),
            "{run:?}"
        );
        assert!(fs::read(file).unwrap() == before);
    }
    let mut damaged = fs::read(&bin).unwrap();
    // A row of the first table leads elsewhere.
    let row = 24 + 0x3418 + 8 * 100;
    damaged[row] = if damaged[row] == 0 { 4 } else { 0 };
    let damaged = glbctl_fed("table export - --keys", &[&src], &damaged);
    assert_eq!(damaged.status.code(), Some(1));
    let said = String::from_utf8(damaged.stderr).unwrap();
    assert!(
        said.contains("1 of its 65536 rows are others: row 0x0064"),
        "{said}"
    );
    assert!(damaged.stdout.is_empty());
}

#[test]
fn unused_bytes_of_another_tool_are_no_difference() {
    let dir = Dir::new("unused");
    let (src, bin) = build(&dir, "t", &two());
    let mut bytes = fs::read(&bin).unwrap();
    // In the last slot of the first table's backends.
    bytes[24 + 4 + 255 * 24 + 5] = 0xaa;
    let fed = glbctl_fed("table export - --keys", &[&src], &bytes);
    let said = String::from_utf8(fed.stderr).unwrap();
    assert_eq!(fed.status.code(), Some(0), "{said}");
    assert!(said.contains("was written by another tool"), "{said}");
    // The tables themselves are on standard output.
    let tree: Value = serde_json::from_slice(&fed.stdout).unwrap();
    assert_eq!(tree, two());
}

#[test]
fn without_a_director_nothing_is_restored() {
    let dir = Dir::new("restore");
    let (src, _) = build(&dir, "t", &two());
    let run = glbctl("table restore --dry-run", &[&src]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("module is not loaded"), "{run:?}");
    let run = glbctl("table export --running", &[]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("module is not loaded"), "{run:?}");
}
