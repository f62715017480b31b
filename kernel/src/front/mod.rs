// SPDX-License-Identifier: GPL-2.0

//! Where packets come in, and where those of this machine leave.
//!
//! ```text
//! hook           what all places have in common
//! netdev         from a device, before the IP layer
//! local_in       to this machine
//! local_out      from this machine
//! ip             what the two have in common
//! xtables        by a rule of iptables that has the module's target
//! xt_glbredirect what a rule with the target GLBREDIRECT carries
//! ```

pub mod hook;
mod ip;
pub mod local_in;
pub mod local_out;
pub mod netdev;
pub mod xt_glbredirect;
pub mod xtables;
