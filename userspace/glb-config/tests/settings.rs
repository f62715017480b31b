// SPDX-License-Identifier: GPL-2.0

//! Whatever is written by hand about settings against their table, `core/src/settings.rs`: the netlink
//! specification, the JSON Schema, the reader and the writer of `director.conf`, the documents. What fails says
//! what should stand there.

use glb_config::director::{read, write};
use glb_config::settings::{expected, file_json, text, FIELDS};
use glb_core::hash::HashFields;
use glb_core::settings::{Form, Setting, Settings, Value};
use serde_json::{json, Value as Json};
use std::fs;

fn file(path: &str) -> String {
    fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A good value that is not the default.
fn other(setting: &Setting) -> Value {
    match (setting.form, Settings::DEFAULT.get(setting)) {
        (Form::V4, _) => Value::V4(Some([192, 0, 2, 1])),
        (Form::V6, _) => Value::V6(Some([0xfd; 16])),
        (Form::Mac, _) => Value::Mac(Some([2; 6])),
        (Form::Fields | Form::OptionalFields, _) => Value::Fields(HashFields::from_bits(5)),
        (Form::Flag, Value::Flag(flag)) => Value::Flag(!flag),
        (Form::Number(least, _), _) => Value::Number(least),
        (form, value) => panic!("{form:?} {value:?}"),
    }
}

fn is_source(setting: &Setting) -> bool {
    [Setting::SOURCE_V4, Setting::SOURCE_V6].contains(setting)
}

#[test]
fn director_conf_takes_each_setting_and_gives_it_back() {
    for setting in Setting::ALL {
        for value in [Settings::DEFAULT.get(setting), other(setting)] {
            let mut settings = Settings::DEFAULT;
            settings.set(setting, value).unwrap();
            // By its own name, the others being at their defaults.
            let mut conf = json!({ (setting.file): file_json(value) });
            if !is_source(setting) {
                conf["source_v4"] = Json::Null;
            }
            let (got, issues) = read("d", &conf.to_string()).into_result().unwrap();
            assert_eq!((got.settings, issues), (settings, Vec::new()), "{conf}");
            // As it is written, other programs' settings beside it.
            let written = write(
                &settings,
                &json!({"statsd_port": 9, "segment_tcp": 3, "x": [1]}),
            );
            let checked = read("d", &written.to_string());
            let got = checked.value.expect("a good file");
            assert_eq!(got.settings, settings, "{written}");
            assert_eq!((got.statsd_port, &got.tree["x"]), (Some(9), &json!([1])));
        }
    }
}

#[test]
fn deployed_directors_read_what_is_written() {
    let mut settings = Settings::DEFAULT;
    for setting in Setting::ALL {
        settings.set(setting, other(setting)).unwrap();
    }
    let written = write(&settings, &Json::Null);
    assert_eq!(written["outbound_src_ip"], "192.0.2.1");
    assert_eq!(written["outbound_gateway_mac"], "02:02:02:02:02:02");
    assert_eq!(written["alt_hash_fields"]["src_port"], true);
    assert_eq!(written["alt_hash_fields"]["dst_addr"], false);
}

/// The line of a setting in the schema.
fn property(setting: &Setting) -> Json {
    let form = match setting.form {
        Form::V4 => json!({"type": "string", "format": "ipv4"}),
        Form::V6 => json!({"type": "string", "format": "ipv6"}),
        Form::Mac => {
            json!({"type": "string", "pattern": "^([0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}|[0-9a-fA-F]{1,2}(-[0-9a-fA-F]{1,2}){5}|[0-9a-fA-F]{1,4}([:.][0-9a-fA-F]{1,4}){2})$"})
        }
        Form::Fields | Form::OptionalFields => json!({"$ref": "#/$defs/fields"}),
        Form::Flag => json!({"type": "boolean"}),
        Form::Number(least, most) => {
            json!({"type": "integer", "minimum": least, "maximum": most})
        }
    };
    json!({
        "description": setting.doc,
        "oneOf": [{"type": "null"}, form],
        "default": file_json(Settings::DEFAULT.get(setting)),
    })
}

#[test]
fn the_schema_has_each_setting() {
    let schema: Json = serde_json::from_str(&file("spec/director.schema.json")).unwrap();
    for setting in Setting::ALL {
        let expected = property(setting);
        let found = &schema["properties"][setting.file];
        assert_eq!(found, &expected, "{:?}: {expected}", setting.file);
    }
    let fields = schema["$defs"]["fields"]["properties"].as_object().unwrap();
    let fields: Vec<&String> = fields.keys().collect();
    assert_eq!(fields, FIELDS.map(|(_, name)| name));
}

/// The lines of a setting in the netlink specification.
fn attribute(setting: &Setting) -> String {
    let (form, none) = match setting.form {
        Form::V4 => ("binary\n        display-hint: ipv4\n        checks: {exact-len: 4}".into(), " Zeroes or nothing is none."),
        Form::V6 => ("binary\n        display-hint: ipv6\n        checks: {exact-len: 16}".into(), " Zeroes or nothing is none."),
        Form::Mac => ("binary\n        display-hint: mac\n        checks: {exact-len: 6}".into(), " Zeroes or nothing is none."),
        Form::Fields => ("u8\n        enum: hash-fields\n        enum-as-flags: true\n        checks: {min: 1, max: 15}".into(), ""),
        Form::OptionalFields => ("u8\n        enum: hash-fields\n        enum-as-flags: true\n        checks: {max: 15}".into(), " 0 is none."),
        Form::Flag => ("u8\n        checks: {max: 1}".into(), ""),
        Form::Number(least, u16::MAX) => (format!("u16\n        checks: {{min: {least}}}"), ""),
        Form::Number(least, most) => (format!("u16\n        checks: {{min: {least}, max: {most}}}"), ""),
    };
    let (name, doc) = (setting.option, setting.doc);
    format!("      -\n        name: {name}\n        type: {form}\n        doc: {doc}{none}\n")
}

#[test]
fn the_netlink_specification_has_each_setting_in_its_place() {
    let spec = file("spec/glb.yaml");
    let expected: String = Setting::ALL.iter().map(attribute).collect();
    let expected = format!("    name: config\n    attributes:\n{expected}  -\n");
    assert!(
        spec.contains(&expected),
        "spec/glb.yaml should have\n{expected}"
    );
    // Both commands take all of them.
    let names = Setting::ALL.iter().map(|setting| setting.option);
    let names: String = names
        .map(|name| format!("            - {name}\n"))
        .collect();
    let names = format!("          attributes: &config\n{names}");
    assert!(spec.contains(&names), "spec/glb.yaml should have\n{names}");
}

#[test]
fn the_documents_have_each_setting() {
    let page = file("docs/director.md");
    for setting in Setting::ALL {
        let (name, doc) = (setting.file, setting.doc);
        let default = text(Settings::DEFAULT.get(setting));
        let option = setting.option;
        let what = expected(setting.form);
        let what = what.split(" (there are").next().unwrap();
        let line = format!("| `{name}` | `--{option}` | {what} | {default} | {doc} |\n");
        assert!(page.contains(&line), "docs/director.md should have\n{line}");
    }
}
