// SPDX-License-Identifier: GPL-2.0

//! The files that are shipped, and those of a deployed fleet.

use glb_config::healthcheck::{self, DEFAULT_RELOAD_COMMAND};
use glb_config::tables;

/// The example shows every default, and nothing else.
#[test]
fn the_example_configuration_is_the_default() {
    let (example, issues) = healthcheck::read("example", include_str!("../healthcheck.conf"))
        .into_result()
        .unwrap();
    assert_eq!(issues, []);
    let (default, issues) = healthcheck::read("default", "{}").into_result().unwrap();
    assert_eq!(issues, []);
    assert_eq!(
        example.reload_command.as_deref(),
        Some(DEFAULT_RELOAD_COMMAND)
    );
    let mut same = example.clone();
    same.reload_command = None;
    same.tree = default.tree.clone();
    assert_eq!(format!("{same:?}"), format!("{default:?}"));
}

/// Files as deployed fleets have them are read without a word.
#[test]
fn deployed_files() {
    let config = r#"{"forwarding_table": {"src": "/etc/glb/forwarding_table.src.json",
        "dst": "/etc/glb/forwarding_table.checked.json"}, "reload_command": "true"}"#;
    assert_eq!(healthcheck::read("f", config).issues, []);
    let table = r#"{"tables": [{"name": "www", "hash_key": "12345678901234561234567890123456",
        "seed": "34567890123456783456789012345678",
        "binds": [{"ip": "1.1.1.1", "proto": "tcp", "port": 80}, {"ip": "1.1.1.0/24", "proto": "udp", "port_start": 80, "port_end": 90}],
        "backends": [
          {"ip": "1.2.3.4", "state": "active", "healthchecks": {"http": 80, "gue": 19523, "http_uri": "/status"}},
          {"ip": "2.3.4.5", "state": "active", "healthy": true, "healthchecks": {"tcp": 443, "fou": 9523}}]}],
        "healthchecks": {"interval_ms": 2000, "timeout_ms": 1000, "trigger": 3}}"#;
    assert_eq!(tables::read("f", table).issues, []);
}
