// SPDX-License-Identifier: GPL-2.0

//! The method of the deployed checker: a file beside the operator's, and a command that loads it.

use super::{command, PublishError};
use glb_config::atomic;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where to write and what to run.
#[derive(Debug, Clone)]
pub(crate) struct FileAndCommand {
    pub(crate) dst: PathBuf,
    /// Empty: nothing is run.
    pub(crate) command: String,
    pub(crate) timeout: Duration,
}

impl FileAndCommand {
    pub(super) async fn publish(&self, tree: Value) -> Result<(), PublishError> {
        let dst = self.dst.clone();
        // Bringing a file to the disk may take long, and checks go on meanwhile.
        let written = tokio::task::spawn_blocking(move || write(&dst, &tree)).await;
        written
            .map_err(io::Error::other)
            .and_then(|written| written)
            .map_err(|error| PublishError::Write(format!("{}: {error}", self.dst.display())))?;
        if self.command.trim().is_empty() {
            return Ok(());
        }
        command::run(&self.command, self.timeout).await
    }
}

pub(super) fn write(dst: &Path, tree: &Value) -> io::Result<()> {
    atomic::write(dst, |out| {
        serde_json::to_writer_pretty(&mut *out, tree)?;
        out.write_all(b"\n")
    })
}
