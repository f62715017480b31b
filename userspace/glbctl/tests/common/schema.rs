// SPDX-License-Identifier: GPL-2.0

//! A file of spec/ that outputs are held to.

use jsonschema::Validator;
use serde_json::{json, Value};

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

    /// What is wrong with a value by the definition of this name.
    pub(crate) fn faults(&self, name: &str, value: &Value) -> Vec<String> {
        assert!(self.0["$defs"][name].is_object(), "{name}: no definition");
        let mut schema = self.0.clone();
        // Nothing but the one definition is asked for.
        let whole = schema.as_object_mut().unwrap();
        whole.retain(|keyword, _| ["$schema", "$id", "$defs"].contains(&keyword.as_str()));
        whole.insert(
            "$ref".to_owned(),
            json!(format!("#/$defs/{}", name.replace(' ', "%20"))),
        );
        let validator: Validator = jsonschema::validator_for(&schema).unwrap();
        validator
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }
}
