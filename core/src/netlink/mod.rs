// SPDX-License-Identifier: GPL-2.0

//! The netlink families: numbers, names, and what attributes may be.
//!
//! ```text
//! family        what is known of an attribute and of a command
//! glb           the director's family, made from spec/glb.yaml
//! glb_redirect  the redirect's family, made from spec/glb_redirect.yaml
//! ```

pub mod family;
pub mod glb;
pub mod glb_redirect;
