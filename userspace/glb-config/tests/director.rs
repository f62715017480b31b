// SPDX-License-Identifier: GPL-2.0

//! `director.conf` and `healthcheck.conf`.

use glb_config::gateway::Gateway;
use glb_config::healthcheck::Publish;
use glb_config::{director, healthcheck};
use glb_core::director::select::hash::HashFields;
use glb_core::packet::addr::Addr;
use glb_core::settings::Settings;

#[test]
fn defaults_of_a_director() {
    let (director, issues) = director::read("d", r#"{"outbound_src_ip": "65.65.65.65"}"#)
        .into_result()
        .unwrap();
    assert_eq!(issues, []);
    let expected = Settings {
        source_v4: Some([65; 4]),
        ..Settings::DEFAULT
    };
    assert_eq!(director.settings, expected);
    assert_eq!(director.statsd_port, None);
}

#[test]
fn all_settings_of_a_director() {
    let text = r#"{"outbound_src_ip": "fd00::1", "outbound_gateway_mac": "00:11:22:aa:BB:cc",
        "hash_fields": {"src_addr": true, "src_port": true, "dst_port": false},
        "alt_hash_fields": {"dst_addr": true}, "forward_icmp_ping_responses": false, "statsd_port": 1,
        "lcores": "0-3", "flow_paths": [], "num_worker_queues": 2, "rx_drop_en": true}"#;
    let (director, issues) = director::read("d", text).into_result().unwrap();
    assert_eq!(director.statsd_port, Some(1));
    let director = director.settings;
    assert_eq!(
        director.gateway_mac,
        Some([0, 0x11, 0x22, 0xaa, 0xbb, 0xcc])
    );
    assert_eq!(
        director.hash_fields,
        HashFields::SRC_ADDR.with(HashFields::SRC_PORT)
    );
    assert_eq!(director.alt_hash_fields, Some(HashFields::DST_ADDR));
    assert!(!director.forward_icmp_ping_responses);
    let notes: Vec<String> = issues.iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 4);
    assert_eq!(
        notes[0],
        "d: warning: lcores: a setting of the DPDK director; accepted and ignored"
    );
}

/// Settings that once only `config set` could change, so that they were lost at the next boot.
#[test]
fn both_sources_and_what_only_glbctl_could_set() {
    let text = r#"{"outbound_src_ip": "192.168.50.6", "statsd_port": 28125, "segment_tcp": true,
        "udp_port": 19524, "udp_checksum": true, "source_v6": "fd00::6"}"#;
    let (director, issues) = director::read("d", text).into_result().unwrap();
    assert_eq!(issues, []);
    assert_eq!(director.statsd_port, Some(28125));
    let settings = director.settings;
    assert_eq!(settings.source_v4, Some([192, 168, 50, 6]));
    assert!(settings.source_v6.is_some() && settings.segment_tcp && settings.udp_checksum);
    assert_eq!(settings.udp_port, 19524);
}

/// As if they were not there: what a program writes that has no value.
#[test]
fn null_is_a_default_and_no_statistics_go_to_port_0() {
    let text = r#"{"outbound_src_ip": "10.0.0.1", "outbound_gateway_mac": null, "hash_fields": null,
        "alt_hash_fields": null, "forward_icmp_ping_responses": null, "udp_port": null, "statsd_port": null}"#;
    let (director, issues) = director::read("d", text).into_result().unwrap();
    assert_eq!((issues.len(), director.statsd_port), (0, None));
    let expected = Settings {
        source_v4: Some([10, 0, 0, 1]),
        ..Settings::DEFAULT
    };
    assert_eq!(director.settings, expected);
    let off = r#"{"source_v4": null, "statsd_port": 0}"#;
    let (director, _) = director::read("d", off).into_result().unwrap();
    assert_eq!(
        (director.settings, director.statsd_port),
        (Settings::DEFAULT, None)
    );
}

