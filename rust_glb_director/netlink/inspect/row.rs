// SPDX-License-Identifier: GPL-2.0

//! `row-get`: the hops of a row, or the rows of a table.

#![forbid(unsafe_code)]

use super::find;
use crate::netlink::{Family, Request};
use crate::state::State;
use crate::tables::set::{Table, TableSet};
use glb_core::director::select::hash::ROWS;
use glb_core::netlink::glb::{hop, lookup as attr, operation};
use glb_kernel::base::rcu;
use glb_kernel::genl::{Command, Cursor, Dump, Message, Spec};
use kernel::prelude::*;

/// Room for two rows of 31 hops and a name.
pub(super) const LOOKUP_SIZE: usize = 6 * 1024;

/// Writes the hops of a row.
pub(super) fn put_hops(
    message: &mut Message<'_>,
    set: Option<&TableSet>,
    table: &Table,
    hops: &[u8],
) -> Result {
    for &index in hops {
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
            put_hops(message, set, table, table.row(row))
        })
    }
}

/// Bytes of rows in a message of a list: several messages fit a buffer of netlink's least size.
const ROWS_A_MESSAGE: usize = 2048;

impl Dump for RowGet {
    type Family = Family;
    const SPEC: Spec = operation::ROW_GET;

    fn generation(state: &State) -> u32 {
        state.generation()
    }

    fn next(
        state: &State,
        request: &Request<'_>,
        [row, _]: &mut Cursor,
        message: &mut Message<'_>,
    ) -> Result<bool> {
        let rcu = rcu::Guard::new();
        let (_, table) = find(state.tables(&rcu), request, attr::TABLE, attr::NAME)?;
        if *row >= ROWS {
            return Ok(false);
        }
        let hops = usize::from(table.hops);
        let count = ROWS_A_MESSAGE.checked_div(hops).unwrap_or(1).max(1);
        let count = count.min(ROWS.wrapping_sub(*row));
        let rows = table.rows.get(row.wrapping_mul(hops)..);
        let rows = rows.and_then(|rows| rows.get(..count.wrapping_mul(hops)));
        // The cast is exact: rows are 65,536.
        message.u16(attr::ROW, *row as u16)?;
        message.bytes(attr::ROWS, rows.ok_or(EINVAL)?)?;
        *row = row.wrapping_add(count);
        Ok(true)
    }
}
