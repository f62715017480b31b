// SPDX-License-Identifier: GPL-2.0

//! What the role geneve keeps: of each device that has it, and in common.
//!
//! ```text
//! memory  the flow cache, and the counters of endpoints
//! stats   the counters of packets
//! ```
//!
//! Life times: a device's part belongs to its door, so the hooks have it at hand, and it goes when the door has been closed and the
//! last packet has left. The memory is made with the first device and goes with the last one.

#![forbid(unsafe_code)]

pub(crate) mod memory;
pub(crate) mod stats;

use glb_core::geneve::flows::{Limits, Spec};
use glb_core::geneve::Settings;
use kernel::prelude::*;
use kernel::sync::Arc;
use memory::Memory;

/// Flows of the cache, if nothing is said: 20 MB.
pub(crate) const DEFAULT_FLOWS: u32 = 131_072;

/// What a device with the role is told.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// Which packets are Geneve.
    pub(crate) settings: Settings,
    /// Whether what has no socket here goes on nevertheless.
    pub(crate) pass: bool,
    /// Whether what has no header for its way back is dropped.
    pub(crate) strict: bool,
    /// How many flows are remembered, and how long. All devices of a namespace share the cache.
    pub(crate) cache: Cache,
}

/// The size of a flow cache, and its times.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cache {
    /// Flows.
    pub(crate) flows: u32,
    /// How long they are remembered.
    pub(crate) limits: Limits,
}

impl Wanted {
    /// If nothing is said.
    pub(crate) const DEFAULT: Self = Self {
        settings: Settings::DEFAULT,
        pass: false,
        strict: false,
        cache: Cache {
            flows: DEFAULT_FLOWS,
            limits: Limits::DEFAULT,
        },
    };
}

/// What is kept of a device with the role.
pub(crate) struct Device {
    /// What it was told.
    pub(crate) wanted: Wanted,
    /// The flow cache, which all devices of the namespace share.
    pub(crate) memory: Arc<Memory>,
}

/// The size of a cache for so many flows.
pub(crate) fn spec(flows: u32) -> Result<Spec> {
    Spec::for_flows(flows).map_err(|_| EINVAL)
}