/// An appliance behind a gateway load balancer.
#[test]
fn what_devices_with_the_role_geneve_are_told() {
    let text = r#"{"geneve": [{"device": "eth0", "allow_from": ["0.0.0.0/0", "::/0"]},
        {"device": "eth1", "port": 6082, "class": "0x0167", "allow_from": ["192.168.40.0/24", "fd00:40::1"],
         "pass": true, "strict": true, "max_flows": 131072, "idle": 350, "tcp_idle": null}]}"#;
    let (director, issues) = director::read("d", text).into_result().unwrap();
    assert_eq!(issues, []);
    assert_eq!(director.settings, Settings::DEFAULT);
    let mut second = Gateway::new("eth1");
    (second.port, second.class) = (6082, 0x0167);
    (second.pass, second.strict) = (true, true);
    let six = [0xfd, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    second.allow_from = vec![(Addr::V4([192, 168, 40, 0]), 24), (Addr::V6(six), 128)];
    let mut first = Gateway::new("eth0");
    first.allow_from = vec![(Addr::V4([0; 4]), 0), (Addr::V6([0; 16]), 0)];
    assert_eq!(director.gateways, Some(vec![first, second]));
    assert_eq!(
        director.no_source("d").map(|issue| issue.to_string()),
        Some(
            r#"d: outbound_src_ip: is missing; for the route's own source: "source_v4": null"#
                .to_owned()
        )
    );
    // A class may be a number; a director beside it keeps its own fields.
    let text = r#"{"outbound_src_ip": "10.0.0.1", "geneve": [{"device": "e", "class": 359, "allow_from": ["10.0.0.0/8"]}]}"#;
    let (director, _) = director::read("d", text).into_result().unwrap();
    assert_eq!(director.no_source("d"), None);
    assert_eq!(director.gateways.unwrap()[0].class, 0x0167);
    let text = r#"{"source_v4": null, "geneve": null}"#;
    let (director, _) = director::read("d", text).into_result().unwrap();
    assert_eq!(director.gateways, None);
    assert_eq!(director.no_source("d"), None);
    let text =
        r#"{"outbound_src_ip": null, "geneve": [{"device": "e", "allow_from": ["10.0.0.0/8"]}]}"#;
    let (director, _) = director::read("d", text).into_result().unwrap();
    assert!(director.no_source("d").is_some());
}

