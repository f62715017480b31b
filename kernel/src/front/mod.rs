// SPDX-License-Identifier: GPL-2.0

//! Where packets come in.
//!
//! ```text
//! hook           what all places have in common
//! netdev         from a device, before the IP layer
//! local_in       to this machine
//! xtables        by a rule of iptables that has the module's target
//! xt_glbredirect what a rule with the target GLBREDIRECT carries
//! ```

pub mod hook;
pub mod local_in;
pub mod netdev;
pub mod xt_glbredirect;
pub mod xtables;
