// SPDX-License-Identifier: GPL-2.0

//! Reading the binary format, version 2 (docs/formats.md).
//!
//! [`File::check`] looks at every count, code and row index before anything else can be read, since the
//! file may come from anywhere; what it returns borrows the bytes. Slots behind the counts are not looked
//! at: they mean nothing.

use super::error::{Field, FileError};
use super::v2::{
    BACKENDS_AT, BACKEND_LEN, BINDS_AT, BIND_LEN, FAMILY_V4, FAMILY_V6, HASH_KEY_AT, HEADER_LEN,
    MAGIC, MAX_BACKENDS, MAX_BINDS, NUM_BINDS_AT, ROWS_AT, ROW_LEN, TABLE_LEN, VERSION,
};
use crate::backend::{Backend, State};
use crate::director::classify::bind::{Bind, Proto};
use crate::director::select::hash::ROWS;
use crate::packet::addr::Addr;

/// A file that was checked.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    tables: &'a [u8],
}

/// A table of a checked file.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    bytes: &'a [u8; TABLE_LEN],
    num_backends: usize,
    num_binds: usize,
}

/// A row: indexes of backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// First hop.
    pub primary: u32,
    /// Second hop.
    pub secondary: u32,
}

impl<'a> File<'a> {
    /// Checks a whole file.
    pub fn check(bytes: &'a [u8]) -> Result<Self, FileError> {
        let error = |field, value| FileError {
            table: None,
            field,
            index: None,
            value,
        };
        let length = || error(Field::Length, bytes.len() as u64);
        let (header, tables) = bytes.split_first_chunk::<HEADER_LEN>().ok_or_else(length)?;
        let &[m0, m1, m2, m3, ref numbers @ ..] = header;
        if [m0, m1, m2, m3] != MAGIC {
            let found = u32::from_be_bytes([m0, m1, m2, m3]);
            return Err(error(Field::Magic, u64::from(found)));
        }
        let number = |at| u64::from(u32_at(numbers, at));
        let expected = [
            (Field::Version, 0, u64::from(VERSION)),
            (Field::TableEntries, 8, ROWS as u64),
            (Field::MaxBackends, 12, MAX_BACKENDS as u64),
            (Field::MaxBinds, 16, MAX_BINDS as u64),
        ];
        for (field, at, value) in expected {
            if number(at) != value {
                return Err(error(field, number(at)));
            }
        }
        let promised = number(4).wrapping_mul(TABLE_LEN as u64);
        if tables.len() as u64 != promised {
            // Whole tables, but not as many as the header says: then the count is what is wrong.
            return Err(if tables.len() % TABLE_LEN == 0 {
                error(Field::NumTables, number(4))
            } else {
                length()
            });
        }
        let file = Self { tables };
        let mut rest = tables;
        let mut index = 0;
        while let Some((table, behind)) = rest.split_first_chunk::<TABLE_LEN>() {
            check_table(table, index)?;
            index = index.wrapping_add(1);
            rest = behind;
        }
        Ok(file)
    }

    /// The tables, in the file's order.
    pub fn tables(self) -> impl Iterator<Item = Table<'a>> {
        let mut rest = self.tables;
        core::iter::from_fn(move || {
            let (bytes, behind) = rest.split_first_chunk::<TABLE_LEN>()?;
            rest = behind;
            Some(Table {
                bytes,
                num_backends: u32_at(bytes, 0) as usize,
                num_binds: u32_at(bytes, NUM_BINDS_AT) as usize,
            })
        })
    }
}

impl<'a> Table<'a> {
    /// The backends; draining and inactive ones are not told apart by the format.
    pub fn backends(self) -> impl Iterator<Item = Backend> + 'a {
        records::<BACKEND_LEN>(self.bytes, BACKENDS_AT, self.num_backends)
            .filter_map(|record| backend(record).ok())
    }

    /// The binds.
    pub fn binds(self) -> impl Iterator<Item = Bind> + 'a {
        records::<BIND_LEN>(self.bytes, BINDS_AT, self.num_binds)
            .filter_map(|record| bind(record).ok())
    }

    /// The key of the packet hash.
    #[must_use]
    pub fn hash_key(self) -> [u8; 16] {
        match self.bytes.get(HASH_KEY_AT..).and_then(|b| b.first_chunk()) {
            Some(key) => *key,
            None => [0; 16],
        }
    }

    /// The rows, 65,536.
    pub fn rows(self) -> impl Iterator<Item = Row> + 'a {
        records::<ROW_LEN>(self.bytes, ROWS_AT, ROWS).map(row)
    }

    /// One row.
    #[must_use]
    pub fn row(self, index: u16) -> Option<Row> {
        let at = usize::from(index)
            .wrapping_mul(ROW_LEN)
            .wrapping_add(ROWS_AT);
        Some(row(self.bytes.get(at..)?.first_chunk()?))
    }
}

