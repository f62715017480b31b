// SPDX-License-Identifier: GPL-2.0

//! Classes in `glbctl table check`, `show`, `diff` and `build`; where they are not heeded, they are refused.

mod common;

use common::{glbctl, schema, table, Dir};
use serde_json::{json, Value};

fn with(classes: Value) -> Value {
    let mut file = table(&[(1, "active", true), (2, "active", true)]);
    file["classes"] = classes;
    file
}

/// The output is what the schema says.
fn fits(command: &str, value: &Value) {
    let faults = schema::Schema::read("glbctl").faults(command, value);
    assert_eq!(faults, [] as [String; 0], "{command}");
}

fn three() -> Value {
    json!([
        {"name": "web", "service": "t", "priority": 7, "proto": ["tcp", "udp"], "dst": ["10.0.0.0/8", "fd00::1"],
            "src": ["192.168.0.0/16"], "dport": ["80", "100-200"], "sport": ["1024-65535"],
            "match": ["tcp[13:1] & 0x02 = 0x02"]},
        {"name": "also", "service": "t", "priority": 7, "proto": ["tcp"], "dport": ["150"]},
        {"name": "assoc", "service": "t", "proto": ["sctp"], "udp_encap": 9899}])
}

#[test]
fn check_and_show_say_the_same_of_both_forms() {
    let dir = Dir::new("classes");
    let src = dir.file("t.json", &with(three()).to_string());
    let bin = dir.path("t.bin");
    let built = glbctl("table build", &[&src, &bin]);
    assert_eq!((built.code, &*built.err), (0, ""));
    assert!(built.out.contains("format version 3"), "{built:?}");
    for file in [&src, &bin] {
        let name = file.display();
        let checked = glbctl("table check", &[file]);
        assert_eq!(checked.code, 0, "{checked:?}");
        assert!(
            checked.out.contains(&format!("{name}: 3 classes, ")),
            "{checked:?}"
        );
        let tie = "classes \"web\" and \"also\" of priority 7 overlap: the first stands first, and has what both take\n";
        assert!(
            checked.out.contains(&format!("{name}: {tie}")),
            "{checked:?}"
        );
        let shown = glbctl("table show", &[file]);
        for line in [
            "  class \"web\": priority 7, protocol tcp udp, to 10.0.0.0/8 fd00::1, port 80 100-200, from 192.168.0.0/16, \
             source port 1024-65535, where tcp[13:1] & 0x02 = 0x02\n",
            "  class \"also\": priority 7, protocol tcp, port 150\n",
            "  class \"assoc\": priority 0, protocol sctp, also in UDP to port 9899\n",
        ] {
            assert!(shown.out.contains(line), "{shown:?}");
        }
        let checked = glbctl("--json table check", &[file]).json();
        fits("table check", &checked);
        let of_file = &checked[0]["classes"];
        assert_eq!(of_file["count"], 3);
        let tie = json!([{"priority": 7, "first": "web", "second": "also"}]);
        assert_eq!(
            (&of_file["ties"], &of_file["more_ties"]),
            (&tie, &json!(false))
        );
        let shown = glbctl("--json table show", &[file]).json();
        fits("table show", &shown);
        assert_eq!(
            shown[0]["classes"][0]["match"],
            json!(["tcp[13:1] & 0x02 = 0x02"])
        );
        assert_eq!(
            shown[0]["classes"][2],
            json!({"name": "assoc", "priority": 0, "proto": ["sctp"], "udp_encap": 9899})
        );
    }
    // A file that has no class says nothing of classes.
    let plain = dir.file("p.json", &with(json!([])).to_string());
    assert!(!glbctl("table check", &[&plain]).out.contains(" KiB"));
    assert_eq!(
        glbctl("--json table show", &[&plain]).json()[0].get("classes"),
        None
    );
}

