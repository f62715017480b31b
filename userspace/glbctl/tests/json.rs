// SPDX-License-Identifier: GPL-2.0

//! `--json` of the commands that need no kernel, against `spec/glbctl.schema.json`. Those of the running
//! director and of the redirect are held to it by tests/lab/glbctl-json.sh.

mod common;

use common::{glbctl, schema, table, Dir, Run};
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn four() -> Value {
    table(&[
        (1, "active", true),
        (2, "active", true),
        (3, "active", true),
        (4, "active", false),
    ])
}

#[test]
fn what_commands_print_is_what_the_schema_says() {
    let dir = Dir::new("json");
    let mut old = four();
    old["tables"][0]["backends"][0]["domain"] = json!("rack");
    old["tables"][0]["version"] = json!(3);
    let src = dir.file("src.json", &old.to_string());
    let mut new = four();
    new["tables"][0]["backends"]
        .as_array_mut()
        .unwrap()
        .remove(0);
    new["tables"][0]["backends"][0]
        .as_object_mut()
        .unwrap()
        .remove("healthy");
    let new = dir.file("new.json", &new.to_string());
    let (bin, conf) = (
        dir.path("t.bin"),
        dir.file("d.conf", r#"{"outbound_src_ip": "10.0.0.1"}"#),
    );
    let capture = dir.path("in.pcap");
    let header = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 101].map(u32::to_le_bytes);
    fs::write(&capture, header.concat()).unwrap();
    let encap = format!(
        "encap --table {} --config {}",
        src.display(),
        conf.display()
    );
    let out = dir.path("out.pcap");
    let bad = dir.file("bad.json", "{\"tables\": [{}]}");
    let none = dir.path("none");
    let edited = dir.file("edited.json", &four().to_string());
    let more = dir.path("more.json");
    let exported = dir.path("exported.json");
    let vpp = dir.file(
        "lb.vpp",
        "lb vip 90.0.0.0/8 encap gre4\nlb as 90.0.0.0/8 10.0.0.1\n",
    );
    let nfqlb = dir.file(
        "flows.sh",
        "nfqlb flow-set --name=web --target=t --proto=tcp\n",
    );
    let cases: [(&str, &str, &[&Path]); 33] = [
        ("table build", "table build", &[&src, &bin]),
        ("table check", "table check", &[&src, &new, &bad, &none]),
        ("table show", "table show", &[&src]),
        ("table show", "table show --rows --table t", &[&bin]),
        ("table export", "table export -o", &[&exported, &bin]),
        ("table export", "table export --dry-run", &[&bin]),
        ("table import-vpp", "table import-vpp --dry-run", &[&vpp]),
        ("table import-nfqlb", "table import-nfqlb --dry-run", &[&nfqlb, &src]),
        ("table diff", "table diff", &[&src, &new]),
        ("table diff", "table diff --exit-code", &[&new, &new]),
        ("table new", "table new a --bind tcp:9.9.9.8:80 --backend 1.1.1.1", &[]),
        ("table new", "table new a --bind tcp:9.9.9.8:80 --backend 1.1.1.1 --file", &[&more]),
        ("table new", "table new b --bind tcp:9.9.9.7:80 --backend 1.1.1.1 --file", &[&more]),
        ("bind add", "bind add t tcp:9.9.9.9:81 --file", &[&edited]),
        ("bind remove", "bind remove t tcp:9.9.9.9:81 --file", &[&edited]),
        ("backend add", "backend add t 1.1.1.9 --inactive --file", &[&edited]),
        ("backend fill", "backend fill t 1.1.1.9 --file", &[&edited]),
        ("backend activate", "backend activate t 1.1.1.9 --file", &[&edited]),
        ("backend deactivate", "backend deactivate t 1.1.1.9 --force --file", &[&edited]),
        ("backend remove", "backend remove t 1.1.1.9 --file", &[&edited]),
        ("table check", "table check", &[&edited]),
        ("lookup", "lookup 10.0.0.1 9.9.9.9:80 --table", &[&src]),
        ("encap", &encap, &[&capture, &out]),
        ("decap", "decap --allow-from 10.0.0.0/8,fd00::/8 --class 0x0167", &[&capture, &out]),
        ("backend status", "backend status --checker none --metrics none --interval 0.01 --file", &[&src]),
        ("backend status", "backend status --checker http://127.0.0.1:1/ --metrics http://127.0.0.1:1/ --interval 0.01 --file", &[&src]),
        ("backend drain", "backend drain t 1.1.1.2 --force --dry-run --checker none --metrics none --file", &[&src]),
        ("redirect flows", "redirect flows --backend 1.1.1.1 --list --table", &[&src]),
        ("config check", "config check", &[&conf]),
        ("failure", "table build", &[&bad, &bin]),
        ("failure", "table show", &[&none]),
        ("failure", "table diff", &[&src]),
        ("failure", "no such command", &[]),
    ];
    for (name, words, paths) in cases {
        let run = glbctl(&format!("--json {words}"), paths);
        holds(name, &run);
        // Failures stand on standard output in the place of the result, and nowhere else.
        let failed = name == "failure";
        assert_eq!(
            (run.code == 0 || name == "table check", run.err.is_empty()),
            (!failed, true),
            "{words}: {run:?}"
        );
    }
}

