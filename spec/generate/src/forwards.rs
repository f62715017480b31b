// SPDX-License-Identifier: GPL-2.0

//! What is written of the forwards outside of Rust: their numbers in the netlink specification, their names in the schemas.

use crate::parts::between;
use anyhow::Result;
use glb_core::director::ForwardKind;

/// The numbers, in the netlink specification.
pub(crate) fn specification(old: &str) -> Result<String> {
    let entries = ForwardKind::ALL.iter().map(|forward| {
        let (name, number) = (forward.name(), forward.number());
        format!("      - {{name: {name}, value: {number}}}\n")
    });
    let begin = "    # Made from core/src/director/forward.\n    entries:\n";
    between(
        old,
        begin,
        "  -\n    name: select\n",
        &entries.collect::<String>(),
    )
}

/// The names, in the schema of tables or of what is shown of them.
pub(crate) fn schema(old: &str) -> Result<String> {
    let names: Vec<String> = ForwardKind::ALL
        .iter()
        .map(|forward| format!("\"{}\"", forward.name()))
        .collect();
    let begin = "\"description\": \"How the packets leave.\", \"enum\": [";
    between(old, begin, "] }", &names.join(", "))
}
