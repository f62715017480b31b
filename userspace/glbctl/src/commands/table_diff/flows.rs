// SPDX-License-Identifier: GPL-2.0

//! What a flow table does for connections while another table takes the place of theirs (docs/flows.md).

use glb_config::compiled::{usable, Compiled};
use glb_core::backend::Backend;

/// What a load does to the flow table.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flows {
    /// There is none, before or after.
    #[default]
    None,
    /// The new table has one, which knows nothing yet.
    New,
    /// What the old one knew is forgotten: there is none any more, or it has other buckets or keys.
    Forgotten,
    /// Likewise, as the table has another name.
    Renamed,
    /// Flows keep their backends.
    Kept,
}

impl Flows {
    pub(super) fn of(old: &Compiled, new: &Compiled) -> Self {
        match (old.words.flows, new.words.flows) {
            (None, None) => Self::None,
            (None, Some(_)) => Self::New,
            (Some(_), None) => Self::Forgotten,
            (Some(_), Some(_)) if old.name != new.name => Self::Renamed,
            // The timeout alone may be another one.
            (Some(before), Some(after)) => {
                let same = before.buckets == after.buckets && before.rules.by == after.rules.by;
                if same {
                    Self::Kept
                } else {
                    Self::Forgotten
                }
            }
        }
    }
}

/// Whether a backend keeps the flows that are remembered with it, as the director has it.
pub(super) fn keeps(backend: &Backend) -> bool {
    usable(backend) && backend.healthy
}
