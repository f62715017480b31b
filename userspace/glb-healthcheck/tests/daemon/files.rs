// SPDX-License-Identifier: GPL-2.0

//! Files that are missing, half written or wrong.

use crate::backends::Web;
use crate::can::can;
use crate::harness::{fast, names, run, table, Daemon, Place};
use crate::wait::wait;
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
use std::process::Command;

#[test]
fn all_faults_of_both_files_are_said_before_anything_is_touched() {
    let place = Place::new("faults");
    place.write(
        "conf",
        &json!({"forwarding_table": {"src": place.path("src.json"), "dst": place.path("dst.json")},
                "listen": "nowhere", "max_down_percent": 101, "reload_command": 1, "extra": 0})
        .to_string(),
    );
    let mut text = table(
        &json!({}),
        &[json!({"ip": "1.2.3", "state": "gone", "healthchecks": {"http": 0}})],
    );
    text = text.replace("49a3", "zzzz");
    place.write("src.json", &text);
    let (conf, src) = (place.path("conf"), place.path("src.json"));
    let (conf, src) = (conf.display(), src.display());
    let expected = [
        format!("{conf}: warning: extra: unknown field, ignored"),
        format!("{conf}: reload_command: 1: must be a string"),
        format!("{conf}: max_down_percent: 101: must be a whole number from 0 to 100"),
        format!("{conf}: listen: \"nowhere\": must be an address and a port, as in 127.0.0.1:19520"),
        format!("{src}: table \"web\": seed: \"zzzzd861d661ae5ab06ed9326871a2f5\": must be 32 hexadecimal digits"),
        format!("{src}: table \"web\": backends[0].ip: \"1.2.3\": must be an IPv4 or IPv6 address"),
        format!("{src}: table \"web\": backends[0].state: \"gone\": must be \"filling\", \"active\", \"draining\" or \"inactive\""),
        format!("{src}: table \"web\": backends[0].healthchecks.http: 0: must be a whole number from 1 to 65535"),
    ];
    for arguments in [&["--check"][..], &[]] {
        let (status, out, err) = run(place.command().args(arguments));
        assert_eq!(status, 1);
        assert_eq!(out, "");
        assert_eq!(err.lines().collect::<Vec<_>>(), expected);
    }
    assert_eq!(names(&place.dir), ["conf", "src.json"]);
}

#[test]
fn usage_and_check() {
    let place = Place::new("usage");
    let (status, _, err) = run(place.command().arg("--no-such-thing"));
    assert_eq!(status, 2, "{err}");
    let (status, _, err) = run(place.command().arg("--check"));
    assert_eq!(status, 1);
    assert!(err.ends_with("conf: there is no such file\n"), "{err}");
    place.configure(&json!({}));
    let (status, _, err) = run(place.command().arg("--check"));
    assert_eq!(status, 1);
    assert!(err.ends_with("src.json: there is no such file\n"), "{err}");
    let backends = ["192.0.2.1", "192.0.2.2"]
        .map(|ip| json!({"ip": ip, "state": "active", "healthchecks": {"tcp": 80}}));
    place.write("src.json", &table(&json!({}), &backends));
    let (status, out, err) = run(place.command().arg("--check"));
    assert_eq!((status, err.as_str()), (0, ""));
    assert_eq!(out, "good: 1 tables, 2 backends, 2 targets to check\n");
    assert_eq!(names(&place.dir), ["conf", "src.json"]);
}

#[test]
fn a_file_that_is_read_is_not_written() {
    let place = Place::new("same");
    let backends = [json!({"ip": "192.0.2.1", "state": "active"})];
    let text = table(&json!({}), &backends);
    place.write("src.json", &text);
    place.configure(&json!({}));
    let dst = place.path("dst.json");
    for read in ["src.json", "conf"] {
        let kept = fs::read_to_string(place.path(read)).unwrap();
        for hard in [false, true] {
            if hard {
                fs::hard_link(place.path(read), &dst).unwrap();
            } else {
                std::os::unix::fs::symlink(read, &dst).unwrap();
            }
            for arguments in [&["--check"][..], &[]] {
                let (status, _, err) = run(place.command().args(arguments));
                assert_eq!(status, 1, "{err}");
                assert!(
                    err.contains("which is read and would be overwritten"),
                    "{err}"
                );
                assert_eq!(fs::read_to_string(place.path(read)).unwrap(), kept);
            }
            fs::remove_file(&dst).unwrap();
        }
    }
}

