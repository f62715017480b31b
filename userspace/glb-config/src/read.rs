// SPDX-License-Identifier: GPL-2.0

//! Walking a tree of JSON and collecting all errors.
//!
//! Deployed files are read by Go's `encoding/json`, which treats `null` as an absent field and ignores the case
//! of field names. This reader does the same.

use crate::issue::{Checked, Issue, Severity};
use glb_core::packet::addr::Addr;
use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// The issues of a file while it is read.
pub(crate) struct Reader {
    file: String,
    table: Option<String>,
    issues: Vec<Issue>,
}

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Node<'v> {
    pub(crate) value: &'v Value,
    pub(crate) path: String,
}

/// An object and where it stands.
pub(crate) struct Object<'v> {
    map: &'v Map<String, Value>,
    path: String,
}

impl<'v> Object<'v> {
    /// A field, if it is there and not `null`.
    pub(crate) fn get(&self, name: &str) -> Option<Node<'v>> {
        Some(Node {
            value: self.map.get(name).filter(|value| !value.is_null())?,
            path: self.path_of(name),
        })
    }

    /// Whether a field is there, `null` or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Whether there is a field that is none of these.
    pub(crate) fn has_others(&self, known: &[&str]) -> bool {
        self.map.keys().any(|name| !known.contains(&name.as_str()))
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

impl Reader {
    fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            table: None,
            issues: Vec::new(),
        }
    }

    /// Reads a file's whole text: `read` gets the tree's root. `file` is what issues call it, `names` are the
    /// fields of all its objects.
    pub(crate) fn whole<T>(
        file: &str,
        text: &str,
        names: &[&str],
        read: impl FnOnce(&mut Self, &Node<'_>) -> Option<T>,
    ) -> Checked<T> {
        let mut reader = Self::new(file);
        let tree = reader.parse(text).map(|mut tree| {
            if tree.is_null() {
                tree = Value::Object(Map::new());
            }
            reader.spell(&mut tree, names, "");
            tree
        });
        let value = tree.as_ref().and_then(|value| {
            let path = String::new();
            read(&mut reader, &Node { value, path })
        });
        reader.finish(value)
    }

    /// Issues from here on belong to this table, or to none.
    pub(crate) fn in_table(&mut self, table: Option<String>) {
        self.table = table;
    }

    /// The outcome: the value, unless there were errors.
    fn finish<T>(self, value: Option<T>) -> Checked<T> {
        let failed = self.issues.iter().any(|i| i.severity == Severity::Error);
        debug_assert!(failed || value.is_some(), "a missing value has no error");
        Checked {
            value: value.filter(|_| !failed),
            issues: self.issues,
        }
    }

    fn note(&mut self, severity: Severity, path: &str, value: Option<&Value>, reason: String) {
        self.issues.push(Issue {
            severity,
            file: self.file.clone(),
            table: self.table.clone(),
            field: path.to_owned(),
            value: value.map(short),
            reason,
        });
    }

    /// Notes an error about a place without a value.
    pub(crate) fn error_at(&mut self, path: &str, reason: impl Into<String>) {
        self.note(Severity::Error, path, None, reason.into());
    }

    /// Notes an error about a value.
    pub(crate) fn error(&mut self, node: &Node<'_>, reason: impl Into<String>) {
        self.note(Severity::Error, &node.path, Some(node.value), reason.into());
    }

    /// Notes a warning about a place without a value.
    pub(crate) fn warn_at(&mut self, path: &str, reason: impl Into<String>) {
        self.note(Severity::Warning, path, None, reason.into());
    }

    /// Notes a warning about a value.
    pub(crate) fn warn(&mut self, node: &Node<'_>, reason: impl Into<String>) {
        self.note(
            Severity::Warning,
            &node.path,
            Some(node.value),
            reason.into(),
        );
    }

    /// Parses the text; a syntax error is the only issue then.
    fn parse(&mut self, text: &str) -> Option<Value> {
        match serde_json::from_str(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.error_at("", format!("not JSON: {error}"));
                None
            }
        }
    }

    /// Gives fields whose names differ from known ones by case alone the known names, so that whoever reads the
    /// tree, or what is written from it, finds them. What is below unknown fields stays as it is.
    fn spell(&mut self, value: &mut Value, names: &[&str], path: &str) {
        let below = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        match value {
            Value::Object(map) => {
                let meant = |map: &Map<String, Value>, name: &str| {
                    let known = names
                        .iter()
                        .find(|known| known.eq_ignore_ascii_case(name))?;
                    (*known != name && !map.contains_key(*known)).then_some(*known)
                };
                if map.keys().any(|name| meant(map, name).is_some()) {
                    let mut spelt = Map::with_capacity(map.len());
                    for (name, value) in &*map {
                        let Some(known) = meant(map, name) else {
                            spelt.insert(name.clone(), value.clone());
                            continue;
                        };
                        let reason = format!("is read as {known:?}, which other tools insist on");
                        self.warn_at(&below(name), reason);
                        spelt.insert(known.to_owned(), value.clone());
                    }
                    *map = spelt;
                }
                for (name, value) in map {
                    if names.contains(&name.as_str()) {
                        self.spell(value, names, &below(name));
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.spell(item, names, &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }

    /// The object with these fields; others are warned of.
    pub(crate) fn object<'v>(&mut self, node: &Node<'v>, known: &[&str]) -> Option<Object<'v>> {
        self.object_where(node, known, |_| Severity::Warning)
    }

    /// The object with these fields. How bad others are, `how_bad` says of the name that is known and was probably meant, if there
    /// is one: where a field that is not read lets packets in, it is an error.
    pub(crate) fn object_where<'v>(
        &mut self,
        node: &Node<'v>,
        known: &[&str],
        how_bad: impl Fn(Option<&str>) -> Severity,
    ) -> Option<Object<'v>> {
        let Some(map) = node.value.as_object() else {
            self.error(node, "must be an object");
            return None;
        };
        let object = Object {
            map,
            path: node.path.clone(),
        };
        for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
            let meant = nearest(name, known);
            let severity = how_bad(meant);
            let mut reason = match severity {
                Severity::Error => "unknown field",
                Severity::Warning => "unknown field, ignored",
            }
            .to_owned();
            if let Some(meant) = meant {
                reason.push_str(&format!("; did you mean {meant:?}?"));
            }
            self.note(severity, &object.path_of(name), None, reason);
        }
        Some(object)
    }

    /// A field that must be there.
    pub(crate) fn required<'v>(&mut self, object: &Object<'v>, name: &str) -> Option<Node<'v>> {
        let node = object.get(name);
        if node.is_none() {
            self.error_at(&object.path_of(name), "is missing");
        }
        node
    }

    /// The items of an array.
    pub(crate) fn array<'v>(&mut self, node: &Node<'v>) -> Option<Vec<Node<'v>>> {
        let Some(items) = node.value.as_array() else {
            self.error(node, "must be an array");
            return None;
        };
        let item = |(index, value)| Node {
            value,
            path: format!("{}[{index}]", node.path),
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    pub(crate) fn string<'v>(&mut self, node: &Node<'v>) -> Option<&'v str> {
        let string = node.value.as_str();
        if string.is_none() {
            self.error(node, "must be a string");
        }
        string
    }

    pub(crate) fn boolean(&mut self, node: &Node<'_>) -> Option<bool> {
        let boolean = node.value.as_bool();
        if boolean.is_none() {
            self.error(node, "must be true or false");
        }
        boolean
    }

    /// A whole number in a range.
    pub(crate) fn integer<T: TryFrom<u64> + Copy + Into<u64>>(
        &mut self,
        node: &Node<'_>,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let (low, high) = (*range.start(), *range.end());
        let (low, high): (u64, u64) = (low.into(), high.into());
        let number = node
            .value
            .as_u64()
            .filter(|number| (low..=high).contains(number))
            .and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.error(node, format!("must be a whole number from {low} to {high}"));
        }
        number
    }

    /// A key of 16 bytes as 32 hexadecimal digits.
    pub(crate) fn key(&mut self, node: &Node<'_>) -> Option<[u8; 16]> {
        let text = self.string(node)?;
        let key = (text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten()
            .map(u128::to_be_bytes);
        if key.is_none() {
            self.error(node, "must be 32 hexadecimal digits");
        }
        key
    }

    pub(crate) fn addr(&mut self, node: &Node<'_>) -> Option<Addr> {
        let addr = self.string(node)?.parse().ok().map(core_addr);
        if addr.is_none() {
            self.error(node, "must be an IPv4 or IPv6 address");
        }
        addr
    }

    /// A path, or what it is where the field is absent.
    pub(crate) fn path(
        &mut self,
        object: &Object<'_>,
        name: &str,
        default: &str,
    ) -> Option<PathBuf> {
        match object.get(name) {
            Some(node) => self.string(&node).map(PathBuf::from),
            None => Some(default.into()),
        }
    }

    /// Where a daemon tells how it is: without the field, this port of the loopback.
    pub(crate) fn listen(&mut self, object: &Object<'_>, port: u16) -> Option<SocketAddr> {
        let Some(node) = object.get("listen") else {
            return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        };
        let listen = self.string(&node)?.parse().ok();
        if listen.is_none() {
            let reason = format!("must be an address and a port, as in 127.0.0.1:{port}");
            self.error(&node, reason);
        }
        listen
    }

    /// An address with or without a prefix length.
    pub(crate) fn prefix(&mut self, node: &Node<'_>) -> Option<(Addr, u8)> {
        let text = self.string(node)?;
        let (addr, len) = match prefix(text) {
            Ok(prefix) => prefix,
            Err(reason) => {
                self.error(node, reason);
                return None;
            }
        };
        if addr.masked(len) != addr {
            self.warn(
                node,
                format!("has bits set behind its first {len}; they are ignored"),
            );
        }
        Some((addr, len))
    }
}

