// SPDX-License-Identifier: GPL-2.0

//! `redirect_flows`: the connections of a proxy that depend on second chance, with real sockets in a network namespace of the
//! test's own.

use crate::harness::Place;
use crate::netns::{add_address, add_clients, connect, enter, Both};
use crate::wait::wait;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{IpAddr, TcpListener};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn table(state: &str, port: u16) -> String {
    let backend =
        |n: u8, state: &str| json!({"ip": format!("10.0.0.{n}"), "state": state, "healthy": true});
    let table = json!({"tables": [{"name": "we\"b", "hash_key": "12345678901234561234567890123456",
        "seed": "49a3d861d661ae5ab06ed9326871a2f5", "binds": [{"ip": "10.9.0.1", "proto": "tcp", "port": port}],
        "backends": [backend(11, state), backend(12, "active"), backend(13, "inactive")]}]});
    table.to_string()
}

/// The samples of what is about connections.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let of = lines.filter(|line| line.starts_with("glb_redirect_") && !line.contains("_seconds"));
    of.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    })
    .collect()
}

#[test]
fn connections_that_depend_on_second_chance_are_counted() {
    if !enter() {
        return;
    }
    for addr in ["10.0.0.11", "10.9.0.1"] {
        add_address(addr);
    }
    add_clients("10.2.0.0", 16);
    let listener = TcpListener::bind("10.9.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let all: Vec<Both> = (1..=20)
        .map(|n| connect(ip(&format!("10.2.0.{n}")), &listener, ip("10.9.0.1")))
        .collect();
    let place = Place::new("connections");
    place.write("src.json", r#"{"tables": []}"#);
    place.write("flows.json", &table("active", port));
    place.configure(&json!({"redirect_flows": {"table": place.path("flows.json")}}));
    let daemon = place.start();
    let page = || samples(&daemon.get("/metrics").1);
    // A machine that is busy may take longer to count than a page waits.
    let scrape = || {
        wait("a count", || {
            Some(page()).filter(|page| page["glb_redirect_flows_valid"] > 0.0)
        })
    };
    let by_hop = "glb_redirect_dependent_connections{table=\"we\\\"b\",first_hop=\"10.0.0.12\"}";
    let active = scrape();
    let first = active["glb_redirect_first_hop_connections{table=\"we\\\"b\"}"];
    assert_eq!(active["glb_redirect_flows_valid"], 1.0);
    assert_eq!(active[by_hop] + first, 20.0, "{active:?}");
    assert!(first > 0.0 && active[by_hop] > 0.0, "{active:?}");
    assert_eq!(
        active["glb_redirect_dependent_connections{table=\"we\\\"b\",first_hop=\"10.0.0.13\"}"],
        0.0
    );
    assert_eq!(
        active["glb_redirect_unreachable_connections{table=\"we\\\"b\"}"],
        0.0
    );
    assert_eq!(active["glb_redirect_outside_connections"], 0.0);
    assert_eq!(active["glb_redirect_flows_unseen"], 0.0);
    let config = glb_config::tables::read("t", &table("active", port))
        .value
        .unwrap();
    let digest = config.tables[0].digest_with_health();
    let info = format!("glb_redirect_flows_table_info{{table=\"we\\\"b\",backend=\"10.0.0.11\",digest=\"{digest:016x}\"}}");
    assert_eq!(active[&info], 1.0);
    let fields =
        "glb_redirect_flows_config_info{hash_fields=\"src_addr\",alt_hash_fields=\"none\"}";
    assert_eq!(active[fields], 1.0);
    // Another table counts from the next scrape on. All depend on second chance now.
    place.write("flows.json", &table("draining", port));
    let draining = scrape();
    assert_eq!(draining[by_hop], 20.0);
    assert!(!draining.contains_key(&info));
    drop(all);
    assert_eq!(scrape()[by_hop], 0.0);
    // What cannot be counted is not 0.
    place.write("flows.json", "{");
    let bad = page();
    assert_eq!(
        (bad.len(), bad["glb_redirect_flows_valid"]),
        (1, 0.0),
        "{bad:?}"
    );
}
