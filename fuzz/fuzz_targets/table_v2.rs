// SPDX-License-Identifier: GPL-2.0

//! The reader of binary tables, version 2. A table has half a megabyte, most of it rows, so the input is
//! a list of changes to a good file: offset (three bytes) and byte.

#![no_main]

use glb_core::backend::{Backend, State};
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::select::hash::ROWS;
use glb_core::packet::addr::Addr;
use glb_core::table::v2::{header, write_table, Contents, File, TABLE_LEN};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let backend = Backend {
        addr: Addr::V4([10, 0, 0, 1]),
        state: State::Active,
        healthy: true,
    };
    let bind = Bind {
        addr: Addr::V6([1; 16]),
        prefix_len: 64,
        proto: Some(Proto::Tcp),
        port_start: 1,
        port_end: 2,
    };
    let mut table = vec![0; TABLE_LEN];
    let contents = Contents {
        backends: &[backend; 3],
        binds: &[bind; 2],
        hash_key: &[7; 16],
        rows: &vec![[0, 2]; ROWS],
    };
    write_table(table.as_mut_slice().try_into().unwrap(), &contents).unwrap();
    [&header(1)[..], &table].concat()
});

fuzz_target!(|data: &[u8]| {
    let mut bytes = GOOD.clone();
    let (changes, rest) = data.split_at(data.len() / 4 * 4);
    for change in changes.chunks_exact(4) {
        let at = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize;
        // Offsets beyond the file land in the first table's counts and records.
        let at = if at < bytes.len() { at } else { at % 0x3440 };
        bytes[at] = change[3];
    }
    // What is left of the input cuts the file, or makes it longer.
    match rest {
        [cut] => bytes.truncate(bytes.len() - usize::from(*cut)),
        [_, more, ..] => bytes.resize(bytes.len() + usize::from(*more), 0),
        _ => {}
    }
    let Ok(file) = File::check(&bytes) else {
        return;
    };
    for table in file.tables() {
        let backends = table.backends().count() as u32;
        assert!((1..=256).contains(&backends));
        for bind in table.binds() {
            assert!(bind.port_start <= bind.port_end && bind.prefix_len <= bind.addr.bits());
        }
        for row in table.rows() {
            assert!(row.primary < backends && row.secondary < backends);
        }
    }
    // Fewer bytes must not be read as the file either.
    let _ = File::check(data);
});
