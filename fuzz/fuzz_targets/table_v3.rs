// SPDX-License-Identifier: GPL-2.0

//! The reader of binary tables, version 3. The input is a table but for its rows, which are put behind
//! it with a header and a checksum around, so that the input reaches the checks.

#![no_main]

use glb_core::director::select::hash::ROWS;
use glb_core::table::v3::{checksum, File, HEADER_LEN};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = File::check(data);
    read(data, 3, ROWS);
    // The input has words, which may say how many rows there are: those of a small table, or as many as without.
    let rows = data.last().map_or(ROWS, |last| usize::from(*last) + 2);
    read(data, 4, rows);
    read(data, 4, ROWS);
});

fn read(data: &[u8], version: u8, rows: usize) {
    let hops = data.get(1).map_or(0, |hops| usize::from(*hops).min(31));
    let row = data.last().copied().unwrap_or(0) & 3;
    let len = HEADER_LEN + data.len() + hops * rows + 8;
    let mut bytes = b"GLBD".to_vec();
    bytes.extend(u32::from(version).to_le_bytes());
    bytes.extend((len as u64).to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend((ROWS as u32).to_le_bytes());
    bytes.extend(data);
    bytes.resize(len - 8, row);
    let sum = checksum(&bytes);
    bytes.extend(sum.to_le_bytes());
    let Ok(file) = File::check(&bytes) else {
        return;
    };
    for table in file.tables() {
        let backends = table.backends().count();
        assert!((1..=256).contains(&backends));
        let rows = table.words.rows as usize;
        assert_eq!(table.rows.len(), rows * usize::from(table.hops));
        assert_eq!(
            table.words.selector().check(table.hops, table.forward),
            Ok(())
        );
        assert!(table
            .rows
            .iter()
            .all(|index| usize::from(*index) < backends));
        let domains = table.domains().count();
        for backend in table.backends() {
            assert!(backend
                .domain
                .is_none_or(|domain| usize::from(domain) < domains));
        }
        for bind in table.binds() {
            assert!(bind.port_start <= bind.port_end && bind.prefix_len <= bind.addr.bits());
        }
    }
}
