// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family `glb`: numbers, names, and what attributes may be.
//!
//! Made from `spec/glb.yaml` by `make spec`. What they mean is written there.

#![allow(missing_docs)]

use super::family::{Attribute, Form, Operation, Set};

/// Name of the family.
pub const FAMILY: &str = "glb";
/// Version of the family.
pub const VERSION: u8 = 1;
/// The multicast group of the notifications.
pub const EVENTS: &str = "events";

/// Number of rows of a table whose select is glb.
pub const ROWS: u32 = 65536;

pub const MAX_TABLES: u32 = 4096;

/// Maximum of all tables together.
pub const MAX_BINDS: u32 = 65536;

/// Maximum per table.
pub const MAX_BACKENDS: u32 = 256;

/// Maximum per row; 8 with IPv6 backends.
pub const MAX_HOPS: u32 = 31;

/// The numbers of `backend-state`.
pub mod backend_state {
    pub const FILLING: u8 = 0;
    pub const ACTIVE: u8 = 1;
    pub const DRAINING: u8 = 2;
    pub const INACTIVE: u8 = 3;
    /// Names, by their numbers.
    pub const NAMES: [&str; 4] = ["filling", "active", "draining", "inactive"];
}

/// The numbers of `forward`.
pub mod forward {
    pub const GUE: u8 = 0;
    pub const GRE: u8 = 1;
    pub const IPIP: u8 = 2;
    pub const L3DSR: u8 = 3;
    pub const NAT: u8 = 4;
    pub const MARK: u8 = 5;
    /// Names, by their numbers.
    pub const NAMES: [&str; 6] = ["gue", "gre", "ipip", "l3dsr", "nat", "mark"];
}

/// The numbers of `select`.
pub mod select {
    pub const GLB: u8 = 0;
    pub const MAGLEV: u8 = 1;
    /// Names, by their numbers.
    pub const NAMES: [&str; 2] = ["glb", "maglev"];
}

/// The numbers of `flow-hash`.
pub mod flow_hash {
    pub const OWN: u8 = 0;
    pub const VPP: u8 = 1;
    pub const VPP_STICKY: u8 = 2;
    pub const NFQLB: u8 = 3;
    pub const NFQLB_SCTP_PORTS: u8 = 4;
    /// Names, by their numbers.
    pub const NAMES: [&str; 5] = ["own", "vpp", "vpp-sticky", "nfqlb", "nfqlb-sctp-ports"];
}

/// The numbers of `protocol`.
pub mod protocol {
    pub const ANY: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
}

/// The numbers of `hash-fields`.
pub mod hash_fields {
    pub const SRC_ADDR: u8 = 1;
    pub const DST_ADDR: u8 = 2;
    pub const SRC_PORT: u8 = 4;
    pub const DST_PORT: u8 = 8;
}

/// The numbers of `flows-by`.
pub mod flows_by {
    pub const FLOW: u8 = 0;
    pub const SOURCE: u8 = 1;
    /// Names, by their numbers.
    pub const NAMES: [&str; 2] = ["flow", "source"];
}

/// The numbers of `device-role`.
pub mod device_role {
    pub const DIRECTOR: u8 = 0;
    pub const RETURN: u8 = 1;
    pub const GENEVE: u8 = 2;
    /// Names, by their numbers.
    pub const NAMES: [&str; 3] = ["director", "return", "geneve"];
}

/// Maximum per table; a bucket has four flows and 64 bytes.
pub const MAX_FLOW_BUCKETS: u32 = 1048576;

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
    pub const FEATURES_GET: u8 = 22;
    pub const FLOW_GET: u8 = 23;
    pub const FLOW_FLUSH: u8 = 24;
    pub const BACKEND_STATS_GET: u8 = 25;
    pub const GENEVE_STATS_GET: u8 = 26;
    pub const GENEVE_FLOW_GET: u8 = 27;
    pub const GENEVE_ENDPOINT_GET: u8 = 28;
    pub const CLASS_SET: u8 = 29;
}

