// SPDX-License-Identifier: GPL-2.0

//! What is written of the selects outside of Rust: their numbers in the netlink specification, their names in the schemas.

use crate::parts::between;
use anyhow::Result;
use glb_core::director::{FlowHash, Select};

/// The numbers, in the netlink specification.
pub(crate) fn specification(old: &str) -> Result<String> {
    let entry = |name: &str, number: u8| format!("      - {{name: {name}, value: {number}}}\n");
    let selects = Select::ALL
        .iter()
        .map(|one| entry(one.name(), one.number()));
    let hashes = FlowHash::ALL
        .iter()
        .map(|one| entry(one.name(), one.number()));
    let begin = "    # Made from the selects in core/src/director/select.\n    entries:\n";
    let end = "  -\n    name: flow-hash\n";
    let text = between(old, begin, end, &selects.collect::<String>())?;
    let begin = "    # Made from the flow hashes in core/src/director/select.\n    entries:\n";
    let end = "  -\n    name: protocol\n";
    between(&text, begin, end, &hashes.collect::<String>())
}

/// The names, in the schema of tables or of what is shown of them.
pub(crate) fn schema(old: &str) -> Result<String> {
    let selects = Select::ALL.iter().map(|one| one.name());
    let begin = "\"description\": \"How packets find their rows.\", \"enum\": [";
    let text = between(old, begin, "]", &list(selects))?;
    // The director's own hash is what a table has that names no other system.
    let others = FlowHash::ALL.iter().filter(|one| **one != FlowHash::Own);
    let begin =
        "\"description\": \"The system whose rows and flow hash the table has.\", \"enum\": [";
    between(&text, begin, "]", &list(others.map(|one| one.name())))
}

fn list(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    names.join(", ")
}
