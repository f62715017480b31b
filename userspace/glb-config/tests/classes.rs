// SPDX-License-Identifier: GPL-2.0

//! Classes: from JSON to the binary format and back; every fault of either.

use glb_config::build::{why_not_v2, write_v3};
use glb_config::file::{read_bytes, read_bytes_with_classes};
use glb_config::opened::open_bytes;
use glb_config::rows::compile_all;
use glb_config::tables::{self, Config};
use glb_core::director::classify::flow::{NamedClass, MAX_CLASSES};
use glb_core::table::v3::{checksum, File, HEADER_LEN};
use serde_json::{json, Value};

fn file(classes: Value) -> String {
    let table = |name: &str, seed: &str| {
        json!({"name": name, "hash_key": "00".repeat(16), "seed": seed.repeat(16),
            "binds": [{"ip": "1.1.1.1", "proto": "tcp", "port": 80}],
            "backends": [{"ip": "10.0.0.1", "state": "active", "healthy": true},
                {"ip": "10.0.0.2", "state": "active", "healthy": true}]})
    };
    json!({"tables": [table("a", "01"), table("b", "02")], "classes": classes}).to_string()
}

fn classes() -> Value {
    json!([
        {"name": "all", "service": "a"},
        {"name": "web", "service": "b", "priority": 7, "proto": ["tcp", "udp"], "dst": ["10.0.0.0/8", "fd00::1"],
            "src": ["192.168.0.0/16"], "dport": ["80", "100-200", 443], "sport": ["1024-65535"],
            "match": ["tcp[13:1] & 0x02 = 0x02", "udp[4:2] = 8"]},
        {"name": "assoc", "service": "b", "priority": 7, "proto": ["sctp"], "src": ["10.0.0.0/8", "fd00::1"],
            "udp_encap": 9899}])
}

fn config(text: &str) -> Config {
    tables::read_with_classes("t", text)
        .into_result()
        .expect("sound")
        .0
}

fn binary(config: &Config) -> Vec<u8> {
    let compiled = compile_all(config, &mut |_, _| ()).unwrap();
    let mut bytes = Vec::new();
    write_v3(&compiled, &config.classes, &mut bytes).unwrap();
    bytes
}

#[test]
fn what_was_written_is_read() {
    let config = config(&file(classes()));
    let [all, web, assoc] = &config.classes[..] else {
        panic!("{:?}", config.classes);
    };
    assert_eq!(
        (&*all.name, all.class.service, all.class.priority),
        ("all", 0, 0)
    );
    assert_eq!(
        (&*web.name, web.class.service, web.class.priority),
        ("web", 1, 7)
    );
    assert_eq!(web.class.dport.len(), 3);
    assert_eq!(assoc.class.udp_encap, Some(9899));
    let bytes = binary(&config);
    assert_eq!(bytes[4], 5);
    let read = read_bytes_with_classes("f", &bytes, &mut |_, _| ());
    let (file, _) = read.into_result().unwrap();
    assert_eq!(file.classes, config.classes);
    assert_eq!(file.tables, compile_all(&config, &mut |_, _| ()).unwrap());
    // A list that two classes have stands once: three lists of 2, 1 and 2 prefixes would be 5.
    assert_eq!(web.class.dst, assoc.class.src);
    let lists = 2 + 2 * 18 + 2 + 18;
    let fixed = 3 * 24 + (3 + 1) * 4 + 2 * 12 + "allwebassoc".len();
    // Each table has the length of its words.
    let tables = 2 * (44 + 2 * 24 + 24 + 1 + 2 + 2 * 65_536);
    assert_eq!(bytes.len(), HEADER_LEN + tables + 4 + lists + 4 + fixed + 8);
}

/// Where nobody heeds classes, a file with classes is refused in both forms, and one with an empty list is not.
#[test]
fn a_file_is_never_read_without_its_classes() {
    let text = file(classes());
    let bytes = binary(&config(&text));
    for issues in [
        tables::read("t", &text).issues,
        read_bytes("t", text.as_bytes(), &mut |_, _| ()).issues,
        read_bytes("t", &bytes, &mut |_, _| ()).issues,
        open_bytes("t", text.as_bytes()).issues,
        open_bytes("t", &bytes).issues,
    ] {
        let said: Vec<String> = issues.iter().map(ToString::to_string).collect();
        assert!(
            said.iter()
                .any(|one| one.starts_with("t: classes: cannot be here")),
            "{said:?}"
        );
    }
    let none = file(json!([]));
    assert!(tables::read("t", &none).value.is_some());
    assert_eq!(binary(&config(&none))[4], 3);
    let issues = why_not_v2("t", &config(&text));
    assert!(issues[0]
        .to_string()
        .starts_with("t: classes: cannot be built as format version 2"));
}

