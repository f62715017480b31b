// SPDX-License-Identifier: GPL-2.0

//! Maglev tables: from JSON to rows, to the binary format and back; every fault of a file.

use glb_config::build::{why_not_v2, write_v3};
use glb_config::compiled::Compiled;
use glb_config::file::read_bytes;
use glb_config::rows::compile;
use glb_config::tables::{self, Rule};
use glb_config::Severity;
use glb_core::director::{FlowHash, Select};
use glb_core::packet::addr::Addr;
use glb_core::table::v3::{checksum, File, HEADER_LEN, TABLE_HEADER_LEN};
use serde_json::{json, Value};

/// A table of the specification: what is not said is left to its default, but for flows, which it does not remember.
fn web() -> Value {
    json!({"name": "web", "select": {"kind": "maglev"}, "forward": {"kind": "gre"}, "flows": false,
        "hash_key": "000102030405060708090a0b0c0d0e0f", "seed": "00112233445566778899aabbccddeeff",
        "binds": [{"ip": "90.0.0.0/8", "proto": "tcp", "port": 80}],
        "backends": [{"ip": "10.0.0.1", "state": "active", "healthy": true},
                     {"ip": "10.0.0.2", "state": "active", "healthy": true, "weight": 2}]})
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut table = web();
    change(&mut table);
    json!({ "tables": [table] }).to_string()
}

fn built(change: impl FnOnce(&mut Value)) -> Compiled {
    let (config, _) = tables::read("t", &with(change)).into_result().unwrap();
    compile(&config.tables[0]).unwrap()
}

#[test]
fn what_is_not_said_has_its_default() {
    let (config, issues) = tables::read("t", &with(|_| ())).into_result().unwrap();
    assert_eq!(issues, []);
    let table = &config.tables[0];
    assert_eq!(table.rule, Rule::Maglev { hops: 1 });
    assert_eq!(
        (table.words.select, table.words.rows),
        (Select::Maglev, 65_537)
    );
    assert_eq!(table.words.flow_hash, FlowHash::Own);
    let compiled = compile(table).unwrap();
    // A third and two thirds, to a row or two.
    let loads = compiled.loads();
    assert!(loads[0].abs_diff(65_537 / 3) <= 3, "{loads:?}");
    assert_eq!(loads[0] + loads[1], 65_537);
    // Packets of gue name a second hop.
    let gue = built(|table| table["forward"]["kind"] = json!("gue"));
    assert_eq!((gue.hops, gue.rows.len()), (2, 2 * 65_537));
    assert!(gue.rows().all(|row| row[0] != row[1]));
    let size = |change: fn(&mut Value)| built(change).words.rows;
    assert_eq!(size(|table| table["select"]["size"] = json!(1_021)), 1_021);
    assert_eq!(
        size(|table| table["backends"][1]["weight"] = json!(1_000)),
        100_103
    );
    assert_eq!(
        size(|table| table["select"]["compat"] = json!("vpp")),
        1_024
    );
}

#[test]
fn keys_may_be_missing_and_that_is_said() {
    let without = |change: fn(&mut Value)| {
        let text = with(|table| {
            let fields = table.as_object_mut().unwrap();
            fields.remove("hash_key");
            fields.remove("seed");
            change(table);
        });
        tables::read("t", &text)
    };
    let ours = without(|_| ());
    let said: Vec<String> = ours.issues.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("hash_key: is missing: anybody can compute"),
        "{said:?}"
    );
    assert_eq!(ours.value.unwrap().tables[0].hash_key, [0; 16]);
    let vpp = without(|table| table["select"]["compat"] = json!("vpp"));
    assert_eq!(vpp.issues, []);
    // GLB's rows need theirs.
    let glb = without(|table| {
        table["select"] = json!({"kind": "glb"});
        table["version"] = json!(3);
        table["backends"][1]["weight"] = json!(2);
    });
    assert!(glb.value.is_none());
    assert_eq!(
        glb.issues
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count(),
        2
    );
}

