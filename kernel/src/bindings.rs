// SPDX-License-Identifier: GPL-2.0

//! What bindgen makes of `bindings.h`, and the kernel crate's own bindings.

#![allow(
    clippy::all,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    rust_2018_idioms,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

// A name of its own in the generated file comes before the kernel crate's, which it imports as a whole.
include!("bindings_generated.rs");
