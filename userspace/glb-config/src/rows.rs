// SPDX-License-Identifier: GPL-2.0

//! From tables to tables with rows, by the rule of each.

mod maglev;
mod v2;
mod v3;

use crate::compiled::{Compiled, CompiledBackend};
use crate::issue::quoted;
use crate::tables::{Config, Rule, Table};
use std::sync::mpsc::sync_channel;
use std::{io, thread};

/// Computes the rows of a table.
pub fn compile(table: &Table) -> Result<Compiled, String> {
    let rows = match table.rule {
        Rule::V2 => {
            let rows = v2::rows(table).map_err(|_| "no backend can be in a row".to_owned())?;
            rows.into_flattened()
        }
        Rule::V3 { hops } => {
            v3::rows(table, usize::from(hops)).map_err(|error| format!("{error:?}"))?
        }
        Rule::Maglev { hops } => {
            maglev::rows(table, usize::from(hops)).map_err(|error| format!("{error:?}"))?
        }
    };
    Ok(Compiled {
        rows,
        ..without_rows(table)
    })
}

/// A table as [`compile`] makes it, but for its rows.
pub(crate) fn without_rows(table: &Table) -> Compiled {
    let (version, hops) = match table.rule {
        Rule::V2 => (2, 2),
        Rule::V3 { hops } | Rule::Maglev { hops } => (3, usize::from(hops)),
    };
    let backends = table.backends.iter().map(|b| CompiledBackend {
        backend: b.backend,
        weight: b.weight,
        domain: b.domain.clone(),
        identifier: b.identifier,
    });
    Compiled {
        name: table.name.clone(),
        version,
        forward: table.forward,
        words: table.words,
        hash_key: table.hash_key,
        seed: Some(table.seed),
        binds: table.binds.clone(),
        backends: backends.collect(),
        hops,
        rows: Vec::new(),
    }
}

/// Computes the rows of all tables on all processors, and hands the tables over in their order. Each processor is
/// at most a few tables ahead, so that who takes them one by one needs little memory.
pub fn compile_each(
    config: &Config,
    take: &mut dyn FnMut(usize, Compiled) -> io::Result<()>,
) -> io::Result<()> {
    const AHEAD: usize = 4;
    let tables = &config.tables;
    let workers = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(tables.len());
    thread::scope(|scope| {
        let start = |first: usize| {
            let (done, results) = sync_channel(AHEAD);
            scope.spawn(move || {
                let own = tables.iter().skip(first).step_by(workers);
                for result in own.map(compile) {
                    if done.send(result).is_err() {
                        // The one who takes them has failed and will say so.
                        break;
                    }
                }
            });
            results
        };
        let results: Vec<_> = (0..workers).map(start).collect();
        for ((index, table), results) in tables.iter().enumerate().zip(results.iter().cycle()) {
            let result = results.recv().map_err(io::Error::other)?;
            let fault = |reason| {
                let table = quoted(&table.label(index));
                io::Error::other(format!("table {table}: {reason}"))
            };
            take(index, result.map_err(fault)?)?;
        }
        Ok(())
    })
}

/// Computes the rows of all tables on all processors; `progress` is told how many tables are done.
pub fn compile_all(
    config: &Config,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Compiled>, String> {
    let mut compiled = Vec::with_capacity(config.tables.len());
    compile_each(config, &mut |index, table| {
        compiled.push(table);
        progress(index + 1, config.tables.len());
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    Ok(compiled)
}
