// SPDX-License-Identifier: GPL-2.0

//! `row-get`: the hops of a row.

#![forbid(unsafe_code)]

use super::find;
use crate::netlink::{Family, Request};
use crate::state::State;
use crate::tables::{Table, TableSet};
use glb_core::netlink::{hop, lookup as attr, operation};
use glb_kernel::genl::{Command, Message, Spec};
use glb_kernel::rcu;
use kernel::prelude::*;

/// Room for two rows of 31 hops and a name.
pub(super) const LOOKUP_SIZE: usize = 6 * 1024;

/// Writes the hops of a row.
pub(super) fn put_hops(
    message: &mut Message<'_>,
    set: Option<&TableSet>,
    table: &Table,
    row: u16,
) -> Result {
    for &index in table.row(row) {
        let Some(one) = table.backends.get(usize::from(index)) else {
            continue;
        };
        message.nest(attr::HOP, |message| {
            message.u8(hop::BACKEND, index)?;
            if let Some(next_hop) = set.and_then(|set| set.next_hop(one.next_hop)) {
                message.addr(hop::ADDRESS, &next_hop.addr)?;
            }
            message.u8(hop::STATE, one.state.number())?;
            message.u8(hop::HEALTHY, u8::from(one.healthy))
        })?;
    }
    Ok(())
}

/// `row-get`
pub(in crate::netlink) struct RowGet;

impl Command for RowGet {
    type Family = Family;
    const SPEC: Spec = operation::ROW_GET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        let row = request.require(attr::ROW)?.u16()?;
        request.reply(LOOKUP_SIZE, |message| {
            let rcu = rcu::Guard::new();
            let set = state.tables(&rcu);
            let (index, table) = find(set, request, attr::TABLE, attr::NAME)?;
            message.u32(attr::TABLE, index)?;
            message.text(attr::NAME, &table.name)?;
            message.u32(attr::GENERATION, table.generation)?;
            message.u16(attr::ROW, row)?;
            put_hops(message, set, table, row)
        })
    }
}
