// SPDX-License-Identifier: GPL-2.0

//! Writes what follows from the settings of a director and from the specifications of the netlink families.
//!
//! ```text
//! core/src/settings.rs ──> spec/glb.yaml (its attribute set config), spec/director.schema.json,
//!                          spec/glbctl.schema.json, docs/director.md
//! core/src/director/forward > spec/glb.yaml (its enum forward), spec/forwarding_table.schema.json,
//!                          spec/glbctl.schema.json
//! core/src/director/select > spec/glb.yaml (its enums select and flow-hash), spec/forwarding_table.schema.json,
//!                          spec/glbctl.schema.json
//! core/src/director/role.rs > spec/glb.yaml (its enum device-role), spec/glbctl.schema.json
//! spec/glb.yaml ─────────> core/src/netlink/glb.rs
//! spec/glb_redirect.yaml > core/src/netlink/glb_redirect.rs
//! ```
//!
//! `make spec` writes the files, and then docs/formats.md from the schemas. With `--check` nothing is written: what is not
//! up to date is named, and the exit status is 1.

mod family;
mod form;
mod forwards;
mod names;
mod numbers;
mod parts;
mod roles;
mod rust;
mod selects;
mod settings;

use anyhow::{bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The families: the specification, and the file of its numbers and names.
const FAMILIES: [(&str, &str); 2] = [
    ("spec/glb.yaml", "core/src/netlink/glb.rs"),
    ("spec/glb_redirect.yaml", "core/src/netlink/glb_redirect.rs"),
];

type Make = fn(&str) -> Result<String>;

/// The files of which parts are made, and what makes each from what it was.
const MADE: [(&str, Make); 5] = [
    ("spec/glb.yaml", |old| {
        let old = forwards::specification(&settings::specification(old)?)?;
        roles::specification(&selects::specification(&old)?)
    }),
    ("spec/director.schema.json", settings::schema_of_the_file),
    ("spec/glbctl.schema.json", |old| {
        let old = forwards::schema(&settings::schema_of_what_is_shown(old)?)?;
        roles::schema(&selects::schema(&old)?)
    }),
    ("spec/forwarding_table.schema.json", |old| {
        selects::schema(&forwards::schema(old)?)
    }),
    ("docs/director.md", settings::document),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let check = match arguments[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            eprintln!("glb-spec: usage: glb-spec [--check]");
            return ExitCode::from(2);
        }
    };
    match run(check) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("glb-spec: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The checkout that this program was built from.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether all is well; without `check` it then is.
fn run(check: bool) -> Result<bool> {
    let mut good = true;
    for (path, text) in made()? {
        if read(path)? == text {
            continue;
        }
        if check {
            println!("{path} is not what follows from core/src and spec/: run `make spec`");
            good = false;
        } else {
            fs::write(top().join(path), text).with_context(|| path.to_owned())?;
            println!("{path}");
        }
    }
    Ok(good)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(top().join(path)).with_context(|| path.to_owned())
}

/// The files as they should be.
fn made() -> Result<Vec<(&'static str, String)>> {
    let mut files = Vec::new();
    for (path, make) in MADE {
        files.push((path, make(&read(path)?).with_context(|| path.to_owned())?));
    }
    for (spec, path) in FAMILIES {
        // The settings are in there already.
        let text = match files.iter().find(|(file, _)| *file == spec) {
            Some((_, text)) => text.clone(),
            None => read(spec)?,
        };
        files.push((path, of_family((spec, path), &text)?));
    }
    Ok(files)
}

/// The file of a family's numbers and names, if its specification keeps the numbers that there are.
fn of_family((spec, path): (&str, &str), text: &str) -> Result<String> {
    let family = family::read(text).with_context(|| spec.to_owned())?;
    let text = rust::file(spec, &family).with_context(|| spec.to_owned())?;
    let text = formatted(&text).with_context(|| path.to_owned())?;
    numbers::kept(&read(path)?, &text).with_context(|| spec.to_owned())?;
    Ok(text)
}

/// Rust as rustfmt writes it.
fn formatted(text: &str) -> Result<String> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2021", "--emit", "stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("rustfmt")?;
    if let Some(mut input) = rustfmt.stdin.take() {
        input.write_all(text.as_bytes())?;
    }
    let output = rustfmt.wait_with_output()?;
    if !output.status.success() {
        bail!("rustfmt: {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_specification_that_changes_a_number_is_refused() {
    let text = read("spec/glb.yaml").unwrap();
    let file = |text: &str| of_family(FAMILIES[0], text);
    assert_eq!(file(&text).unwrap(), read(FAMILIES[0].1).unwrap());
    // Two values of an enum, two commands, two attributes change their places; a value and a command are not there any more.
    let swapped = |one: &str, other: &str| {
        assert!(text.contains(one) && text.contains(other), "{one} {other}");
        let text = text.replace(one, "\0").replace(other, one);
        text.replace('\0', other)
    };
    for (other, said) in [
        (
            text.replace("[flow, source]", "[source, flow]"),
            "FLOW is 0, and would be 1",
        ),
        (
            swapped("name: bind-get\n", "name: row-get\n"),
            "BIND_GET is ",
        ),
        (
            swapped("name: by\n", "name: timeout\n"),
            "BY is 3, and would be 2",
        ),
        (
            text.replace("[flow, source]", "[flow]"),
            "SOURCE is 1, and would be gone",
        ),
        (
            text.replace("name: bind-get\n", "name: bind-got\n"),
            "would be gone",
        ),
    ] {
        assert_ne!(other, text, "{said}");
        let error = format!("{:#}", file(&other).expect_err(said));
        assert!(error.contains(said), "{said}: {error}");
    }
}
