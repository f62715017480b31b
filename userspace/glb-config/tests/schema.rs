// SPDX-License-Identifier: GPL-2.0

//! The JSON Schemas in spec/ against the readers: both must know the same fields, have the same limits
//! and name the same values.

use glb_config::{director, healthcheck, tables, targets, Issue};
use serde_json::{json, Map, Value};

fn schema(name: &str) -> Value {
    let path = format!(
        "{}/../../spec/{name}.schema.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A part of the schema, references followed.
fn resolve<'s>(root: &'s Value, part: &'s Value) -> &'s Value {
    match part.get("$ref").and_then(Value::as_str) {
        Some(name) => root.pointer(name.trim_start_matches('#')).unwrap(),
        None => part,
    }
}

/// A value that has every property that the part knows, each good but for what only people can choose.
fn example(root: &Value, part: &Value, name: &str) -> Value {
    let part = resolve(root, part);
    if let Some(forms) = part.get("oneOf").filter(|_| part.get("type").is_none()) {
        return example(root, forms.as_array().unwrap().last().unwrap(), name);
    }
    if let Some(values) = part.get("enum") {
        return values.as_array().unwrap().last().unwrap().clone();
    }
    // Where null will do as well, the other type comes first.
    let kind = part["type"].get(0).unwrap_or(&part["type"]);
    match kind.as_str() {
        Some("object") => {
            let properties = part["properties"].as_object().unwrap();
            let value = |(name, part): (&String, &Value)| (name.clone(), example(root, part, name));
            Value::Object(properties.iter().map(value).collect::<Map<_, _>>())
        }
        Some("array") => json!([example(root, &part["items"], name)]),
        Some("integer") => part["maximum"].clone(),
        Some("boolean") => json!(true),
        Some("string") => match name {
            "ip" | "backend" | "outbound_src_ip" | "source_v4" | "return_except" => {
                json!("10.0.0.1")
            }
            "source_v6" => json!("fd00::1"),
            "outbound_gateway_mac" => json!("00:11:22:33:44:55"),
            "hash_key" | "seed" => json!("00112233445566778899aabbccddeeff"),
            "dport" | "sport" => json!("100-200"),
            "match" => json!("sctp[4:4] & 0xff = 0x07"),
            "http_uri" | "https_uri" => json!("/x"),
            "http_host" | "https_host" => json!("www.example.net"),
            "listen" => json!("127.0.0.1:1"),
            "endpoints" => json!("https://192.168.50.5:2379"),
            "prefix" => json!("/glb"),
            "allow_from" => json!("10.0.0.0/8"),
            other => json!(other),
        },
        // A setting that is accepted and ignored.
        _ => json!(0),
    }
}

fn said(issues: &[Issue]) -> Vec<String> {
    issues.iter().map(ToString::to_string).collect()
}

#[test]
fn the_reader_of_tables_knows_what_the_schema_knows() {
    let schema = schema("forwarding_table");
    let mut file = example(&schema, &schema, "");
    file["classes"][0]["service"] = file["tables"][0]["name"].clone();
    file["classes"][0]["dst"] = json!(["10.0.0.0/8"]);
    file["classes"][0]["src"] = json!(["fd00::1"]);
    // One form of a bind's ports; states that can be used.
    let table = &mut file["tables"][0];
    let bind = table["binds"][0].as_object_mut().unwrap();
    bind.remove("port");
    bind.insert("proto".to_owned(), json!("tcp"));
    // The last forward translates: no backend is bound, and none is asked through it.
    bind.insert("ip".to_owned(), json!("192.0.2.1"));
    table["backends"][0]["healthchecks"]["through"] = json!(false);
    // The parameters of one forward, the last one.
    for of_others in ["dscp", "target_port"] {
        table["forward"].as_object_mut().unwrap().remove(of_others);
    }
    let mut second = table["backends"][0].clone();
    table["backends"][0]["state"] = json!("active");
    second["ip"] = json!("10.0.0.2");
    second["state"] = json!("active");
    second["id"] = json!(1);
    table["backends"].as_array_mut().unwrap().push(second);
    // A table has GLB's rows, or those of its select.
    let mut maglev = file.clone();
    let select = file["tables"][0].as_object_mut().unwrap().remove("select");
    let mut select = select.unwrap();
    for of_others in ["compat", "max_targets"] {
        select.as_object_mut().unwrap().remove(of_others);
    }
    select["hops"] = json!(1);
    let table = maglev["tables"][0].as_object_mut().unwrap();
    table.remove("hops");
    table.insert("select".to_owned(), select);
    for backend in table["backends"].as_array_mut().unwrap() {
        backend["weight"] = json!(1);
        backend.as_object_mut().unwrap().remove("domain");
    }
    for file in [&file, &maglev] {
        let checked = tables::read_with_classes("f", &file.to_string());
        assert_eq!(said(&checked.issues), [] as [String; 0]);
    }
    // One more than each maximum, one less than each minimum is refused.
    let mut refused = 0;
    for (pointer, limits) in [
        ("/classes/0/priority", "/$defs/class/properties/priority"),
        ("/classes/0/udp_encap", "/$defs/port"),
        ("/tables/0/select/size", "/$defs/select/properties/size"),
        ("/tables/0/select/hops", "/$defs/select/properties/hops"),
        ("/tables/0/hops", "/$defs/table/properties/hops"),
        ("/tables/0/binds/0/port_end", "/$defs/bindPort"),
        (
            "/tables/0/backends/0/weight",
            "/$defs/backend/properties/weight",
        ),
        ("/tables/0/backends/0/healthchecks/tcp", "/$defs/port"),
        (
            "/healthchecks/interval_ms",
            "/$defs/timing/properties/interval_ms",
        ),
        (
            "/healthchecks/timeout_ms",
            "/$defs/timing/properties/timeout_ms",
        ),
        ("/healthchecks/trigger", "/$defs/timing/properties/trigger"),
        (
            "/tables/0/backends/0/healthchecks/trigger",
            "/$defs/timing/properties/trigger",
        ),
        (
            "/tables/0/backends/0/healthchecks/https_status/0",
            "/$defs/status",
        ),
    ] {
        let limits = schema.pointer(limits).unwrap();
        let (low, high) = (&limits["minimum"], &limits["maximum"]);
        for beyond in [low.as_i64().unwrap() - 1, high.as_i64().unwrap() + 1] {
            let mut bad = match pointer.contains("select") {
                true => maglev.clone(),
                false => file.clone(),
            };
            *bad.pointer_mut(pointer).unwrap() = json!(beyond);
            let checked = tables::read_with_classes("f", &bad.to_string());
            assert_eq!(checked.errors().count(), 1, "{pointer} {beyond}");
            refused += 1;
        }
    }
    assert_eq!(refused, 26);
    maglev["tables"][0]["select"] = json!({"kind": "maglev", "size": 512});
    for (pointer, values) in [
        (
            "/tables/0/backends/0/state",
            "/$defs/backend/properties/state/enum",
        ),
        (
            "/tables/0/binds/0/proto",
            "/$defs/bind/properties/proto/enum",
        ),
        (
            "/tables/0/select/compat",
            "/$defs/select/properties/compat/enum",
        ),
    ] {
        for value in schema.pointer(values).unwrap().as_array().unwrap() {
            let mut other = file.clone();
            if pointer.contains("select") {
                other = maglev.clone();
                other["tables"][0]["select"]["compat"] = json!("");
            }
            *other.pointer_mut(pointer).unwrap() = value.clone();
            if value == "any" {
                // Which a forward that translates does not take.
                other["tables"][0]["forward"] = json!({"kind": "gre"});
                let bind = other["tables"][0]["binds"][0].as_object_mut().unwrap();
                bind.retain(|name, _| !name.starts_with("port"));
            }
            assert!(
                tables::read_with_classes("f", &other.to_string())
                    .value
                    .is_some(),
                "{value}"
            );
        }
    }
}

#[test]
fn the_readers_of_settings_know_what_the_schemas_know() {
    let schema_of_director = schema("director");
    let file = example(&schema_of_director, &schema_of_director, "");
    let checked = director::read("f", &file.to_string());
    assert!(checked.value.is_some(), "{:?}", checked.issues);
    assert!(said(&checked.issues)
        .iter()
        .all(|said| said.contains("DPDK")));
    let gateway = &schema_of_director["$defs"]["geneve"]["properties"];
    let mut refused = 0;
    for (name, part) in gateway.as_object().unwrap() {
        let forms = part["oneOf"].as_array().into_iter().flatten();
        for limits in forms.filter(|form| form["type"] == "integer") {
            let (low, high) = (&limits["minimum"], &limits["maximum"]);
            for beyond in [low.as_i64().unwrap() - 1, high.as_i64().unwrap() + 1] {
                let mut bad = file.clone();
                bad["geneve"][0][name] = json!(beyond);
                let checked = director::read("f", &bad.to_string());
                assert_eq!(checked.errors().count(), 1, "{name} {beyond}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 10);
    let schema = schema("healthcheck");
    let file = example(&schema, &schema, "");
    let checked = healthcheck::read("f", &file.to_string());
    assert!(checked.value.is_some());
    assert_eq!(said(&checked.issues), [] as [String; 0]);
    for name in [
        "reload_interval_ms",
        "reload_timeout_ms",
        "max_down_percent",
    ] {
        let limits = &schema["properties"][name];
        let (low, high) = (&limits["minimum"], &limits["maximum"]);
        for beyond in [low.as_i64().unwrap() - 1, high.as_i64().unwrap() + 1] {
            let mut bad = file.clone();
            bad[name] = json!(beyond);
            let checked = healthcheck::read("f", &bad.to_string());
            assert_eq!(checked.errors().count(), 1, "{name} {beyond}");
        }
    }
}

#[test]
fn the_reader_of_targets_conf_knows_what_the_schema_knows() {
    let schema = schema("targets");
    let file = example(&schema, &schema, "");
    let checked = targets::read("f", &file.to_string());
    assert!(checked.value.is_some());
    assert_eq!(said(&checked.issues), [] as [String; 0]);
    let of_service = "/properties/services/items/properties";
    for (pointer, limits) in [
        ("/rule_priority", "/properties/rule_priority".to_owned()),
        (
            "/services/0/max_targets",
            format!("{of_service}/max_targets"),
        ),
        (
            "/services/0/first_routing_table",
            format!("{of_service}/first_routing_table"),
        ),
    ] {
        let limits = schema.pointer(&limits).unwrap();
        let (low, high) = (&limits["minimum"], &limits["maximum"]);
        for beyond in [low.as_i64().unwrap() - 1, high.as_i64().unwrap() + 1] {
            let mut bad = file.clone();
            *bad.pointer_mut(pointer).unwrap() = json!(beyond);
            let checked = targets::read("f", &bad.to_string());
            assert_eq!(checked.errors().count(), 1, "{pointer} {beyond}");
        }
    }
}
