// SPDX-License-Identifier: GPL-2.0

//! `glbctl table export`: from a binary file, or from what runs, back to a source.
//!
//! [`there`] reads what there is, [`keys`] the file that has what it lacks, [`tree`] puts both together, and
//! [`proof`] builds the result and compares. Only what is proven is written.

mod keys;
mod proof;
mod source;
mod there;
mod tree;

use super::key::Key;
use super::layout;
use crate::cli::table::TableExport;
use crate::load::{self, is_standard};
use crate::output::{print_beside, Failure};
use crate::save;
use crate::text::addr;
use glb_config::quoted;
use glb_config::tables::Rule;
use keys::Keys;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::Path;
use there::{Origin, There};

#[derive(Serialize)]
struct Exported {
    /// Nothing if it was a dry run.
    file: Option<String>,
    from: String,
    tables: usize,
    /// The number of the load that was exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    /// Whether the binary file comes out of it again byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    same_bytes: Option<bool>,
    notes: Vec<String>,
}

pub(crate) fn run(args: &TableExport, json: bool) -> Result<(), Failure> {
    let read: Vec<&Path> = [&args.file, &args.keys]
        .into_iter()
        .flatten()
        .map(AsRef::as_ref)
        .collect();
    load::only_one_standard_input(&read)?;
    save::refuse_source(&read, &args.output)?;
    let keys = args.keys.as_deref().map(|path| Keys::read(path, json));
    let keys = keys.transpose()?;
    let mut there = there::read(args, json)?;
    let mut notes = Vec::new();
    let tree = source(&mut there, keys.as_ref(), &mut notes)?;
    let text = layout::file(&tree);
    let keys = keys.as_ref().map(|keys| keys.name.as_str());
    let same_bytes = proof::prove(&there, &text, keys, json)?;
    if same_bytes == Some(false) {
        notes.push(format!(
            "{}: was written by another tool: bytes that mean nothing are others in what this one builds",
            there.name
        ));
    }
    if !args.dry_run {
        save::text(&args.output, &text)?;
    }
    let exported = Exported {
        file: (!args.dry_run).then(|| args.output.display().to_string()),
        tables: there.tables.len(),
        generation: match there.origin {
            Origin::Running(generation) => Some(generation),
            Origin::File(..) => None,
        },
        from: there.name,
        same_bytes,
        notes,
    };
    let data = is_standard(&args.output) && !args.dry_run;
    print_beside(data, json, &exported, |out| {
        for note in &exported.notes {
            writeln!(out, "note: {note}")?;
        }
        let file = exported.file.as_deref().unwrap_or("nothing was written");
        let plural = if exported.tables == 1 { "" } else { "s" };
        let what = match exported.same_bytes {
            Some(true) => "the same file, byte for byte",
            _ => "the same rows, binds and backends",
        };
        writeln!(
            out,
            "{file}: {} table{plural} of {}, proven to build to {what}",
            exported.tables, exported.from
        )
    })
}

/// The source of all that is there.
fn source(
    there: &mut There,
    keys: Option<&Keys>,
    notes: &mut Vec<String>,
) -> Result<Value, Failure> {
    let mut root = Map::new();
    for (name, value) in keys.iter().flat_map(|keys| keys.beside()) {
        root.insert(name.clone(), value.clone());
    }
    let mut trees = Vec::new();
    let mut without_checks = Vec::new();
    let (lacks, otherwise) = (there.lacks(), there.otherwise());
    for (index, (table, key)) in there.tables.iter_mut().zip(&there.keys).enumerate() {
        let label = quoted(&table.label(index));
        let found = match keys {
            // What has its seed needs none; health checks are a gift.
            Some(keys) if table.seed.is_some() => keys.of(index, table).ok(),
            Some(keys) => Some(keys.of(index, table)?),
            None => None,
        };
        if table.seed.is_none() && found.is_none() {
            return Err(Failure::Message(format!(
                "{}: table {label}: its rows cannot be made again: {lacks}: name by --keys a file that has them, \
                 such as the operator's table that it was made from{otherwise}",
                there.name
            )));
        }
        let by_rule_2 = match found {
            Some(source) if table.seed.is_none() => source.table.rule == Rule::V2,
            _ => table.version == 2,
        };
        if table.seed.is_none() && by_rule_2 {
            for place in tree::tell_inactive(table) {
                let addr = addr(table.backends[place].backend.addr);
                notes.push(format!(
                    "table {label}: {addr} is in no row, so it is inactive: the binary form of version 2 has the \
                     same code for draining"
                ));
            }
        }
        if matches!(key, Key::Unused) {
            notes.push(format!(
                "table {label}: no packet leads to it, so the director cannot be asked whether its hash_key is \
                 the source's"
            ));
        }
        let tree = tree::table(table, key, found);
        let backends = tree["backends"].as_array().into_iter().flatten();
        if !backends
            .into_iter()
            .any(|one| one.get("healthchecks").is_some())
        {
            without_checks.push(label);
        }
        trees.push(tree);
    }
    if let Some(first) = without_checks.first() {
        let more = match without_checks.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let from = if keys.is_some() {
            "the --keys file has none either"
        } else {
            "--keys takes them from a source"
        };
        notes.push(format!(
            "table {first}{more}: without health checks, which no director knows: {from}"
        ));
    }
    root.insert("tables".to_owned(), Value::Array(trees));
    Ok(Value::Object(root))
}