#[test]
fn states_decide_who_gets_new_flows() {
    let loads = |change: fn(&mut Value)| {
        built(|table| {
            table["select"]["size"] = json!(1_021);
            table["backends"] = (1..=4)
                .map(|n| json!({"ip": format!("10.0.0.{n}"), "state": "active", "healthy": true}))
                .collect();
            change(table);
        })
        .loads()
    };
    let quarter = |load: u32| (255..=256).contains(&load);
    let third = |load: u32| (340..=341).contains(&load);
    assert!(loads(|_| ()).into_iter().all(quarter));
    let without_second: [fn(&mut Value); 4] = [
        |table| table["backends"][1]["state"] = json!("draining"),
        |table| table["backends"][1]["state"] = json!("inactive"),
        |table| table["backends"][1]["healthy"] = json!(false),
        |table| table["backends"][1]["weight"] = json!(0),
    ];
    for change in without_second {
        let loads = loads(change);
        assert_eq!(loads[1], 0);
        assert!(
            [loads[0], loads[2], loads[3]].into_iter().all(third),
            "{loads:?}"
        );
    }
    let filling = loads(|table| table["backends"][1]["state"] = json!("filling"));
    assert!(filling.into_iter().all(quarter));
    // The same goes for the tables of other systems.
    for change in without_second.into_iter().take(3) {
        for compat in ["vpp", "nfqlb"] {
            let table = built(|table| {
                table["backends"] = (1..=4)
                    .map(|n| json!({"ip": format!("10.0.0.{n}"), "state": "active", "healthy": true}))
                    .collect();
                change(table);
                table["select"] = json!({"kind": "maglev", "compat": compat, "size": 1_024});
            });
            let loads = table.loads();
            assert!(loads[1] == 0 && loads[0] > 300, "{compat}: {loads:?}");
        }
    }
}

#[test]
fn a_drained_backend_is_the_second_hop() {
    let change = |state: &'static str| {
        move |table: &mut Value| {
            table["forward"]["kind"] = json!("gue");
            table["select"]["size"] = json!(1_021);
            table["backends"][0]["state"] = json!(state);
        }
    };
    let (before, after) = (built(change("active")), built(change("draining")));
    for (old, new) in before.rows().zip(after.rows()) {
        assert_ne!(new[0], 0);
        assert!(new.contains(&old[0]), "{old:?} {new:?}");
    }
}

#[test]
fn what_was_written_is_read() {
    for change in [
        (|_: &mut Value| ()) as fn(&mut Value),
        |table| table["forward"]["kind"] = json!("gue"),
        |table| table["binds"][0] = json!({"ip": "90.0.0.0/8", "proto": "any"}),
        |table| table["flows"] = json!(null),
        |table| table["select"] = json!({"kind": "maglev", "compat": "vpp", "size": 1_024}),
        |table| table["select"] = json!({"kind": "maglev", "compat": "vpp-sticky"}),
        |table| {
            table["backends"][1]["weight"] = json!(1);
            table["select"] = json!({"kind": "maglev", "compat": "nfqlb", "size": 1_000});
        },
    ] {
        let table = built(change);
        // Beside a table that needs no words.
        let plain = {
            let text = with(|table| {
                table["select"] = json!({"kind": "glb"});
                table["version"] = json!(3);
                // What has one bind remembers flows both, or neither.
                table["binds"] = json!([{"ip": "192.0.2.99", "proto": "tcp", "port": 80}]);
            });
            let (config, _) = tables::read("t", &text).into_result().unwrap();
            compile(&config.tables[0]).unwrap()
        };
        let both = vec![plain.clone(), table.clone()];
        let mut bytes = Vec::new();
        write_v3(&both, &[], &mut bytes).unwrap();
        assert_eq!(
            bytes[4..8],
            [4, 0, 0, 0],
            "readers that know no words refuse it"
        );
        let (file, issues) = read_bytes("f", &bytes, &mut |_, _| ())
            .into_result()
            .unwrap();
        assert_eq!(issues, []);
        assert_eq!(file.tables, both);
        // Without it the file is as it was before there were words.
        let mut bytes = Vec::new();
        write_v3(&[plain], &[], &mut bytes).unwrap();
        assert_eq!(bytes[4..8], [3, 0, 0, 0]);
        assert_eq!(bytes.len(), 24 + 44 + 2 * 24 + 24 + 3 + 3 * 65_536 + 8);
    }
    let nfqlb = built(|table| {
        table["backends"][1]["weight"] = json!(1);
        table["select"] = json!({"kind": "maglev", "compat": "nfqlb", "size": 1_000});
    });
    assert_eq!(
        nfqlb.words.rows, 997,
        "the last prime up to what nfqlb is told"
    );
}

