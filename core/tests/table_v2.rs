// SPDX-License-Identifier: GPL-2.0

//! The binary format, version 2: bytes at the specification's offsets, and every check of a loader.

use glb_core::backend::{Backend, State};
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::select::hash::ROWS;
use glb_core::packet::addr::Addr;
use glb_core::table::v2::{header, write_table, Contents, Field, File, FileError, Row, WriteError};
use glb_core::table::v2::{HEADER_LEN, TABLE_LEN};
use proptest::prelude::*;

const KEY: [u8; 16] = *b"0123456789abcdef";

fn backends() -> Vec<Backend> {
    let mut v6 = [0; 16];
    v6[0] = 0xfd;
    v6[15] = 9;
    vec![
        Backend {
            addr: Addr::V4([1, 2, 3, 4]),
            state: State::Active,
            healthy: true,
        },
        Backend {
            addr: Addr::V6(v6),
            state: State::Filling,
            healthy: false,
        },
        Backend {
            addr: Addr::V4([5, 6, 7, 8]),
            state: State::Inactive,
            healthy: true,
        },
    ]
}

fn binds() -> Vec<Bind> {
    vec![
        Bind {
            addr: Addr::V4([9, 9, 9, 9]),
            prefix_len: 32,
            proto: Some(Proto::Tcp),
            port_start: 80,
            port_end: 80,
        },
        Bind {
            addr: Addr::V6([0xab; 16]),
            prefix_len: 64,
            proto: Some(Proto::Udp),
            port_start: 1,
            port_end: 65535,
        },
    ]
}

fn rows() -> Vec<[u8; 2]> {
    (0..ROWS).map(|i| [(i % 3) as u8, (i % 2) as u8]).collect()
}

fn file(tables: u32) -> Vec<u8> {
    let mut bytes = header(tables).to_vec();
    let mut table = Box::new([0xee; TABLE_LEN]);
    for _ in 0..tables {
        write_table(
            &mut table,
            &Contents {
                backends: &backends(),
                binds: &binds(),
                hash_key: &KEY,
                rows: &rows(),
            },
        )
        .unwrap();
        bytes.extend_from_slice(&table[..]);
    }
    bytes
}

fn at(bytes: &[u8], offset: usize, len: usize) -> &[u8] {
    &bytes[HEADER_LEN + offset..][..len]
}

#[test]
fn bytes_stand_where_the_specification_says() {
    let bytes = file(1);
    assert_eq!(bytes.len(), 24 + 537_624);
    assert_eq!(
        &bytes[..24],
        b"GLBD\x02\0\0\0\x01\0\0\0\0\0\x01\0\0\x01\0\0\0\x01\0\0"
    );
    assert_eq!(at(&bytes, 0, 4), [3, 0, 0, 0]);
    let mut v4 = [0; 24];
    v4[0] = 1;
    v4[4..8].copy_from_slice(&[1, 2, 3, 4]);
    v4[20] = 1;
    v4[22] = 1;
    assert_eq!(at(&bytes, 4, 24), v4);
    assert_eq!(at(&bytes, 4 + 24, 6), [2, 0, 0, 0, 0xfd, 0]);
    assert_eq!(at(&bytes, 4 + 24 + 19, 5), [9, 0, 0, 0, 0]);
    assert_eq!(at(&bytes, 4 + 48 + 20, 4), [2, 0, 1, 0]);
    assert!(at(&bytes, 4 + 72, 0x1804 - 76).iter().all(|b| *b == 0));
    assert_eq!(at(&bytes, 0x1804, 4), [2, 0, 0, 0]);
    assert_eq!(at(&bytes, 0x1808 + 20, 8), [32, 0, 80, 0, 80, 0, 6, 0]);
    assert_eq!(
        at(&bytes, 0x1808 + 28 + 20, 8),
        [64, 0, 1, 0, 255, 255, 17, 0]
    );
    assert_eq!(at(&bytes, 0x3408, 16), KEY);
    assert_eq!(at(&bytes, 0x3418 + 8 * 5, 8), [2, 0, 0, 0, 1, 0, 0, 0]);
}

#[test]
fn what_was_written_is_read() {
    let bytes = file(2);
    let file = File::check(&bytes).unwrap();
    assert_eq!(file.tables().count(), 2);
    for table in file.tables() {
        // Inactive comes back as draining: the format has one code for both.
        let mut expected = backends();
        expected[2].state = State::Draining;
        assert_eq!(table.backends().collect::<Vec<_>>(), expected);
        assert_eq!(table.binds().collect::<Vec<_>>(), binds());
        assert_eq!(table.hash_key(), KEY);
        assert_eq!(table.rows().count(), ROWS);
        for (index, (row, [primary, secondary])) in table.rows().zip(rows()).enumerate() {
            let expected = Row {
                primary: primary.into(),
                secondary: secondary.into(),
            };
            assert_eq!(row, expected);
            assert_eq!(table.row(index as u16), Some(expected));
        }
    }
}

