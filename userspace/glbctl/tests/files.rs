// SPDX-License-Identifier: GPL-2.0

//! What becomes of the files that commands read and write.

mod common;

use common::can::can;
use common::{command, director_cli, glbctl, glbctl_fed, table, Dir, Run};
use std::fs;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};

const TWO: &[(u8, &str, bool)] = &[(1, "active", true), (2, "active", true)];

#[test]
fn a_source_is_not_destroyed_by_whatever_name() {
    let dir = Dir::new("same");
    let text = table(TWO).to_string();
    let src = dir.file("t.json", &text);
    symlink("t.json", dir.path("link")).unwrap();
    symlink("link", dir.path("second")).unwrap();
    fs::hard_link(&src, dir.path("hard")).unwrap();
    for name in ["t.json", "link", "second", "hard", "../same"] {
        let dst = match name {
            "../same" => dir
                .0
                .join("..")
                .join(dir.0.file_name().unwrap())
                .join("t.json"),
            name => dir.path(name),
        };
        for run in [
            glbctl("table build", &[&src, &dst]),
            glbctl("table build", &[&dst, &src]),
            director_cli("build-config", &[&src, &dst]),
        ] {
            assert_eq!(run.code, 1, "{name}: {run:?}");
            assert!(run.err.contains("is the same file as"), "{run:?}");
        }
        assert_eq!(fs::read_to_string(&src).unwrap(), text, "{name}");
    }
}

/// `glbctl table build - t.json <t.json`: the shell opens the file, and the command sees it as standard input.
#[test]
fn a_source_on_standard_input_is_not_destroyed() {
    let dir = Dir::new("same-standard");
    let text = table(TWO).to_string();
    let src = dir.file("t.json", &text);
    symlink("t.json", dir.path("link")).unwrap();
    for dst in [&src, &dir.path("link")] {
        let mut build = command("table build -", &[dst]);
        let run = build.stdin(fs::File::open(&src).unwrap()).output().unwrap();
        let run = Run::new(&run);
        assert_eq!(run.code, 1, "{run:?}");
        let said =
            "is the same file as standard input, whose contents would be lost under this name";
        assert!(run.err.contains(said), "{run:?}");
        assert_eq!(fs::read_to_string(&src).unwrap(), text);
    }
    let mut build = command("table build -", &[&dir.path("other.bin")]);
    let run = build.stdin(fs::File::open(&src).unwrap()).output().unwrap();
    assert_eq!(Run::new(&run).code, 0);
}

#[test]
fn standard_input_is_read_once_only() {
    for words in [
        "lookup --table - --config - 192.0.2.1:1 10.0.0.1:80",
        "table diff - -",
        "table diff --old-config - --new-config new.conf - new.json",
        "table diff --old-config - --new-config - old.json new.json",
    ] {
        let run = Run::new(&glbctl_fed(words, &[], b"{}"));
        assert_eq!(run.code, 1, "{words}: {run:?}");
        assert!(
            run.err.contains("can be read once only"),
            "{words}: {run:?}"
        );
    }
}

#[test]
fn encap_destroys_neither_capture_nor_table_nor_settings() {
    let dir = Dir::new("same-encap");
    let table = dir.file("t.json", &table(TWO).to_string());
    let conf = dir.file("d.conf", r#"{"outbound_src_ip": "10.0.0.1"}"#);
    let header = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 101].map(u32::to_le_bytes);
    let capture = dir.path("in.pcap");
    fs::write(&capture, header.concat()).unwrap();
    let words = format!(
        "encap --table {} --config {}",
        table.display(),
        conf.display()
    );
    for name in ["in.pcap", "t.json", "d.conf"] {
        fs::hard_link(dir.path(name), dir.path("hard")).unwrap();
        for dst in [dir.path(name), dir.path("hard")] {
            let before = fs::read(dir.path(name)).unwrap();
            let run = glbctl(&words, &[&capture, &dst]);
            assert_eq!(run.code, 1, "{name}: {run:?}");
            assert!(
                run.err
                    .contains("whose contents would be lost under this name"),
                "{run:?}"
            );
            assert_eq!(fs::read(dir.path(name)).unwrap(), before);
        }
        fs::remove_file(dir.path("hard")).unwrap();
    }
    assert_eq!(glbctl(&words, &[&capture, &dir.path("out.pcap")]).code, 0);
    // By pipes: the capture on standard output, the counters beside it.
    let piped = glbctl_fed(&words, &["-".as_ref(), "-".as_ref()], &header.concat());
    let written = fs::read(dir.path("out.pcap")).unwrap();
    assert_eq!((piped.stdout, written.len()), (written.clone(), 24));
    assert!(String::from_utf8(piped.stderr)
        .unwrap()
        .contains("total_packets"));
}

