// SPDX-License-Identifier: GPL-2.0

//! Maglev tables: ours, and those of other systems (docs/maglev.md).

use crate::tables::{members, Table};
use glb_core::backend::{Backend, State};
use glb_core::director::select::maglev::{
    build, nfqlb, vpp, words_needed, Cursor, Room, RowsError, Table as Input,
};
use glb_core::director::FlowHash;
use glb_core::siphash::SipKey;

/// The rows of a Maglev table.
pub(super) fn rows(table: &Table, hops: usize) -> Result<Vec<u8>, RowsError> {
    match table.words.flow_hash {
        FlowHash::Own => own(table, hops),
        FlowHash::Vpp | FlowHash::VppSticky => of_vpp(table),
        FlowHash::Nfqlb | FlowHash::NfqlbSctpPorts => of_nfqlb(table),
    }
}

fn own(table: &Table, hops: usize) -> Result<Vec<u8>, RowsError> {
    let (members, size) = (members(&table.backends), table.words.rows as usize);
    let count = members.len();
    let mut rows = vec![0; size * hops];
    let of_further = |len: usize| if hops > 1 { len } else { 0 };
    let mut room = Room {
        cursors: &mut vec![Cursor::default(); count],
        free: &mut vec![0; words_needed(table.words.rows)],
        without: &mut vec![Cursor::default(); of_further(count)],
        owners: &mut vec![0; of_further(size)],
        group: &mut vec![0; of_further(size)],
    };
    let input = Input {
        seed: &SipKey::new(&table.seed),
        members: &members,
        size: table.words.rows,
        hops,
    };
    build(&input, &mut rows, &mut room, &mut || ())?;
    Ok(rows)
}

fn of_vpp(table: &Table) -> Result<Vec<u8>, RowsError> {
    let takes = takers(table);
    let server = |(index, one): (usize, &crate::tables::TableBackend)| vpp::Server {
        addr: one.backend.addr,
        weight: if takes[index] { one.weight } else { 0 },
    };
    let servers: Vec<vpp::Server> = table.backends.iter().enumerate().map(server).collect();
    let mut rows = vec![0; table.words.rows as usize];
    let room = (
        &mut vec![Cursor::default(); vpp::cursors_needed(&servers)][..],
        &mut vec![0; words_needed(table.words.rows)][..],
    );
    vpp::build(table.words.rows, &servers, &mut rows, room, &mut || ())?;
    Ok(rows)
}

/// The slots of nfqlb's table are the identifiers of ours; our rows have the places of the backends.
fn of_nfqlb(table: &Table) -> Result<Vec<u8>, RowsError> {
    let identifiers = || table.backends.iter().map(|one| usize::from(one.identifier));
    let slots = identifiers().max().map_or(0, |last| last + 1);
    let (mut active, mut places) = (vec![false; slots], vec![0; slots]);
    for ((slot, takes), place) in identifiers().zip(takers(table)).zip(0..=u8::MAX) {
        active[slot] = takes;
        places[slot] = place;
    }
    let mut rows = vec![0; table.words.rows as usize];
    let room = (
        &mut vec![Cursor::default(); active.len()][..],
        &mut vec![0; words_needed(table.words.rows)][..],
    );
    nfqlb::build(table.words.rows, &active, &mut rows, room, &mut || ())?;
    for row in &mut rows {
        *row = places[usize::from(*row)];
    }
    Ok(rows)
}

/// Who has rows in another system's table: as in ours, those that are healthy and take new flows, or if there is none, those
/// that take new flows, or if there is none, all that are not inactive.
fn takers(table: &Table) -> Vec<bool> {
    let willing = |one: &Backend| matches!(one.state, State::Active | State::Filling);
    let good = |one: &Backend| willing(one) && one.healthy;
    let any = |one: &Backend| one.state != State::Inactive;
    let of = |set: &dyn Fn(&Backend) -> bool| -> Vec<bool> {
        let takes = table
            .backends
            .iter()
            .map(|one| one.weight > 0 && set(&one.backend));
        takes.collect()
    };
    let sets: [&dyn Fn(&Backend) -> bool; 3] = [&good, &willing, &any];
    let taken = sets.into_iter().map(of).find(|takes| takes.contains(&true));
    taken.unwrap_or_else(|| vec![false; table.backends.len()])
}
