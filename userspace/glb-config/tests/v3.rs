// SPDX-License-Identifier: GPL-2.0

//! Version 3 tables: from JSON to rows, to the binary format and back; every fault of a file.

use glb_config::build::{why_not_v2, write_v3};
use glb_config::compiled::{Compiled, Format};
use glb_config::file::{read_bytes, read_bytes_with_classes};
use glb_config::rows::compile_all;
use glb_config::tables;
use glb_core::table::v3::{checksum, File, HEADER_LEN, TABLE_HEADER_LEN};

const TEXT: &str = r#"{"tables": [
  {"name": "old", "hash_key": "000102030405060708090a0b0c0d0e0f", "seed": "00112233445566778899aabbccddeeff",
   "binds": [{"ip": "1.1.1.1", "proto": "tcp", "port": 80}],
   "backends": [{"ip": "10.0.0.1", "state": "active", "healthy": true}, {"ip": "10.0.0.2", "state": "draining"}]},
  {"name": "new", "version": 3, "hops": 4, "hash_key": "000102030405060708090a0b0c0d0e0f", "seed": "ff112233445566778899aabbccddeeff",
   "binds": [{"ip": "fd00::/8", "proto": "udp", "port_start": 5, "port_end": 9}],
   "backends": [
     {"ip": "10.0.0.1", "state": "active", "healthy": true, "domain": "a", "weight": 3},
     {"ip": "10.0.0.2", "state": "active", "healthy": true, "domain": "b"},
     {"ip": "10.0.0.3", "state": "inactive", "healthy": true, "domain": "a"},
     {"ip": "10.0.0.4", "state": "active", "healthy": true},
     {"ip": "10.0.0.5", "state": "filling", "healthy": true}]}]}"#;

fn compiled() -> Vec<Compiled> {
    let (config, _) = tables::read("t", TEXT).into_result().unwrap();
    compile_all(&config, &mut |_, _| ()).unwrap()
}

fn binary() -> Vec<u8> {
    let mut bytes = Vec::new();
    write_v3(&compiled(), &[], &mut bytes).unwrap();
    bytes
}

#[test]
fn what_was_written_is_read() {
    let bytes = binary();
    let (file, issues) = read_bytes("f", &bytes, &mut |_, _| ())
        .into_result()
        .unwrap();
    assert_eq!(issues, []);
    assert_eq!(file.format, Format::V3);
    assert_eq!(file.tables, compiled());
    assert_eq!(file.tables[1].hops, 4);
    assert_eq!(file.tables[1].backends[0].domain.as_deref(), Some("a"));
    let (old, new) = (
        44 + 2 * 24 + 24 + 3 + 2 * 65536,
        44 + 5 * 24 + 24 + 4 + 3 + 4 * 65536,
    );
    assert_eq!(bytes.len(), 24 + old + new + 8);
}