#[test]
fn standard_input_and_output() {
    let dir = Dir::new("standard");
    let text = table(TWO).to_string();
    let src = dir.file("t.json", &text);
    let built = dir.path("t.bin");
    assert_eq!(glbctl("table build", &[&src, &built]).code, 0);
    let built = fs::read(built).unwrap();
    for command in ["table build - -", "table build - /dev/stdout"] {
        let run = glbctl_fed(command, &[], text.as_bytes());
        assert!(run.status.success(), "{run:?}");
        assert!(run.stdout.starts_with(&built), "{command}");
    }
    let both = glbctl_fed("table build - -", &[], text.as_bytes());
    assert_eq!(both.stdout, built);
    assert!(String::from_utf8(both.stderr)
        .unwrap()
        .contains("format version 2"));
    for (words, input, said) in [
        (
            "table check -",
            &text.clone().into_bytes(),
            "standard input: ok (JSON)\n",
        ),
        (
            "table check -",
            &built,
            "standard input: ok (binary, version 2)\n",
        ),
        (
            "table show -",
            &built,
            "table #0 (version 2, 2 hops, gue)\n",
        ),
        (
            "lookup --table - 10.11.12.13:1 9.9.9.9:80",
            &text.clone().into_bytes(),
            "table \"t\"\n",
        ),
    ] {
        let run = glbctl_fed(words, &[], input);
        assert!(run.status.success(), "{words}: {run:?}");
        assert!(
            String::from_utf8(run.stdout).unwrap().contains(said),
            "{words}"
        );
    }
    // Settings, too, good or not.
    let good = glbctl_fed("config check -", &[], br#"{"outbound_src_ip": "10.0.0.1"}"#);
    assert!(good.status.success(), "{good:?}");
    let said = String::from_utf8(good.stdout).unwrap();
    assert!(said.contains("standard input: ok"), "{said}");
    let bad = glbctl_fed("config check -", &[], b"{");
    assert_eq!(bad.status.code(), Some(1));
    let said = String::from_utf8(bad.stdout).unwrap();
    assert!(said.starts_with("standard input: not JSON"), "{said}");
    let run = glbctl_fed("table diff -", &[&src], &built);
    assert!(run.status.success(), "{run:?}");
    // What is wrong is told by a name that can be read, and nothing is read twice.
    let run = glbctl_fed("table build - -", &[], b"{");
    assert!(String::from_utf8(run.stderr)
        .unwrap()
        .starts_with("standard input: not JSON"));
    for twice in ["table diff - -", "table check - -"] {
        let run = glbctl_fed(twice, &[], text.as_bytes());
        assert_eq!(run.status.code(), Some(1));
        assert!(String::from_utf8(run.stderr)
            .unwrap()
            .contains("can be read once only"));
    }
}

/// Who edits a file wants it edited where it is, and a file of this name is not meant.
#[test]
fn standard_input_is_not_edited() {
    let dir = Dir::new("edit-standard");
    let text = table(TWO).to_string();
    let file = dir.file("-", &text);
    for words in [
        "backend fill t 1.1.1.1 --file -",
        "backend drain t 1.1.1.1 --force --file -",
        "backend add t 1.1.1.3 --file -",
        "backend remove t 1.1.1.2 --file -",
        "bind add t tcp:9.9.9.9:81 --file -",
        "bind remove t tcp:9.9.9.9:80 --file -",
    ] {
        let mut command = command(words, &[]);
        let run = Run::new(&command.current_dir(&dir.0).output().unwrap());
        assert_eq!(run.code, 1, "{words}: {run:?}");
        let said = "standard input (-) cannot be edited in place: name a file";
        assert!(run.err.contains(said), "{words}: {run:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn a_file_keeps_its_owner_and_mode_and_a_new_one_is_not_for_all() {
    let dir = Dir::new("owner");
    let src = dir.file("src.json", &table(TWO).to_string());
    let given = std::os::unix::fs::chown(&src, Some(1234), Some(1235)).is_ok();
    let given = can("give files to others", given);
    fs::set_permissions(&src, fs::Permissions::from_mode(0o604)).unwrap();
    let run = glbctl(
        "backend drain t 1.1.1.1 --force --checker none --metrics none --file",
        &[&src],
    );
    let run = if run.code == 2 {
        glbctl("backend drain t 1.1.1.1 --force --file", &[&src])
    } else {
        run
    };
    assert_eq!(run.code, 0, "{run:?}");
    let found = fs::metadata(&src).unwrap();
    assert_eq!(found.mode() & 0o777, 0o604);
    if given {
        assert_eq!((found.uid(), found.gid()), (1234, 1235));
    }
    let dst = dir.path("new.bin");
    assert_eq!(glbctl("table build", &[&src, &dst]).code, 0);
    assert_eq!(
        fs::metadata(&dst).unwrap().mode() & 0o137,
        0,
        "keys are in it"
    );
}

/// The binary table of a deployed director is for all to read, and has the keys.
#[test]
fn a_built_table_is_taken_from_others_and_that_is_said_once() {
    let dir = Dir::new("taken");
    let src = dir.file("src.json", &table(TWO).to_string());
    let dst = dir.path("dst.bin");
    for way in ["table build", "build-config"] {
        let build = || match way {
            "build-config" => director_cli(way, &[&src, &dst]),
            _ => glbctl(way, &[&src, &dst]),
        };
        fs::write(&dst, "old").unwrap();
        fs::set_permissions(&dst, fs::Permissions::from_mode(0o644)).unwrap();
        let said = |err: &str| err.contains("dst.bin: warning: it has the keys of tables");
        let run = build();
        assert!(run.code == 0 && said(&run.err), "{run:?}");
        assert_eq!(fs::metadata(&dst).unwrap().mode() & 0o777, 0o640);
        let run = build();
        assert!(run.code == 0 && run.err.is_empty(), "{run:?}");
        fs::remove_file(&dst).unwrap();
    }
    // It is not found again the next time, so JSON has it too.
    fs::write(&dst, "old").unwrap();
    fs::set_permissions(&dst, fs::Permissions::from_mode(0o644)).unwrap();
    for warnings in [1, 0] {
        let run = glbctl("--json table build", &[&src, &dst]);
        let value: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        let said = value["warnings"].as_array().unwrap();
        assert_eq!((said.len(), run.err.as_str()), (warnings, ""), "{run:?}");
    }
}

#[test]
fn a_link_to_what_is_not_there_yet_is_followed() {
    let dir = Dir::new("dangling");
    let src = dir.file("t.json", &table(TWO).to_string());
    fs::create_dir(dir.path("run")).unwrap();
    let link = dir.path("checked.bin");
    symlink("run/checked.bin", &link).unwrap();
    for _ in 0..2 {
        assert_eq!(director_cli("build-config", &[&src, &link]).code, 0);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::metadata(dir.path("run/checked.bin")).unwrap().is_file());
    }
}