#[test]
fn failures_have_one_form() {
    let dir = Dir::new("failures");
    let bad = dir.file("bad.json", &four().to_string().replace("49a3", "zzzz"));
    let run = glbctl("--json table build", &[&bad, &dir.path("t.bin")]);
    assert_eq!(run.code, 1);
    let failure = run.json();
    assert_eq!(failure["issues"][0]["field"], "seed");
    assert!(
        failure["error"].as_str().unwrap().contains("seed"),
        "{failure}"
    );
    let run = glbctl("--json table show", &[&dir.path("none")]);
    assert_eq!(run.json()["issues"], json!([]));
    let run = glbctl("--json table build one", &[]);
    assert_eq!(run.code, 2);
    assert!(
        run.json()["error"]
            .as_str()
            .unwrap()
            .contains("required arguments"),
        "{run:?}"
    );
    // For people: on standard error.
    let run = glbctl("table show", &[&dir.path("none")]);
    assert_eq!((run.code, &*run.out), (1, ""));
    assert!(
        run.err.ends_with("none: No such file or directory\n"),
        "{run:?}"
    );
}

/// What was printed, against the definition of this name.
fn holds(name: &str, run: &Run) {
    let schema = schema::Schema::read("glbctl");
    let faults = schema.faults(name, &run.json());
    assert_eq!(faults, [] as [String; 0], "{name}: {}", run.out);
}

/// Whatever this machine is: nobody answers on port 1, which is an error.
#[test]
fn doctor_prints_what_the_schema_says() {
    for role in ["director", "proxy"] {
        let fleet = "--fleet http://127.0.0.1:1/metrics";
        let words = format!("--json doctor --checker none --role {role} {fleet}");
        let run = glbctl(&words, &[]);
        assert_eq!(run.code, 3, "{run:?}");
        holds("doctor", &run);
        assert_eq!(run.json()["sections"][0]["about"], role);
        assert_eq!(run.json()["sections"][1]["about"], "fleet");
    }
}

