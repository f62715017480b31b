// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of the kernel's C API, as far as the GLB modules need it.
//!
//! The only place with `unsafe` and with C. A wrapper fetches bytes or carries out a decision; what is
//! decided, and why, is in the modules and in `glb_core`.
//!
//! Contexts: everything that takes a [`packet::skb::Skb`] or a [`net::Net`] borrowed from a hook runs in softirq
//! context or with bottom halves off, inside an RCU read-side section that the hook's caller holds. It
//! must not sleep, and does not.
//!
//! ```text
//! front     where packets come in
//! packet    packets, as the kernel keeps them
//! sockets   whether what a tunnel carries belongs to this machine
//! out       how packets leave
//! net       network namespaces, what a module keeps in each, devices
//! genl      generic netlink
//! proc      files below /proc
//! base      what all rooms stand on: per-CPU counters, RCU, locks, memory, time
//! ```
//!
//! `kernel/shim` has the same rooms, in C: functions for what the kernel has only as macros and static inlines, which bindgen
//! cannot bind. Each is one step; what the steps add up to is written here.

#![no_std]

pub mod base;
mod bindings;
pub mod front;
pub mod genl;
pub mod net;
pub mod out;
pub mod packet;
pub mod proc;
pub mod sockets;
