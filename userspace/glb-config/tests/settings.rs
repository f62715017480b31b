// SPDX-License-Identifier: GPL-2.0

//! The reader and the writer of `director.conf` against the table of the settings, `core/src/settings.rs`. What else is
//! written of settings is made from it (`make spec`).

use glb_config::director::{read, write};
use glb_config::settings::{file_json, FIELDS};
use glb_core::director::select::hash::HashFields;
use glb_core::packet::addr::Addr;
use glb_core::settings::{Form, Prefixes, Setting, Settings, Value};
use serde_json::{json, Value as Json};
use std::fs;

/// A good value that is not the default.
fn other(setting: &Setting) -> Value {
    match (setting.form, Settings::DEFAULT.get(setting)) {
        (Form::V4, _) => Value::V4(Some([192, 0, 2, 1])),
        (Form::V6, _) => Value::V6(Some([0xfd; 16])),
        (Form::Mac, _) => Value::Mac(Some([2; 6])),
        (Form::Fields | Form::OptionalFields, _) => Value::Fields(HashFields::from_bits(5)),
        (Form::Flag, Value::Flag(flag)) => Value::Flag(!flag),
        (Form::Number(least, _), _) => Value::Number(least),
        (Form::Prefixes, _) => {
            let mut all = Prefixes::NONE;
            all.add(Addr::V4([10, 0, 0, 0]), 8).unwrap();
            all.add(Addr::V6([0xfd; 16]), 128).unwrap();
            Value::Prefixes(all)
        }
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

/// `make spec` writes the lines of the settings in the schema, but not those of the fields of a hash.
#[test]
fn the_schema_has_each_hash_field() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../spec/director.schema.json"
    );
    let schema: Json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let fields = schema["$defs"]["fields"]["properties"].as_object().unwrap();
    let fields: Vec<&String> = fields.keys().collect();
    assert_eq!(fields, FIELDS.map(|(_, name)| name));
}
