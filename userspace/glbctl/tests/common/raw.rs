// SPDX-License-Identifier: GPL-2.0

//! Runs of the tool with arguments one by one, and what came of them as it came.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

pub(crate) fn glbctl(args: &[&dyn AsRef<std::ffi::OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glbctl"));
    command.args(args.iter().map(|arg| arg.as_ref()));
    command.output().unwrap()
}

pub(crate) fn director_cli(args: &[&dyn AsRef<std::ffi::OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glbctl"));
    command.arg0("/usr/bin/glb-director-cli");
    command.args(args.iter().map(|arg| arg.as_ref()));
    command.output().unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("not killed")
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// As [`super::table`], with blanks as people write it: tests of what is edited in a file look for them.
pub(crate) fn config(states: &[(u8, &str, bool)]) -> String {
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

pub(crate) fn four() -> String {
    config(&[
        (1, "active", true),
        (2, "active", true),
        (3, "active", true),
        (4, "active", true),
    ])
}
