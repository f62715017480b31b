// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family `glb_redirect`: numbers, names, and what attributes may be.
//!
//! Made from `spec/glb_redirect.yaml` by `make spec`. What they mean is written there.

#![allow(missing_docs)]

use super::family::{Attribute, Form, Operation, Set};

/// Name of the family.
pub const FAMILY: &str = "glb_redirect";
/// Version of the family.
pub const VERSION: u8 = 1;
/// The multicast group of the notifications.
pub const EVENTS: &str = "events";

/// Commands, and notifications behind them.
pub mod command {
    pub const ON: u8 = 1;
    pub const OFF: u8 = 2;
    pub const GET: u8 = 3;
    pub const STATS_GET: u8 = 4;
    pub const NTF: u8 = 5;
    pub const COOKIE_ON: u8 = 6;
    pub const COOKIE_OFF: u8 = 7;
    pub const COOKIE_GET: u8 = 8;
    pub const COOKIE_NTF: u8 = 9;
}

/// What is known of each command.
pub mod operation {
    use super::{command, Operation};
    /// Switch the hook on, or replace its settings atomically.
    pub const ON: Operation = Operation {
        number: command::ON,
        name: "on",
        set: &super::redirect::SET,
        admin: true,
        takes: &[
            super::redirect::PORT,
            super::redirect::ALLOW_HOP,
            super::redirect::SYN_LISTENER,
            super::redirect::UDP,
            super::redirect::CONNTRACK,
            super::redirect::NETNS,
        ],
        takes_for_list: &[],
    };
    /// Switch the hook off. ENOENT if it is off.
    pub const OFF: Operation = Operation {
        number: command::OFF,
        name: "off",
        set: &super::redirect::SET,
        admin: true,
        takes: &[],
        takes_for_list: &[],
    };
    /// Whether the hook is on, and its settings.
    pub const GET: Operation = Operation {
        number: command::GET,
        name: "get",
        set: &super::redirect::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// The packet counters, including those of the target.
    pub const STATS_GET: Operation = Operation {
        number: command::STATS_GET,
        name: "stats-get",
        set: &super::stats::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// The hook was switched on or off, or its settings were changed.
    pub const NTF: Operation = Operation {
        number: command::NTF,
        name: "ntf",
        set: &super::redirect::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// Set cookies (docs/cookie.md), or change the settings of those that are set, for connections to come.
    pub const COOKIE_ON: Operation = Operation {
        number: command::COOKIE_ON,
        name: "cookie-on",
        set: &super::cookie::SET,
        admin: true,
        takes: &[super::cookie::ID, super::cookie::BITS, super::cookie::KEY],
        takes_for_list: &[],
    };
    /// Set no more cookies; connections keep theirs. ENOENT if none are set.
    pub const COOKIE_OFF: Operation = Operation {
        number: command::COOKIE_OFF,
        name: "cookie-off",
        set: &super::cookie::SET,
        admin: true,
        takes: &[],
        takes_for_list: &[],
    };
    /// Whether cookies are set, and of what.
    pub const COOKIE_GET: Operation = Operation {
        number: command::COOKIE_GET,
        name: "cookie-get",
        set: &super::cookie::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
    /// Cookies were switched on or off, or their settings were changed.
    pub const COOKIE_NTF: Operation = Operation {
        number: command::COOKIE_NTF,
        name: "cookie-ntf",
        set: &super::cookie::SET,
        admin: false,
        takes: &[],
        takes_for_list: &[],
    };
}

/// All commands and notifications, in the order of their numbers.
pub const OPERATIONS: &[Operation] = &[
    operation::ON,
    operation::OFF,
    operation::GET,
    operation::STATS_GET,
    operation::NTF,
    operation::COOKIE_ON,
    operation::COOKIE_OFF,
    operation::COOKIE_GET,
    operation::COOKIE_NTF,
];

/// Attribute set `redirect`.
pub mod redirect {
    pub const ENABLED: u16 = 1;
    pub const PORT: u16 = 2;
    pub const ALLOW_HOP: u16 = 3;
    pub const SYN_LISTENER: u16 = 4;
    pub const UDP: u16 = 5;
    pub const CONNTRACK: u16 = 6;
    pub const NETNS: u16 = 7;

    pub const SET: super::Set = super::Set {
        name: "redirect",
        attributes: &[
            super::Attribute::new(ENABLED, "enabled", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(PORT, "port", super::Form::U16(1, u16::MAX)),
            super::Attribute::new(
                ALLOW_HOP,
                "allow-hop",
                super::Form::Nest(&super::prefix::SET),
            ),
            super::Attribute::new(SYN_LISTENER, "syn-listener", super::Form::U8(0, 1)),
            super::Attribute::new(UDP, "udp", super::Form::U8(0, 1)),
            super::Attribute::new(CONNTRACK, "conntrack", super::Form::U8(0, 1)),
            super::Attribute::new(NETNS, "netns", super::Form::Text(63)),
        ],
    };
}

/// Attribute set `cookie`.
pub mod cookie {
    pub const ENABLED: u16 = 1;
    pub const ID: u16 = 2;
    pub const BITS: u16 = 3;
    pub const KEY: u16 = 4;
    pub const KEYED: u16 = 5;

    pub const SET: super::Set = super::Set {
        name: "cookie",
        attributes: &[
            super::Attribute::new(ENABLED, "enabled", super::Form::U8(0, u8::MAX)),
            super::Attribute::new(ID, "id", super::Form::U16(0, 4095)),
            super::Attribute::new(BITS, "bits", super::Form::U8(8, 12)),
            super::Attribute::new(KEY, "key", super::Form::Bytes(16, 16)),
            super::Attribute::new(KEYED, "keyed", super::Form::U8(0, u8::MAX)),
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

    pub const SET: super::Set = super::Set {
        name: "stats",
        attributes: &[super::Attribute::new(
            COUNTER,
            "counter",
            super::Form::Nest(&super::counter::SET),
        )],
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
