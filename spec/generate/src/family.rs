// SPDX-License-Identifier: GPL-2.0

//! The specification of a netlink family, as the kernel's `Documentation/netlink/genetlink.yaml` has its form: those of its
//! fields that ours use. Another one is an error, so that nothing of a specification is passed over.

use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) protocol: String,
    #[serde(default = "one")]
    pub(crate) version: u8,
    #[serde(rename = "doc")]
    _doc: String,
    #[serde(default)]
    pub(crate) definitions: Vec<Definition>,
    pub(crate) attribute_sets: Vec<Set>,
    operations: Listed<Operation>,
    mcast_groups: Listed<Group>,
}

fn one() -> u8 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed<T> {
    list: Vec<T>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
}

/// A constant, or names of numbers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Definition {
    pub(crate) name: String,
    #[serde(rename = "type")]
    kind: Kind,
    value: Option<u32>,
    #[serde(default)]
    entries: Vec<Entry>,
    pub(crate) doc: Option<String>,
}

#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Const,
    Enum,
    Flags,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    Name(String),
    Numbered { name: String, value: u32 },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) attributes: Vec<Attribute>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Attribute {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) checks: Checks,
    #[serde(rename = "enum")]
    pub(crate) names: Option<String>,
    #[serde(default)]
    pub(crate) enum_as_flags: bool,
    pub(crate) nested_attributes: Option<String>,
    // For people and for tools that show values.
    #[serde(default, rename = "multi-attr")]
    _multi_attr: bool,
    #[serde(rename = "display-hint")]
    _display_hint: Option<String>,
    #[serde(rename = "doc")]
    _doc: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Checks {
    pub(crate) min: Option<Bound>,
    pub(crate) max: Option<Bound>,
    pub(crate) exact_len: Option<Bound>,
    pub(crate) min_len: Option<Bound>,
    pub(crate) max_len: Option<Bound>,
}

/// A number, or the name of a constant.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Bound {
    Number(u32),
    Name(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Operation {
    pub(crate) name: String,
    value: Option<u8>,
    pub(crate) doc: String,
    attribute_set: Option<String>,
    #[serde(default)]
    flags: Vec<Flag>,
    #[serde(rename = "do")]
    pub(crate) one: Option<Exchange>,
    #[serde(rename = "dump")]
    pub(crate) list: Option<Exchange>,
    notify: Option<String>,
    #[serde(rename = "mcgrp")]
    _group: Option<String>,
    #[serde(rename = "event")]
    _event: Option<Message>,
}

#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Flag {
    UnsAdminPerm,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    #[serde(default)]
    pub(crate) request: Message,
    #[serde(rename = "reply")]
    _reply: Option<Message>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    #[serde(default)]
    pub(crate) attributes: Vec<String>,
}

/// Reads a specification, and whether its parts name each other.
pub(crate) fn read(text: &str) -> Result<Family> {
    let family: Family = serde_norway::from_str(text)?;
    ensure!(
        family.protocol == "genetlink",
        "protocol: {:?}",
        family.protocol
    );
    for (_, operation) in family.operations()? {
        let set = family.set_of(operation)?;
        for exchange in [&operation.one, &operation.list].into_iter().flatten() {
            for name in &exchange.request.attributes {
                let known = set.attributes.iter().any(|one| one.name == *name);
                ensure!(
                    known,
                    "{}: {} has no attribute {name:?}",
                    operation.name,
                    set.name
                );
            }
        }
    }
    Ok(family)
}

impl Family {
    /// The operations and their numbers: each the next one's, but for those that say theirs.
    pub(crate) fn operations(&self) -> Result<Vec<(u8, &Operation)>> {
        let mut numbered: Vec<(u8, &Operation)> = Vec::new();
        for operation in &self.operations.list {
            let next = match numbered.last() {
                // As the kernel's tools count, and as no one expects.
                None => operation
                    .value
                    .context("the first operation must have a value")?,
                Some((last, _)) => match operation.value {
                    Some(value) => value,
                    None => last.checked_add(1).context("too many operations")?,
                },
            };
            let last = numbered.last().map_or(0, |(last, _)| *last);
            ensure!(
                next > last,
                "{}: {next} is not above {last}",
                operation.name
            );
            numbered.push((next, operation));
        }
        Ok(numbered)
    }

