// SPDX-License-Identifier: GPL-2.0

//! A table of the file that has the keys.

use glb_config::tables::Table;
use serde_json::Value;

/// A table of the file, as it was read and as it stands there.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) table: &'a Table,
    pub(super) tree: &'a Value,
}
