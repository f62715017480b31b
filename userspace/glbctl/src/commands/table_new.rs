// SPDX-License-Identifier: GPL-2.0

//! `glbctl table new`: a table with fresh keys, to be printed or to be put into a file.

use super::source::Source;
use super::{bind, layout};
use crate::cli::table::TableNew;
use crate::load::is_standard;
use crate::output::{hex, print, Failure};
use glb_config::{atomic, tables};
use serde::Serialize;
use serde_json::{json, Value};

#[derive(Serialize)]
struct Report {
    file: String,
    table: String,
    change: &'static str,
}

pub(crate) fn run(args: &TableNew, json: bool) -> Result<(), Failure> {
    let table = table(args)?;
    let tree = json!({"tables": [table]});
    let text = layout::file(&tree);
    let file = args.file.as_deref().filter(|file| !is_standard(file));
    let name = match file {
        Some(file) => file.display().to_string(),
        None => "the new table".to_owned(),
    };
    tables::read(&name, &text)
        .into_result()
        .map_err(Failure::Issues)?;
    let Some(file) = file else {
        return print(json, &tree, |out| write!(out, "{text}"));
    };
    let change = if file.exists() {
        Source::open(file)?.push_table(&tree["tables"][0])?;
        "added"
    } else {
        atomic::write(file, |out| out.write_all(text.as_bytes()))
            .map_err(|error| Failure::file(file, &error))?;
        "written"
    };
    let report = Report {
        file: name,
        table: args.name.clone(),
        change,
    };
    print(json, &report, |out| {
        writeln!(out, "{}: table {:?} {change}", report.file, report.table)
    })
}

fn table(args: &TableNew) -> Result<Value, Failure> {
    let mut table = json!({"name": args.name});
    // Only version 3 has these.
    let version = match (args.hops, args.forward) {
        (None, None) => args.version,
        _ => 3,
    };
    if version != 2 {
        table["version"] = version.into();
    }
    if let Some(hops) = args.hops {
        table["hops"] = hops.into();
    }
    if let Some(forward) = args.forward {
        table["forward"] = json!({"kind": forward.name()});
    }
    if let Some(dscp) = args.dscp {
        // Reading the table says so if the forward has none.
        table["forward"]["dscp"] = dscp.into();
    }
    if let Some(port) = args.target_port {
        table["forward"]["target_port"] = port.into();
    }
    table["hash_key"] = hex(&key()?).into();
    table["seed"] = hex(&key()?).into();
    table["binds"] = args.binds.iter().map(bind::value).collect();
    let backend =
        |ip: &std::net::IpAddr| json!({"ip": ip.to_string(), "state": "active", "healthy": true});
    table["backends"] = args.backends.iter().map(backend).collect();
    Ok(table)
}

/// Sixteen bytes that nobody can guess.
fn key() -> Result<[u8; 16], Failure> {
    let mut key = [0; 16];
    getrandom::fill(&mut key)
        .map_err(|error| Failure::Message(format!("no random bytes from the kernel: {error}")))?;
    Ok(key)
}
