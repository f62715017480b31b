// SPDX-License-Identifier: GPL-2.0

//! The C declarations, as bindgen reads them from the headers (see `build.rs`).

#![allow(
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    dead_code,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "generated text"
)]

include!(concat!(env!("OUT_DIR"), "/xtables.rs"));
