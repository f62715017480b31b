// SPDX-License-Identifier: GPL-2.0

//! The iptables extension of `GLBREDIRECT`, without iptables.
//!
//! A rule reads `-j GLBREDIRECT [--allow-hops PREFIX[,PREFIX...]]`. This crate knows what the value may
//! look like ([`AllowedHops`]), how it is written out again ([`text`]) and which bytes of the kernel's
//! structure stand for it ([`info`]). It calls nobody, so all of it is tested by `cargo test`. The
//! plugin in `kernel/libxt`, which libxtables loads, only carries strings and bytes between the two.
//!
//! Three forms of one rule must agree, and the tests of this crate hold them to it:
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
