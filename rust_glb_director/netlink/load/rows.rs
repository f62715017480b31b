// SPDX-License-Identifier: GPL-2.0

//! `row-set`: the rows of a table, in order.

#![forbid(unsafe_code)]

use super::{attr, change, hops, named};
use crate::netlink::{Family, Request};
use crate::state::State;
use crate::tables::memory::gfp;
use glb_core::netlink::glb::operation;
use glb_kernel::base::vec::Append;
use glb_kernel::genl::{Command, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

/// `row-set`
pub(in crate::netlink) struct RowSet;

impl Command for RowSet {
    type Family = Family;
    const SPEC: Spec = operation::ROW_SET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        change(state, request, |load, request| {
            let table = named(load, request)?;
            let first = request.require(attr::FIRST_ROW)?;
            let rows = request.require(attr::ROWS)?;
            let hops = hops(table);
            let next = table.all_rows().len() / hops;
            if first.u32()? as usize != next {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&first),
                    "rows come in order: the next one is {next}"
                ));
            }
            let bytes = rows.bytes();
            let len = bytes.len();
            if len == 0 || len % hops != 0 {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&rows),
                    "{len} bytes are not whole rows of {hops} hops"
                ));
            }
            let end = next.saturating_add(len / hops);
            let most = table.selector.rows;
            if end > most as usize {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&rows),
                    "rows up to {end}: the table has {most}"
                ));
            }
            let num_backends = table.backends.len();
            let mut row = next;
            for of_row in bytes.chunks_exact(hops.get()) {
                if of_row.iter().all(|hop| usize::from(*hop) < num_backends) {
                    row = row.wrapping_add(1);
                    continue;
                }
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&rows),
                    "row {row} names a backend that is not one of {num_backends}"
                ));
            }
            // The room is there since the table was added.
            Ok(table.all_rows_mut().append_slice(bytes, gfp())?)
        })
    }
}
