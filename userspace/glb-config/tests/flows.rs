// SPDX-License-Identifier: GPL-2.0

//! Which connections depend on second chance, against a model that knows no classifier and no decision.

use glb_config::compiled::Compiled;
use glb_config::file::read_bytes;
use glb_config::flows::{
    own, Census, Dependent, FileTables, Found, Listed, Proxy, Seen, Way, Ways,
};
use glb_config::opened::open_bytes;
use glb_core::backend::State;
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::select::hash::HashFields;
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::Addrs;
use glb_core::settings::Settings;
use glb_core::siphash::SipKey;
use proptest::prelude::*;
use serde_json::{json, Value};
use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

/// Five tables: with overlapping binds, of both versions, one whose packets name one hop, and Maglev tables with both.
fn file() -> Value {
    let table = |name: &str, more: Value| {
        let backend = |n: u8, state: &str| json!({"ip": format!("10.0.0.{n}"), "state": state, "healthy": n != 4});
        let mut table = json!({"name": name, "hash_key": "12345678901234561234567890123456",
            "backends": [backend(1, "active"), backend(2, "draining"), backend(3, "active"), backend(4, "active")]});
        table
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        table
    };
    let bind = |ip: &str, proto: &str, from: u16, to: u16| json!({"ip": ip, "proto": proto, "port_start": from, "port_end": to});
    json!({"tables": [
        table("wide", json!({"seed": "00000000000000000000000000000001",
            "binds": [bind("192.0.2.0/24", "tcp", 0, 100), bind("2001:db8::/32", "tcp", 0, 65535)]})),
        table("narrow", json!({"version": 3, "hops": 3, "seed": "00000000000000000000000000000002",
            "hash_key": "22345678901234561234567890123456",
            "binds": [bind("192.0.2.0/28", "tcp", 50, 60), bind("192.0.2.1", "udp", 0, 65535)]})),
        table("single", json!({"version": 3, "hops": 2, "forward": {"kind": "gre"}, "seed": "00000000000000000000000000000003",
            "binds": [bind("192.0.2.8", "tcp", 200, 300)]})),
        table("maglev", json!({"select": {"kind": "maglev", "size": 1021}, "seed": "00000000000000000000000000000004",
            "binds": [bind("192.0.2.9", "tcp", 0, 65535), bind("2001:db8::7", "tcp", 0, 65535)]})),
        table("ring", json!({"select": {"kind": "maglev", "size": 509}, "forward": {"kind": "gre"},
            "seed": "00000000000000000000000000000005", "binds": [bind("192.0.2.10", "tcp", 0, 65535)]})),
    ]})
}

fn compiled() -> &'static [Compiled] {
    static TABLES: OnceLock<Vec<Compiled>> = OnceLock::new();
    TABLES.get_or_init(|| {
        let bytes = file().to_string();
        read_bytes("t", bytes.as_bytes(), &mut |_, _| {})
            .value
            .unwrap()
            .tables
    })
}

fn has(bind: &Bind, addr: Addr, port: u16) -> bool {
    let same_family = matches!(bind.addr, Addr::V4(_)) == matches!(addr, Addr::V4(_));
    same_family
        && bind.proto == Some(Proto::Tcp)
        && addr.masked(bind.prefix_len) == bind.addr.masked(bind.prefix_len)
        && (bind.port_start..=bind.port_end).contains(&port)
}

/// Table, row by each set of fields, and hops.
fn model(flow: &FlowKey, sets: &[HashFields]) -> Option<(usize, Vec<u32>, Vec<Addr>)> {
    let (src, dst, vip) = match flow.addrs {
        Addrs::V4 { src, dst } => (src.to_vec(), dst.to_vec(), Addr::V4(dst)),
        Addrs::V6 { src, dst } => (src.to_vec(), dst.to_vec(), Addr::V6(dst)),
    };
    // The longest prefix, then the narrowest range, then the first.
    let binds = compiled()
        .iter()
        .enumerate()
        .flat_map(|(index, table)| table.binds.iter().map(move |bind| (index, bind)));
    let found = binds.filter(|(_, bind)| has(bind, vip, flow.dst_port));
    let (index, _) = found.min_by_key(|(index, bind)| {
        (
            255 - bind.prefix_len,
            bind.port_end - bind.port_start,
            *index,
        )
    })?;
    let table = &compiled()[index];
    let lists = table.forward.lists_hops();
    let sets = if lists { sets } else { &sets[..1] };
    let mut rows = Vec::new();
    let mut hops = Vec::new();
    for set in sets {
        let mut message = Vec::new();
        for (field, bytes) in [
            (HashFields::SRC_ADDR, &src[..]),
            (HashFields::DST_ADDR, &dst),
            (HashFields::SRC_PORT, &flow.src_port.to_be_bytes()),
            (HashFields::DST_PORT, &flow.dst_port.to_be_bytes()),
        ] {
            if set.contains(field) {
                message.extend(bytes);
            }
        }
        let hash = SipKey::new(&table.hash_key).hash(&message);
        let row = match table.is_maglev() {
            true => (u128::from(hash >> 32) * u128::from(table.words.rows) >> 32) as u32,
            false => (hash & 0xffff) as u32,
        };
        rows.push(row);
        let at = row as usize * table.hops;
        let named = &table.rows[at..at + if lists { table.hops } else { 1 }];
        hops.extend(
            named
                .iter()
                .map(|one| table.backends[usize::from(*one)].backend.addr),
        );
    }
    Some((index, rows, hops))
}