/// Files in which a backend has another identifier than its place have a number of their own.
#[test]
fn identifiers_of_backends() {
    let text = TEXT
        .replace(
            r#""domain": "a", "weight": 3}"#,
            r#""domain": "a", "weight": 3, "id": 9}"#,
        )
        .replace(r#""ip": "10.0.0.4","#, r#""ip": "10.0.0.4", "id": 0,"#);
    let (config, _) = tables::read("t", &text).into_result().unwrap();
    let compiled = compile_all(&config, &mut |_, _| ()).unwrap();
    let identifiers = |tables: &[Compiled]| -> Vec<Vec<u8>> {
        let of = |table: &Compiled| table.backends.iter().map(|one| one.identifier).collect();
        tables.iter().map(of).collect()
    };
    assert_eq!(identifiers(&compiled), [vec![0, 1], vec![9, 1, 2, 0, 4]]);
    // Rows are of places: they are what they were.
    assert_eq!(compiled[1].rows, self::compiled()[1].rows);
    let class = tables::read_with_classes(
        "t",
        &text.replace(
            r#"{"tables": ["#,
            r#"{"classes": [{"name": "c", "service": "new", "proto": ["tcp"]}], "tables": ["#,
        ),
    );
    let (classed, _) = class.into_result().unwrap();
    for classes in [&[][..], &classed.classes] {
        let mut bytes = Vec::new();
        write_v3(&compiled, classes, &mut bytes).unwrap();
        assert_eq!(
            bytes[4..8],
            [6, 0, 0, 0],
            "older readers refuse it by its number"
        );
        let (file, _) = read_bytes_with_classes("f", &bytes, &mut |_, _| ())
            .into_result()
            .unwrap();
        assert_eq!(
            (file.tables, &file.classes[..]),
            (compiled.clone(), classes)
        );
    }
    let mut bytes = Vec::new();
    write_v3(&compiled, &[], &mut bytes).unwrap();
    // The second backend of the first table: it says the identifier of the first.
    let first = HEADER_LEN + TABLE_HEADER_LEN;
    assert_eq!([bytes[first + 3], bytes[first + 24 + 3]], [0, 1]);
    bytes[first + 24 + 3] = 0;
    let summed = bytes.len() - 8;
    let sum = checksum(&bytes[..summed]).to_le_bytes();
    bytes[summed..].copy_from_slice(&sum);
    let said = File::check(&bytes).map(|_| ()).unwrap_err().to_string();
    assert!(
        said.starts_with("table 0: backend.identifier [1]: 0"),
        "{said}"
    );
    // Where all have their places, the file is what it always was.
    assert_eq!(binary()[4..8], [3, 0, 0, 0]);
}

#[test]
fn bad_identifiers_are_named() {
    let said = |ids: [Option<i32>; 3]| -> Vec<String> {
        let mut text = TEXT.to_owned();
        for (place, id) in ["10.0.0.3", "10.0.0.4", "10.0.0.5"].iter().zip(ids) {
            if let Some(id) = id {
                let (ip, with) = (
                    format!(r#""ip": "{place}""#),
                    format!(r#""ip": "{place}", "id": {id}"#),
                );
                text = text.replace(&ip, &with);
            }
        }
        let checked = tables::read("t", &text);
        let errors = checked.issues.iter().map(ToString::to_string);
        errors.filter(|one| one.contains(".id")).collect()
    };
    assert_eq!(said([Some(255), Some(2), Some(3)]), [] as [&str; 0]);
    for (ids, expected) in [
        (
            [Some(256), None, None],
            "backends[2].id: 256: must be a whole number from 0 to 255",
        ),
        ([Some(-1), None, None], "backends[2].id: -1: must be"),
        (
            [Some(7), Some(7), None],
            "backends[3].id: is the id of backends[2] already: give each its own",
        ),
        (
            [None, Some(1), None],
            "backends[3].id: is the id of backends[1] already by its place: give each its own",
        ),
        (
            [Some(3), None, None],
            "backends[3].id: is missing, and its place, 3, is the id of backends[2] already",
        ),
    ] {
        let said = said(ids);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(expected), "{said:?} and not {expected}");
    }
    // Deployed builders know none.
    let text = TEXT.replace(
        r#""ip": "10.0.0.2", "state": "draining""#,
        r#""ip": "10.0.0.2", "id": 5, "state": "draining""#,
    );
    let issues = tables::read("t", &text).into_result().unwrap_err();
    let said: Vec<String> = issues.iter().map(ToString::to_string).collect();
    assert!(
        said.iter()
            .any(|one| one.contains("backends[1].id: 5: needs \"version\": 3")),
        "{said:?}"
    );
}

/// The parameter of a forward is a word of its table.
#[test]
fn a_forward_with_a_parameter() {
    let text = TEXT
        .replace(
            r#""hops": 4,"#,
            r#""hops": 4, "forward": {"kind": "l3dsr", "dscp": 9}, "flows": false,"#,
        )
        .replace("fd00::/8", "9.0.0.0/8");
    let (config, _) = tables::read("t", &text).into_result().unwrap();
    let compiled = compile_all(&config, &mut |_, _| ()).unwrap();
    let mut bytes = Vec::new();
    write_v3(&compiled, &[], &mut bytes).unwrap();
    let (file, _) = read_bytes("f", &bytes, &mut |_, _| ())
        .into_result()
        .unwrap();
    assert_eq!(file.tables, compiled);
    assert_eq!(
        file.tables[1].forward.dscp().map(|dscp| dscp.value()),
        Some(9)
    );
    let word = [3, 0, 5, 1, 9];
    let at = bytes.windows(5).position(|five| five == word).unwrap();
    let said = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        let len = bytes.len() - 8;
        let sum = checksum(&bytes[..len]);
        bytes[len..].copy_from_slice(&sum.to_le_bytes());
        File::check(&bytes).unwrap_err().to_string()
    };
    for (at, value, want) in [
        (at + 4, 64, "word.value"),
        // Where its number stands, the forward becomes GRE, which has no such word.
        (
            HEADER_LEN + TABLE_HEADER_LEN + 2 * 24 + 24 + 3 + 2 + 2 * 65536 + 10,
            1,
            "dscp",
        ),
    ] {
        let said = said(at, value);
        assert!(said.contains(want), "{said}");
    }
}

#[test]
fn a_version_2_build_says_why_not() {
    let (config, _) = tables::read("t", TEXT).into_result().unwrap();
    let issues = why_not_v2("t.json", &config);
    assert_eq!(issues.len(), 1);
    let said = issues[0].to_string();
    assert!(
        said.starts_with("t.json: table \"new\": version: 3: cannot be built as format version 2"),
        "{said}"
    );
}

#[test]
fn each_fault_is_found_and_named() {
    let good = binary();
    let first = HEADER_LEN;
    let backend = first + TABLE_HEADER_LEN;
    let bind = backend + 2 * 24;
    let name = bind + 24;
    let second = name + 3 + 2 * 65536;
    let domains = second + TABLE_HEADER_LEN + 5 * 24 + 24;
    let cases = [
        (0, b'X', "magic: 0x584c4244"),
        (4, 7, "version: 7"),
        (8, 0, "length: "),
        (16, 1, "num_tables: 1"),
        (20, 1, "table_entries: 65537"),
        (first, 4, "table 0: rule: 4"),
        (first + 1, 3, "table 0: hops: 3"),
        (first + 10, 255, "table 0: forward: 255"),
        (first + 11, 1, "table 0: reserved: 1"),
        (backend, 3, "table 0: backend.family [0]: 3"),
        (backend + 1, 4, "table 0: backend.state [0]: 4"),
        (backend + 24 + 2, 2, "table 0: backend.health [1]: 2"),
        (backend + 3, 2, "table 0: reserved [0]: 2"),
        (backend + 4, 0, "table 0: backend.weight [0]: 0"),
        (backend + 5, 4, "table 0: backend.weight [0]: 1025"),
        (backend + 7, 1, "table 0: backend.domain [0]: 511"),
        (backend + 23, 1, "table 0: backend.address [0]: "),
        (bind, 9, "table 0: bind.family [0]: 9"),
        (bind + 1, 33, "table 0: bind.prefix [0]: 33"),
        (bind + 2, 1, "table 0: bind.proto [0]: 1"),
        // All protocols, with some ports.
        (bind + 2, 0, "table 0: bind.ports [0]: 80 to 80"),
        (bind + 3, 1, "table 0: bind.reserved [0]: 1"),
        (bind + 4, 81, "table 0: bind.ports [0]: 81 to 80"),
        (name, 0xff, "table 0: name: 0"),
        (name + 3 + 2 * 9 + 1, 2, "table 0: row.hop [9]: 2"),
        (domains, 200, "table 1: domain [0]: 4"),
    ];
    for (at, byte, message) in cases {
        let mut bytes = good.clone();
        bytes[at] = byte;
        let summed = bytes.len() - 8;
        let sum = checksum(&bytes[..summed]).to_le_bytes();
        bytes[summed..].copy_from_slice(&sum);
        let said = File::check(&bytes).map(|_| ()).unwrap_err().to_string();
        assert!(said.starts_with(message), "{said} and not {message}");
        // Without a new checksum that is what is wrong first, but for the fields before it.
        bytes[summed..].copy_from_slice(&good[summed..]);
        let said = File::check(&bytes).map(|_| ()).unwrap_err().to_string();
        assert!(at < 16 || said.starts_with("checksum: "), "{said}");
    }
    for len in 0..HEADER_LEN + 40 {
        assert!(File::check(&good[..len]).is_err());
    }
}
