// SPDX-License-Identifier: GPL-2.0

//! The names of a family, as Rust writes them.

/// The name of a constant.
pub(crate) fn constant(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

/// The name of a module.
pub(crate) fn path(name: &str) -> String {
    name.replace('-', "_")
}