/// What is known of each command.
pub mod operation {
    use super::{command, Operation};
    /// Begin a transaction that loads tables.
    pub const TABLE_BEGIN: Operation = Operation {
        number: command::TABLE_BEGIN,
        name: "table-begin",
        set: &super::load::SET,
        admin: true,
        takes: &[
            super::load::TABLES,
            super::load::BINDS,
            super::load::ROW_BYTES,
            super::load::CLASS_WORDS,
        ],
        takes_for_list: &[],
    };
    /// The next table, its backends, and some or all of its binds.
    pub const TABLE_ADD: Operation = Operation {
        number: command::TABLE_ADD,
        name: "table-add",
        set: &super::load::SET,
        admin: true,
        takes: &[
            super::load::TRANSACTION,
            super::load::TABLE,
            super::load::NAME,
            super::load::HASH_KEY,
            super::load::HOPS,
            super::load::BACKEND,
            super::load::BIND,
            super::load::FORWARD,
            super::load::SELECT,
            super::load::NUM_ROWS,
            super::load::FLOW_HASH,
            super::load::FLOWS,
            super::load::DSCP,
            super::load::TARGET_PORT,
            super::load::MARK_OFFSET,
        ],
        takes_for_list: &[],
    };
    /// More binds of a table.
    pub const BIND_ADD: Operation = Operation {
        number: command::BIND_ADD,
        name: "bind-add",
        set: &super::load::SET,
        admin: true,
        takes: &[
            super::load::TRANSACTION,
            super::load::TABLE,
            super::load::BIND,
        ],
        takes_for_list: &[],
    };
    /// The next rows of a table.
    pub const ROW_SET: Operation = Operation {
        number: command::ROW_SET,
        name: "row-set",
        set: &super::load::SET,
        admin: true,
        takes: &[
            super::load::TRANSACTION,
            super::load::TABLE,
            super::load::FIRST_ROW,
            super::load::ROWS,
        ],
        takes_for_list: &[],
    };
    /// Replace the running tables by those of the transaction.
    pub const TABLE_COMMIT: Operation = Operation {
        number: command::TABLE_COMMIT,
        name: "table-commit",
        set: &super::load::SET,
        admin: true,
        takes: &[super::load::TRANSACTION],
        takes_for_list: &[],
    };
    /// Drop the transaction.
    pub const TABLE_ABORT: Operation = Operation {
        number: command::TABLE_ABORT,
        name: "table-abort",
        set: &super::load::SET,
        admin: true,
        takes: &[super::load::TRANSACTION],
        takes_for_list: &[],
    };
    /// A table by index or by name, with its backends; or a list of all tables, without backends.
    pub const TABLE_GET: Operation = Operation {
        number: command::TABLE_GET,
        name: "table-get",
        set: &super::table::SET,
        admin: false,
        takes: &[super::table::INDEX, super::table::NAME],
        takes_for_list: &[],
    };
    /// The binds of all tables or of one table, each with the index of its table.
    pub const BIND_GET: Operation = Operation {
        number: command::BIND_GET,
        name: "bind-get",
        set: &super::load::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[super::load::TABLE],
    };
    /// The hops of a row of a table, which is given by index or by name; or all rows of a table, many per message.
    pub const ROW_GET: Operation = Operation {
        number: command::ROW_GET,
        name: "row-get",
        set: &super::lookup::SET,
        admin: false,
        takes: &[
            super::lookup::TABLE,
            super::lookup::NAME,
            super::lookup::ROW,
            super::lookup::ROW_NUMBER,
        ],
        takes_for_list: &[super::lookup::TABLE],
    };
    /// The table, row and hops of a packet.
    pub const LOOKUP: Operation = Operation {
        number: command::LOOKUP,
        name: "lookup",
        set: &super::lookup::SET,
        admin: false,
        takes: &[
            super::lookup::DST,
            super::lookup::PROTO,
            super::lookup::DST_PORT,
            super::lookup::SRC,
            super::lookup::SRC_PORT,
        ],
        takes_for_list: &[],
    };
    /// Change settings; settings that are not given do not change.
    pub const CONFIG_SET: Operation = Operation {
        number: command::CONFIG_SET,
        name: "config-set",
        set: &super::config::SET,
        admin: true,
        takes: &[
            super::config::SOURCE_V4,
            super::config::SOURCE_V6,
            super::config::GATEWAY_MAC,
            super::config::HASH_FIELDS,
            super::config::ALT_HASH_FIELDS,
            super::config::FORWARD_ICMP_PING_RESPONSES,
            super::config::UDP_PORT,
            super::config::UDP_CHECKSUM,
            super::config::SEGMENT_TCP,
            super::config::RETURN_EXCEPT,
        ],
        takes_for_list: &[],
    };
    /// The settings.
    pub const CONFIG_GET: Operation = Operation {
        number: command::CONFIG_GET,
        name: "config-get",
        set: &super::config::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// Attach the director to a device, given by index or by name; it then handles the packets that arrive there.
    pub const ATTACH: Operation = Operation {
        number: command::ATTACH,
        name: "attach",
        set: &super::device::SET,
        admin: true,
        takes: &[
            super::device::IFINDEX,
            super::device::IFNAME,
            super::device::ROLE,
            super::device::PORT,
            super::device::CLASS,
            super::device::ALLOW_FROM,
            super::device::PASS,
            super::device::STRICT,
            super::device::MAX_FLOWS,
            super::device::IDLE,
            super::device::TCP_IDLE,
            super::device::REPLACE,
        ],
        takes_for_list: &[],
    };
    /// Detach the director from a device.
    pub const DETACH: Operation = Operation {
        number: command::DETACH,
        name: "detach",
        set: &super::device::SET,
        admin: true,
        takes: &[super::device::IFINDEX, super::device::IFNAME],
        takes_for_list: &[],
    };
    /// The attached devices.
    pub const DEVICE_GET: Operation = Operation {
        number: command::DEVICE_GET,
        name: "device-get",
        set: &super::device::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// The packet counters; or a list of those of each service, a table with flows or another select or forward than GLB's.
    pub const STATS_GET: Operation = Operation {
        number: command::STATS_GET,
        name: "stats-get",
        set: &super::stats::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// Numbers of loaded tables, binds, devices and transactions, and their memory.
    pub const STATUS_GET: Operation = Operation {
        number: command::STATUS_GET,
        name: "status-get",
        set: &super::status::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// The tables were replaced.
    pub const TABLE_NTF: Operation = Operation {
        number: command::TABLE_NTF,
        name: "table-ntf",
        set: &super::table::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// The settings were changed.
    pub const CONFIG_NTF: Operation = Operation {
        number: command::CONFIG_NTF,
        name: "config-ntf",
        set: &super::config::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// A device was attached.
    pub const ATTACH_NTF: Operation = Operation {
        number: command::ATTACH_NTF,
        name: "attach-ntf",
        set: &super::device::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// A device was detached or removed; a removed device has no name.
    pub const DETACH_NTF: Operation = Operation {
        number: command::DETACH_NTF,
        name: "detach-ntf",
        set: &super::device::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// The features of the module. A module without this command has only the forward gue.
    pub const FEATURES_GET: Operation = Operation {
        number: command::FEATURES_GET,
        name: "features-get",
        set: &super::features::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// The flows that are remembered, in no order, many per message. A message may have none.
    pub const FLOW_GET: Operation = Operation {
        number: command::FLOW_GET,
        name: "flow-get",
        set: &super::flow_list::SET,
        admin: true,
        takes: &[],
        takes_for_list: &[super::flow_list::NAME, super::flow_list::BACKEND],
    };
    /// Forget flows. Their next packets go by their rows.
    pub const FLOW_FLUSH: Operation = Operation {
        number: command::FLOW_FLUSH,
        name: "flow-flush",
        set: &super::flow_list::SET,
        admin: true,
        takes: &[super::flow_list::NAME, super::flow_list::BACKEND],
        takes_for_list: &[],
    };
    /// The counters of the backends of all services, one backend per message.
    pub const BACKEND_STATS_GET: Operation = Operation {
        number: command::BACKEND_STATS_GET,
        name: "backend-stats-get",
        set: &super::stats::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// The packet counters of devices with the role geneve.
    pub const GENEVE_STATS_GET: Operation = Operation {
        number: command::GENEVE_STATS_GET,
        name: "geneve-stats-get",
        set: &super::geneve_stats::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// The flows whose headers are remembered, in no order, many per message. A message may have none.
    pub const GENEVE_FLOW_GET: Operation = Operation {
        number: command::GENEVE_FLOW_GET,
        name: "geneve-flow-get",
        set: &super::geneve_list::SET,
        admin: true,
        takes: &[],
        takes_for_list: &[],
    };
    /// The endpoints that packets came from, with their counters; at most 64, and all others together.
    pub const GENEVE_ENDPOINT_GET: Operation = Operation {
        number: command::GENEVE_ENDPOINT_GET,
        name: "geneve-endpoint-get",
        set: &super::geneve_endpoint::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// The next words of compiled classes.
    pub const CLASS_SET: Operation = Operation {
        number: command::CLASS_SET,
        name: "class-set",
        set: &super::load::SET,
        admin: true,
        takes: &[
            super::load::TRANSACTION,
            super::load::FIRST_WORD,
            super::load::WORDS,
        ],
        takes_for_list: &[],
    };
}

/// All commands and notifications, in the order of their numbers.
pub const OPERATIONS: &[Operation] = &[
    operation::TABLE_BEGIN,
    operation::TABLE_ADD,
    operation::BIND_ADD,
    operation::ROW_SET,
    operation::TABLE_COMMIT,
    operation::TABLE_ABORT,
    operation::TABLE_GET,
    operation::BIND_GET,
    operation::ROW_GET,
    operation::LOOKUP,
    operation::CONFIG_SET,
    operation::CONFIG_GET,
    operation::ATTACH,
    operation::DETACH,
    operation::DEVICE_GET,
    operation::STATS_GET,
    operation::STATUS_GET,
    operation::TABLE_NTF,
    operation::CONFIG_NTF,
    operation::ATTACH_NTF,
    operation::DETACH_NTF,
    operation::FEATURES_GET,
    operation::FLOW_GET,
    operation::FLOW_FLUSH,
    operation::BACKEND_STATS_GET,
    operation::GENEVE_STATS_GET,
    operation::GENEVE_FLOW_GET,
    operation::GENEVE_ENDPOINT_GET,
    operation::CLASS_SET,
];

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
    pub const FORWARD: u16 = 14;
    pub const SELECT: u16 = 15;
    pub const NUM_ROWS: u16 = 16;
    pub const FLOW_HASH: u16 = 17;
    pub const FLOWS: u16 = 18;
    pub const DSCP: u16 = 19;
    pub const TARGET_PORT: u16 = 20;
    pub const MARK_OFFSET: u16 = 21;
    pub const CLASS_WORDS: u16 = 22;
    pub const FIRST_WORD: u16 = 23;
    pub const WORDS: u16 = 24;

    pub const SET: super::Set = super::Set {
        name: "load",
        attributes: &[
            super::Attribute::new(TRANSACTION, "transaction", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(TABLES, "tables", super::Form::U32(0, 4096)),
            super::Attribute::new(BINDS, "binds", super::Form::U32(0, 65536)),
            super::Attribute::new(ROW_BYTES, "row-bytes", super::Form::Uint),
            super::Attribute::new(TABLE, "table", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(NAME, "name", super::Form::Text(255)),
            super::Attribute::new(HASH_KEY, "hash-key", super::Form::Bytes(16, 16)),
            super::Attribute::new(HOPS, "hops", super::Form::U8(1, 31)),
            super::Attribute::new(BACKEND, "backend", super::Form::Nest(&super::backend::SET)),
            super::Attribute::new(BIND, "bind", super::Form::Nest(&super::bind::SET)),
            super::Attribute::new(FIRST_ROW, "first-row", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(ROWS, "rows", super::Form::Bytes(0, 65531)),
            super::Attribute::new(GENERATION, "generation", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(FORWARD, "forward", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(SELECT, "select", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(NUM_ROWS, "num-rows", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(FLOW_HASH, "flow-hash", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(FLOWS, "flows", super::Form::Nest(&super::flows::SET)),
            super::Attribute::new(DSCP, "dscp", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(TARGET_PORT, "target-port", super::Form::U16(1, u16::MAX)),
            super::Attribute::new(MARK_OFFSET, "mark-offset", super::Form::U32(1, u32::MAX)),
            super::Attribute::new(CLASS_WORDS, "class-words", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(FIRST_WORD, "first-word", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(WORDS, "words", super::Form::Bytes(0, 65531)),
        ],
    };
}

/// Attribute set `backend`.
pub mod backend {
    pub const ADDRESS: u16 = 1;
    pub const STATE: u16 = 2;
    pub const HEALTHY: u16 = 3;
    pub const ID: u16 = 4;
    pub const IDENTIFIER: u16 = 5;

    pub const SET: super::Set = super::Set {
        name: "backend",
        attributes: &[
            super::Attribute::new(ADDRESS, "address", super::Form::Bytes(4, 16)),
            super::Attribute::new(STATE, "state", super::Form::U8(0, 3)),
            super::Attribute::new(HEALTHY, "healthy", super::Form::U8(0, 1)),
            super::Attribute::new(ID, "id", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(IDENTIFIER, "identifier", super::Form::U8(0, u8::MAX)),
        ],
    };
}

/// Attribute set `bind`.
pub mod bind {
    pub const ADDRESS: u16 = 1;
    pub const PREFIX_LEN: u16 = 2;
    pub const PROTO: u16 = 3;
    pub const PORT_START: u16 = 4;
    pub const PORT_END: u16 = 5;

    pub const SET: super::Set = super::Set {
        name: "bind",
        attributes: &[
            super::Attribute::new(ADDRESS, "address", super::Form::Bytes(4, 16)),
            super::Attribute::new(PREFIX_LEN, "prefix-len", super::Form::U8(0, 128)),
            super::Attribute::new(PROTO, "proto", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(PORT_START, "port-start", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(PORT_END, "port-end", super::Form::U16(0, u16::MAX)),
        ],
    };
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
    pub const FORWARD: u16 = 9;
    pub const SELECT: u16 = 10;
    pub const NUM_ROWS: u16 = 11;
    pub const FLOW_HASH: u16 = 12;
    pub const FLOWS: u16 = 13;
    pub const DSCP: u16 = 14;
    pub const TARGET_PORT: u16 = 15;
    pub const MARK_OFFSET: u16 = 16;

    pub const SET: super::Set = super::Set {
        name: "table",
        attributes: &[
            super::Attribute::new(INDEX, "index", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(NAME, "name", super::Form::Text(255)),
            super::Attribute::new(GENERATION, "generation", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(HOPS, "hops", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(NUM_BACKENDS, "num-backends", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(NUM_BINDS, "num-binds", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(BACKEND, "backend", super::Form::Nest(&super::backend::SET)),
            super::Attribute::new(TABLES, "tables", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(FORWARD, "forward", super::Form::U8(0, 5)),
            super::Attribute::new(SELECT, "select", super::Form::U8(0, 1)),
            super::Attribute::new(NUM_ROWS, "num-rows", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(FLOW_HASH, "flow-hash", super::Form::U8(0, 4)),
            super::Attribute::new(FLOWS, "flows", super::Form::Nest(&super::flows::SET)),
            super::Attribute::new(DSCP, "dscp", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(TARGET_PORT, "target-port", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(MARK_OFFSET, "mark-offset", super::Form::U32(0, u32::MAX)),
        ],
    };
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
    pub const ROWS: u16 = 14;
    pub const FORWARD: u16 = 15;
    pub const SELECT: u16 = 16;
    pub const ROW_NUMBER: u16 = 17;
    pub const ALT_ROW_NUMBER: u16 = 18;
    pub const FLOW_HASH: u16 = 19;
    pub const DSCP: u16 = 20;
    pub const KNOWN_FLOW: u16 = 21;
    pub const TARGET_PORT: u16 = 22;
    pub const MARK_OFFSET: u16 = 23;
    pub const CLASS: u16 = 24;
    pub const WANTS_BYTES: u16 = 25;

    pub const SET: super::Set = super::Set {
        name: "lookup",
        attributes: &[
            super::Attribute::new(DST, "dst", super::Form::Bytes(4, 16)),
            super::Attribute::new(PROTO, "proto", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(DST_PORT, "dst-port", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(SRC, "src", super::Form::Bytes(4, 16)),
            super::Attribute::new(SRC_PORT, "src-port", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(TABLE, "table", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(NAME, "name", super::Form::Text(255)),
            super::Attribute::new(GENERATION, "generation", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(HASH, "hash", super::Form::Uint),
            super::Attribute::new(ROW, "row", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(ALT_HASH, "alt-hash", super::Form::Uint),
            super::Attribute::new(ALT_ROW, "alt-row", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(HOP, "hop", super::Form::Nest(&super::hop::SET)),
            super::Attribute::new(ROWS, "rows", super::Form::Bytes(0, 65535)),
            super::Attribute::new(FORWARD, "forward", super::Form::U8(0, 5)),
            super::Attribute::new(SELECT, "select", super::Form::U8(0, 1)),
            super::Attribute::new(ROW_NUMBER, "row-number", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(
                ALT_ROW_NUMBER,
                "alt-row-number",
                super::Form::U32(0, u32::MAX),
            ),
            super::Attribute::new(FLOW_HASH, "flow-hash", super::Form::U8(0, 4)),
            super::Attribute::new(DSCP, "dscp", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(KNOWN_FLOW, "known-flow", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(TARGET_PORT, "target-port", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(MARK_OFFSET, "mark-offset", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(CLASS, "class", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(WANTS_BYTES, "wants-bytes", super::Form::U8(0, u8::MAX)),
        ],
    };
}

/// Attribute set `hop`.
pub mod hop {
    pub const BACKEND: u16 = 1;
    pub const ADDRESS: u16 = 2;
    pub const STATE: u16 = 3;
    pub const HEALTHY: u16 = 4;
    pub const IDENTIFIER: u16 = 5;

    pub const SET: super::Set = super::Set {
        name: "hop",
        attributes: &[
            super::Attribute::new(BACKEND, "backend", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(ADDRESS, "address", super::Form::Bytes(0, 65535)),
            super::Attribute::new(STATE, "state", super::Form::U8(0, 3)),
            super::Attribute::new(HEALTHY, "healthy", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(IDENTIFIER, "identifier", super::Form::U8(0, u8::MAX)),
        ],
    };
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
    pub const RETURN_EXCEPT: u16 = 10;

    pub const SET: super::Set = super::Set {
        name: "config",
        attributes: &[
            super::Attribute::new(SOURCE_V4, "source-v4", super::Form::Bytes(4, 4)),
            super::Attribute::new(SOURCE_V6, "source-v6", super::Form::Bytes(16, 16)),
            super::Attribute::new(GATEWAY_MAC, "gateway-mac", super::Form::Bytes(6, 6)),
            super::Attribute::new(HASH_FIELDS, "hash-fields", super::Form::U8(1, 15)),
            super::Attribute::new(ALT_HASH_FIELDS, "alt-hash-fields", super::Form::U8(0, 15)),
            super::Attribute::new(
                FORWARD_ICMP_PING_RESPONSES,
                "forward-icmp-ping-responses",
                super::Form::U8(0, 1),
            ),
            super::Attribute::new(UDP_PORT, "udp-port", super::Form::U16(1, u16::MAX)),
            super::Attribute::new(UDP_CHECKSUM, "udp-checksum", super::Form::U8(0, 1)),
            super::Attribute::new(SEGMENT_TCP, "segment-tcp", super::Form::U8(0, 1)),
            super::Attribute::new(RETURN_EXCEPT, "return-except", super::Form::Bytes(0, 144)),
        ],
    };
}

/// Attribute set `device`.
pub mod device {
    pub const IFINDEX: u16 = 1;
    pub const IFNAME: u16 = 2;
    pub const ROLE: u16 = 3;
    pub const PORT: u16 = 4;
    pub const CLASS: u16 = 5;
    pub const ALLOW_FROM: u16 = 6;
    pub const PASS: u16 = 7;
    pub const STRICT: u16 = 8;
    pub const MAX_FLOWS: u16 = 9;
    pub const IDLE: u16 = 10;
    pub const TCP_IDLE: u16 = 11;
    pub const REPLACE: u16 = 12;

    pub const SET: super::Set = super::Set {
        name: "device",
        attributes: &[
            super::Attribute::new(IFINDEX, "ifindex", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(IFNAME, "ifname", super::Form::Text(15)),
            super::Attribute::new(ROLE, "role", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(PORT, "port", super::Form::U16(1, u16::MAX)),
            super::Attribute::new(CLASS, "class", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(
                ALLOW_FROM,
                "allow-from",
                super::Form::Nest(&super::prefix::SET),
            ),
            super::Attribute::new(PASS, "pass", super::Form::U8(0, 1)),
            super::Attribute::new(STRICT, "strict", super::Form::U8(0, 1)),
            super::Attribute::new(MAX_FLOWS, "max-flows", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(IDLE, "idle", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(TCP_IDLE, "tcp-idle", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(REPLACE, "replace", super::Form::U8(0, 1)),
        ],
    };
}

/// Attribute set `prefix`.
pub mod prefix {
    pub const ADDRESS: u16 = 1;
    pub const PREFIX_LEN: u16 = 2;

    pub const SET: super::Set = super::Set {
        name: "prefix",
        attributes: &[
            super::Attribute::new(ADDRESS, "address", super::Form::Bytes(4, 16)),
            super::Attribute::new(PREFIX_LEN, "prefix-len", super::Form::U8(0, 128)),
        ],
    };
}

/// Attribute set `stats`.
pub mod stats {
    pub const COUNTER: u16 = 1;
    pub const TABLE: u16 = 2;
    pub const NAME: u16 = 3;
    pub const ADDRESS: u16 = 4;
    pub const ID: u16 = 5;

    pub const SET: super::Set = super::Set {
        name: "stats",
        attributes: &[
            super::Attribute::new(COUNTER, "counter", super::Form::Nest(&super::counter::SET)),
            super::Attribute::new(TABLE, "table", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(NAME, "name", super::Form::Text(255)),
            super::Attribute::new(ADDRESS, "address", super::Form::Bytes(4, 16)),
            super::Attribute::new(ID, "id", super::Form::U32(0, u32::MAX)),
        ],
    };
}

/// Attribute set `counter`.
pub mod counter {
    pub const NAME: u16 = 1;
    pub const VALUE: u16 = 2;

    pub const SET: super::Set = super::Set {
        name: "counter",
        attributes: &[
            super::Attribute::new(NAME, "name", super::Form::Text(65535)),
            super::Attribute::new(VALUE, "value", super::Form::Uint),
        ],
    };
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
    pub const CLASS_WORDS: u16 = 9;

    pub const SET: super::Set = super::Set {
        name: "status",
        attributes: &[
            super::Attribute::new(GENERATION, "generation", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(TABLES, "tables", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(BINDS, "binds", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(NEXT_HOPS, "next-hops", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(DEVICES, "devices", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(MEMORY, "memory", super::Form::Uint),
            super::Attribute::new(LOADS, "loads", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(STAGED, "staged", super::Form::Uint),
            super::Attribute::new(CLASS_WORDS, "class-words", super::Form::U32(0, u32::MAX)),
        ],
    };
}

/// Attribute set `features`.
pub mod features {
    pub const FORWARD: u16 = 1;
    pub const SETTING: u16 = 2;
    pub const MAX_TABLES: u16 = 3;
    pub const MAX_BINDS: u16 = 4;
    pub const SELECT: u16 = 5;
    pub const FLOW_HASH: u16 = 6;
    pub const FLOWS_BY: u16 = 7;
    pub const ROLE: u16 = 8;
    pub const REPLACE: u16 = 9;
    pub const CLASSES: u16 = 10;
    pub const IDENTIFIERS: u16 = 11;

    pub const SET: super::Set = super::Set {
        name: "features",
        attributes: &[
            super::Attribute::new(FORWARD, "forward", super::Form::U8(0, 5)),
            super::Attribute::new(SETTING, "setting", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(MAX_TABLES, "max-tables", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(MAX_BINDS, "max-binds", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(SELECT, "select", super::Form::U8(0, 1)),
            super::Attribute::new(FLOW_HASH, "flow-hash", super::Form::U8(0, 4)),
            super::Attribute::new(FLOWS_BY, "flows-by", super::Form::U8(0, 1)),
            super::Attribute::new(ROLE, "role", super::Form::U8(0, 2)),
            super::Attribute::new(REPLACE, "replace", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(CLASSES, "classes", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(IDENTIFIERS, "identifiers", super::Form::U8(0, u8::MAX)),
        ],
    };
}

/// Attribute set `flows`.
pub mod flows {
    pub const BUCKETS: u16 = 1;
    pub const TIMEOUT: u16 = 2;
    pub const BY: u16 = 3;

    pub const SET: super::Set = super::Set {
        name: "flows",
        attributes: &[
            super::Attribute::new(BUCKETS, "buckets", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(TIMEOUT, "timeout", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(BY, "by", super::Form::U8(0, u8::MAX)),
        ],
    };
}

/// Attribute set `flow`.
pub mod flow {
    pub const PROTO: u16 = 1;
    pub const SRC: u16 = 2;
    pub const SRC_PORT: u16 = 3;
    pub const DST: u16 = 4;
    pub const DST_PORT: u16 = 5;
    pub const FINGERPRINT: u16 = 6;
    pub const BACKEND: u16 = 7;
    pub const ID: u16 = 8;
    pub const IDLE: u16 = 9;
    pub const CLOSING: u16 = 10;

    pub const SET: super::Set = super::Set {
        name: "flow",
        attributes: &[
            super::Attribute::new(PROTO, "proto", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(SRC, "src", super::Form::Bytes(0, 65535)),
            super::Attribute::new(SRC_PORT, "src-port", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(DST, "dst", super::Form::Bytes(0, 65535)),
            super::Attribute::new(DST_PORT, "dst-port", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(FINGERPRINT, "fingerprint", super::Form::Bytes(12, 12)),
            super::Attribute::new(BACKEND, "backend", super::Form::Bytes(0, 65535)),
            super::Attribute::new(ID, "id", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(IDLE, "idle", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(CLOSING, "closing", super::Form::U8(0, u8::MAX)),
        ],
    };
}

/// Attribute set `flow-list`.
pub mod flow_list {
    pub const NAME: u16 = 1;
    pub const BACKEND: u16 = 2;
    pub const TABLE: u16 = 3;
    pub const BUCKETS: u16 = 4;
    pub const DONE: u16 = 5;
    pub const FLOW: u16 = 6;
    pub const FLUSHED: u16 = 7;

    pub const SET: super::Set = super::Set {
        name: "flow-list",
        attributes: &[
            super::Attribute::new(NAME, "name", super::Form::Text(255)),
            super::Attribute::new(BACKEND, "backend", super::Form::Bytes(4, 16)),
            super::Attribute::new(TABLE, "table", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(BUCKETS, "buckets", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(DONE, "done", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(FLOW, "flow", super::Form::Nest(&super::flow::SET)),
            super::Attribute::new(FLUSHED, "flushed", super::Form::Uint),
        ],
    };
}

/// Attribute set `geneve-stats`.
pub mod geneve_stats {
    pub const CAME: u16 = 1;
    pub const LEFT: u16 = 2;
    pub const FLOW: u16 = 3;
    pub const IN_USE: u16 = 4;
    pub const ROOM: u16 = 5;

    pub const SET: super::Set = super::Set {
        name: "geneve-stats",
        attributes: &[
            super::Attribute::new(CAME, "came", super::Form::Nest(&super::counter::SET)),
            super::Attribute::new(LEFT, "left", super::Form::Nest(&super::counter::SET)),
            super::Attribute::new(FLOW, "flow", super::Form::Nest(&super::counter::SET)),
            super::Attribute::new(IN_USE, "in-use", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(ROOM, "room", super::Form::U32(0, u32::MAX)),
        ],
    };
}

/// Attribute set `geneve-list`.
pub mod geneve_list {
    pub const BUCKETS: u16 = 1;
    pub const DONE: u16 = 2;
    pub const FLOW: u16 = 3;

    pub const SET: super::Set = super::Set {
        name: "geneve-list",
        attributes: &[
            super::Attribute::new(BUCKETS, "buckets", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(DONE, "done", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(FLOW, "flow", super::Form::Nest(&super::geneve_flow::SET)),
        ],
    };
}

/// Attribute set `geneve-flow`.
pub mod geneve_flow {
    pub const ENDPOINT: u16 = 1;
    pub const PROTO: u16 = 2;
    pub const SRC: u16 = 3;
    pub const SRC_PORT: u16 = 4;
    pub const DST: u16 = 5;
    pub const DST_PORT: u16 = 6;
    pub const OUTER_SRC: u16 = 7;
    pub const OUTER_DST: u16 = 8;
    pub const UDP_SRC_PORT: u16 = 9;
    pub const UDP_DST_PORT: u16 = 10;
    pub const OPTIONS: u16 = 11;
    pub const IDLE: u16 = 12;
    pub const CLOSING: u16 = 13;

    pub const SET: super::Set = super::Set {
        name: "geneve-flow",
        attributes: &[
            super::Attribute::new(ENDPOINT, "endpoint", super::Form::Uint),
            super::Attribute::new(PROTO, "proto", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(SRC, "src", super::Form::Bytes(0, 65535)),
            super::Attribute::new(SRC_PORT, "src-port", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(DST, "dst", super::Form::Bytes(0, 65535)),
            super::Attribute::new(DST_PORT, "dst-port", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(OUTER_SRC, "outer-src", super::Form::Bytes(0, 65535)),
            super::Attribute::new(OUTER_DST, "outer-dst", super::Form::Bytes(0, 65535)),
            super::Attribute::new(UDP_SRC_PORT, "udp-src-port", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(UDP_DST_PORT, "udp-dst-port", super::Form::U16(0, u16::MAX)),
            super::Attribute::new(OPTIONS, "options", super::Form::Bytes(0, 65535)),
            super::Attribute::new(IDLE, "idle", super::Form::U32(0, u32::MAX)),
            super::Attribute::new(CLOSING, "closing", super::Form::U8(0, u8::MAX)),
        ],
    };
}

/// Attribute set `geneve-endpoint`.
pub mod geneve_endpoint {
    pub const ID: u16 = 1;
    pub const CAME_PACKETS: u16 = 2;
    pub const CAME_BYTES: u16 = 3;
    pub const LEFT_PACKETS: u16 = 4;
    pub const LEFT_BYTES: u16 = 5;

    pub const SET: super::Set = super::Set {
        name: "geneve-endpoint",
        attributes: &[
            super::Attribute::new(ID, "id", super::Form::Uint),
            super::Attribute::new(CAME_PACKETS, "came-packets", super::Form::Uint),
            super::Attribute::new(CAME_BYTES, "came-bytes", super::Form::Uint),
            super::Attribute::new(LEFT_PACKETS, "left-packets", super::Form::Uint),
            super::Attribute::new(LEFT_BYTES, "left-bytes", super::Form::Uint),
        ],
    };
}