#[test]
fn the_schema_can_be_missed() {
    let schema = schema::Schema::read("glbctl");
    let good =
        json!({"file": "f", "format": 2, "tables": 1, "bytes": 1, "dead_rows": [], "warnings": []});
    let faults = |value: &Value| schema.faults("table build", value).len();
    assert_eq!(faults(&good), 0);
    for (field, value) in [
        ("format", json!(4)),
        ("tables", json!("1")),
        ("bytes", json!(-1)),
        ("more", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert_eq!(faults(&bad), 1, "{field}");
    }
    let mut bad = good;
    bad.as_object_mut().unwrap().remove("file");
    assert_eq!(faults(&bad), 1);
}

/// A shell asks the tool what there is.
#[test]
fn completion_knows_tables_and_backends() {
    let dir = Dir::new("complete");
    let file = dir.file("src.json", &four().to_string());
    let complete = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_glbctl"));
        command
            .env("COMPLETE", "bash")
            .env("_CLAP_IFS", "\n")
            .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
        let output = command.arg("--").args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let path = file.to_str().unwrap();
    let backends = complete(&["glbctl", "backend", "drain", "--file", path, "t", "1.1.1."]);
    assert_eq!(
        backends.lines().map(str::trim).collect::<Vec<_>>(),
        ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]
    );
    let tables = complete(&["glbctl", "table", "show", path, "--table", ""]);
    assert_eq!(tables.trim(), "t");
    assert!(complete(&["glbctl", "attach", "l"])
        .lines()
        .any(|line| line.trim() == "lo"));
    assert!(complete(&["glbctl", "tab"]).contains("table"));
    let lines = |words: &[&str]| -> Vec<String> {
        let said = complete(words);
        said.lines().map(|line| line.trim().to_owned()).collect()
    };
    assert_eq!(lines(&["glbctl", "flows", "--ser"]), ["--service"]);
    assert_eq!(lines(&["glbctl", "attach", "--role", "ret"]), ["return"]);
    let roles = lines(&["glbctl", "attach", "--role", ""]);
    for role in ["director", "return", "geneve"] {
        assert!(roles.iter().any(|one| one == role), "{roles:?}");
    }
    assert_eq!(lines(&["glbctl", "table", "import-v"]), ["import-vpp"]);
    let lb = dir.file("startup.vpp", "");
    let (lb, begun) = (lb.to_str().unwrap(), dir.path("start"));
    assert_eq!(
        lines(&["glbctl", "table", "import-vpp", begun.to_str().unwrap()]),
        [lb]
    );
}

/// Commands whose output is no JSON: what statsd and shells read.
const OTHER: [&str; 2] = ["completions", "statsd"];

/// What is judged is read from the tests themselves: the first word of a case here, what `judge` stands in front of there.
#[test]
fn every_command_is_held_to_the_schema() {
    let dir = Dir::new("commands");
    let run = glbctl("man", &[&dir.0]);
    assert_eq!(run.code, 0, "{run:?}");
    let pages = dir.names();
    let names: BTreeSet<&str> = pages
        .iter()
        .filter_map(|page| page.strip_prefix("glbctl-")?.strip_suffix(".8"))
        .collect();
    // A page that others continue is that of a group.
    let is_group = |name: &str| {
        let begin = format!("{name}-");
        names.iter().any(|other| other.starts_with(&begin))
    };
    let commands: BTreeSet<String> = names
        .iter()
        .filter(|name| !is_group(name))
        // A hyphen is between words, but for that of one.
        .map(|name| name.replace('-', " ").replace("import ", "import-"))
        .collect();
    assert!(commands.contains("table load"), "{commands:?}");
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(top.join(path)).unwrap();
    let here = read("userspace/glbctl/tests/json.rs");
    let there = read("tests/lab/glbctl-json.sh");
    let defined: Value = serde_json::from_str(&read("spec/glbctl.schema.json")).unwrap();
    for command in &commands {
        let case = format!("        (\"{command}\", ");
        let single = format!("    holds(\"{command}\", ");
        let judged = format!("    judge \"{command}\"");
        let is_judged = here.contains(&case)
            || here.contains(&single)
            || there.lines().any(|line| {
                line.strip_prefix(&judged)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            });
        let is_other = OTHER.contains(&&**command);
        assert_eq!(
            is_judged, !is_other,
            "{command}: who holds its --json to the schema?"
        );
        assert_eq!(
            defined["$defs"][command].is_object(),
            !is_other,
            "{command}: its definition"
        );
    }
    // Those of a running director are asked there, too.
    for running in ["table show", "table diff", "table export", "lookup"] {
        let judged = format!("    judge \"{running}\" --running");
        assert!(there.contains(&judged), "{running} --running is not judged");
    }
}