/// Links that are made while the daemon runs: neither a reload nor a publication destroys what they lead to.
#[test]
fn a_link_to_what_is_read_is_not_followed_later() {
    let (place, webs) = Place::with_webs::<2>("link-later");
    let mut daemon = place.start();
    daemon.wait_status("ok");
    let src = place.text("src.json");
    fs::remove_file(place.path("dst.json")).unwrap();
    std::os::unix::fs::symlink("src.json", place.path("dst.json")).unwrap();
    let told = |daemon: &Daemon<'_>| {
        let problems = daemon.health()["problems"].to_string();
        problems.contains("which is read and would be overwritten")
    };
    webs[1].set_status(500);
    wait("the publication to be refused", || {
        told(&daemon).then_some(())
    });
    assert_eq!(place.text("src.json"), src);
    daemon.reload();
    assert!(told(&daemon));
    assert_eq!(place.text("src.json"), src);
    // Without the link all goes on.
    fs::remove_file(place.path("dst.json")).unwrap();
    daemon.reload();
    place.wait_published(&[true, false]);
}

/// A table of the deployed checker is for all to read: its keys are not any longer. That is said once.
#[test]
fn keys_are_taken_from_others() {
    let (place, webs) = Place::with_webs::<2>("keys");
    let mode = || fs::metadata(place.path("dst.json")).unwrap().mode() & 0o7777;
    fs::write(place.path("dst.json"), place.text("src.json")).unwrap();
    fs::set_permissions(place.path("dst.json"), Permissions::from_mode(0o644)).unwrap();
    let daemon = place.start();
    daemon.wait_status("ok");
    place.wait_published(&[true, true]);
    assert_eq!(mode(), 0o640);
    webs[0].set_status(500);
    place.wait_published(&[false, true]);
    assert_eq!(mode(), 0o640);
    let said = "dst.json: it has the keys of tables and was for all to use (mode 0644)";
    assert_eq!(place.text("log").matches(said).count(), 1);
}

/// As under the unit, which may give no file to others: what an operator did with the file stops nothing.
#[test]
fn an_owner_that_cannot_be_kept_stops_nothing() {
    let (place, webs) = Place::with_webs::<2>("group");
    fs::write(place.path("dst.json"), place.text("src.json")).unwrap();
    let given = chown(place.path("dst.json"), None, Some(1236)).is_ok();
    if !can("give files to others", given) {
        return;
    }
    let inner = place.command();
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set", "-chown", "--"])
        .arg(inner.get_program())
        .args(inner.get_args());
    let daemon = Daemon::start_command(&place, command);
    daemon.wait_status("ok");
    webs[0].set_status(500);
    place.wait_published(&[false, true]);
    let said = "dst.json: its owner and group (0:1236) cannot be kept";
    assert_eq!(place.text("log").matches(said).count(), 1);
}

#[test]
fn an_address_in_use_is_said() {
    let place = Place::new("listen");
    let web = Web::new();
    place.write("src.json", &table(&fast(), &[web.backend(), web.backend()]));
    place.configure(&json!({"listen": web.place.to_string()}));
    let (status, _, err) = run(&mut place.command());
    assert_eq!(status, 1);
    assert!(
        err.contains(&format!("can not listen on {}", web.place)),
        "{err}"
    );
}

