// SPDX-License-Identifier: GPL-2.0

//! Loading a table into the director in the running kernel, through netlink.
//!
//! A load takes the place of all tables at once or, if anything is wrong, changes nothing. The module is
//! never loaded from here: an operator who took it out wants it out.

use super::{Dst, PublishError};
use crate::logic::known::Known;
use crate::logic::plan::ip;
use glb_config::file::read_bytes;
use glb_netlink::{Built, Error, Glb};
use serde_json::Value;

/// What is done beside the load.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// Where the table is written too, for a start while the operator's cannot be used.
    pub(crate) dst: Option<Dst>,
}

impl Kernel {
    /// Loads the table; returns the number of the load.
    pub(super) async fn publish(&self, tree: Value) -> Result<u32, PublishError> {
        let publisher = self.clone();
        // Rows take their time, and checks go on meanwhile.
        let loaded = tokio::task::spawn_blocking(move || publisher.load(&tree)).await;
        loaded.unwrap_or_else(|error| Err(PublishError::Load(error.to_string())))
    }

    fn load(&self, tree: &Value) -> Result<u32, PublishError> {
        // The load is what takes a dead backend out: that the file cannot be written must not keep it.
        let written = self.dst.as_ref().map_or(Ok(()), |dst| dst.write(tree));
        let loaded = Self::load_into_kernel(tree)?;
        written.map(|()| loaded)
    }

    fn load_into_kernel(tree: &Value) -> Result<u32, PublishError> {
        let text = tree.to_string();
        let checked = read_bytes("the checked table", text.as_bytes(), &mut |_, _| {});
        let (file, _) = checked.into_result().map_err(|issues| {
            let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
            PublishError::Load(issues.join("; "))
        })?;
        let failed = |error: Error| PublishError::Load(format!("loading the tables: {error}"));
        let mut glb = Glb::open_loaded().map_err(failed)?;
        let built = Built {
            tables: &file.tables,
            classes: &[],
        };
        glb.load_built(built, &mut |_| {}).map_err(failed)
    }
}

/// What the running director has of its backends' health; nothing where it has no tables or is not there.
pub(crate) fn health() -> Known {
    // As below: without the module there is nothing to take over.
    ask().unwrap_or_default()
}

fn ask() -> Result<Known, Error> {
    let mut glb = Glb::open_loaded()?;
    let mut known = Known::new();
    for listed in glb.tables()? {
        let table = glb.table(listed.index)?;
        let name = match table.name.as_str() {
            "" => format!("#{}", table.index),
            name => name.to_owned(),
        };
        for backend in table.backends {
            known.insert((name.clone(), ip(backend.addr)), backend.healthy);
        }
    }
    Ok(known)
}

/// The number of the load that the running director has, 0 for none; or why it cannot be asked.
pub(crate) fn generation() -> Result<u32, String> {
    let status = Glb::open_loaded().and_then(|mut glb| glb.status());
    status
        .map(|status| status.generation)
        .map_err(|error| error.to_string())
}