#[test]
fn each_fault_of_a_binary_file_is_found_and_named() {
    let table = built(|table| table["select"]["size"] = json!(1_021));
    let mut good = Vec::new();
    write_v3(&[table], &[], &mut good).unwrap();
    let first = HEADER_LEN;
    let backend = first + TABLE_HEADER_LEN;
    // Behind the backends, a bind and the name: length, select, rows. The flow hash is the default.
    let words = backend + 2 * 24 + 24 + 3;
    assert_eq!(
        good[words..words + 11],
        [9, 0, 1, 1, 1, 2, 4, 0xfd, 3, 0, 0]
    );
    let rows = words + 11;
    let cases = [
        (4, 3, "table 0: length: "),
        (first, 2, "table 0: forward: 1"),
        (first + 1, 0, "table 0: hops: 0"),
        (words + 2, 0, "table 0: word: 0"),
        (words + 2, 99, "table 0: word: 99"),
        (words + 3, 2, "table 0: word.length [1]: 2"),
        (words + 4, 7, "table 0: word.value [1]: 7"),
        (words + 4, 0, "table 0: rows: 1021"),
        (words + 5, 1, "table 0: word: 1"),
        (words + 8, 4, "table 0: length: "),
        (backend + 5, 4, "table 0: backend.weight [0]: 1025"),
        (rows + 9, 2, "table 0: row.hop [9]: 2"),
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
    // A backend without a weight is one that gets no new flows.
    let mut bytes = good.clone();
    bytes[backend + 4] = 0;
    let summed = bytes.len() - 8;
    let sum = checksum(&bytes[..summed]).to_le_bytes();
    bytes[summed..].copy_from_slice(&sum);
    assert!(File::check(&bytes).is_ok());
}

#[test]
fn a_version_2_build_says_why_not() {
    let (config, _) = tables::read("t", &with(|_| ())).into_result().unwrap();
    let issues = why_not_v2("t.json", &config);
    let said = issues[0].to_string();
    let expected =
        "t.json: table \"web\": select.kind: \"maglev\": cannot be built as format version 2";
    assert!(said.starts_with(expected), "{said}");
}

/// What one error says of a file.
fn error(change: impl FnOnce(&mut Value)) -> String {
    let checked = tables::read("t", &with(change));
    assert!(checked.value.is_none(), "{:?}", checked.issues);
    let errors = checked
        .issues
        .iter()
        .filter(|one| one.severity == Severity::Error);
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    let [one] = &errors[..] else {
        panic!("{errors:?}");
    };
    one.strip_prefix("t: error: table \"web\": ")
        .or(one.strip_prefix("t: table \"web\": "))
        .unwrap_or(one)
        .to_owned()
}

/// The slots of nfqlb are identifiers: where a backend stands in the list says nothing.
#[test]
fn identifiers_are_the_slots_of_nfqlb() {
    let table = |order: &[(u8, Option<u8>)], max_targets: Option<u16>| {
        built(|table| {
            let backend = |(last, id): &(u8, Option<u8>)| {
                let mut one =
                    json!({"ip": format!("10.0.0.{last}"), "state": "active", "healthy": true});
                if let Some(id) = id {
                    one["id"] = json!(id);
                }
                one
            };
            table["backends"] = order.iter().map(backend).collect();
            table["select"] = json!({"kind": "maglev", "compat": "nfqlb"});
            match max_targets {
                Some(most) => table["select"]["max_targets"] = json!(most),
                None => table["select"]["size"] = json!(1_000),
            }
        })
    };
    let addresses = |table: &Compiled| -> Vec<Addr> {
        let all = table.rows().map(|row| usize::from(row[0]));
        all.map(|place| table.backends[place].backend.addr)
            .collect()
    };
    let plain = table(&[(1, None), (2, None), (3, None)], None);
    let turned = table(&[(3, Some(2)), (1, Some(0)), (2, Some(1))], None);
    assert_eq!(addresses(&plain), addresses(&turned));
    assert_ne!(plain.rows, turned.rows);
    // The slot of one that has left stays empty.
    let gone = built(|table| {
        let backend = |last: u8, state: &str| json!({"ip": format!("10.0.0.{last}"), "state": state, "healthy": true});
        table["backends"] = json!([
            backend(1, "active"),
            backend(2, "inactive"),
            backend(3, "active")
        ]);
        table["select"] = json!({"kind": "maglev", "compat": "nfqlb", "size": 1_000});
    });
    let removed = table(&[(1, None), (3, Some(2))], None);
    assert_eq!(addresses(&gone), addresses(&removed));
    let of_ten = table(&[(1, None), (3, Some(9))], Some(10));
    assert_eq!(of_ten.words.rows, 1_009);
}

#[test]
fn identifiers_stay_below_what_nfqlb_has_room_for() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 4] = [
        (
            |t| t["backends"][1]["id"] = json!(10),
            "backends[1].id: is 10, and must be below max_targets, 10",
        ),
        (
            |t| t["select"]["max_targets"] = json!(257),
            "select.max_targets: 257: must be a whole number from 1 to 256",
        ),
        (
            |t| t["select"]["compat"] = json!("vpp"),
            "select.max_targets: 10: needs \"compat\": \"nfqlb\"",
        ),
        (
            |t| {
                t["select"]["size"] = json!(7);
                t["backends"][1]["id"] = json!(9);
            },
            "select.size: 7: must be at least 11: a backend of the table has the id 9",
        ),
    ];
    for (change, expected) in cases {
        let said = error(|table| {
            table["backends"][1]["weight"] = json!(1);
            table["select"] = json!({"kind": "maglev", "compat": "nfqlb", "max_targets": 10});
            change(table);
        });
        assert!(said.contains(expected), "{said} and not {expected}");
    }
}

