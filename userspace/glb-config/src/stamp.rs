// SPDX-License-Identifier: GPL-2.0

//! Whether a file is still the one that was read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What tells a file from the one that stood at its path before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Option<[i64; 5]>);

impl Stamp {
    /// Of the file that is there now, if one is.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let stamp = |about: Metadata| {
            [
                about.dev() as i64,
                about.ino() as i64,
                about.size() as i64,
                about.mtime(),
                about.mtime_nsec(),
            ]
        };
        Self(std::fs::metadata(path).ok().map(stamp))
    }
}
