// SPDX-License-Identifier: GPL-2.0

//! `row-get`: the hops of a row, or the rows of a table.

#![forbid(unsafe_code)]

use super::find;
use crate::netlink::{Family, Request};
use crate::state::State;
use crate::tables::set::{Table, TableSet};
use glb_core::director::Select;
use glb_core::netlink::glb::{hop, lookup as attr, operation};
use glb_kernel::base::rcu;
use glb_kernel::genl::{Command, Cursor, Dump, Message, Spec};
use glb_kernel::refuse;
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
            message.u8(hop::HEALTHY, u8::from(one.healthy))?;
            message.u8(hop::IDENTIFIER, one.identifier)
        })?;
    }
    Ok(())
}

/// Writes the number of a row: of GLB's rows in 16 bits too, as before there were others.
pub(super) fn put_number(
    message: &mut Message<'_>,
    table: &Table,
    (short, long): (u16, u16),
    row: u32,
) -> Result {
    if table.selector.select == Select::Rows {
        // The cast is exact: they are 65,536.
        message.u16(short, row as u16)?;
    }
    message.u32(long, row)
}

/// `row-get`
pub(in crate::netlink) struct RowGet;

impl Command for RowGet {
    type Family = Family;
    const SPEC: Spec = operation::ROW_GET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        let (sent, row) = match request.get(attr::ROW_NUMBER) {
            Some(sent) => (sent, sent.u32()?),
            None => {
                let sent = request.require(attr::ROW)?;
                (sent, u32::from(sent.u16()?))
            }
        };
        request.reply(LOOKUP_SIZE, |message| {
            let rcu = rcu::Guard::new();
            let set = state.tables(&rcu);
            let (index, table) = find(set, request, attr::TABLE, attr::NAME)?;
            message.u32(attr::TABLE, index)?;
            message.text(attr::NAME, &table.name)?;
            message.u32(attr::GENERATION, table.generation)?;
            let hops = table.any_row(row);
            if hops.is_empty() {
                return Err(refuse!(
                    request,
                    ENOENT,
                    Some(&sent),
                    "row {row}: the table has {}",
                    table.selector.rows
                ));
            }
            put_number(message, table, (attr::ROW, attr::ROW_NUMBER), row)?;
            put_hops(message, set, table, hops)
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
        // The cast is exact, as is that back: rows are counted in 32 bits.
        let all = table.selector.rows as usize;
        if *row >= all {
            return Ok(false);
        }
        let hops = usize::from(table.hops);
        let count = ROWS_A_MESSAGE.checked_div(hops).unwrap_or(1).max(1);
        let count = count.min(all.wrapping_sub(*row));
        let rows = table.all_rows().get(row.wrapping_mul(hops)..);
        let rows = rows.and_then(|rows| rows.get(..count.wrapping_mul(hops)));
        put_number(message, table, (attr::ROW, attr::ROW_NUMBER), *row as u32)?;
        message.bytes(attr::ROWS, rows.ok_or(EINVAL)?)?;
        *row = row.wrapping_add(count);
        Ok(true)
    }
}
