// SPDX-License-Identifier: GPL-2.0

//! How a file of tables is laid out that the tool writes itself: a bind and a backend each on a line of its own.

use super::source::one_line;
use serde_json::Value;

/// The text of a file.
pub(crate) fn file(tree: &Value) -> String {
    let fields = tree.as_object().into_iter().flatten();
    let lines = fields.map(|(name, value)| match value.as_array() {
        Some(tables) if name == "tables" => {
            let tables: Vec<String> = tables.iter().map(table).collect();
            list("  \"tables\"", &tables, "  ")
        }
        _ => format!("  {}: {}", Value::from(name.as_str()), one_line(value)),
    });
    let lines: Vec<String> = lines.collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn table(table: &Value) -> String {
    let Some(fields) = table.as_object() else {
        return format!("    {}", one_line(table));
    };
    let lists = |name: &str| matches!(name, "binds" | "backends");
    let head = fields.iter().filter(|(name, _)| !lists(name));
    let head: Vec<String> = head
        .map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), one_line(value)))
        .collect();
    let rest = fields.iter().filter(|(name, _)| lists(name));
    let rest = rest.map(|(name, value)| {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let items: Vec<String> = items
            .iter()
            .map(|item| format!("        {}", one_line(item)))
            .collect();
        list(&format!("      \"{name}\""), &items, "      ")
    });
    let parts: Vec<String> = (!head.is_empty())
        .then(|| head.join(", "))
        .into_iter()
        .chain(rest)
        .collect();
    format!("    {{{}}}", parts.join(",\n"))
}

fn list(name: &str, items: &[String], indent: &str) -> String {
    if items.is_empty() {
        return format!("{name}: []");
    }
    format!("{name}: [\n{}\n{indent}]", items.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_laid_out_reads_as_it_was() {
        for tree in [
            json!({"tables": []}),
            json!({"healthchecks": {"interval_ms": 5}, "tables": [], "x": [1, {"y": "\""}]}),
            json!({"tables": [
                {"name": "a\n", "binds": [], "backends": [{"ip": "::1"}, {"ip": "::2", "z": [1, 2]}]},
                {"binds": [{"port": 1}], "backends": []}]}),
        ] {
            let text = file(&tree);
            let read: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(read, tree, "{text}");
            assert!(!text.lines().any(|line| line.ends_with(' ')), "{text}");
        }
    }
}