#[test]
fn each_bad_input_has_one_clear_error() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 26] = [
        (|t| t["select"] = json!("maglev"), "select: \"maglev\": must be an object"),
        (|t| t["select"] = json!({}), "select.kind: is missing"),
        (|t| t["select"]["kind"] = json!("ring"), "select.kind: \"ring\": must be \"glb\" or \"maglev\""),
        (|t| t["select"]["size"] = json!(1_024), "select.size: 1024: must be a prime, such as 1031"),
        (|t| t["select"]["size"] = json!(65_536), "select.size: 65536: must be a prime, such as 65537"),
        (|t| t["select"]["size"] = json!(1), "select.size: 1: must be a whole number from 2 to 655373"),
        (|t| t["select"]["size"] = json!(655_374), "select.size: 655374: must be a whole number from 2 to 655373"),
        (
            |t| {
                let backend = |n| json!({"ip": format!("10.0.1.{n}"), "state": "active", "healthy": true});
                t["backends"] = (0..12).map(backend).collect();
                t["select"]["size"] = json!(11);
            },
            "select.size: 11: must be at least 13: the table has 12 backends",
        ),
        (|t| t["select"]["hops"] = json!(0), "select.hops: 0: must be a whole number from 1 to 31"),
        (|t| t["select"]["hops"] = json!(2), "select.hops: 2: must be 1: packets of \"gre\" name no hop"),
        (
            |t| {
                t["forward"]["kind"] = json!("gue");
                t["select"]["hops"] = json!(1);
            },
            "select.hops: 1: must be at least 2",
        ),
        (
            |t| {
                t["forward"]["kind"] = json!("gue");
                t["select"]["hops"] = json!(9);
                t["backends"][0]["ip"] = json!("fd00::1");
                t["backends"][1]["ip"] = json!("fd00::2");
            },
            "select.hops: 9 hops; the packet format has room for 8 IPv6 ones",
        ),
        (
            |t| {
                let backend = |n| json!({"ip": format!("10.0.1.{n}"), "state": "active", "healthy": true});
                t["forward"]["kind"] = json!("gue");
                t["backends"] = (0..200).map(backend).collect();
                t["select"]["hops"] = json!(3);
            },
            "select.hops: 3 hops in 65537 rows take too long to compute",
        ),
        (
            |t| t["select"]["compat"] = json!("ipvs"),
            "select.compat: \"ipvs\": must be \"vpp\", \"vpp-sticky\", \"nfqlb\" or \"nfqlb-sctp-ports\"",
        ),
        (|t| t["select"]["compat"] = json!("own"), "select.compat: \"own\": must be"),
        (
            |t| {
                t["forward"]["kind"] = json!("gue");
                t["select"]["compat"] = json!("vpp");
            },
            "select.compat: vpp has no second hop, which packets of \"gue\" name",
        ),
        (
            |t| t["select"] = json!({"kind": "maglev", "compat": "vpp", "size": 1_021}),
            "select.size: 1021: must be a power of two, such as 1024",
        ),
        (
            |t| t["select"] = json!({"kind": "maglev", "compat": "nfqlb", "size": 997}),
            "backends[1].weight: 2: nfqlb has no weights: must be 1",
        ),
        (
            |t| {
                t["backends"][1]["weight"] = json!(1);
                t["select"]["compat"] = json!("nfqlb");
            },
            "select.size: is missing: the size that nfqlb is told",
        ),
        (|t| t["backends"][0]["weight"] = json!(1_001), "backends[0].weight: 1001: must be a whole number from 0 to 1000"),
        (
            |t| {
                t["backends"][0]["weight"] = json!(0);
                t["backends"][1]["weight"] = json!(0);
            },
            "backends: all have weight 0",
        ),
        (|t| t["version"] = json!(2), "version: 2: must be 3, or absent"),
        (|t| t["hops"] = json!(2), "hops: 2: is of tables with select glb"),
        (|t| t["backends"][1]["ip"] = json!("10.0.0.1"), "backends[1].ip: is the address of backends[0] already"),
        (|t| t["backends"][1]["ip"] = json!("fd00::1"), "backends: has IPv4 and IPv6 addresses"),
        (
            |t| t["binds"][0]["proto"] = json!("any"),
            "binds[0].port: 80: \"proto\": \"any\" takes all protocols, of which some have no ports: leave it out",
        ),
    ];
    for (change, expected) in cases {
        let said = error(change);
        assert!(said.starts_with(expected), "{said}\nand not\n{expected}");
    }
    // What belongs to a Maglev table alone.
    for field in ["size", "hops", "compat"] {
        let said = error(|t| {
            t["select"] = json!({"kind": "glb", field: 7});
            t["version"] = json!(3);
        });
        assert_eq!(
            said,
            format!("select.{field}: 7: needs \"kind\": \"maglev\"")
        );
    }
}
