// SPDX-License-Identifier: GPL-2.0

//! The files in `/proc` that show the counters.

#![forbid(unsafe_code)]

use crate::state::State;
use glb_core::redirect::Verdict;
use glb_kernel::proc;
use kernel::prelude::*;
use kernel::seq_file::SeqFile;

/// `/proc/net/glb_redirect`: every counter of the namespace.
pub(crate) struct All;

impl proc::Show for All {
    type State = State;
    const NAME: &'static CStr = c"glb_redirect";

    fn show(state: &State, file: &SeqFile) {
        state.stats().show(file, Verdict::ALL);
        state.stats().show_others(file);
    }
}

/// `/proc/glb_redirect_stats`: the counters, names and order of the deployed module, for the scripts that
/// read it. The deployed module counts all namespaces together; here it is the reader's.
pub(crate) struct Deployed;

impl proc::Show for Deployed {
    type State = State;
    const NAME: &'static CStr = c"glb_redirect_stats";

    fn show(state: &State, file: &SeqFile) {
        state.stats().show(
            file,
            Verdict::ALL.get(..Verdict::DEPLOYED).unwrap_or_default(),
        );
    }
}
