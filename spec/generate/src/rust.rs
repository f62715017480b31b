// SPDX-License-Identifier: GPL-2.0

//! A family as Rust: its numbers and names, and what its attributes may be.

use crate::family::{Definition, Exchange, Family, Set};
use crate::form::form;
use crate::names::{constant, path};
use anyhow::{Context, Result};
use std::fmt::Write;

/// The file of a family; its layout is rustfmt's to make.
pub(crate) fn file(spec: &str, family: &Family) -> Result<String> {
    let mut text = format!(
        "// SPDX-License-Identifier: GPL-2.0\n\n\
         //! The generic netlink family `{0}`: numbers, names, and what attributes may be.\n\
         //!\n\
         //! Made from `{spec}` by `make spec`. What they mean is written there.\n\n\
         #![allow(missing_docs)]\n\n\
         use super::family::{{Attribute, Form, Operation, Set}};\n\n\
         /// Name of the family.\npub const FAMILY: &str = {0:?};\n\
         /// Version of the family.\npub const VERSION: u8 = {1};\n\
         /// The multicast group of the notifications.\npub const EVENTS: &str = {2:?};\n\n",
        family.name,
        family.version,
        family.group()?
    );
    for definition in &family.definitions {
        text += &defined(definition)?;
    }
    let operations = family.operations()?;
    text += "/// Commands, and notifications behind them.\npub mod command {\n";
    for (number, operation) in &operations {
        writeln!(
            text,
            "pub const {}: u8 = {number};",
            constant(&operation.name)
        )?;
    }
    text += "}\n\n/// What is known of each command.\npub mod operation {\nuse super::{command, Operation};\n";
    for (_, operation) in &operations {
        let set = family.set_of(operation)?;
        let takes = |exchange: &Option<Exchange>| {
            let names = exchange.iter().flat_map(|one| &one.request.attributes);
            let names = names.map(|name| format!("super::{}::{}", path(&set.name), constant(name)));
            names.collect::<Vec<_>>().join(", ")
        };
        let name = &operation.name;
        write!(
            text,
            "/// {}\npub const {1}: Operation = Operation {{ number: command::{1}, name: {name:?}, set: &super::{2}::SET, \
             admin: {3}, takes: &[{4}], takes_for_list: &[{5}] }};\n",
            operation.doc.trim(),
            constant(name),
            path(&set.name),
            operation.is_admins(),
            takes(&operation.one),
            takes(&operation.list),
        )?;
    }
    text += "}\n\n/// All commands and notifications, in the order of their numbers.\npub const OPERATIONS: &[Operation] = &[";
    for (_, operation) in &operations {
        write!(text, "operation::{}, ", constant(&operation.name))?;
    }
    text += "];\n\n";
    for set in &family.attribute_sets {
        text += &attributes(family, set).with_context(|| set.name.clone())?;
    }
    Ok(text)
}

fn defined(definition: &Definition) -> Result<String> {
    let name = &definition.name;
    let doc = match &definition.doc {
        Some(doc) => format!("/// {}\n", doc.trim()),
        None => String::new(),
    };
    if definition.is_constant() {
        let value = definition.constant()?;
        return Ok(format!(
            "{doc}pub const {}: u32 = {value};\n\n",
            constant(name)
        ));
    }
    let mut text = format!(
        "{doc}/// The numbers of `{name}`.\npub mod {} {{\n",
        path(name)
    );
    for (number, entry) in definition.entries() {
        writeln!(text, "pub const {}: u8 = {number};", constant(entry))?;
    }
    if definition.is_counted() {
        let entries = definition.entries();
        let names: Vec<String> = entries.values().map(|name| format!("{name:?}")).collect();
        let (count, names) = (names.len(), names.join(", "));
        writeln!(
            text,
            "/// Names, by their numbers.\npub const NAMES: [&str; {count}] = [{names}];"
        )?;
    }
    text += "}\n\n";
    Ok(text)
}

fn attributes(family: &Family, set: &Set) -> Result<String> {
    let mut text = format!(
        "/// Attribute set `{}`.\npub mod {} {{\n",
        set.name,
        path(&set.name)
    );
    let mut forms = String::new();
    for (number, attribute) in (1u16..).zip(&set.attributes) {
        let name = &attribute.name;
        writeln!(text, "pub const {}: u16 = {number};", constant(name))?;
        let form = form(family, attribute).with_context(|| name.clone())?;
        let form = form.replace("(&", "(&super::");
        write!(
            forms,
            "Attribute::new({}, {name:?}, {form}), ",
            constant(name)
        )?;
    }
    write!(
        text,
        "\npub const SET: super::Set = super::Set {{ name: {:?}, attributes: &[{forms}] }};\n}}\n\n",
        set.name
    )?;
    Ok(text
        .replace("Attribute::new", "super::Attribute::new")
        .replace(" Form::", " super::Form::"))
}
