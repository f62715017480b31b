// SPDX-License-Identifier: GPL-2.0

//! Rows that lead to a backend that is known to be dead.

use glb_config::file::read_bytes;
use glb_config::rows::compile;
use glb_config::tables::{self, Table};
use glb_config::{DeadRows, Remedy, Severity};
use glb_core::director::select::hash::ROWS;

/// A table of these backends, `STATE` or `STATE, unhealthy`.
fn text(version: u8, backends: &[&str]) -> String {
    let backends: Vec<String> = (10..)
        .zip(backends)
        .map(|(n, what)| {
            let (state, healthy) = match what.split_once(", ") {
                Some((state, _)) => (state, false),
                None => (*what, true),
            };
            format!(r#"{{"ip": "192.168.50.{n}", "state": "{state}", "healthy": {healthy}}}"#)
        })
        .collect();
    format!(
        r#"{{"tables": [{{"name": "t", "version": {version}, "hash_key": "12345678901234561234567890123456",
        "seed": "34567890123456783456789012345678",
        "binds": [{{"ip": "10.10.10.10", "proto": "tcp", "port": 80}}],
        "backends": [{}]}}]}}"#,
        backends.join(",")
    )
}

fn table(version: u8, backends: &[&str]) -> Table {
    let (config, _) = tables::read("t", &text(version, backends))
        .into_result()
        .unwrap();
    config.tables.into_iter().next().unwrap()
}

fn dead(version: u8, backends: &[&str]) -> Option<DeadRows> {
    DeadRows::of_table(&table(version, backends)).unwrap()
}

const TWO_BAD: [&str; 4] = ["active", "active", "active, unhealthy", "active, unhealthy"];

#[test]
fn two_bad_hops_of_version_2() {
    let dead = dead(2, &TWO_BAD).unwrap();
    assert_eq!((dead.first_hop, dead.all_hops), (10932, 10932));
    assert_eq!(dead.remedy, Remedy::OtherRule);
    let said = dead.text();
    assert!(said.starts_with("10932 of 65536 rows (16.7 %) lead to an unhealthy backend"));
    assert!(said.contains("\"version\": 3"), "{said}");
}

#[test]
fn version_3_has_none() {
    assert_eq!(dead(3, &TWO_BAD), None);
    assert_eq!(
        dead(3, &["active", "active, unhealthy", "active, unhealthy"]),
        None
    );
}

#[test]
fn both_remedies_remedy() {
    // What the text says to do, done to the table that it is said of.
    let inactive = [
        "active",
        "active",
        "inactive, unhealthy",
        "inactive, unhealthy",
    ];
    assert_eq!(dead(2, &inactive), None);
    assert_eq!(dead(3, &TWO_BAD), None);
}

#[test]
fn a_bad_first_hop_whose_second_is_not_active() {
    // The deployed rule changes the hops' places only where the second is active.
    let dead = dead(2, &["active, unhealthy", "draining", "active"]).unwrap();
    assert!(dead.first_hop > 0);
    assert_eq!(dead.all_hops, 0);
    assert_eq!(dead.remedy, Remedy::OtherRule);
}

#[test]
fn nobody_to_go_to() {
    for version in [2, 3] {
        let dead = dead(version, &["active, unhealthy", "active, unhealthy"]).unwrap();
        assert_eq!((dead.first_hop, dead.all_hops), (ROWS as u32, ROWS as u32));
        assert_eq!(dead.remedy, Remedy::Repair);
    }
}

#[test]
fn none_where_all_is_well() {
    assert_eq!(dead(2, &["active", "active", "draining"]), None);
    assert_eq!(dead(2, &["active", "active", "active, unhealthy"]), None);
    assert_eq!(dead(2, &["active", "active", "inactive, unhealthy"]), None);
}

#[test]
fn it_is_counted_row_by_row() {
    let compiled = compile(&table(2, &TWO_BAD)).unwrap();
    let bad = |index: u8| index >= 2;
    let rows = compiled.rows().filter(|row| bad(row[0])).count();
    assert_eq!(DeadRows::of(&compiled).unwrap().first_hop as usize, rows);
}

#[test]
fn whoever_reads_a_table_with_its_rows_is_told() {
    let checked = read_bytes("f", text(2, &TWO_BAD).as_bytes(), &mut |_, _| ());
    assert!(checked.value.is_some());
    let [issue] = &checked.issues[..] else {
        panic!("{:?}", checked.issues);
    };
    assert_eq!(issue.severity, Severity::Warning);
    let said = issue.to_string();
    assert!(
        said.starts_with("f: warning: table \"t\": backends: 10932 of 65536 rows"),
        "{said}"
    );
}
