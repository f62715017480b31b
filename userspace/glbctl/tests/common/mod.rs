// SPDX-License-Identifier: GPL-2.0

//! What tests of the tool from outside have in common.
// Each test is a program of its own and uses its part.
#![allow(dead_code)]

pub(crate) mod can;
pub(crate) mod netns;
pub(crate) mod raw;
pub(crate) mod schema;

use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A directory of a test's own.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("glbctl-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn file(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    pub(crate) fn names(&self) -> Vec<String> {
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

/// What a run of the tool came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code().expect("not killed"),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `glbctl` with words (blanks between), and then these paths.
pub(crate) fn glbctl(words: &str, paths: &[&Path]) -> Run {
    Run::new(&command(words, paths).output().unwrap())
}

/// As [`glbctl`], by the name of the deployed tool.
pub(crate) fn director_cli(words: &str, paths: &[&Path]) -> Run {
    let mut command = command(words, paths);
    Run::new(&command.arg0("/usr/bin/glb-director-cli").output().unwrap())
}

/// As [`glbctl`], with something on standard input. Output is raw.
pub(crate) fn glbctl_fed(words: &str, paths: &[&Path], input: &[u8]) -> Output {
    let mut command = command(words, paths);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // A tool that refuses its arguments does not read.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

pub(crate) fn command(words: &str, paths: &[&Path]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glbctl"));
    command.args(words.split_whitespace());
    command.args(paths.iter().map(|path| OsStr::new(*path)));
    command
}

/// A table of version 2 with hosts 1.1.1.N, in these states.
pub(crate) fn table(states: &[(u8, &str, bool)]) -> Value {
    let backends: Vec<Value> = states
        .iter()
        .map(|(n, state, healthy)| {
            serde_json::json!({"ip": format!("1.1.1.{n}"), "state": state, "healthy": healthy})
        })
        .collect();
    serde_json::json!({"tables": [{"name": "t", "hash_key": "12345678901234561234567890123456",
        "seed": "49a3d861d661ae5ab06ed9326871a2f5",
        "binds": [{"ip": "9.9.9.9", "proto": "tcp", "port": 80}],
        "backends": backends}]})
}
