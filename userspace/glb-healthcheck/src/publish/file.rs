// SPDX-License-Identifier: GPL-2.0

//! The method of the deployed checker: a file beside the operator's, and a command that loads it.

use super::{command, PublishError};
use glb_config::atomic;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Where to write and what to run.
#[derive(Debug, Clone)]
pub(crate) struct FileAndCommand {
    pub(crate) dst: Dst,
    /// Empty: nothing is run.
    pub(crate) command: String,
    pub(crate) timeout: Duration,
}

impl FileAndCommand {
    pub(super) async fn publish(&self, tree: Value) -> Result<(), PublishError> {
        let dst = self.dst.clone();
        // Bringing a file to the disk may take long, and checks go on meanwhile.
        let written = tokio::task::spawn_blocking(move || dst.write(&tree)).await;
        written.map_err(|error| PublishError::Write(error.to_string()))??;
        if self.command.trim().is_empty() {
            return Ok(());
        }
        command::run(&self.command, self.timeout).await
    }
}

/// The file that is published.
#[derive(Debug, Clone)]
pub(crate) struct Dst {
    path: PathBuf,
    /// What the daemon reads, which is the operator's.
    read: [PathBuf; 3],
}

impl Dst {
    pub(crate) fn new(path: PathBuf, read: [PathBuf; 3]) -> Self {
        Self { path, read }
    }

    /// Why the file must not be written: it is one that is read, whatever links lead to it.
    pub(crate) fn destroys(&self) -> Option<String> {
        let same = |read: &&PathBuf| atomic::same_file(read, &self.path);
        let read = self.read.iter().find(same)?;
        Some(format!(
            "{} is the same file as {}, which is read and would be overwritten",
            self.path.display(),
            read.display()
        ))
    }

    pub(super) fn write(&self, tree: &Value) -> Result<(), PublishError> {
        // Links may have been made since the files were read.
        if let Some(reason) = self.destroys() {
            return Err(PublishError::Write(reason));
        }
        let tables = tree.get("tables").and_then(Value::as_array);
        let has_keys = tables.is_some_and(|tables| !tables.is_empty());
        let name = self.path.display();
        let written = atomic::write_made(&self.path, has_keys, |out| {
            serde_json::to_writer_pretty(&mut *out, tree)?;
            out.write_all(b"\n")
        });
        let changed = written.map_err(|error| PublishError::Write(format!("{name}: {error}")))?;
        for change in changed {
            tracing::warn!("{name}: {change}");
        }
        Ok(())
    }
}