    /// The attribute set of an operation, or of that which it tells of.
    pub(crate) fn set_of(&self, operation: &Operation) -> Result<&Set> {
        let name = match (&operation.attribute_set, &operation.notify) {
            (Some(set), _) => set,
            (None, Some(other)) => {
                let mut operations = self.operations.list.iter();
                let other = operations.find(|one| one.name == *other);
                let other = other.with_context(|| format!("{}: notify", operation.name))?;
                other.attribute_set.as_ref().context("no attribute-set")?
            }
            (None, None) => bail!("{} has no attribute-set", operation.name),
        };
        self.set(name)
    }

    pub(crate) fn set(&self, name: &str) -> Result<&Set> {
        let set = self.attribute_sets.iter().find(|set| set.name == *name);
        set.with_context(|| format!("no attribute-set {name:?}"))
    }

    /// The one group of the notifications.
    pub(crate) fn group(&self) -> Result<&str> {
        match &self.mcast_groups.list[..] {
            [group] => Ok(&group.name),
            other => bail!("mcast-groups: {} of them, not 1", other.len()),
        }
    }

    pub(crate) fn definition(&self, name: &str) -> Result<&Definition> {
        let one = self.definitions.iter().find(|one| one.name == *name);
        one.with_context(|| format!("no definition {name:?}"))
    }

    /// What a check says.
    pub(crate) fn bound(&self, bound: &Bound) -> Result<u32> {
        match bound {
            Bound::Number(number) => Ok(*number),
            Bound::Name(name) => self.definition(name)?.constant(),
        }
    }
}

impl Operation {
    /// Whether it needs CAP_NET_ADMIN.
    pub(crate) fn is_admins(&self) -> bool {
        self.flags.contains(&Flag::UnsAdminPerm)
    }
}

impl Definition {
    pub(crate) fn is_constant(&self) -> bool {
        self.kind == Kind::Const
    }

    /// Whether it names the numbers from 0, without gaps.
    pub(crate) fn is_counted(&self) -> bool {
        self.kind == Kind::Enum && (0..).zip(self.entries().keys()).all(|(at, key)| at == *key)
    }

    pub(crate) fn constant(&self) -> Result<u32> {
        let value = self.value.filter(|_| self.is_constant());
        value.with_context(|| format!("{} is no constant with a value", self.name))
    }

    /// Names and numbers; of flags, each a bit of its own.
    pub(crate) fn entries(&self) -> BTreeMap<u32, &str> {
        let mut numbered = BTreeMap::new();
        let mut next = 0;
        for entry in &self.entries {
            let (number, name) = match entry {
                Entry::Name(name) => (next, name),
                Entry::Numbered { name, value } => (*value, name),
            };
            next = number + 1;
            let number = match self.kind {
                Kind::Flags => 1 << number,
                Kind::Const | Kind::Enum => number,
            };
            numbered.insert(number, name.as_str());
        }
        numbered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "{name: x, protocol: genetlink, doc: d, mcast-groups: {list: [{name: events}]},
        attribute-sets: [{name: s, attributes: [{name: a, type: u8}]}],
        operations: {list: [{name: one, value: 1, doc: d, attribute-set: s, do: {request: {attributes: [a]}}},
                            {name: two, doc: d, notify: one}]}}";

    #[test]
    fn operations_are_counted_from_the_one_before() {
        let family = read(GOOD).unwrap();
        let operations = family.operations().unwrap();
        let numbers: Vec<u8> = operations.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2]);
        assert_eq!(family.set_of(operations[1].1).unwrap().name, "s");
        assert_eq!(family.version, 1);
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for (part, other) in [
            ("doc: d, mcast", "doc: d, uapi-header: h, mcast"),
            ("type: u8", "type: u8, byte-order: big-endian"),
            ("value: 1, ", ""),
            ("attributes: [a]", "attributes: [b]"),
            ("attribute-set: s", "attribute-set: t"),
            ("notify: one", "notify: three"),
            ("genetlink", "netlink-raw"),
        ] {
            let text = GOOD.replacen(part, other, 1);
            assert_ne!(text, GOOD);
            assert!(read(&text).is_err(), "{other}");
        }
    }
}
