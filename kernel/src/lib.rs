// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of the kernel's C API, as far as the GLB modules need it.
//!
//! The only place with `unsafe` and with C. A wrapper fetches bytes or carries out a decision; what is
//! decided, and why, is in the modules and in `glb_core`.
//!
//! Contexts: everything that takes a [`skb::Skb`] or a [`net::Net`] borrowed from a hook runs in softirq
//! context or with bottom halves off, inside an RCU read-side section that the hook's caller holds. It
//! must not sleep, and does not.

#![no_std]

mod bindings;
pub mod counters;
pub mod cut;
pub mod decap;
pub mod device;
pub mod encap;
pub mod genl;
pub mod hook;
pub mod local_in;
pub mod memory;
pub mod net;
pub mod netdev;
pub mod path;
pub mod proc;
pub mod random;
pub mod rcu;
pub mod route;
pub mod skb;
pub mod socket;
pub mod sync;
pub mod time;
pub mod vec;
pub mod xt_glbredirect;
pub mod xtables;