#[test]
fn faults_of_the_role_geneve() {
    let many: Vec<String> = (0..17)
        .map(|number| format!("\"10.{number}.0.0/16\""))
        .collect();
    let many = format!(r#"[{{"device": "e", "allow_from": [{}]}}]"#, many.join(","));
    for (devices, fault) in [
        (r#"{"device": "e"}"#, "geneve: {\"device\":\"e\"}: must be an array"),
        (
            r#"[{"device": "e"}]"#,
            "geneve[0].allow_from: is missing: name the subnets of the load balancer, as in [\"192.168.40.0/24\"]; for every sender: [\"0.0.0.0/0\", \"::/0\"]",
        ),
        (
            r#"[{"device": "e", "allow_from": null}]"#,
            "geneve[0].allow_from: is missing: name the subnets of the load balancer, as in [\"192.168.40.0/24\"]; for every sender: [\"0.0.0.0/0\", \"::/0\"]",
        ),
        (
            r#"[{"device": "e", "allow_from": ["::/0"], "strikt": true}]"#,
            "geneve[0].strikt: unknown field; did you mean \"strict\"?",
        ),
        (
            r#"[{"device": "e", "allow_from": ["::/0"], "only": true}]"#,
            "geneve[0].only: unknown field",
        ),
        (
            r#"[{"device": "e", "allow_from": ["::/0"], "class": "0x00108"}]"#,
            "geneve[0].class: \"0x00108\": must be a class of options, from \"0x0000\" to \"0xffff\" or from 0 to 65535",
        ),
        (r#"[{"allow_from": ["::/0"], "port": 6081}]"#, "geneve[0].device: is missing"),
        (r#"[{"device": "", "allow_from": ["::/0"]}]"#, "geneve[0].device: \"\": must be the name of a device, 1 to 15 bytes"),
        (r#"[{"device": "a/b", "allow_from": ["::/0"]}]"#, "geneve[0].device: \"a/b\": must be the name of a device, 1 to 15 bytes"),
        (r#"[{"device": "e", "allow_from": ["::/0"], "port": 0}]"#, "geneve[0].port: 0: must be a whole number from 1 to 65535"),
        (
            r#"[{"device": "e", "allow_from": ["::/0"], "class": "0x10000"}]"#,
            "geneve[0].class: \"0x10000\": must be a class of options, from \"0x0000\" to \"0xffff\" or from 0 to 65535",
        ),
        (
            r#"[{"device": "e", "allow_from": ["::/0"], "class": "aws"}]"#,
            "geneve[0].class: \"aws\": must be a class of options, from \"0x0000\" to \"0xffff\" or from 0 to 65535",
        ),
        (
            r#"[{"device": "e", "allow_from": ["10.0.0.0/33"]}]"#,
            "geneve[0].allow_from[0]: \"10.0.0.0/33\": prefix length must be from 0 to 32",
        ),
        (
            r#"[{"device": "e", "allow_from": ["subnet"]}]"#,
            "geneve[0].allow_from[0]: \"subnet\": must be an IPv4 or IPv6 address, or a prefix of one",
        ),
        (
            r#"[{"device": "e", "allow_from": []}]"#,
            "geneve[0].allow_from: []: must name at least one prefix; for every sender: [\"0.0.0.0/0\", \"::/0\"]",
        ),
        (r#"[{"device": "e", "allow_from": ["::/0"], "pass": "yes"}]"#, "geneve[0].pass: \"yes\": must be true or false"),
        (
            r#"[{"device": "e", "allow_from": ["::/0"], "max_flows": 13000001}]"#,
            "geneve[0].max_flows: 13000001: must be a whole number from 1 to 13000000",
        ),
        (
            r#"[{"device": "e", "allow_from": ["::/0"], "tcp_idle": 6001}]"#,
            "geneve[0].tcp_idle: 6001: must be a whole number from 1 to 6000",
        ),
        (r#"[{"device": "e", "allow_from": ["::/0"]}, {"device": "e", "allow_from": ["::/0"]}]"#, "geneve[1].device: \"e\" is there twice"),
        (
            r#"[{"device": "e", "allow_from": ["::/0"], "max_flows": 9}, {"device": "f", "allow_from": ["::/0"], "max_flows": 8}]"#,
            "geneve[1].max_flows: is 8, and 9 of e: devices with this role share one flow cache, so give all of them the same",
        ),
        (&*many, "must have at most 16 prefixes"),
    ] {
        let checked = director::read("d", &format!(r#"{{"geneve": {devices}}}"#));
        assert!(checked.value.is_none(), "{devices}");
        let errors: Vec<String> = checked.errors().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        let said = errors[0].strip_prefix("d: ").unwrap_or(&errors[0]);
        assert!(said == fault || (devices == many && said.ends_with(fault)), "{said}\n{fault}");
    }
}

/// A name that is nearly the right one leaves devices as nobody wants them: no file has that by accident and is used.
#[test]
fn a_file_that_nearly_has_the_role_geneve() {
    let text = r#"{"source_v4": null, "genev": [{"device": "e", "allow_from": ["10.0.0.0/8"]}]}"#;
    let checked = director::read("d", text);
    assert!(checked.value.is_none());
    let errors: Vec<String> = checked.errors().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        ["d: genev: unknown field; did you mean \"geneve\"?"]
    );
    // Other fields that nobody knows are warned of, as ever.
    let (_, issues) = director::read("d", r#"{"source_v4": null, "udp_prt": 1, "note": ""}"#)
        .into_result()
        .unwrap();
    let mut said: Vec<String> = issues.iter().map(ToString::to_string).collect();
    said.sort();
    assert_eq!(
        said,
        [
            "d: warning: note: unknown field, ignored",
            "d: warning: udp_prt: unknown field, ignored; did you mean \"udp_port\"?",
        ]
    );
    // An empty list is about no appliance, so it is a director's file that has lost its source.
    for text in [r#"{"geneve": []}"#, r#"{"geneve": null}"#] {
        let checked = director::read("d", text);
        assert_eq!(checked.errors().count(), 1, "{text}");
    }
}

#[test]
fn faults_of_a_director() {
    let cases = [
        (
            "{}",
            r#"outbound_src_ip: is missing; for the route's own source: "source_v4": null"#,
        ),
        (
            r#"{"outbound_src_ip": null}"#,
            r#"outbound_src_ip: is missing; for the route's own source: "source_v4": null"#,
        ),
        (
            r#"{"outbound_src_ip": "127.0.0.1"}"#,
            r#"outbound_src_ip: "127.0.0.1": not the address of a host"#,
        ),
        (
            r#"{"outbound_src_ip": "10.0.0.1", "source_v4": "10.0.0.2"}"#,
            r#"source_v4: "10.0.0.2": outbound_src_ip says 10.0.0.1: name one of the two"#,
        ),
        (
            r#"{"source_v4": "fd00::1"}"#,
            r#"source_v4: "fd00::1": must be an IPv4 address"#,
        ),
        (
            r#"{"source_v6": null, "udp_port": 0}"#,
            "udp_port: 0: must be a whole number from 1 to 65535",
        ),
        (
            r#"{"source_v4": null, "segment_tcp": 1}"#,
            "segment_tcp: 1: must be true or false",
        ),
        (
            r#"{"outbound_src_ip": "1.2.3.4.5"}"#,
            r#"outbound_src_ip: "1.2.3.4.5": must be an IPv4 or IPv6 address"#,
        ),
        (
            r#"{"outbound_src_ip": "1.2.3.4", "hash_fields": {}}"#,
            "hash_fields: {}: at least one field must be true",
        ),
        (
            r#"{"outbound_src_ip": "1.2.3.4", "alt_hash_fields": {"src_addr": false}}"#,
            r#"alt_hash_fields: {"src_addr":false}: at least one field must be true"#,
        ),
        (
            r#"{"outbound_src_ip": "1.2.3.4", "hash_fields": {"src_addr": 1}}"#,
            "hash_fields.src_addr: 1: must be true or false",
        ),
        (
            r#"{"outbound_src_ip": "1.2.3.4", "outbound_gateway_mac": "0:1:2:3:4"}"#,
            r#"outbound_gateway_mac: "0:1:2:3:4": must be six pairs of hexadecimal digits with colons between, as in 00:11:22:aa:bb:cc"#,
        ),
        (
            r#"{"outbound_src_ip": "1.2.3.4", "statsd_port": 65536}"#,
            "statsd_port: 65536: must be a whole number from 0 to 65535",
        ),
    ];
    for (text, message) in cases {
        let checked = director::read("d", text);
        assert!(checked.value.is_none(), "{text}");
        let said: Vec<String> = checked.issues.iter().map(ToString::to_string).collect();
        assert_eq!(said, [format!("d: {message}")]);
    }
}

#[test]
fn healthcheck_files() {
    let (config, issues) = healthcheck::read("h", "{}").into_result().unwrap();
    // As deployed, no command is no reload; who forgot it hears of it.
    assert_eq!(issues.len(), 1);
    assert_eq!(
        issues[0].to_string(),
        "h: warning: reload_command: is missing: nothing makes the director read the table (\"\" says that it is meant so)"
    );
    let (_, issues) = healthcheck::read("h", r#"{"reload_command": ""}"#)
        .into_result()
        .unwrap();
    assert_eq!(issues, []);
    assert_eq!(
        config.src.to_str(),
        Some("/etc/glb/forwarding_table.src.json")
    );
    assert_eq!(
        config.dst.as_deref().and_then(|dst| dst.to_str()),
        Some("/etc/glb/forwarding_table.checked.json")
    );
    assert_eq!(config.reload_command, None);
    let text =
        r#"{"forwarding_table": {"src": "/a", "dst": "/b"}, "reload_command": "true", "extra": 1}"#;
    let (config, issues) = healthcheck::read("h", text).into_result().unwrap();
    assert_eq!(config.src.to_str(), Some("/a"));
    assert_eq!(config.reload_command.as_deref(), Some("true"));
    assert_eq!(config.tree["extra"], 1);
    assert_eq!(
        issues[0].to_string(),
        "h: warning: extra: unknown field, ignored"
    );
    let same = healthcheck::read("h", r#"{"forwarding_table": {"src": "/a", "dst": "/a"}}"#);
    assert!(same.value.is_none());
}

#[test]
fn tables_may_go_to_the_kernel() {
    let read = |text: &str| {
        let checked = healthcheck::read("f", text);
        let said: Vec<String> = checked.issues.iter().map(ToString::to_string).collect();
        (checked.value, said)
    };
    let (config, said) = read(r#"{"publish": "kernel"}"#);
    let config = config.expect("good");
    assert_eq!(
        (config.publish, config.dst, said.len()),
        (Publish::Kernel, None, 0)
    );
    // A table that is written, too, has no say in what is loaded.
    let (config, said) =
        read(r#"{"publish": "kernel", "forwarding_table": {"dst": "/x"}, "reload_command": ""}"#);
    assert_eq!(config.expect("good").dst, Some("/x".into()));
    assert_eq!(said.len(), 0);
    let (_, said) = read(r#"{"publish": "kernel", "reload_command": "true"}"#);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("reload_command: is not run with \"publish\": \"kernel\""));
    let (config, said) = read(r#"{"publish": "paper"}"#);
    assert!(
        config.is_none() && said[0].contains("must be \"file\" or \"kernel\""),
        "{said:?}"
    );
}