/// Each way in which the table can be unusable at a reload: the old one stays in use, which is said, and a
/// good one is found without anybody asking again.
#[test]
fn a_bad_table_changes_nothing() {
    let place = Place::new("bad");
    let webs = [Web::new(), Web::new()];
    let good = table(&fast(), &webs.each_ref().map(Web::backend));
    place.write("src.json", &good);
    place.configure(&json!({}));
    let mut daemon = place.start();
    place.wait_published(&[true, true]);
    daemon.wait_status("ok");
    let (half, wrong) = (&good[..good.len() / 2], good.replace("active", "gone"));
    let bad = [
        (Some(half), "src.json: not JSON: EOF while parsing"),
        (Some(""), "src.json: not JSON: EOF while parsing"),
        (Some(&wrong), "backends[1].state: \"gone\": must be"),
        (None, "src.json: there is no such file"),
    ];
    for (text, said) in bad {
        match text {
            Some(text) => place.write("src.json", text),
            None => fs::remove_file(place.path("src.json")).unwrap(),
        }
        daemon.reload();
        let health = daemon.health();
        assert_eq!(health["status"], "degraded");
        let problems = health["problems"].to_string();
        assert!(problems.contains(&said.replace('"', "\\\"")), "{problems}");
        assert!(
            problems.contains("the last good table stays in use"),
            "{problems}"
        );
        assert!(place.text("log").contains(said), "{}", place.text("log"));
    }
    // The backends of the last good table are checked as before.
    webs[0].set_status(500);
    place.wait_published(&[false, true]);
    webs[0].set_status(200);
    place.wait_published(&[true, true]);
    // The configuration itself may be wrong, too.
    place.write("conf", "{");
    daemon.reload();
    assert!(daemon.health()["problems"]
        .to_string()
        .contains("conf: not JSON"));
    place.configure(&json!({}));
    place.write("src.json", &good.replace("\"web\"", "\"found again\""));
    wait("the good files to be found", || {
        let health = daemon.health();
        (health["tables"][0]["name"] == "found again").then_some(())
    });
    daemon.wait_status("ok");
}

/// A restart while the operator's table is not there goes on with the one of the last run.
#[test]
fn a_restart_without_the_table() {
    let (place, webs) = Place::with_webs::<2>("restart");
    let daemon = place.start();
    place.wait_published(&[true, true]);
    assert!(daemon.stop().success());
    fs::remove_file(place.path("src.json")).unwrap();
    let daemon = place.start();
    let problems = daemon.health()["problems"].to_string();
    assert!(
        problems.contains("src.json: there is no such file"),
        "{problems}"
    );
    webs[1].set_status(500);
    place.wait_published(&[true, false]);
    drop(daemon);
    // Without either there is nothing to go on with.
    fs::remove_file(place.path("dst.json")).unwrap();
    let (status, _, err) = run(&mut place.command());
    assert_eq!(status, 1);
    assert!(err.contains("src.json: there is no such file"), "{err}");
}

/// A reader never sees a half written table.
#[test]
fn the_table_is_replaced_whole() {
    let place = Place::new("whole");
    let web = Web::new();
    let other = Web::new();
    let mut backends = vec![web.backend(), other.backend()];
    backends[0]["note"] = "x".repeat(300_000).into();
    let timing = json!({"interval_ms": 20, "timeout_ms": 60000, "trigger": 1});
    place.write("src.json", &table(&timing, &backends));
    place.configure(
        &json!({"reload_interval_ms": 0, "reload_command": "", "max_down_percent": 100}),
    );
    let _daemon = place.start();
    place.wait_published(&[true, true]);
    let (mut changes, mut last) = (0, true);
    wait("twenty changes, each seen whole", || {
        web.set_status(if last { 500 } else { 200 });
        let now = place.published().expect("a whole file")[0];
        changes += usize::from(now != last);
        last = now;
        (changes >= 20).then_some(())
    });
    let left: Vec<_> = names(&place.dir)
        .into_iter()
        .filter(|name| name.contains("tmp"))
        .collect();
    assert!(left.len() <= 1, "{left:?}");
}
