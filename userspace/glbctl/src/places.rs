// SPDX-License-Identifier: GPL-2.0

//! Where the operator's files are unless told otherwise.

/// Where the operator's table is unless told otherwise.
pub(crate) const SOURCE: &str = "/etc/glb/forwarding_table.src.json";

/// Where director.conf is unless told otherwise.
pub(crate) const CONF: &str = "/etc/glb/director.conf";