#[test]
fn many_ties_are_cut() {
    let dir = Dir::new("class-ties");
    let all: Vec<Value> = (0..8)
        .map(|i| json!({"name": format!("c{i}"), "service": "t"}))
        .collect();
    let file = dir.file("t.json", &with(json!(all)).to_string());
    let checked = glbctl("table check", &[&file]);
    assert_eq!(checked.out.matches("overlap: the first").count(), 20);
    assert!(checked
        .out
        .contains("more than 20 pairs of classes of one priority overlap"));
}

#[test]
fn a_difference_is_no_safe_one() {
    let dir = Dir::new("class-diff");
    let old = dir.file("old.json", &with(three()).to_string());
    let same = glbctl("--json table diff", &[&old, &old]).json();
    assert_eq!(same["safe"], true);
    let mut changed = three();
    changed[1]["priority"] = json!(8);
    changed.as_array_mut().unwrap().remove(2);
    let new = dir.file("new.json", &with(changed).to_string());
    let diff = glbctl("--json table diff", &[&old, &new]).json();
    fits("table diff", &diff);
    assert_eq!(
        (&diff["safe"], &diff["dangers"][0]["kind"]),
        (&json!(false), &json!("classes"))
    );
    let changes = diff["changes"].as_array().unwrap();
    let said: Vec<(&str, Option<&str>)> = changes
        .iter()
        .map(|one| (one["field"].as_str().unwrap(), one["new"].as_str()))
        .collect();
    let also = "priority 8, protocol tcp, port 150, table \"t\"";
    assert_eq!(
        said,
        [("classes.also", Some(also)), ("classes.assoc", None)]
    );
    // Another order is another class for packets of both.
    let mut turned = three();
    turned.as_array_mut().unwrap().swap(0, 1);
    let turned = dir.file("turned.json", &with(turned).to_string());
    assert_eq!(
        glbctl("--json table diff", &[&old, &turned]).json()["safe"],
        false
    );
}

#[test]
fn lookup_says_which_class_and_why() {
    let dir = Dir::new("class-lookup");
    let src = dir.file("t.json", &with(three()).to_string());
    let bin = dir.path("t.bin");
    assert_eq!(glbctl("table build", &[&src, &bin]).code, 0);
    for file in [&src, &bin] {
        let of = |words: &str| glbctl(&format!("--json lookup {words} --table"), &[file]).json();
        let found = of("192.0.2.1:9 192.0.2.2:150");
        fits("lookup", &found);
        assert_eq!(
            found["class"],
            json!({"index": 1, "name": "also", "priority": 7, "proto": ["tcp"], "dport": ["150"]})
        );
        assert_eq!(found["not_asked"], json!(["web"]));
        assert_eq!(found.get("bind"), None);
        // UDP needs none of the bytes that TCP needs.
        let found = of("192.168.0.1:2000 10.0.0.9:150 --proto udp");
        assert_eq!(found["class"]["name"], "web");
        let said = glbctl("lookup 192.0.2.1:9 192.0.2.2:150 --table", &[file]);
        assert!(
            said.out
                .contains("class \"also\": priority 7, protocol tcp, port 150 (classes[1])"),
            "{said:?}"
        );
        // Nothing else: the table has no bind there.
        let none = glbctl("lookup 192.0.2.1:9 192.0.2.2:151 --table", &[file]);
        assert_ne!(none.code, 0, "{none:?}");
    }
}

