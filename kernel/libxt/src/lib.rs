// SPDX-License-Identifier: GPL-2.0

//! `libxt_GLBREDIRECT.so`: the iptables extension for the target `GLBREDIRECT`.
//!
//! This crate is the meeting with C and nothing else. What the option may say, how it is stored and how it
//! is written is decided in `libxt_glbredirect`, which has no `unsafe`; here strings and bytes are carried
//! between that and [libxtables](https://git.netfilter.org/iptables/tree/include/xtables.h).
//!
//! ```text
//!   iptables, ip6tables (nft and legacy), *-save, *-restore
//!      | dlopen, .init_array                     register.rs: three revisions of one target
//!      | x6_parse(option)                        option.rs:   string -> bytes of the rule
//!      | print(rule), save(rule), help()         listing.rs:  bytes of the rule -> string
//! ```
//!
//! # Revisions
//!
//! libxtables takes the highest revision that the kernel knows. Revision 0 is that of the deployed module:
//! no bytes, no options. Revisions 1 and 2 are those of `rust_glb_redirect`: `struct xt_glbredirect_info`, which has
//! `--allow-hops`, and `struct xt_glbredirect_info_2`, which has all options.
//!
//! # What must hold in every callback
//!
//! - **Errors do not return.** `xtables_error` ends the process, or jumps to somewhere in its caller if the
//!   program wants that (`longjmp`). No destructor of a Rust frame runs then. So a callback has an inner
//!   function that does the work and returns its error as an [`error::Message`], which has no destructor (the
//!   compiler checks it); everything that has one is gone when the inner function returned. See [`error::raise`].
//! - **Panics do not leave Rust.** A panic that reaches the border of an `extern "C"` function aborts the
//!   process; the language has promised that since Rust 1.81, whatever the panic strategy.
//! - **One buffer for the output.** iptables writes with C's stdio. Rust's own standard output has
//!   another buffer, whose text would come out in the wrong place. See [`output`].
//!
//! # Translation to nft
//!
//! The callback `xlate` stays empty: nft has no statement for this target. `iptables-translate` then
//! writes the rule as a comment, which is the truth.

mod bindings;
mod error;
mod layout;
mod listing;
mod option;
mod output;
mod register;
