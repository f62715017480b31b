// SPDX-License-Identifier: GPL-2.0

//! On whose account the memory of tables is.

#![forbid(unsafe_code)]

use kernel::alloc::flags::__GFP_NOWARN;
use kernel::alloc::Flags;
use kernel::prelude::*;

/// Tables are on the account of the process that loads them. That there is no memory for them is an
/// answer, not an emergency.
pub(crate) fn gfp() -> Flags {
    GFP_KERNEL_ACCOUNT | __GFP_NOWARN
}