fn tables(fields: HashFields, alt: Option<HashFields>) -> FileTables {
    let mut settings = Settings::DEFAULT;
    (settings.hash_fields, settings.alt_hash_fields) = (fields, alt);
    let opened = open_bytes("t", file().to_string().as_bytes())
        .value
        .unwrap();
    FileTables::new(opened, settings).unwrap()
}

fn flow() -> impl Strategy<Value = FlowKey> {
    // Clients on the loopback are the machine itself.
    let client = any::<[u8; 4]>().prop_filter("loopback", |src| src[0] != 127);
    let v4 = (client, 0u8..20).prop_map(|(src, last)| Addrs::V4 {
        src,
        dst: [192, 0, 2, last],
    });
    let v6 = (any::<[u8; 16]>(), any::<bool>()).prop_map(|(src, ours)| {
        let mut dst = [7; 16];
        dst[..4].copy_from_slice(&[0x20, 0x01, 0x0d, if ours { 0xb8 } else { 0xb9 }]);
        Addrs::V6 { src, dst }
    });
    (prop_oneof![3 => v4, 1 => v6], any::<u16>(), 40u16..310).prop_map(
        |(addrs, src_port, dst_port)| FlowKey {
            addrs,
            src_port,
            dst_port,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn connections_go_where_the_model_says(bits in 1u8..16, alt in 0u8..16, flows in prop::collection::vec(flow(), 60), me in 1u8..6) {
        let fields = HashFields::from_bits(bits).unwrap();
        let alt = HashFields::from_bits(alt);
        let sets: Vec<HashFields> = [Some(fields), alt].into_iter().flatten().collect();
        let mut tables = tables(fields, alt);
        let me = Addr::V4([10, 0, 0, me.min(4)]);
        let listed = Listed::of(tables.opened());
        let addresses = HashSet::from([Addr::V4([203, 0, 113, 9])]);
        let mut census = Census::new(own(&listed, Proxy::Named(me)).unwrap(), &addresses);
        let mut first = [0; 5];
        let mut others: [BTreeMap<Addr, Dependent>; 5] = Default::default();
        let mut outside = 0;
        for flow in flows {
            let seen = Seen { flow, listened: true, tracked: false };
            let got = census.take(&mut tables, &seen).unwrap();
            let Some((table, rows, hops)) = model(&flow, &sets) else {
                prop_assert_eq!(got, None);
                outside += 1;
                continue;
            };
            let found = match hops.iter().position(|hop| *hop == me) {
                Some(0) => Found::First,
                Some(_) => Found::Later,
                None => Found::Never,
            };
            prop_assert_eq!(got, Some((Way { table, row: rows[0], alt_row: rows.get(1).copied() }, found)));
            prop_assert_eq!(census.hops(), &hops[..]);
            if found == Found::First {
                first[table] += 1;
            } else {
                let other = others[table].entry(hops[0]).or_default();
                other.connections += 1;
                other.unreachable += u64::from(found == Found::Never);
            }
        }
        for (index, counted) in census.tables.iter().enumerate() {
            prop_assert_eq!((counted.first, &counted.others), (first[index], &others[index]));
        }
        prop_assert_eq!(census.outside.values().sum::<u64>(), outside);
        let all: u64 = others.iter().flat_map(BTreeMap::values).map(|one| one.connections).sum();
        prop_assert_eq!(census.dependent().connections, all);
    }
}

#[test]
fn rows_are_computed_of_tables_with_connections_alone() {
    let mut tables = tables(HashFields::DEFAULT, None);
    let to = |last: u8, dst_port| FlowKey {
        addrs: Addrs::V4 {
            src: [1; 4],
            dst: [192, 0, 2, last],
        },
        src_port: 1,
        dst_port,
    };
    let mut hops = Vec::new();
    for flow in [to(1, 55), to(2, 55), to(3, 59), to(3, 10_000)] {
        tables.way(&flow, &mut hops).unwrap();
    }
    assert_eq!(tables.opened().built(), 1);
}

#[test]
fn what_is_not_counted() {
    let mut tables = tables(HashFields::DEFAULT, None);
    let listed = Listed::of(tables.opened());
    let me = Addr::V4([10, 0, 0, 1]);
    let vip = Addr::V4([192, 0, 2, 99]);
    let addresses = HashSet::from([me, vip]);
    let mut census =
        Census::new(own(&listed, Proxy::Here(&addresses)).unwrap(), &addresses).direct(&[8022]);
    let mut take = |src, dst, dst_port, (listened, tracked)| {
        let flow = FlowKey {
            addrs: Addrs::V4 { src, dst },
            src_port: 1000,
            dst_port,
        };
        census
            .take(
                &mut tables,
                &Seen {
                    flow,
                    listened,
                    tracked,
                },
            )
            .unwrap()
    };
    let client = [198, 51, 100, 1];
    // From the machine itself: by an address of its own, and by the loopback.
    for src in [[192, 0, 2, 99], [127, 0, 0, 1]] {
        assert_eq!(take(src, [192, 0, 2, 20], 80, (true, false)), None);
    }
    // To no bind: a VIP, the proxy's own address, the loopback, and one that this machine has opened. Where connections are
    // tracked, its own address may be the translation of a VIP.
    for (dst, seen) in [
        ([192, 0, 2, 20], (true, false)),
        ([10, 0, 0, 1], (true, false)),
        ([10, 0, 0, 1], (true, true)),
        ([10, 0, 0, 1], (false, true)),
        ([127, 0, 0, 1], (true, true)),
        ([192, 0, 2, 21], (false, false)),
    ] {
        assert_eq!(take(client, dst, 443, seen), None);
    }
    // What the operator says comes without a director.
    assert_eq!(take(client, [192, 0, 2, 20], 8022, (true, true)), None);
    assert!(take(client, [192, 0, 2, 20], 80, (false, false)).is_some());
    assert_eq!(census.local, 2);
    assert_eq!(
        census.outside,
        BTreeMap::from([((me, 443), 1), ((Addr::V4([192, 0, 2, 20]), 443), 1)])
    );
}

#[test]
fn connections_that_come_first_to_one_that_leaves() {
    let mut tables = tables(HashFields::DEFAULT, None);
    let listed = Listed::of(tables.opened());
    let addresses = HashSet::new();
    let me = Addr::V4([10, 0, 0, 1]);
    let active = own(&listed, Proxy::Named(me)).unwrap();
    let with = |change: &dyn Fn(&mut glb_config::flows::Own)| {
        let mut own = active.clone();
        own.iter_mut().flatten().for_each(change);
        own
    };
    for (own, leaves) in [
        (active.clone(), false),
        (with(&|own| own.state = State::Filling), false),
        (with(&|own| own.state = State::Draining), true),
        (with(&|own| own.state = State::Inactive), true),
        (with(&|own| own.healthy = false), true),
    ] {
        let mut census = Census::new(own, &addresses);
        for last in 0..20 {
            let flow = FlowKey {
                addrs: Addrs::V4 {
                    src: [198, 51, 100, last],
                    dst: [192, 0, 2, 20],
                },
                src_port: 1,
                dst_port: 80,
            };
            let seen = Seen {
                flow,
                listened: true,
                tracked: false,
            };
            census.take(&mut tables, &seen).unwrap();
        }
        let first = census.tables[0].first;
        assert!(first > 0 && census.dependent().connections > 0);
        assert_eq!(census.leaving(), if leaves { first } else { 0 });
    }
}

#[test]
fn which_backend_a_machine_is() {
    let listed = Listed::of(tables(HashFields::DEFAULT, None).opened());
    let here = |last: &[u8]| {
        let addresses: HashSet<Addr> = last
            .iter()
            .map(|last| Addr::V4([10, 0, 0, *last]))
            .collect();
        own(&listed, Proxy::Here(&addresses))
    };
    let found = here(&[2, 77]).unwrap();
    assert!(found
        .iter()
        .all(|own| own.is_some_and(|own| own.state == State::Draining)));
    assert!(here(&[77]).unwrap_err().contains("no backend of any table"));
    let both = here(&[1, 3]).unwrap_err();
    assert!(both.contains("10.0.0.1 and 10.0.0.3 are both"), "{both}");
    assert_eq!(
        own(&[], Proxy::Named(Addr::V4([10, 0, 0, 1]))),
        Err("there are no tables".to_owned())
    );
    // What stands there twice is one, by the entry that has rows.
    let mut twice = listed.clone();
    let mut inactive = twice[0].backends[0];
    inactive.state = State::Inactive;
    twice[0].backends.insert(0, inactive);
    let found = own(&twice, Proxy::Named(inactive.addr)).unwrap();
    assert_eq!(found[0].map(|own| own.state), Some(State::Active));
}
