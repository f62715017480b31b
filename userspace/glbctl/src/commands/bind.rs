// SPDX-License-Identifier: GPL-2.0

//! `glbctl bind add`, `glbctl bind remove`: what leads to a table, in the operator's file.

use super::source::{List, Source};
use crate::cli::bind::{BindChange, BindCommand};
use crate::output::{print, Failure};
use crate::text::{addr, bind, proto};
use glb_config::quoted;
use glb_core::director::classify::bind::Bind;
use serde::Serialize;
use serde_json::{json, Value};

#[derive(Serialize)]
struct Report {
    file: String,
    table: String,
    bind: String,
    change: &'static str,
}

pub(crate) fn run(command: &BindCommand, json: bool) -> Result<(), Failure> {
    let (args, change) = match command {
        BindCommand::Add(args) => (args, "added"),
        BindCommand::Remove(args) => (args, "removed"),
    };
    let source = Source::open(&args.file)?;
    let (index, table) = source.table(&args.table)?;
    let list = List {
        table: index,
        name: "binds",
    };
    match command {
        BindCommand::Add(_) => add(&source, &list, args)?,
        BindCommand::Remove(_) => {
            let place = table.binds.iter().position(|one| masked(one) == args.bind);
            let missing = || {
                let table = quoted(&table.label(index));
                source.fault(format!("table {table} has no bind {}", bind(&args.bind)))
            };
            source.remove(&list, place.ok_or_else(missing)?)?;
        }
    }
    let report = Report {
        file: args.file.display().to_string(),
        table: table.label(index),
        bind: bind(&args.bind),
        change,
    };
    print(json, &report, |out| {
        let table = quoted(&report.table);
        writeln!(out, "table {table}: {} {change}", report.bind)?;
        writeln!(out, "{}", super::RELOAD)
    })
}

fn add(source: &Source<'_>, list: &List, args: &BindChange) -> Result<(), Failure> {
    let tables = source.config.tables.iter().enumerate();
    for (index, table) in tables {
        if table.binds.iter().any(|one| masked(one) == args.bind) {
            let (table, bind) = (quoted(&table.label(index)), bind(&args.bind));
            return Err(source.fault(format!("table {table} has the bind {bind} already")));
        }
    }
    source.push(list, &value(&args.bind))
}

/// The bind without the bits behind its prefix, which mean nothing.
fn masked(bind: &Bind) -> Bind {
    Bind {
        addr: bind.addr.masked(bind.prefix_len),
        ..*bind
    }
}

/// The bind as it is written in the file.
pub(crate) fn value(bind: &Bind) -> Value {
    let mut ip = addr(bind.addr);
    if bind.prefix_len != bind.addr.bits() {
        ip += &format!("/{}", bind.prefix_len);
    }
    let proto = proto(bind.proto);
    if bind.proto.is_none() {
        json!({"ip": ip, "proto": proto})
    } else if bind.port_start == bind.port_end {
        json!({"ip": ip, "proto": proto, "port": bind.port_start})
    } else {
        json!({"ip": ip, "proto": proto, "port_start": bind.port_start, "port_end": bind.port_end})
    }
}
