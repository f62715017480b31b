// SPDX-License-Identifier: GPL-2.0

//! The numbers of the generic netlink family `glb`. What they mean is written in `spec/glb.yaml`; a test of
//! `userspace/glb-netlink` holds the two against each other.

#![allow(missing_docs)]

/// Name of the family.
pub const FAMILY: &str = "glb";
/// Version of the family.
pub const VERSION: u8 = 1;
/// The multicast group of the notifications.
pub const EVENTS: &str = "events";

/// Commands, and notifications behind them.
pub mod command {
    pub const TABLE_BEGIN: u8 = 1;
    pub const TABLE_ADD: u8 = 2;
    pub const BIND_ADD: u8 = 3;
    pub const ROW_SET: u8 = 4;
    pub const TABLE_COMMIT: u8 = 5;
    pub const TABLE_ABORT: u8 = 6;
    pub const TABLE_GET: u8 = 7;
    pub const BIND_GET: u8 = 8;
    pub const ROW_GET: u8 = 9;
    pub const LOOKUP: u8 = 10;
    pub const CONFIG_SET: u8 = 11;
    pub const CONFIG_GET: u8 = 12;
    pub const ATTACH: u8 = 13;
    pub const DETACH: u8 = 14;
    pub const DEVICE_GET: u8 = 15;
    pub const STATS_GET: u8 = 16;
    pub const STATUS_GET: u8 = 17;
    pub const TABLE_NTF: u8 = 18;
    pub const CONFIG_NTF: u8 = 19;
    pub const ATTACH_NTF: u8 = 20;
    pub const DETACH_NTF: u8 = 21;
}

/// Attribute set `load`.
pub mod load {
    pub const TRANSACTION: u16 = 1;
    pub const TABLES: u16 = 2;
    pub const BINDS: u16 = 3;
    pub const ROW_BYTES: u16 = 4;
    pub const TABLE: u16 = 5;
    pub const NAME: u16 = 6;
    pub const HASH_KEY: u16 = 7;
    pub const HOPS: u16 = 8;
    pub const BACKEND: u16 = 9;
    pub const BIND: u16 = 10;
    pub const FIRST_ROW: u16 = 11;
    pub const ROWS: u16 = 12;
    pub const GENERATION: u16 = 13;
}

/// Attribute set `backend`.
pub mod backend {
    pub const ADDRESS: u16 = 1;
    pub const STATE: u16 = 2;
    pub const HEALTHY: u16 = 3;
}

/// Attribute set `bind`.
pub mod bind {
    pub const ADDRESS: u16 = 1;
    pub const PREFIX_LEN: u16 = 2;
    pub const PROTO: u16 = 3;
    pub const PORT_START: u16 = 4;
    pub const PORT_END: u16 = 5;
}

/// Attribute set `table`.
pub mod table {
    pub const INDEX: u16 = 1;
    pub const NAME: u16 = 2;
    pub const GENERATION: u16 = 3;
    pub const HOPS: u16 = 4;
    pub const NUM_BACKENDS: u16 = 5;
    pub const NUM_BINDS: u16 = 6;
    pub const BACKEND: u16 = 7;
    pub const TABLES: u16 = 8;
}

/// Attribute set `lookup`.
pub mod lookup {
    pub const DST: u16 = 1;
    pub const PROTO: u16 = 2;
    pub const DST_PORT: u16 = 3;
    pub const SRC: u16 = 4;
    pub const SRC_PORT: u16 = 5;
    pub const TABLE: u16 = 6;
    pub const NAME: u16 = 7;
    pub const GENERATION: u16 = 8;
    pub const HASH: u16 = 9;
    pub const ROW: u16 = 10;
    pub const ALT_HASH: u16 = 11;
    pub const ALT_ROW: u16 = 12;
    pub const HOP: u16 = 13;
}

/// Attribute set `hop`.
pub mod hop {
    pub const BACKEND: u16 = 1;
    pub const ADDRESS: u16 = 2;
    pub const STATE: u16 = 3;
    pub const HEALTHY: u16 = 4;
}

/// Attribute set `config`.
pub mod config {
    pub const SOURCE_V4: u16 = 1;
    pub const SOURCE_V6: u16 = 2;
    pub const GATEWAY_MAC: u16 = 3;
    pub const HASH_FIELDS: u16 = 4;
    pub const ALT_HASH_FIELDS: u16 = 5;
    pub const FORWARD_ICMP_PING_RESPONSES: u16 = 6;
    pub const UDP_PORT: u16 = 7;
    pub const UDP_CHECKSUM: u16 = 8;
    pub const SEGMENT_TCP: u16 = 9;
}

/// Attribute set `device`.
pub mod device {
    pub const IFINDEX: u16 = 1;
    pub const IFNAME: u16 = 2;
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

/// Attribute set `status`.
pub mod status {
    pub const GENERATION: u16 = 1;
    pub const TABLES: u16 = 2;
    pub const BINDS: u16 = 3;
    pub const NEXT_HOPS: u16 = 4;
    pub const DEVICES: u16 = 5;
    pub const MEMORY: u16 = 6;
    pub const LOADS: u16 = 7;
    pub const STAGED: u16 = 8;
}
