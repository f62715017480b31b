// SPDX-License-Identifier: GPL-2.0

//! The files that are shipped, and those of a deployed fleet.

use glb_config::healthcheck;
use glb_config::tables;

/// The example shows every default, and beside them only the command, without which nothing is reloaded.
#[test]
fn the_example_configuration_is_the_default() {
    let (example, issues) = healthcheck::read("example", include_str!("../healthcheck.conf"))
        .into_result()
        .unwrap();
    assert_eq!(issues, []);
    let (default, _) = healthcheck::read("default", "{}").into_result().unwrap();
    assert_eq!(default.reload_command, None);
    let command = example.reload_command.as_deref().unwrap();
    let [src, bin] = ["json", "bin"].map(|end| format!("/etc/glb/forwarding_table.checked.{end}"));
    assert_eq!(
        command,
        format!("glb-director-cli build-config {src} {bin} && systemctl reload glb-director")
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
