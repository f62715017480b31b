// SPDX-License-Identifier: GPL-2.0

//! What is written of the settings outside of Rust: their lines in the netlink specification, the JSON Schemas and
//! the documents.

use crate::parts::between;
use anyhow::Result;
use glb_config::settings::{expected, file_json, may_be_none, text, FIELDS};
use glb_core::settings::{Form, Setting, Settings, MAX_PREFIXES, PREFIX_LEN};
use serde_json::{json, Value as Json};

fn each(make: impl Fn(&Setting) -> String) -> String {
    Setting::ALL.iter().map(make).collect()
}

pub(crate) fn specification(old: &str) -> Result<String> {
    let attributes = each(attribute);
    let begin = "    name: config\n    # Made from core/src/settings.rs.\n    attributes:\n";
    let new = between(old, begin, "  -\n    name: device\n", &attributes)?;
    // Both commands take all of them.
    let names = each(|setting| format!("            - {}\n", setting.option));
    let begin = "          # Made from core/src/settings.rs.\n          attributes: &config\n";
    between(&new, begin, "    -\n      name: config-get\n", &names)
}

/// The lines of a setting in the netlink specification.
fn attribute(setting: &Setting) -> String {
    let none = match setting.form {
        Form::V4 | Form::V6 | Form::Mac => " All zeros or absent means none.",
        Form::OptionalFields => " 0 is none.",
        Form::Prefixes => {
            " One behind the other, each family (4 or 6), bits, and an address of 16 bytes; of IPv4 zeros stand behind it."
        }
        Form::Fields | Form::Flag | Form::Number(..) => "",
    };
    let address = |hint: &str, len| {
        format!("binary\n        display-hint: {hint}\n        checks: {{exact-len: {len}}}")
    };
    let fields = |checks: &str| {
        format!("u8\n        enum: hash-fields\n        enum-as-flags: true\n        checks: {{{checks}}}")
    };
    let form = match setting.form {
        Form::V4 => address("ipv4", 4),
        Form::V6 => address("ipv6", 16),
        Form::Mac => address("mac", 6),
        Form::Fields => fields("min: 1, max: 15"),
        Form::OptionalFields => fields("max: 15"),
        Form::Flag => "u8\n        checks: {max: 1}".to_owned(),
        Form::Number(least, u16::MAX) => format!("u16\n        checks: {{min: {least}}}"),
        Form::Number(least, most) => format!("u16\n        checks: {{min: {least}, max: {most}}}"),
        Form::Prefixes => {
            let most = PREFIX_LEN * MAX_PREFIXES;
            format!("binary\n        checks: {{max-len: {most}}}")
        }
    };
    let (name, doc) = (setting.option, setting.doc);
    format!("      -\n        name: {name}\n        type: {form}\n        doc: {doc}{none}\n")
}

pub(crate) fn schema_of_the_file(old: &str) -> Result<String> {
    let properties = each(|setting| {
        let form = match setting.form {
            Form::V4 => json!({"type": "string", "format": "ipv4"}),
            Form::V6 => json!({"type": "string", "format": "ipv6"}),
            Form::Mac => json!({"type": "string", "pattern": MAC}),
            Form::Fields | Form::OptionalFields => json!({"$ref": "#/$defs/fields"}),
            Form::Flag => json!({"type": "boolean"}),
            Form::Number(least, most) => {
                json!({"type": "integer", "minimum": least, "maximum": most})
            }
            Form::Prefixes => {
                let item = json!({"type": "string", "pattern": PREFIX});
                json!({"type": "array", "items": item, "maxItems": MAX_PREFIXES})
            }
        };
        let default = file_json(Settings::DEFAULT.get(setting));
        let lines = [
            format!("    {}: {{", json!(setting.file)),
            format!("      \"description\": {},", json!(setting.doc)),
            format!(
                "      \"oneOf\": [{{ \"type\": \"null\" }}, {}],",
                line(&form)
            ),
            format!("      \"default\": {}", line(&default)),
            "    },\n".to_owned(),
        ];
        lines.join("\n")
    });
    let begin = "      \"pattern\": \"^[0-9a-fA-F.:]+$\"\n    },\n";
    between(old, begin, "    \"statsd_port\": {\n", &properties)
}

/// An address or a prefix.
const PREFIX: &str = "^[0-9a-fA-F.:]+(/[0-9]{1,3})?$";

/// A MAC address as the reader of `director.conf` takes it.
const MAC: &str = "^([0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}|[0-9a-fA-F]{1,2}(-[0-9a-fA-F]{1,2}){5}|[0-9a-fA-F]{1,4}([:.][0-9a-fA-F]{1,4}){2})$";

pub(crate) fn schema_of_what_is_shown(old: &str) -> Result<String> {
    let names: Vec<String> = Setting::ALL
        .iter()
        .map(|setting| format!("        {}", json!(setting.field)))
        .collect();
    let properties: Vec<String> = Setting::ALL
        .iter()
        .map(|setting| {
            let or_null = |name: &str| match may_be_none(setting.form) {
                true => json!([name, "null"]),
                false => json!(name),
            };
            let form = match setting.form {
                Form::V4 | Form::V6 | Form::Mac => json!({"type": or_null("string")}),
                Form::Fields | Form::OptionalFields | Form::Prefixes => {
                    json!({"type": or_null("array"), "items": {"type": "string"}})
                }
                Form::Flag => json!({"type": "boolean"}),
                Form::Number(least, most) => {
                    json!({"type": "integer", "minimum": least, "maximum": most})
                }
            };
            format!("        {}: {}", json!(setting.field), line(&form))
        })
        .collect();
    let new = format!(
        "{}\n      ],\n      \"properties\": {{\n{}\n      }},\n      \"additionalProperties\": false\n    }},\n",
        names.join(",\n"),
        properties.join(",\n")
    );
    let (before, rest) = split(old, "    \"config show\": {\n")?;
    let rest = between(rest, FIRST_REQUIRED, "    \"config set\": {", &new);
    Ok(format!("{before}{}", rest?))
}

const FIRST_REQUIRED: &str =
    "standard output.\",\n      \"type\": \"object\",\n      \"required\": [\n";

fn split<'t>(text: &'t str, at: &str) -> Result<(&'t str, &'t str)> {
    let place = text.find(at);
    let place = place.ok_or_else(|| anyhow::anyhow!("it lacks {at:?}"))?;
    Ok(text.split_at(place))
}

pub(crate) fn document(old: &str) -> Result<String> {
    let lines = each(|setting| {
        let (name, option, doc) = (setting.file, setting.option, setting.doc);
        let default = text(Settings::DEFAULT.get(setting));
        // The names of the fields stand below the table.
        let names = FIELDS.map(|(_, name)| name).join(", ");
        let what = expected(setting.form).replace(&format!(" (there are {names})"), "");
        format!("| `{name}` | `--{option}` | {what} | {default} | {doc} |\n")
    });
    let begin = "<!-- made from core/src/settings.rs -->\n";
    let head = "\n| in `director.conf` | `glbctl config set` | value | default | |\n|---|---|---|---|---|\n";
    between(old, begin, "<!-- end -->\n", &format!("{head}{lines}\n"))
}

/// JSON in one line, with spaces as the schemas have them.
fn line(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(line).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(fields) => {
            let fields = fields.iter();
            let fields: Vec<String> = fields
                .map(|(name, value)| format!("{}: {}", json!(name), line(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}