/// An address with or without a prefix length, or what it must be.
pub(crate) fn prefix(text: &str) -> Result<(Addr, u8), String> {
    let (addr, len) = match text.split_once('/') {
        Some((addr, len)) => (addr, Some(len)),
        None => (text, None),
    };
    let addr = addr.parse().map(core_addr);
    let addr =
        addr.map_err(|_| "must be an IPv4 or IPv6 address, or a prefix of one".to_owned())?;
    let bits = addr.bits();
    let Some(len) = len else {
        return Ok((addr, bits));
    };
    // Digits only: `parse` alone would take "+8".
    let digits = len.bytes().all(|b| b.is_ascii_digit());
    match len.parse() {
        Ok(len) if digits && len <= bits => Ok((addr, len)),
        _ => Err(format!("prefix length must be from 0 to {bits}")),
    }
}

/// The core's form of an address.
pub(crate) fn core_addr(addr: IpAddr) -> Addr {
    match addr {
        IpAddr::V4(addr) => Addr::V4(addr.octets()),
        IpAddr::V6(addr) => Addr::V6(addr.octets()),
    }
}

/// The value as JSON, cut where it is long.
fn short(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= MOST {
        return text;
    }
    text.chars().take(MOST).chain("...".chars()).collect()
}

/// The known name that an unknown one was probably meant to be: one edit away.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    known.iter().copied().find(|known| one_edit(name, known))
}

/// Whether one inserted, removed, changed or swapped letter makes the two equal.
fn one_edit(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let same_start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same_start..], &b[same_start..]);
    let same_end = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    match (&a[..a.len() - same_end], &b[..b.len() - same_end]) {
        ([], []) | ([_], []) | ([], [_]) | ([_], [_]) => true,
        ([p, q], [r, s]) => p == s && q == r,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits() {
        for (a, b, expected) in [
            ("heathy", "healthy", true),
            ("seeed", "seed", true),
            ("sede", "seed", true),
            ("dees", "seed", false),
            ("sede", "sdee", true),
            ("prot", "proto", true),
            ("sort", "port", true),
            ("ip", "proto", false),
        ] {
            assert_eq!(one_edit(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn long_values_are_cut() {
        let value = Value::String("x".repeat(500));
        assert!(short(&value).len() < 80);
    }
}
