// SPDX-License-Identifier: GPL-2.0

//! From checked tables to rows, and to the binary formats.

mod v2;
mod v3;

pub use v2::{v2_rows, why_not_v2, write_v2};
pub use v3::{v3_rows, write_v3};