#[test]
fn each_fault_of_the_text_is_named() {
    let mut cases = vec![
        (json!({"service": "a"}), "classes[0].name: is missing"),
        (
            json!({"name": "", "service": "a"}),
            "classes[0].name: \"\": must have 1 to 255 bytes",
        ),
        (json!({"name": "c"}), "classes[0].service: is missing"),
        (
            json!({"name": "c", "service": "z"}),
            "classes[0].service: \"z\": must be the name of a table",
        ),
    ];
    for (more, reason) in [
        (
            json!({"priority": -1}),
            "classes[0].priority: -1: must be a whole number from 0 to 1000000000",
        ),
        (
            json!({"proto": ["icmp"]}),
            "classes[0].proto[0]: \"icmp\": must be \"tcp\", \"udp\" or \"sctp\"",
        ),
        (json!({"proto": []}), "classes[0].proto: []: is empty"),
        (
            json!({"dst": []}),
            "classes[0].dst: []: is empty: leave it out to take all",
        ),
        (
            json!({"dst": ["10.0.0.0/33"]}),
            "classes[0].dst[0]: \"10.0.0.0/33\": prefix length",
        ),
        (
            json!({"src": vec!["10.0.0.1"; 1_001]}),
            "classes[0].src: has 1001: at most 1000",
        ),
        (
            json!({"dport": ["80"]}),
            "classes[0].dport: [\"80\"]: needs \"proto\"",
        ),
        (
            json!({"proto": ["tcp"], "dport": ["8x"]}),
            "classes[0].dport[0]: \"8x\": must be a port",
        ),
        (
            json!({"proto": ["tcp"], "sport": ["9-8"]}),
            "classes[0].sport[0]: \"9-8\": must be a port",
        ),
        (
            json!({"proto": ["tcp"], "sport": [65_536]}),
            "classes[0].sport[0]: 65536: must be a port",
        ),
        (
            json!({"match": ["tcp[12]"]}),
            "classes[0].match[0]: \"tcp[12]\": is no match",
        ),
        (
            json!({"match": ["tcp[20:1] = 1"]}),
            "classes[0].match[0]: \"tcp[20:1] = 1\": is behind the header",
        ),
        (
            json!({"proto": ["udp"], "match": ["tcp[0:1] = 1"]}),
            "classes[0].match[0]: \"tcp[0:1] = 1\": says nothing: the class takes no tcp",
        ),
        (
            json!({"match": ["tcp[0:1] = 1", "tcp[0:1] = 2"]}),
            "classes[0].match[1]: \"tcp[0:1] = 2\": is never so together with",
        ),
        (
            json!({"match": vec!["tcp[0:1] = 1"; 9]}),
            "classes[0].match: has 9: at most 8",
        ),
        (
            json!({"udp_encap": 9899}),
            "classes[0].udp_encap: 9899: needs \"proto\": [\"sctp\"]",
        ),
        (
            json!({"proto": ["sctp"], "udp_encap": 0}),
            "classes[0].udp_encap: 0: must be a whole number from 1",
        ),
    ] {
        let mut class = json!({"name": "c", "service": "a"});
        class
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        cases.push((class, reason));
    }
    for (class, reason) in cases {
        let checked = tables::read_with_classes("t", &file(json!([class])));
        let said: Vec<String> = checked.issues.iter().map(ToString::to_string).collect();
        assert!(checked.value.is_none(), "{class}");
        assert!(
            said.iter()
                .any(|one| one.starts_with(&format!("t: {reason}"))),
            "{said:?} and not {reason}"
        );
    }
    let class = |i: usize| json!({"name": format!("c{i}"), "service": "a", "match": [format!("tcp[{i}:1] = 1")]});
    let of = |classes: Value| {
        let checked = tables::read_with_classes("t", &file(classes));
        checked
            .issues
            .last()
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    let fields: Vec<Value> = (0..9).map(class).collect();
    assert!(of(json!(fields))
        .starts_with("t: classes: the matches look at more than 8 different fields"));
    let twice = json!([class(1), class(1)]);
    assert_eq!(
        of(twice),
        "t: classes[1].name: is the name of classes[0] already"
    );
    let many: Vec<Value> = (0..=MAX_CLASSES)
        .map(|i| json!({"name": i.to_string(), "service": "a"}))
        .collect();
    assert_eq!(of(json!(many)), "t: classes: 10001 classes: at most 10000");
}

/// As in JSON: what is rewritten needs binds.
#[test]
fn bytes_with_a_class_of_a_table_that_takes_none_are_refused() {
    let mut tree: Value =
        serde_json::from_str(&file(json!([{"name": "all", "service": "a"}]))).unwrap();
    let table = &mut tree["tables"][1];
    table["version"] = json!(3);
    table["forward"] = json!({"kind": "nat"});
    table["binds"][0]["ip"] = json!("1.1.1.2");
    table["backends"][0]["ip"] = json!("10.0.1.1");
    table["backends"][1]["ip"] = json!("10.0.1.2");
    let mut config = config(&tree.to_string());
    assert!(File::check(&binary(&config)).is_ok());
    config.classes[0].class.service = 1;
    let said = File::check(&binary(&config))
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(said.starts_with("class.service [0]: 1"), "{said}");
}

fn marks(offsets: &[(u32, usize)]) -> Vec<String> {
    let backend =
        |i: usize| json!({"ip": format!("10.0.0.{i}"), "state": "active", "healthy": true});
    let table = |(number, (offset, count)): (usize, &(u32, usize))| {
        json!({"name": format!("t{number}"), "hash_key": "00".repeat(16), "seed": format!("{number:032x}"),
            "select": {"kind": "maglev", "size": 11}, "forward": {"kind": "mark", "offset": offset},
            "binds": [{"ip": format!("1.1.1.{number}"), "proto": "tcp", "port": 80}],
            "backends": (1..=*count).map(backend).collect::<Vec<_>>()})
    };
    let tables: Vec<Value> = offsets.iter().enumerate().map(table).collect();
    let checked = tables::read_with_classes("t", &json!({"tables": tables}).to_string());
    let failed = checked.value.is_none();
    let said: Vec<String> = checked.issues.iter().map(ToString::to_string).collect();
    assert_eq!(
        failed,
        said.iter().any(|one| one.contains("overlap")),
        "{said:?}"
    );
    said
}

#[test]
fn marks_of_two_tables_are_apart() {
    for apart in [
        &[(100, 2), (102, 2)][..],
        &[(7, 1), (6, 1), (8, 1)],
        &[(1, 1)],
    ] {
        assert_eq!(marks(apart), [] as [&str; 0], "{apart:?}");
    }
    for (tables, first, second) in [
        (&[(100, 2), (101, 2)][..], "t1", "t0"),
        (&[(101, 2), (100, 2)], "t0", "t1"),
        // Not the neighbour, but one that ends behind it.
        (&[(100, 9), (101, 1), (105, 1)], "t2", "t0"),
    ] {
        let said = marks(tables);
        let start = format!("t: table \"{first}\": forward.offset: marks of this table");
        let found = said.iter().find(|one| one.starts_with(&start));
        let found = found.unwrap_or_else(|| panic!("{said:?} and not {start}"));
        assert!(found.contains(&format!("of table \"{second}\"")), "{found}");
    }
    // What counts are identifiers, not how many there are.
    let far = |id: u8| {
        let backend = |ip: &str| json!({"ip": ip, "state": "active", "healthy": true});
        let table = |offset: u32, ip: &str| {
            json!({"name": format!("of {offset}"), "hash_key": "00".repeat(16), "seed": format!("{offset:032x}"),
                "select": {"kind": "maglev", "size": 11}, "forward": {"kind": "mark", "offset": offset},
                "binds": [{"ip": ip, "proto": "tcp", "port": 80}], "backends": [backend("10.0.0.1")]})
        };
        let (mut first, second) = (table(100, "1.1.1.1"), table(150, "1.1.1.2"));
        first["backends"][0]["id"] = json!(id);
        let text = json!({"tables": [first, second]}).to_string();
        tables::read_with_classes("t", &text).value.is_some()
    };
    assert_eq!([49, 50, 51].map(far), [true, false, true]);
    // The same offset may be meant.
    let said = marks(&[(100, 2), (100, 3)]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("is the mark of table \"t0\" too"),
        "{said:?}"
    );
}

#[test]
fn each_fault_of_the_bytes_is_named() {
    let good = binary(&config(&file(classes())));
    let lists = HEADER_LEN + 2 * (44 + 2 * 24 + 24 + 1 + 2 + 2 * 65_536);
    let count = lists + 4 + 2 + 2 * 18 + 2 + 18;
    let first = count + 4;
    let second = first + 24 + 3;
    let matches = second + 24 + 4 * 4;
    let cases = [
        (lists, 3, "list.prefix [2]: 0"),
        (lists + 4, 0, "list.num_prefixes [0]: 0"),
        (lists + 6, 3, "list.prefix [0]: 3"),
        (lists + 7, 33, "list.prefix [0]: 33"),
        (lists + 6 + 17, 1, "list.prefix [0]: 1"),
        (count, 0, "num_classes: 0"),
        (first + 4, 2, "class.service [0]: 2"),
        (first + 6, 8, "class.protocols [0]: 8"),
        (first + 7, 9, "class.match [0]: 9"),
        (first + 8, 2, "class.list [0]: 4294967042"),
        (second + 24 + 1, 1, "class.ports [1]: 336 to 80"),
        (matches, 1, "class.match [1]: 1"),
        (matches + 1, 20, "class.match [1]: 20"),
        (matches + 2, 3, "class.match [1]: 13"),
        (matches + 3, 1, "reserved [1]: 1"),
        (matches + 8, 1, "class.match [1]: 13"),
        (first + 24, 0xff, "class.name [0]: 0"),
    ];
    for (at, byte, message) in cases {
        let mut bytes = good.clone();
        bytes[at] = byte;
        let summed = bytes.len() - 8;
        let sum = checksum(&bytes[..summed]).to_le_bytes();
        bytes[summed..].copy_from_slice(&sum);
        let said = File::check(&bytes).map(|_| ()).unwrap_err().to_string();
        assert!(said.starts_with(message), "{said} and not {message}");
    }
    // No class is a file of another number.
    let names = |classes: &[NamedClass]| {
        classes
            .iter()
            .map(|one| one.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&File::check(&good).unwrap().classes()),
        ["all", "web", "assoc"]
    );
}
