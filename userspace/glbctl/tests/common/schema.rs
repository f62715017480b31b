// SPDX-License-Identifier: GPL-2.0

//! Enough of JSON Schema to hold an output to one: a keyword that is not known here is a fault of the test.

use serde_json::Value;

pub(crate) struct Schema(Value);

impl Schema {
    /// A schema of spec/.
    pub(crate) fn read(name: &str) -> Self {
        let path = format!(
            "{}/../../spec/{name}.schema.json",
            env!("CARGO_MANIFEST_DIR")
        );
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    /// What is wrong with a value by the definition at this reference.
    pub(crate) fn faults(&self, reference: &str, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.reference(reference, value, "", &mut faults);
        faults
    }

    fn reference(&self, reference: &str, value: &Value, at: &str, faults: &mut Vec<String>) {
        let part = self.0.pointer(reference.trim_start_matches('#'));
        let part = part.unwrap_or_else(|| panic!("{reference}: no such definition"));
        self.part(part, value, at, faults);
    }

    fn part(&self, part: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        for (keyword, wanted) in part.as_object().unwrap() {
            let good = match keyword.as_str() {
                "description" | "required" | "additionalProperties" => true,
                "$ref" => {
                    self.reference(wanted.as_str().unwrap(), value, at, faults);
                    true
                }
                "type" => match wanted {
                    Value::Array(kinds) => kinds.iter().any(|kind| is(kind, value)),
                    kind => is(kind, value),
                },
                "enum" => wanted.as_array().unwrap().contains(value),
                "const" => wanted == value,
                "minimum" => value
                    .as_f64()
                    .is_none_or(|number| number >= wanted.as_f64().unwrap()),
                "pattern" => value
                    .as_str()
                    .is_none_or(|text| is_hex(wanted.as_str().unwrap(), text)),
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.part(wanted, item, &format!("{at}/{index}"), faults);
                    }
                    true
                }
                "oneOf" => {
                    let fits = |form: &&Value| {
                        let mut faults = Vec::new();
                        self.part(form, value, at, &mut faults);
                        faults.is_empty()
                    };
                    wanted.as_array().unwrap().iter().filter(fits).count() == 1
                }
                "properties" => true,
                other => panic!("{other}: not known to the test"),
            };
            if !good {
                faults.push(format!("{at}: {value}: {keyword} {wanted}"));
            }
        }
        let Some(object) = value.as_object() else {
            return;
        };
        for name in part
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if !object.contains_key(name.as_str().unwrap()) {
                faults.push(format!("{at}: {name} is missing"));
            }
        }
        for (name, value) in object {
            let at = format!("{at}/{name}");
            match (
                part.get("properties").and_then(|all| all.get(name)),
                part.get("additionalProperties"),
            ) {
                (Some(part), _) => self.part(part, value, &at, faults),
                (None, Some(Value::Bool(false))) => {
                    faults.push(format!("{at}: is not in the schema"))
                }
                (None, Some(part)) if part.is_object() => self.part(part, value, &at, faults),
                _ => {}
            }
        }
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("{other}: no type"),
    }
}

/// The one form of patterns that there is: so many hexadecimal digits.
fn is_hex(pattern: &str, text: &str) -> bool {
    let digits = pattern
        .strip_prefix("^[0-9a-f]{")
        .and_then(|rest| rest.strip_suffix("}$"));
    let digits: usize = digits
        .unwrap_or_else(|| panic!("{pattern}"))
        .parse()
        .unwrap();
    text.len() == digits
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
