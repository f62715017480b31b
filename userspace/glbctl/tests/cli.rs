// SPDX-License-Identifier: GPL-2.0

//! The tool from outside: exit status, files, output.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory of a test's own.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("glbctl-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn glbctl(args: &[&dyn AsRef<std::ffi::OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glbctl"));
    command.args(args.iter().map(|arg| arg.as_ref()));
    command.output().unwrap()
}

fn director_cli(args: &[&dyn AsRef<std::ffi::OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glbctl"));
    command.arg0("/usr/bin/glb-director-cli");
    command.args(args.iter().map(|arg| arg.as_ref()));
    command.output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("not killed")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A table of hosts 1.1.1.N in these states.
fn config(states: &[(u8, &str, bool)]) -> String {
    let backends: Vec<String> = states
        .iter()
        .map(|(n, state, healthy)| {
            format!(r#"{{"ip": "1.1.1.{n}", "state": "{state}", "healthy": {healthy}}}"#)
        })
        .collect();
    format!(
        r#"{{"tables": [{{"name": "t", "hash_key": "12345678901234561234567890123456",
        "seed": "49a3d861d661ae5ab06ed9326871a2f5",
        "binds": [{{"ip": "9.9.9.9", "proto": "tcp", "port": 80}}],
        "backends": [{}]}}]}}"#,
        backends.join(",")
    )
}

fn four() -> String {
    config(&[
        (1, "active", true),
        (2, "active", true),
        (3, "active", true),
        (4, "active", true),
    ])
}

#[allow(deprecated)]
fn siphash(key: u128, message: &[u8]) -> [u8; 8] {
    use std::hash::Hasher;
    let key = key.to_be_bytes();
    let mut hasher = std::hash::SipHasher::new_with_keys(
        u64::from_le_bytes(key[..8].try_into().unwrap()),
        u64::from_le_bytes(key[8..].try_into().unwrap()),
    );
    hasher.write(message);
    hasher.finish().to_le_bytes()
}

