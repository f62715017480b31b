// SPDX-License-Identifier: GPL-2.0

//! What all rooms stand on: memory of each CPU, what RCU protects, locks, vectors, time and chance.

pub mod counters;
pub mod memory;
pub mod random;
pub mod rcu;
pub mod slots;
pub mod sync;
pub mod time;
pub mod vec;
