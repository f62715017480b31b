// SPDX-License-Identifier: GPL-2.0

//! Version 3: this project's rows (docs/rows-v3.md).

use crate::tables::Table;
use glb_core::director::select::hash::ROWS;
use glb_core::director::select::rows::v3::{build, Member, Room, RowsError};
use glb_core::siphash::SipKey;
use std::collections::HashMap;

/// The rows of a table by the version 3 rule.
pub(super) fn rows(table: &Table, hops: usize) -> Result<Vec<u8>, RowsError> {
    let mut domains: HashMap<&str, u16> = HashMap::new();
    let mut members = Vec::new();
    for (index, backend) in table.backends.iter().enumerate() {
        // Named domains get low numbers; who names none shares its fate with nobody. There are 256
        // backends at most, so that neither can reach the other.
        let next = domains.len() as u16;
        let domain = match &backend.domain {
            Some(name) => *domains.entry(name).or_insert(next),
            None => 0x8000 + index as u16,
        };
        members.push(Member {
            backend: backend.backend,
            weight: backend.weight,
            domain,
        });
    }
    let mut rows = vec![0; ROWS * hops];
    let room = Room {
        costs: &mut vec![0; ROWS * hops],
        first: &mut vec![0; ROWS],
        before: &mut vec![0; ROWS],
        sorted: &mut vec![0; ROWS * 2],
    };
    let build = Build {
        seed: SipKey::new(&table.seed),
        members: &members,
        hops,
        rows: &mut rows,
        room,
    };
    pulp::Arch::new().dispatch(build)?;
    Ok(rows)
}

/// The building of rows, compiled once for each set of vector instructions, as for version 2.
struct Build<'a> {
    seed: SipKey,
    members: &'a [Member],
    hops: usize,
    rows: &'a mut [u8],
    room: Room<'a>,
}

impl pulp::WithSimd for Build<'_> {
    type Output = Result<(), RowsError>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(mut self, _: S) -> Self::Output {
        build(
            &self.seed,
            self.members,
            self.hops,
            self.rows,
            &mut self.room,
        )
    }
}