/// Where a byte is changed, to what, and what must be said: table, field, index, value.
type Case = (usize, u8, Option<u32>, Field, Option<u32>, u64);

#[test]
fn each_fault_is_found_and_named() {
    let table = Some(1);
    let second = HEADER_LEN + TABLE_LEN;
    let bind = second + 0x1808;
    let cases: &[Case] = &[
        (0, b'X', None, Field::Magic, None, 0x584c_4244),
        (4, 3, None, Field::Version, None, 3),
        (8, 3, None, Field::NumTables, None, 3),
        (12, 1, None, Field::TableEntries, None, 65537),
        (17, 2, None, Field::MaxBackends, None, 512),
        (20, 1, None, Field::MaxBinds, None, 257),
        (second, 0, table, Field::NumBackends, None, 0),
        (second + 1, 1, table, Field::NumBackends, None, 259),
        (second + 4, 3, table, Field::BackendFamily, Some(0), 3),
        (second + 4 + 8, 7, table, Field::BackendAddress, Some(0), 1),
        (
            second + 4 + 24 + 20,
            3,
            table,
            Field::BackendState,
            Some(1),
            3,
        ),
        (
            second + 4 + 24 + 22,
            2,
            table,
            Field::BackendHealth,
            Some(1),
            2,
        ),
        (second + 0x1805, 1, table, Field::NumBinds, None, 258),
        (bind, 0, table, Field::BindFamily, Some(0), 0),
        (bind + 19, 1, table, Field::BindAddress, Some(0), 1),
        (bind + 20, 33, table, Field::BindPrefix, Some(0), 33),
        (bind + 28 + 20, 129, table, Field::BindPrefix, Some(1), 129),
        (bind + 28 + 21, 1, table, Field::BindPrefix, Some(1), 320),
        (
            bind + 24,
            79,
            table,
            Field::BindPorts,
            Some(0),
            80 << 16 | 79,
        ),
        (bind + 26, 1, table, Field::BindProto, Some(0), 1),
        (bind + 27, 1, table, Field::BindReserved, Some(0), 1),
        (
            second + 0x3418 + 8 * 65535,
            3,
            table,
            Field::RowPrimary,
            Some(65535),
            3,
        ),
        (
            second + 0x3418 + 8 * 7 + 7,
            1,
            table,
            Field::RowSecondary,
            Some(7),
            0x0100_0001,
        ),
    ];
    let good = file(2);
    for &(offset, byte, table, field, index, value) in cases {
        let mut bytes = good.clone();
        bytes[offset] = byte;
        let expected = FileError {
            table,
            field,
            index,
            value,
        };
        assert_eq!(
            File::check(&bytes).map(|_| ()),
            Err(expected),
            "offset {offset:#x}"
        );
        let said = expected.to_string();
        assert!(said.contains(field.name()), "{said}");
    }
    for len in [0, 3, 23, 24, 25, HEADER_LEN + TABLE_LEN + 1, good.len() - 1] {
        let error = File::check(&good[..len]).map(|_| ()).unwrap_err();
        let whole = len >= HEADER_LEN && (len - HEADER_LEN) % TABLE_LEN == 0;
        let field = if whole {
            Field::NumTables
        } else {
            Field::Length
        };
        assert_eq!(error.field, field, "length {len}");
    }
}

#[test]
fn what_does_not_fit_is_not_written() {
    let (backends, binds, rows) = (backends(), binds(), rows());
    let contents = Contents {
        backends: &backends,
        binds: &binds,
        hash_key: &KEY,
        rows: &rows,
    };
    let mut table = Box::new([0; TABLE_LEN]);
    let mut write = |contents: &Contents<'_>| write_table(&mut table, contents);
    assert_eq!(write(&contents), Ok(()));
    assert_eq!(
        write(&Contents {
            backends: &[],
            ..contents
        }),
        Err(WriteError::Backends)
    );
    let many = vec![backends[0]; 257];
    assert_eq!(
        write(&Contents {
            backends: &many,
            ..contents
        }),
        Err(WriteError::Backends)
    );
    let many = vec![binds[0]; 257];
    assert_eq!(
        write(&Contents {
            binds: &many,
            ..contents
        }),
        Err(WriteError::Binds)
    );
    assert_eq!(
        write(&Contents {
            rows: &rows[1..],
            ..contents
        }),
        Err(WriteError::Rows)
    );
    let two = &backends[..2];
    assert_eq!(
        write(&Contents {
            backends: two,
            ..contents
        }),
        Err(WriteError::Rows)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn damaged_files_are_refused_or_read_within_bounds(
        damage in prop::collection::vec((0..HEADER_LEN + TABLE_LEN, any::<u8>()), 1..6),
    ) {
        let mut bytes = file(1);
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        if let Ok(file) = File::check(&bytes) {
            for table in file.tables() {
                let backends = table.backends().count();
                prop_assert!(table.rows().all(|row| (row.primary as usize) < backends
                    && (row.secondary as usize) < backends));
            }
        }
    }
}
