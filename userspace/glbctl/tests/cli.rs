// SPDX-License-Identifier: GPL-2.0

//! The tool from outside: exit status, files, output.

mod common;

use common::raw::{code, config, director_cli, err, four, glbctl, out};
use common::Dir;
use std::fs;
use std::path::Path;
use std::process::Command;

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
    assert_eq!(out(&output), "table \"t\" (version 2, 2 hops, gue)\n");
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
    assert!(out(&glbctl(&[&"table", &"show", &dst]))
        .starts_with("table \"t\" (version 2, 2 hops, gue)"));
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
    let gateway = dir.file(
        "gateway.conf",
        r#"{"geneve": [{"device": "eth0", "allow_from": ["192.168.40.0/24"], "strict": true}]}"#,
    );
    let said = out(&glbctl(&[&"config", &"check", &gateway]));
    let line = "role geneve: eth0  UDP port 6081, class 0x0108, senders in 192.168.40.0/24; \
                packets without a socket here are dropped; strict; 131072 flows, idle 350 s, TCP 350 s\n";
    assert!(said.contains(line), "{said}");
}

/// What the command and the file refuse before anything is attached, or even a module is asked.
#[test]
fn a_gateway_that_is_badly_told_is_attached_nowhere() {
    let dir = Dir::new("gateway");
    let other = dir.file(
        "other.conf",
        r#"{"geneve": [{"device": "eth1", "allow_from": ["10.0.0.0/8"]}]}"#,
    );
    let bad = dir.file(
        "bad.conf",
        r#"{"geneve": [{"device": "nowhere", "allow_from": ["10.0.0.0/8"], "port": 0}]}"#,
    );
    let (other, bad) = (other.display().to_string(), bad.display().to_string());
    let lines: [(&[&str], i32, &str); 15] = [
        (
            &["eth0", "--strict"],
            1,
            "--strict: only with --role geneve: add that, or leave --strict out",
        ),
        (
            &["eth0", "--role", "director", "--port", "6081"],
            1,
            "--port: only with --role geneve",
        ),
        (
            &["eth0", "--role", "return", "--pass"],
            1,
            "--pass: only with --role geneve",
        ),
        (
            &["eth0", "--config", &other],
            1,
            "--config: only with --role geneve",
        ),
        (
            &["eth0", "--role", "geneve", "--pass", "--local-only"],
            2,
            "cannot be used with",
        ),
        (
            &["eth0", "--role", "geneve", "--config", &other, "--strict"],
            2,
            "cannot be used with",
        ),
        (
            &["eth0", "--role", "geneve", "--class", "0x10000"],
            2,
            "expected a class of options, 0 to 65535 or 0x0000 to 0xffff",
        ),
        (
            &["eth0", "--role", "geneve", "--port", "0"],
            2,
            "0 is not in 1..=65535",
        ),
        (
            &["eth0", "--role", "geneve", "--max-flows", "0"],
            2,
            "0 is not in 1..=13000000",
        ),
        (
            &["eth0", "--role", "geneve", "--tcp-idle", "6001"],
            2,
            "6001 is not in 1..=6000",
        ),
        (
            &["eth0", "--role", "geneve", "--allow-from", "subnet"],
            2,
            "expected ADDRESS or ADDRESS/BITS",
        ),
        (
            &["eth0", "--role", "geneve", "--config", &other],
            1,
            "geneve: has eth1, and not eth0: add it",
        ),
        (
            &["nowhere", "--role", "geneve", "--config", &bad],
            1,
            "geneve[0].port: 0: must be a whole number from 1 to 65535",
        ),
        (
            &["nowhere", "--role", "geneve"],
            1,
            "nowhere: no such device: `ip link` lists those that are there",
        ),
        (
            &["lo", "--role", "geneve"],
            1,
            "lo: is no Ethernet device: attach the one that the packets in Geneve come in by",
        ),
    ];
    for (words, status, said) in lines {
        let mut line: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"attach"];
        line.extend(words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>));
        let output = glbctl(&line);
        assert_eq!(code(&output), status, "{words:?}: {}", err(&output));
        let text = err(&output);
        assert!(text.contains(said), "{words:?}: {text}");
        let is_error = |line: &&str| line.starts_with("error") || line.starts_with("glbctl: ");
        assert!(text.lines().filter(is_error).count() <= 1, "{text}");
    }
}