/// The file that the specification describes for hosts 1.1.1.N, written down once more, byte by byte.
fn model(states: &[(u8, &str, bool)]) -> Vec<u8> {
    let mut file = b"GLBD".to_vec();
    for number in [2u32, 1, 65536, 256, 256] {
        file.extend(number.to_le_bytes());
    }
    file.extend((states.len() as u32).to_le_bytes());
    for (n, state, healthy) in states {
        file.extend([1, 0, 0, 0, 1, 1, 1, *n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let code = ["filling", "active", "draining"]
            .iter()
            .position(|s| s == state);
        file.extend([code.unwrap_or(2) as u8, 0, u8::from(*healthy), 0]);
    }
    file.resize(24 + 0x1804, 0);
    file.extend(1u32.to_le_bytes());
    file.extend([1, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([32, 0, 80, 0, 80, 0, 6, 0]);
    file.resize(24 + 0x3408, 0);
    file.extend(0x1234_5678_9012_3456_1234_5678_9012_3456_u128.to_be_bytes());
    let seed = 0x49a3_d861_d661_ae5a_b06e_d932_6871_a2f5;
    for row in 0..65536u32 {
        let digest = siphash(seed, &row.to_be_bytes());
        let mut order: Vec<usize> = (0..states.len())
            .filter(|&i| states[i].1 != "inactive")
            .collect();
        order.sort_by_key(|&i| siphash(seed, &[&digest[..], &[1, 1, 1, states[i].0]].concat()));
        let (mut p, mut s) = (order[0], *order.get(1).unwrap_or(&order[0]));
        if (states[p].1 == "draining" || !states[p].2) && states[s].1 == "active" {
            (p, s) = (s, p);
        }
        file.extend((p as u32).to_le_bytes());
        file.extend((s as u32).to_le_bytes());
    }
    file
}

#[test]
fn builds_are_what_the_specification_says() {
    let dir = Dir::new("build");
    let cases: [&[(u8, &str, bool)]; 5] = [
        &[
            (1, "active", true),
            (2, "active", true),
            (3, "active", true),
            (4, "active", true),
        ],
        &[
            (1, "draining", true),
            (2, "active", true),
            (3, "filling", true),
        ],
        &[
            (1, "active", false),
            (2, "active", false),
            (3, "active", false),
        ],
        &[
            (5, "inactive", true),
            (1, "filling", false),
            (2, "active", true),
            (3, "draining", false),
        ],
        &[(7, "inactive", true), (8, "active", true)],
    ];
    for (index, states) in cases.into_iter().enumerate() {
        let src = dir.file("t.json", &config(states));
        let dst = dir.0.join("t.bin");
        let output = if index % 2 == 0 {
            glbctl(&[&"table", &"build", &src, &dst])
        } else {
            director_cli(&[&"build-config", &src, &dst])
        };
        assert_eq!(code(&output), 0, "{}", err(&output));
        assert!(fs::read(&dst).unwrap() == model(states), "case {index}");
    }
    assert_eq!(dir.names(), ["t.bin", "t.json"]);
}

#[test]
fn a_bad_source_leaves_the_old_file() {
    let dir = Dir::new("bad");
    let src = dir.file("t.json", &four().replace("49a3d8", "49a3dz"));
    let dst = dir.file("t.bin", "old");
    let expected = format!(
        "{}: table \"t\": seed: \"49a3dz61d661ae5ab06ed9326871a2f5\": must be 32 hexadecimal digits\n",
        src.display()
    );
    for output in [
        glbctl(&[&"table", &"build", &src, &dst]),
        director_cli(&[&"build-config", &src, &dst]),
    ] {
        assert_eq!(code(&output), 1);
        assert_eq!(err(&output), expected);
        assert_eq!(out(&output), "");
        assert_eq!(fs::read(&dst).unwrap(), b"old");
    }
    assert_eq!(dir.names(), ["t.bin", "t.json"]);
}

#[test]
fn a_destination_that_cannot_be_written_is_named() {
    let dir = Dir::new("nodir");
    let src = dir.file("t.json", &four());
    let output = glbctl(&[&"table", &"build", &src, &dir.0.join("no/t.bin")]);
    assert_eq!(code(&output), 1);
    assert!(
        err(&output).ends_with("no/t.bin: No such file or directory\n"),
        "{}",
        err(&output)
    );
}

#[test]
fn usage_errors_have_status_2() {
    assert_eq!(code(&glbctl(&[&"table"])), 2);
    assert_eq!(code(&glbctl(&[&"table", &"build", &"one"])), 2);
    assert_eq!(code(&glbctl(&[&"nonsense"])), 2);
    assert_eq!(code(&director_cli(&[&"build-config", &"one"])), 2);
    assert_eq!(code(&director_cli(&[&"table", &"check", &"x"])), 2);
    assert_eq!(code(&glbctl(&[&"--help"])), 0);
}

#[test]
fn check_reads_both_kinds_and_prints_the_balance() {
    let dir = Dir::new("check");
    let src = dir.file("t.json", &four());
    let dst = dir.0.join("t.bin");
    assert_eq!(code(&glbctl(&[&"table", &"build", &src, &dst])), 0);
    let output = glbctl(&[&"table", &"check", &src, &dst, &"--json"]);
    assert_eq!(code(&output), 0);
    let reports: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    for report in reports.as_array().unwrap() {
        let balance = &report["tables"][0]["balance"];
        assert_eq!(balance["first_hops"], 4);
        assert!(balance["busiest_percent"].as_f64().unwrap() < 3.0);
    }
    let mut bytes = fs::read(&dst).unwrap();
    bytes[24 + 0x3418] = 9;
    fs::write(&dst, bytes).unwrap();
    let output = glbctl(&[&"table", &"check", &dst]);
    assert_eq!(code(&output), 1);
    let expected = "table 0: row.primary [0]: 9 (allowed: an index below num_backends)";
    assert!(out(&output).contains(expected), "{}", out(&output));
}

#[test]
fn lookup_finds_the_vectors_row() {
    let dir = Dir::new("lookup");
    let src = dir.file("t.json", &four());
    let output = glbctl(&[
        &"lookup",
        &"--table",
        &src,
        &"10.11.12.13:45678",
        &"9.9.9.9:80",
        &"--json",
    ]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let answer: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(answer["hashes"][0]["hash"], "008972f1657a5cbd");
    assert_eq!(answer["hashes"][0]["row"], 0x5cbd);
    assert_eq!(answer["hops"].as_array().unwrap().len(), 2);
    let config = dir.file(
        "d.conf",
        r#"{"outbound_src_ip": "1.2.3.4", "alt_hash_fields": {"src_addr": true, "src_port": true}}"#,
    );
    let args: [&dyn AsRef<std::ffi::OsStr>; 7] = [
        &"lookup",
        &"--table",
        &src,
        &"--config",
        &config,
        &"10.11.12.13:45678",
        &"9.9.9.9:80",
    ];
    let output = glbctl(&args);
    assert_eq!(
        out(&output).matches("\nhash  ").count(),
        2,
        "{}",
        out(&output)
    );
    let output = glbctl(&[&"lookup", &"--table", &src, &"10.11.12.13", &"9.9.9.9:81"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).ends_with("no bind matches tcp 9.9.9.9 port 81\n"));
}

#[test]
fn a_closed_pipe_is_no_fault() {
    let dir = Dir::new("pipe");
    let src = dir.file("t.json", &four());
    let script = format!(
        "{} table show --rows {} | head -1; exit ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_glbctl"),
        src.display()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(code(&output), 0);
    assert_eq!(err(&output), "");
    assert_eq!(out(&output), "table \"t\" (version 2, 2 hops)\n");
}

#[test]
fn manual_pages_and_completions() {
    let dir = Dir::new("man");
    assert_eq!(code(&glbctl(&[&"man", &dir.0])), 0);
    let names = dir.names();
    for page in ["glbctl.8", "glbctl-table-build.8", "glb-director-cli.8"] {
        assert!(Path::new(&dir.0).join(page).exists(), "{names:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let output = glbctl(&[&"completions", &shell]);
        assert!(out(&output).contains("COMPLETE"));
    }
}

#[test]
fn version_3_tables_need_format_3() {
    let dir = Dir::new("v3");
    let src = dir.file(
        "t.json",
        &four().replace("\"name\": \"t\",", "\"name\": \"t\", \"version\": 3,"),
    );
    let dst = dir.file("t.bin", "old");
    let said = format!(
        "{}: table \"t\": version: 3: cannot be built as format version 2: ",
        src.display()
    );
    for output in [
        glbctl(&[&"table", &"build", &"--format", &"2", &src, &dst]),
        director_cli(&[&"build-config", &src, &dst]),
    ] {
        assert_eq!(code(&output), 1);
        assert!(err(&output).starts_with(&said), "{}", err(&output));
        assert_eq!(fs::read(&dst).unwrap(), b"old");
    }
    let output = glbctl(&[&"table", &"build", &src, &dst]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("format version 3"));
    let output = glbctl(&[&"table", &"check", &"--json", &dst]);
    let reports: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(reports[0]["tables"][0]["table"], "t");
    assert_eq!(reports[0]["tables"][0]["hops"], 3);
    assert!(
        reports[0]["tables"][0]["balance"]["busiest_percent"]
            .as_f64()
            .unwrap()
            < 0.1
    );
    // From version 2 to version 3 with the same seed no connection is lost.
    let v2 = dir.file("v2.json", &four());
    let output = glbctl(&[&"table", &"diff", &v2, &dst]);
    assert!(out(&output).contains("lost 0 rows"), "{}", out(&output));
    let output = glbctl(&[&"table", &"build", &"--format", &"3", &v2, &dst]);
    assert_eq!(code(&output), 0);
    assert!(out(&glbctl(&[&"table", &"show", &dst])).starts_with("table \"t\" (version 2, 2 hops)"));
}

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

/// Two of four dead, by the deployed rule: rows with two bad hops.
fn two_dead() -> String {
    config(&[
        (1, "active", true),
        (2, "active", true),
        (3, "active", false),
        (4, "active", false),
    ])
}

#[test]
fn rows_that_lead_to_dead_backends_are_said_everywhere() {
    let dir = Dir::new("dead");
    let src = dir.file("t.json", &two_dead());
    let dst = dir.0.join("t.bin");
    let expected = model(&[
        (1, "active", true),
        (2, "active", true),
        (3, "active", false),
        (4, "active", false),
    ]);
    let primaries = expected[24 + 0x3418..].chunks(8).map(|row| row[0]);
    let dead = primaries.filter(|primary| *primary >= 2).count();
    let said = format!("{dead} of 65536 rows");
    let built = glbctl(&[&"table", &"build", &src, &dst]);
    // The rows stay as deployed.
    assert!(fs::read(&dst).unwrap() == expected);
    assert!(err(&built).contains(&said), "{}", err(&built));
    for file in [&src, &dst] {
        for command in ["check", "show"] {
            let output = glbctl(&[&"table", &command, file]);
            assert_eq!(code(&output), 0);
            let all = out(&output) + &err(&output);
            assert!(all.contains(&said), "{command}: {all}");
            assert!(all.contains("\"version\": 3"), "{command}: {all}");
            let output = glbctl(&[&"--json", &"table", &command, file]);
            let json: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
            let table = match command {
                "check" => &json[0]["tables"][0],
                _ => &json[0],
            };
            assert_eq!(table["dead_rows"]["first_hop"], dead, "{command}");
        }
    }
    let built = glbctl(&[&"--json", &"table", &"build", &src, &dst]);
    let json: serde_json::Value = serde_json::from_str(&out(&built)).unwrap();
    assert_eq!(json["dead_rows"][0]["all_hops"], dead);
    assert_eq!(json["dead_rows"][0]["table"], "t");
    // What it says to do helps.
    let src = dir.file(
        "3.json",
        &two_dead().replace("\"hash_key\"", "\"version\": 3, \"hash_key\""),
    );
    let output = glbctl(&[&"--json", &"table", &"check", &src]);
    assert!(!out(&output).contains("dead_rows"), "{}", out(&output));
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
        "sctp:9.9.9.9:80",
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
fn a_configuration_is_judged_without_a_director() {
    let dir = Dir::new("config-check");
    let good = dir.file(
        "good.conf",
        r#"{"outbound_src_ip": "10.0.0.1", "source_v6": "fd00::6", "udp_port": 19524, "lcores": 3, "statsd_port": 28125}"#,
    );
    let output = glbctl(&[&"config", &"check", &good]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let said = out(&output);
    assert!(
        said.contains("warning: lcores: a setting of the DPDK director"),
        "{said}"
    );
    assert!(
        said.contains("udp-port                     19524\n"),
        "{said}"
    );
    assert!(said.contains("127.0.0.1:28125"), "{said}");
    let output = glbctl(&[&"--json", &"config", &"check", &good]);
    let report: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["ok"], true);
    assert_eq!(report["settings"]["source_v4"], "10.0.0.1");
    assert_eq!(report["settings"]["source_v6"], "fd00::6");
    assert_eq!(report["settings"]["segment_tcp"], false);
    let bad = dir.file("bad.conf", r#"{"udp_port": 0, "segment_tcp": "yes"}"#);
    let output = glbctl(&[&"config", &"check", &bad]);
    assert_eq!(code(&output), 1);
    let said = out(&output);
    for part in [
        "outbound_src_ip: is missing",
        "udp_port: 0: must be",
        "segment_tcp: \"yes\": must be",
        "3 errors",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(code(&glbctl(&[&"config", &"check", &"/nowhere.conf"])), 1);
}