fn check_table(bytes: &[u8; TABLE_LEN], table: u32) -> Result<(), FileError> {
    let error = |field, index, value| FileError {
        table: Some(table),
        field,
        index,
        value,
    };
    let num_backends = u32_at(bytes, 0);
    if num_backends == 0 || num_backends as usize > MAX_BACKENDS {
        return Err(error(Field::NumBackends, None, u64::from(num_backends)));
    }
    let num_binds = u32_at(bytes, NUM_BINDS_AT);
    if num_binds as usize > MAX_BINDS {
        return Err(error(Field::NumBinds, None, u64::from(num_binds)));
    }
    let mut index = 0u32;
    for record in records::<BACKEND_LEN>(bytes, BACKENDS_AT, num_backends as usize) {
        backend(record).map_err(|(field, value)| error(field, Some(index), value))?;
        index = index.wrapping_add(1);
    }
    index = 0;
    for record in records::<BIND_LEN>(bytes, BINDS_AT, num_binds as usize) {
        bind(record).map_err(|(field, value)| error(field, Some(index), value))?;
        index = index.wrapping_add(1);
    }
    index = 0;
    for record in records::<ROW_LEN>(bytes, ROWS_AT, ROWS) {
        let Row { primary, secondary } = row(record);
        if primary >= num_backends {
            return Err(error(Field::RowPrimary, Some(index), u64::from(primary)));
        }
        if secondary >= num_backends {
            return Err(error(
                Field::RowSecondary,
                Some(index),
                u64::from(secondary),
            ));
        }
        index = index.wrapping_add(1);
    }
    Ok(())
}

/// A field and the value that it may not have.
type Bad = (Field, u64);

fn backend(record: &[u8; BACKEND_LEN]) -> Result<Backend, Bad> {
    let &[f0, f1, f2, f3, ref rest @ ..] = record;
    let &[.., s0, s1, h0, h1] = record;
    let addr = addr(
        u32::from_le_bytes([f0, f1, f2, f3]),
        rest,
        Field::BackendFamily,
        Field::BackendAddress,
    )?;
    let state = u16::from_le_bytes([s0, s1]);
    let health = u16::from_le_bytes([h0, h1]);
    Ok(Backend {
        addr,
        state: u8::try_from(state)
            .ok()
            .and_then(State::from_code)
            .ok_or((Field::BackendState, u64::from(state)))?,
        healthy: match health {
            0 => false,
            1 => true,
            other => return Err((Field::BackendHealth, u64::from(other))),
        },
    })
}

fn bind(record: &[u8; BIND_LEN]) -> Result<Bind, Bad> {
    let &[f0, f1, f2, f3, ref rest @ ..] = record;
    let &[.., b0, b1, s0, s1, e0, e1, proto, reserved] = record;
    let addr = addr(
        u32::from_le_bytes([f0, f1, f2, f3]),
        rest,
        Field::BindFamily,
        Field::BindAddress,
    )?;
    let bits = u16::from_le_bytes([b0, b1]);
    let port_start = u16::from_le_bytes([s0, s1]);
    let port_end = u16::from_le_bytes([e0, e1]);
    let prefix_len = u8::try_from(bits)
        .ok()
        .filter(|bits| *bits <= addr.bits())
        .ok_or((Field::BindPrefix, u64::from(bits)))?;
    if port_start > port_end {
        let both = u64::from(port_start) << 16 | u64::from(port_end);
        return Err((Field::BindPorts, both));
    }
    // That format has no others.
    let known = Proto::from_number(proto).filter(|proto| *proto != Proto::Sctp);
    let proto = known.ok_or((Field::BindProto, u64::from(proto)))?;
    if reserved != 0 {
        return Err((Field::BindReserved, u64::from(reserved)));
    }
    Ok(Bind {
        addr,
        prefix_len,
        proto: Some(proto),
        port_start,
        port_end,
    })
}

/// The address in the first 16 bytes of `bytes`.
fn addr(family: u32, bytes: &[u8], of_family: Field, of_addr: Field) -> Result<Addr, Bad> {
    let all: [u8; 16] = match bytes.first_chunk() {
        Some(all) => *all,
        None => [0; 16],
    };
    match family {
        FAMILY_V4 => {
            let [a, b, c, d, rest @ ..] = all;
            if rest == [0; 12] {
                Ok(Addr::V4([a, b, c, d]))
            } else {
                Err((of_addr, 1))
            }
        }
        FAMILY_V6 => Ok(Addr::V6(all)),
        other => Err((of_family, u64::from(other))),
    }
}

fn row(record: &[u8; ROW_LEN]) -> Row {
    let &[p0, p1, p2, p3, s0, s1, s2, s3] = record;
    Row {
        primary: u32::from_le_bytes([p0, p1, p2, p3]),
        secondary: u32::from_le_bytes([s0, s1, s2, s3]),
    }
}

/// `count` records of `LEN` bytes from `at` on; none if there is no room for so many.
fn records<const LEN: usize>(
    bytes: &[u8; TABLE_LEN],
    at: usize,
    count: usize,
) -> impl Iterator<Item = &[u8; LEN]> + '_ {
    let end = at.saturating_add(count.saturating_mul(LEN));
    let mut rest = bytes.get(at..end).unwrap_or(&[]);
    core::iter::from_fn(move || {
        let (record, behind) = rest.split_first_chunk::<LEN>()?;
        rest = behind;
        Some(record)
    })
}

/// The integer at `at`; callers keep within the bytes.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..).and_then(|b| b.first_chunk()) {
        Some(four) => u32::from_le_bytes(*four),
        None => 0,
    }
}
