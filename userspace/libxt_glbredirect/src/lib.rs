// SPDX-License-Identifier: GPL-2.0

//! The iptables extension of `GLBREDIRECT`, without iptables.
//!
//! A rule has the form `-j GLBREDIRECT [--allow-hops PREFIX[,PREFIX...]] [--syn-listener] [--udp] [--conntrack]
//! [--netns NAME[,NAME...]]`. This crate defines the options ([`Rule`]) and the syntax of their values ([`AllowedHops`],
//! [`Namespaces`]), their text output ([`text`]) and their bytes in the kernel's structures ([`info`]). It has
//! no calls to the outside, so `cargo test` tests all of it. The plugin in `kernel/libxt`, which libxtables loads,
//! only passes strings and bytes between the two.
//!
//! Three forms of a rule must agree, which the tests of this crate check:
//!
//! ```text
//!   --allow-hops 10.1.2.3/8,fd00::/8 --udp  what the operator types
//!        | Rule::set          ^ text::save
//!        v                    |
//!   Rule { hops: [10.0.0.0/8, fd00::/8], udp: true, .. }
//!        | info::encode_2     ^ info::decode_2
//!        v                    |
//!   struct xt_glbredirect_info_2            what the kernel keeps and iptables -C compares
//! ```

#![forbid(unsafe_code)]

mod hops;
pub mod info;
mod namespaces;
mod prefix;
mod rule;
pub mod text;

pub use hops::AllowedHops;
pub use hops::HopsError;
pub use namespaces::Namespaces;
pub use namespaces::NamespacesError;
pub use prefix::Prefix;
pub use prefix::PrefixError;
pub use rule::Opt;
pub use rule::Rule;
pub use rule::ValueError;
