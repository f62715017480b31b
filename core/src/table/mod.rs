// SPDX-License-Identifier: GPL-2.0

//! Forwarding tables as files (docs/formats.md).

mod classes;
mod error;
mod v2_read;
mod v2_write;
mod v3_read;
mod v3_sum;
mod words;

/// The binary format of deployed directors.
pub mod v2 {
    pub use super::error::{Field, FileError};
    pub use super::v2_read::{File, Row, Table};
    pub use super::v2_write::{header, write_table, Contents, WriteError};

    /// First bytes of a file.
    pub const MAGIC: [u8; 4] = *b"GLBD";
    /// Version of the format.
    pub const VERSION: u32 = 2;
    /// Bytes of the file's header.
    pub const HEADER_LEN: usize = 24;
    /// Bytes of a table.
    pub const TABLE_LEN: usize = 537_624;
    /// Most backends of a table.
    pub const MAX_BACKENDS: usize = 256;
    /// Most binds of a table.
    pub const MAX_BINDS: usize = 256;

    pub(crate) const BACKEND_LEN: usize = 24;
    pub(crate) const BIND_LEN: usize = 28;
    pub(crate) const ROW_LEN: usize = 8;
    pub(crate) const BACKENDS_AT: usize = 4;
    pub(crate) const NUM_BINDS_AT: usize = 0x1804;
    pub(crate) const BINDS_AT: usize = 0x1808;
    pub(crate) const HASH_KEY_AT: usize = 0x3408;
    pub(crate) const ROWS_AT: usize = 0x3418;
    pub(crate) const FAMILY_V4: u32 = 1;
    pub(crate) const FAMILY_V6: u32 = 2;

    // The offsets above are those of the specification; they must also follow from the sizes.
    const _: () = assert!(NUM_BINDS_AT == BACKENDS_AT + MAX_BACKENDS * BACKEND_LEN);
    const _: () = assert!(BINDS_AT == NUM_BINDS_AT + 4);
    const _: () = assert!(HASH_KEY_AT == BINDS_AT + MAX_BINDS * BIND_LEN);
    const _: () = assert!(ROWS_AT == HASH_KEY_AT + 16);
    const _: () = assert!(TABLE_LEN == ROWS_AT + crate::director::select::hash::ROWS * ROW_LEN);
}

/// This project's binary format (docs/formats.md).
pub mod v3 {
    pub use super::error::{Field, FileError};
    pub use super::v3_read::{write_classes, File, Table, TableBackend};
    pub use super::v3_sum::{checksum, Checksum};
    pub use super::words::{Word, Words};

    /// First bytes of a file: those of version 2.
    pub const MAGIC: [u8; 4] = *b"GLBD";
    /// Version of the format.
    pub const VERSION: u32 = 3;
    /// Version of a file in which a table has words: readers that know none refuse it by its number.
    pub const VERSION_WITH_WORDS: u32 = 4;
    /// Version of a file with classes: its tables have words, and behind them are the classes.
    pub const VERSION_WITH_CLASSES: u32 = 5;
    /// Version of a file in which a backend has another identifier than its place: all backends say theirs, its tables have
    /// words, and behind them are the classes, if there are any.
    pub const VERSION_WITH_IDENTIFIERS: u32 = 6;
    /// Bytes of the file's header.
    pub const HEADER_LEN: usize = 24;
    /// Bytes of a table's header.
    pub const TABLE_HEADER_LEN: usize = 44;
    /// Bytes of a backend.
    pub const BACKEND_LEN: usize = 24;
    /// Bytes of a bind.
    pub const BIND_LEN: usize = 24;
    /// Bytes of the checksum at the end.
    pub const CHECKSUM_LEN: usize = 8;
    /// Instead of the index of a domain: of none.
    pub const NO_DOMAIN: u16 = u16::MAX;
}
