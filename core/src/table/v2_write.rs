// SPDX-License-Identifier: GPL-2.0

//! Writing the binary format, version 2 (docs/formats.md), into bytes that the caller provides.

use super::v2::{
    BACKENDS_AT, BACKEND_LEN, BINDS_AT, BIND_LEN, FAMILY_V4, FAMILY_V6, HASH_KEY_AT, HEADER_LEN,
    MAGIC, MAX_BACKENDS, MAX_BINDS, NUM_BINDS_AT, ROWS_AT, ROW_LEN, TABLE_LEN, VERSION,
};
use crate::backend::Backend;
use crate::director::classify::bind::Bind;
use crate::director::select::hash::ROWS;
use crate::packet::addr::Addr;

/// What a table is made of.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// 1 to 256 backends.
    pub backends: &'a [Backend],
    /// At most 256 binds.
    pub binds: &'a [Bind],
    /// Key of the packet hash.
    pub hash_key: &'a [u8; 16],
    /// 65,536 rows.
    pub rows: &'a [[u8; 2]],
}

/// Why a table cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// No backend, or more than the format has room for.
    Backends,
    /// More binds than the format has room for, or one for all protocols, for which it has no number.
    Binds,
    /// Not 65,536 rows, or a row that names a backend which is not there.
    Rows,
}

/// The header of a file with this many tables.
#[must_use]
pub fn header(num_tables: u32) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    let numbers = [
        u32::from_le_bytes(MAGIC),
        VERSION,
        num_tables,
        ROWS as u32,
        MAX_BACKENDS as u32,
        MAX_BINDS as u32,
    ];
    let mut out = Cursor(&mut bytes);
    for number in numbers {
        out.put(&number.to_le_bytes());
    }
    bytes
}

/// Writes one table over all of `bytes`.
pub fn write_table(bytes: &mut [u8; TABLE_LEN], contents: &Contents<'_>) -> Result<(), WriteError> {
    let Contents {
        backends,
        binds,
        hash_key,
        rows,
    } = *contents;
    if backends.is_empty() || backends.len() > MAX_BACKENDS {
        return Err(WriteError::Backends);
    }
    if binds.len() > MAX_BINDS || binds.iter().any(|bind| bind.proto.is_none()) {
        return Err(WriteError::Binds);
    }
    let known = |index: &u8| usize::from(*index) < backends.len();
    if rows.len() != ROWS || !rows.iter().flatten().all(known) {
        return Err(WriteError::Rows);
    }
    // All that is not written below is zero, whatever the bytes held before.
    bytes.fill(0);
    // The casts are exact: the counts are at most 256.
    at(bytes, 0).put(&(backends.len() as u32).to_le_bytes());
    let mut out = at(bytes, BACKENDS_AT);
    for backend in backends {
        out.put_addr(backend.addr);
        out.put(&u16::from(backend.state.code()).to_le_bytes());
        out.put(&u16::from(backend.healthy).to_le_bytes());
    }
    at(bytes, NUM_BINDS_AT).put(&(binds.len() as u32).to_le_bytes());
    let mut out = at(bytes, BINDS_AT);
    for bind in binds {
        out.put_addr(bind.addr);
        out.put(&u16::from(bind.prefix_len).to_le_bytes());
        out.put(&bind.port_start.to_le_bytes());
        out.put(&bind.port_end.to_le_bytes());
        out.put(&[bind.proto_number(), 0]);
    }
    at(bytes, HASH_KEY_AT).put(hash_key);
    let mut out = at(bytes, ROWS_AT);
    for &[primary, secondary] in rows {
        let (primary, secondary) = (u32::from(primary), u32::from(secondary));
        let row = u64::from(primary) | u64::from(secondary) << 32;
        out.put(&row.to_le_bytes());
    }
    Ok(())
}

const _: () = assert!(BACKEND_LEN == 20 + 4 && BIND_LEN == 20 + 8 && ROW_LEN == 8);

/// What is still to be written.
struct Cursor<'a>(&'a mut [u8]);

fn at(bytes: &mut [u8; TABLE_LEN], offset: usize) -> Cursor<'_> {
    Cursor(bytes.get_mut(offset..).unwrap_or_default())
}

impl Cursor<'_> {
    /// Writes `field` and steps behind it. Offsets are constants that leave room for all that is put.
    fn put<const LEN: usize>(&mut self, field: &[u8; LEN]) {
        let rest = core::mem::take(&mut self.0);
        if let Some((place, behind)) = rest.split_first_chunk_mut::<LEN>() {
            *place = *field;
            self.0 = behind;
        }
    }

    fn put_addr(&mut self, addr: Addr) {
        match addr {
            Addr::V4(bytes) => {
                self.put(&FAMILY_V4.to_le_bytes());
                self.put(&bytes);
                self.put(&[0; 12]);
            }
            Addr::V6(bytes) => {
                self.put(&FAMILY_V6.to_le_bytes());
                self.put(&bytes);
            }
        }
    }
}
