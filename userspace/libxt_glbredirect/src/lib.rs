// SPDX-License-Identifier: GPL-2.0

//! The iptables extension of `GLBREDIRECT`, without iptables.
//!
//! A rule has the form `-j GLBREDIRECT [--allow-hops PREFIX[,PREFIX...]]`. This crate defines the syntax of the
//! value ([`AllowedHops`]), its text output ([`text`]) and its bytes in the kernel's structure ([`info`]). It has
//! no calls to the outside, so `cargo test` tests all of it. The plugin in `kernel/libxt`, which libxtables loads,
//! only passes strings and bytes between the two.
//!
//! Three forms of a rule must agree, which the tests of this crate check:
//!
//! ```text
//!   --allow-hops 10.1.2.3/8,fd00::/8        what the operator types
//!        | parse              ^ text::save
//!        v                    |
//!   AllowedHops [10.0.0.0/8, fd00::/8]      host bits gone, in the order given
//!        | info::encode       ^ info::decode
//!        v                    |
//!   struct xt_glbredirect_info, 328 bytes   what the kernel keeps and iptables -C compares
//! ```

#![forbid(unsafe_code)]

mod hops;
pub mod info;
mod prefix;
pub mod text;

pub use hops::AllowedHops;
pub use hops::HopsError;
pub use prefix::Prefix;
pub use prefix::PrefixError;
