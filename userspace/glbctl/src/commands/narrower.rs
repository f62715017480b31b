// SPDX-License-Identifier: GPL-2.0

//! What binds for all protocols leave to narrower binds, in the same table or in others: the narrower one wins.

use crate::text;
use glb_config::compiled::Compiled;
use glb_config::quoted;
use glb_core::director::classify::bind::Bind;
use glb_core::packet::addr::Addr;
use serde::Serialize;
use std::fmt;

/// How many of them are named.
const NAMED: usize = 3;

/// A bind for all protocols, and binds within it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Narrower {
    bind: String,
    /// How many are narrower.
    count: usize,
    /// The first of them, each with its table.
    first: Vec<String>,
}

/// Where a bind's addresses begin and end, so that those within another stand side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    v6: bool,
    first: u128,
    /// The wider, the earlier.
    len: u8,
}

impl Span {
    fn of(bind: &Bind) -> Self {
        let (v6, first) = match bind.addr.masked(bind.prefix_len) {
            Addr::V4(bytes) => (false, u128::from(u32::from_be_bytes(bytes))),
            Addr::V6(bytes) => (true, u128::from_be_bytes(bytes)),
        };
        let len = bind.prefix_len;
        Self { v6, first, len }
    }

    fn last(self) -> u128 {
        let bits = if self.v6 { 128 } else { 32 } - u32::from(self.len);
        let free = 1u128.checked_shl(bits).map_or(u128::MAX, |size| size - 1);
        self.first | free
    }
}

impl Narrower {
    /// For each bind that leaves something: the place of its table, and what it leaves.
    pub(crate) fn of(tables: &[Compiled]) -> Vec<(usize, Self)> {
        let mut all: Vec<(Span, bool, usize, &Bind)> = tables
            .iter()
            .enumerate()
            .flat_map(|(table, one)| one.binds.iter().map(move |bind| (table, bind)))
            .map(|(table, bind)| (Span::of(bind), bind.proto.is_some(), table, bind))
            .collect();
        // Behind a bind for all protocols stands what is within it.
        all.sort_by_key(|(span, ported, table, _)| (*span, *ported, *table));
        let mut found = Vec::new();
        for (place, (span, ported, table, bind)) in all.iter().enumerate() {
            if *ported {
                continue;
            }
            let same = |(other, ported, ..): &&(Span, bool, usize, &Bind)| other == span && !ported;
            let behind = &all[place + 1..];
            let behind = &behind[behind.iter().take_while(same).count()..];
            let last = (span.v6, span.last());
            let within = behind.partition_point(|(other, ..)| (other.v6, other.first) <= last);
            if within == 0 {
                continue;
            }
            let first = behind[..within].iter().take(NAMED);
            let first = first.map(|(_, _, table, bind)| {
                let label = tables[*table].label(*table);
                format!("{} of table {}", text::bind(bind), quoted(&label))
            });
            let narrower = Self {
                bind: text::bind(bind),
                count: within,
                first: first.collect(),
            };
            found.push((*table, narrower));
        }
        found
    }
}

impl fmt::Display for Narrower {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binds = if self.count == 1 { "bind" } else { "binds" };
        let first = self.first.join("; ");
        write!(
            out,
            "{}: {} narrower {binds} first: {first}",
            self.bind, self.count
        )?;
        match self.count.saturating_sub(self.first.len()) {
            0 => Ok(()),
            more => write!(out, "; and {more} more"),
        }
    }
}
