// SPDX-License-Identifier: GPL-2.0

//! The keys of targets in etcd (docs/targets.md).
//!
//! * [`client`] speaks to etcd, by the JSON that its client port understands beside gRPC
//! * [`keys`] are the keys and values, [`register`] writes them, [`watch`] follows them

pub mod client;
pub mod keys;
pub mod register;
pub mod watch;
