// SPDX-License-Identifier: GPL-2.0

//! The commands that talk to the director, or to the redirect, in the running kernel, through netlink.
//!
//! Those that only look never load a module; those that set something up let the kernel load it by its alias.

pub(crate) mod assign;
mod attached;
pub(crate) mod config;
pub(crate) mod cookie;
pub(crate) mod devices;
pub(crate) mod flows;
pub(crate) mod geneve;
pub(crate) mod lookup;
pub(crate) mod monitor;
pub(crate) mod redirect;
pub(crate) mod restore;
pub(crate) mod stats;
pub(crate) mod statsd;
pub(crate) mod status;
pub(crate) mod tables;

use super::table_show::TargetView;
use crate::output::Failure;
use crate::text::{addr, bind};
use glb_core::director::Forward;
use glb_netlink::{BackendInfo, Error, Glb};
use serde::Serialize;
use std::io::{self, Write};

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Message(error.to_string())
    }
}

/// The director of this namespace, to look at.
pub(crate) fn director() -> Result<Glb, Failure> {
    Ok(Glb::open_loaded()?)
}

/// The director of this namespace, to be set up: the kernel loads the module if need be.
fn director_or_load() -> Result<Glb, Failure> {
    Ok(Glb::open()?)
}

/// A backend as the kernel has it.
#[derive(Serialize)]
struct BackendView {
    index: usize,
    ip: String,
    state: &'static str,
    healthy: bool,
    /// As long as its address stays in tables of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    #[serde(flatten)]
    target: Option<TargetView>,
}

impl BackendView {
    fn new(index: usize, info: &BackendInfo, forward: Forward) -> Self {
        let target = info
            .identifier
            .or_else(|| u8::try_from(index).ok())
            .and_then(|identifier| TargetView::new(index, identifier, forward));
        Self {
            index,
            ip: addr(info.addr),
            state: info.state.name(),
            healthy: info.healthy,
            id: info.id,
            target,
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let health = if self.healthy { "healthy" } else { "unhealthy" };
        let id = self.id.map_or_else(String::new, |id| format!("  id {id}"));
        let target = TargetView::text(self.target.as_ref());
        let line = format!(
            "{:>3}  {:<39}  {:<8}  {health:<9}{id}{target}",
            self.index, self.ip, self.state
        );
        writeln!(out, "{}", line.trim_end())
    }
}
