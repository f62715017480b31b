// SPDX-License-Identifier: GPL-2.0

//! Parts of tests that not every machine can make.

use std::io::Write;

/// Says which part of a test cannot be made here. In the lab all can.
pub(crate) fn can(what: &str, can: bool) -> bool {
    if !can {
        assert!(std::env::var_os("GLB_NO_SKIP").is_none(), "cannot {what}");
        // Not captured, as what the macros write is.
        let _ = writeln!(std::io::stderr(), "SKIPPED: cannot {what}");
    }
    can
}
