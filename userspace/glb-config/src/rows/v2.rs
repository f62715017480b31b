// SPDX-License-Identifier: GPL-2.0

//! Version 2: the deployed rows (docs/formats.md).

use crate::tables::Table;
use glb_core::backend::Backend;
use glb_core::director::select::hash::ROWS;
use glb_core::director::select::rows::v2::{build_rows, NoRows, Row};
use glb_core::siphash::SipKey;

/// The rows of a table by the deployed rule.
pub(super) fn rows(table: &Table) -> Result<Vec<Row>, NoRows> {
    let mut rows = vec![[0; 2]; ROWS];
    let build = Build {
        seed: SipKey::new(&table.seed),
        backends: &table.core_backends(),
        rows: &mut rows,
    };
    pulp::Arch::new().dispatch(build)?;
    Ok(rows)
}

/// The building of rows, compiled once for each set of vector instructions; the processor decides which
/// one runs. All give the same rows: the arithmetic is on integers.
struct Build<'a> {
    seed: SipKey,
    backends: &'a [Backend],
    rows: &'a mut [Row],
}

impl pulp::WithSimd for Build<'_> {
    type Output = Result<(), NoRows>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
        build_rows(&self.seed, self.backends, self.rows)
    }
}
