// SPDX-License-Identifier: GPL-2.0

//! One bind of two tables: the first of them has its packets.

use super::arena::Entry;
use super::{BindId, Proto};
use crate::packet::addr::Addr;
use crate::sort::sort;

/// One bind that two tables have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// Where it stands first.
    pub first: BindId,
    /// Where it stands again.
    pub second: BindId,
}

/// Finds a bind that two tables have of which `differ` says, by their indexes, that they may not have one. The entries are
/// sorted on the way, and their addresses are cut to their prefixes.
pub fn shared(entries: &mut [Entry], differ: impl Fn(u16, u16) -> bool) -> Option<Shared> {
    for entry in entries.iter_mut() {
        entry.bind.addr = entry.bind.addr.masked(entry.bind.prefix_len);
    }
    sort(entries, |a, b| {
        (what(a), a.id.to_word()) < (what(b), b.id.to_word())
    });
    let mut last: Option<&Entry> = None;
    for entry in entries.iter() {
        let before = last.replace(entry).filter(|last| last.bind == entry.bind);
        // Where one of several tables differs from the first, it differs from the one before it, or that one does.
        if let Some(before) = before.filter(|last| differ(last.id.table, entry.id.table)) {
            return Some(Shared {
                first: before.id,
                second: entry.id,
            });
        }
    }
    None
}

/// All that a bind says, in an order in which equal ones are neighbours.
fn what(entry: &Entry) -> (u8, Addr, Option<Proto>, u16, u16) {
    let bind = &entry.bind;
    (
        bind.prefix_len,
        bind.addr,
        bind.proto,
        bind.port_start,
        bind.port_end,
    )
}
