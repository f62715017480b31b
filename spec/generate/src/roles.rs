// SPDX-License-Identifier: GPL-2.0

//! What is written of the roles of devices outside of Rust: their numbers in the netlink specification, their names in the
//! schema of what is shown.

use crate::parts::between;
use anyhow::Result;
use glb_core::director::Role;

/// The numbers, in the netlink specification.
pub(crate) fn specification(old: &str) -> Result<String> {
    let entries: String = Role::ALL
        .iter()
        .map(|role| {
            format!(
                "      - {{name: {}, value: {}}}\n",
                role.name(),
                role.number()
            )
        })
        .collect();
    let begin = "    # Made from the roles in core/src/director/role.rs.\n    entries:\n";
    between(old, begin, "  -\n    name: max-flow-buckets\n", &entries)
}

/// The names, in the schema of what is shown.
pub(crate) fn schema(old: &str) -> Result<String> {
    let names: Vec<String> = Role::ALL
        .iter()
        .map(|role| format!("\"{}\"", role.name()))
        .collect();
    let begin = "\"description\": \"What an attached device is for.\", \"enum\": [";
    between(old, begin, "]", &names.join(", "))
}
