// SPDX-License-Identifier: GPL-2.0

//! The numbers of the generic netlink family `glb_redirect`. What they mean is written in
//! `spec/glb_redirect.yaml`.

#![allow(missing_docs)]

/// Name of the family.
pub const FAMILY: &str = "glb_redirect";
/// Version of the family.
pub const VERSION: u8 = 1;
/// The multicast group of the notifications.
pub const EVENTS: &str = "events";

/// Commands, and the notification behind them.
pub mod command {
    pub const ON: u8 = 1;
    pub const OFF: u8 = 2;
    pub const GET: u8 = 3;
    pub const STATS_GET: u8 = 4;
    pub const NTF: u8 = 5;
}

/// Attribute set `redirect`.
pub mod redirect {
    pub const ENABLED: u16 = 1;
    pub const PORT: u16 = 2;
    pub const ALLOW_HOP: u16 = 3;
}

/// Attribute set `prefix`.
pub mod prefix {
    pub const ADDRESS: u16 = 1;
    pub const PREFIX_LEN: u16 = 2;
}

/// Attribute set `stats`.
pub mod stats {
    pub const COUNTER: u16 = 1;
}

/// Attribute set `counter`.
pub mod counter {
    pub const NAME: u16 = 1;
    pub const VALUE: u16 = 2;
}
