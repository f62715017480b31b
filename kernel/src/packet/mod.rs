// SPDX-License-Identifier: GPL-2.0

//! Packets, as the kernel keeps them.

pub mod own;
pub mod skb;
pub mod strip;
