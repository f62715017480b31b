// SPDX-License-Identifier: GPL-2.0

//! Numbers that were given stay: modules and tools of different versions talk to each other.

use anyhow::{bail, Result};
use std::collections::BTreeMap;

/// An error where a number of the old file is another one in the new file, or is gone.
pub(crate) fn kept(old: &str, new: &str) -> Result<()> {
    let new = numbers(new);
    for ((module, name), number) in numbers(old) {
        match new.get(&(module, name)) {
            Some(same) if *same == number => {}
            Some(other) => bail!("{module}::{name} is {number}, and would be {other}: append, and keep what there is"),
            None => bail!("{module}::{name} is {number}, and would be gone: its number must not be another one's"),
        }
    }
    Ok(())
}

/// The numbers of commands, attributes and named values, by the module and the constant.
fn numbers(text: &str) -> BTreeMap<(&str, &str), &str> {
    let mut numbers = BTreeMap::new();
    let mut module = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("pub mod ") {
            module = name.trim_end_matches([' ', '{']);
        }
        let constant = line.strip_prefix("pub const ").and_then(|line| {
            let (name, value) = line.trim_end_matches(';').split_once(": ")?;
            let value = value
                .strip_prefix("u8 = ")
                .or(value.strip_prefix("u16 = "))?;
            Some((name, value))
        });
        if let Some((name, value)) = constant.filter(|_| !module.is_empty()) {
            numbers.insert((module, name), value);
        }
    }
    numbers
}

#[test]
fn what_was_given_stays() {
    const OLD: &str = "pub const VERSION: u8 = 1;\npub mod a {\n    pub const X: u16 = 1;\n    pub const Y: u8 = 2;\n}\n";
    assert_eq!(numbers(OLD), [(("a", "X"), "1"), (("a", "Y"), "2")].into());
    let more = OLD.replace("}", "    pub const Z: u16 = 3;\n}");
    kept(OLD, &more.replace("VERSION: u8 = 1", "VERSION: u8 = 2")).unwrap();
    for (part, other) in [("X: u16 = 1", "X: u16 = 3"), ("mod a", "mod b")] {
        let error = kept(OLD, &OLD.replace(part, other)).expect_err(other);
        assert!(
            error.to_string().starts_with("a::X is 1, and would be "),
            "{error}"
        );
    }
}