/// A class without destinations is warned of, and what is in UDP is not asked.
#[test]
fn what_takes_all_and_what_is_not_asked_is_said() {
    let dir = Dir::new("class-all");
    let classes = json!([
        {"name": "all", "service": "t"},
        {"name": "assoc", "service": "t", "priority": 1, "proto": ["sctp"], "dst": ["192.0.2.2"], "udp_encap": 9899}]);
    let file = dir.file("t.json", &with(classes).to_string());
    let checked = glbctl("table check", &[&file]);
    let warning = "warning: classes[0].dst: is not there: the class takes packets to any address";
    assert!(
        checked.code == 0 && checked.out.contains(warning),
        "{checked:?}"
    );
    assert!(!checked.out.contains("classes[1].dst"), "{checked:?}");
    for (packet, not_asked) in [
        ("192.0.2.2:9899 --proto udp", Some(json!(["assoc"]))),
        ("192.0.2.2:9898 --proto udp", None),
        ("192.0.2.2:9899 --proto tcp", None),
    ] {
        let command = format!("--json lookup 192.0.2.1:9 {packet} --table");
        let found = glbctl(&command, &[&file]).json();
        fits("lookup", &found);
        assert_eq!(found.get("not_asked"), not_asked.as_ref(), "{packet}");
    }
}

#[test]
fn classes_lead_to_tunnels_and_marks() {
    let dir = Dir::new("class-forward");
    for (forward, fits) in [
        (json!({"kind": "nat"}), false),
        (json!({"kind": "l3dsr", "dscp": 3}), false),
        (json!({"kind": "mark", "offset": 5000}), true),
        (json!({"kind": "gre"}), true),
    ] {
        let mut tree = with(json!([{"name": "c", "service": "t"}]));
        tree["tables"][0]["forward"] = forward.clone();
        tree["tables"][0]["version"] = json!(3);
        let file = dir.file("t.json", &tree.to_string());
        let checked = glbctl("table check", &[&file]);
        let said = checked
            .err
            .contains("classes[0].service: leads to a table with forward")
            || checked
                .out
                .contains("classes[0].service: leads to a table with forward");
        assert_eq!(
            (checked.code == 0, said),
            (fits, !fits),
            "{forward}: {checked:?}"
        );
    }
}

/// Who edits a file changes nothing else in it.
#[test]
fn edits_keep_classes() {
    let dir = Dir::new("class-edited");
    let before = with(three());
    let name = before["tables"][0]["name"].as_str().expect("a name");
    let first = before["tables"][0]["backends"][0]["ip"]
        .as_str()
        .expect("an address");
    let src = dir.file("t.json", &before.to_string());
    let read =
        || -> Value { serde_json::from_str(&std::fs::read_to_string(&src).unwrap()).unwrap() };
    for (words, change) in [
        (
            format!("backend drain {name} {first} --force --checker none --metrics none --file"),
            "draining",
        ),
        (
            format!("backend deactivate {name} {first} --force --file"),
            "inactive",
        ),
        (
            format!("backend fill {name} {first} --force --file"),
            "filling",
        ),
    ] {
        let run = glbctl(&words, &[&src]);
        assert_eq!(run.code, 0, "{words}: {run:?}");
        let mut expected = before.clone();
        expected["tables"][0]["backends"][0]["state"] = change.into();
        assert_eq!(read(), expected, "{words}");
    }
    let run = glbctl(
        &format!("backend add {name} 1.1.1.99 --inactive --file"),
        &[&src],
    );
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(read()["classes"], before["classes"]);
    let backends = read()["tables"][0]["backends"].as_array().map(Vec::len);
    let had = before["tables"][0]["backends"].as_array().map(Vec::len);
    assert_eq!(backends, had.map(|had| had + 1));
}

#[test]
fn who_heeds_no_classes_refuses_them() {
    let dir = Dir::new("class-refused");
    let src = dir.file("t.json", &with(three()).to_string());
    let bin = dir.path("t.bin");
    assert_eq!(glbctl("table build", &[&src, &bin]).code, 0);
    for file in [&src, &bin] {
        let run = glbctl("backend status --file", &[file]);
        assert_ne!(run.code, 0, "{run:?}");
    }
    let run = glbctl("backend status --file", &[&src]);
    assert!(run.err.contains("classes: cannot be here"), "{run:?}");
    let v2 = glbctl("table build --format 2", &[&src, &bin]);
    assert!(
        v2.err
            .contains("classes: cannot be built as format version 2"),
        "{v2:?}"
    );
}
