// SPDX-License-Identifier: GPL-2.0

//! Packets with classes and binds: the decision, from the bytes on, against a list of the file's classes that is searched from
//! top to bottom, and binds behind it.

use glb_config::classes::compiled;
use glb_config::rows::compile_all;
use glb_config::tables::{read_with_classes, Config};
use glb_config::world::{classifier, Tables};
use glb_core::director::classify::by_class::Bytes;
use glb_core::director::{decide_classed, inspect, Stop, Verdict, World};
use glb_core::packet::ip::Family;
use glb_core::packet::view::View;
use glb_core::settings::Settings;
use proptest::prelude::*;
use serde_json::{json, Value};
use std::borrow::Cow;

/// A class as the test writes it; its words are small, so that packets meet classes.
#[derive(Debug, Clone)]
struct Class {
    priority: u32,
    table: usize,
    proto: Option<u8>,
    dst: Option<u8>,
    src: Option<u8>,
    dport: Option<(u16, u16)>,
    /// The last byte of what TCP has first.
    flags: Option<u8>,
    encap: bool,
}

const NAMES: [(u8, &str); 3] = [(6, "tcp"), (17, "udp"), (132, "sctp")];
const ENCAP: u16 = 81;

impl Class {
    fn json(&self, index: usize) -> Value {
        let mut class = json!({"name": format!("c{index}"), "service": format!("t{}", self.table), "priority": self.priority});
        if let Some(proto) = self.proto {
            let (_, name) = NAMES.iter().find(|(number, _)| *number == proto).unwrap();
            class["proto"] = json!([name]);
        }
        if let Some(dst) = self.dst {
            class["dst"] = json!([format!("10.0.0.{dst}"), format!("fd00::{dst}")]);
        }
        if let Some(src) = self.src {
            class["src"] = json!([format!("10.1.{src}.0/24"), format!("fd01:0:0:{src}::/64")]);
        }
        if let Some((first, last)) = self.dport.filter(|_| self.proto.is_some()) {
            class["dport"] = json!([format!("{first}-{last}")]);
        }
        if let Some(flags) = self.flags.filter(|_| self.proto == Some(6)) {
            class["match"] = json!([format!("tcp[13:1] = {flags}")]);
        }
        if self.encap && self.proto == Some(132) {
            class["udp_encap"] = json!(ENCAP);
        }
        class
    }

    /// Whether it takes a packet, of which the header behind UDP may be one of SCTP.
    fn takes(&self, packet: &Packet) -> bool {
        let of = |wanted: Option<u8>, have| wanted.is_none_or(|wanted| wanted == have);
        let port = |port| {
            self.dport
                .is_none_or(|(first, last)| first <= port && port <= last)
        };
        let header = match (self.proto, packet.proto) {
            (None, _) => true,
            (Some(6), 6) => port(packet.dport) && of(self.flags, packet.flags),
            (Some(132), 17) if self.encap && packet.dport == ENCAP => port(packet.inner),
            (Some(proto), have) => proto == have && port(packet.dport),
        };
        header && of(self.dst, packet.dst) && of(self.src, packet.src)
    }
}

#[derive(Debug, Clone)]
struct Packet {
    v6: bool,
    proto: u8,
    dst: u8,
    src: u8,
    dport: u16,
    flags: u8,
    /// The port of SCTP behind UDP.
    inner: u16,
}

impl Packet {
    fn bytes(&self) -> Vec<u8> {
        let mut transport = vec![0x10, 0];
        transport.extend(self.dport.to_be_bytes());
        match self.proto {
            6 => transport.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, self.flags, 0, 0, 0, 0, 0, 0]),
            17 => {
                transport.extend([0, 20, 0, 0, 0x20, 0]);
                transport.extend(self.inner.to_be_bytes());
                transport.extend([0; 8]);
            }
            _ => transport.extend([0; 8]),
        }
        // The cast is exact: it is short.
        let len = transport.len() as u8;
        let mut packet = if self.v6 {
            let mut ip = vec![0x60, 0, 0, 0, 0, len, self.proto, 64];
            let mut src = [0; 16];
            (src[0], src[1], src[7], src[15]) = (0xfd, 1, self.src, 9);
            let mut dst = [0; 16];
            (dst[0], dst[15]) = (0xfd, self.dst);
            ip.extend(src);
            ip.extend(dst);
            ip
        } else {
            let mut ip = vec![0x45, 0, 0, 20 + len, 0, 0, 0x40, 0, 64, self.proto, 0, 0];
            ip.extend([10, 1, self.src, 9]);
            ip.extend([10, 0, 0, self.dst]);
            let sum: u32 = ip
                .chunks(2)
                .map(|two| u32::from(two[0]) << 8 | u32::from(two[1]))
                .sum();
            let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            ip
        };
        packet.extend(transport);
        packet
    }
}

/// Three tables, of which the last one has a bind for all that goes to TCP port 80.
fn config(classes: &[Class]) -> Config {
    let table = |number: usize, binds: Value| {
        json!({"name": format!("t{number}"), "select": {"kind": "maglev", "size": 7}, "forward": {"kind": "mark", "offset": 100},
            "flows": false, "hash_key": "00".repeat(16), "seed": format!("{number:032x}"), "binds": binds,
            "backends": [{"ip": format!("10.9.0.{number}"), "state": "active", "healthy": true}]})
    };
    let bind = |ip: &str| json!({"ip": ip, "proto": "tcp", "port": 80});
    let classes: Vec<Value> = (0..)
        .zip(classes)
        .map(|(index, one)| one.json(index))
        .collect();
    let tree = json!({"tables": [table(0, json!([])), table(1, json!([])), table(2, json!([bind("10.0.0.0/8"), bind("fd00::/8")]))],
        "classes": classes});
    let (config, _) = read_with_classes("t", &tree.to_string())
        .into_result()
        .expect("sound");
    config
}

/// The table by the list, and by the bind behind it.
fn model(classes: &[Class], packet: &Packet) -> Option<usize> {
    let mut list: Vec<(usize, &Class)> = classes.iter().enumerate().collect();
    list.sort_by_key(|(place, class)| (u32::MAX - class.priority, *place));
    let class = list.iter().find(|(_, class)| class.takes(packet));
    let bound = (packet.proto == 6 && packet.dport == 80).then_some(2);
    class.map(|(_, class)| class.table).or(bound)
}

/// The table by the decision, with so many bytes at hand at first.
fn decided(world: &Tables<'_>, packet: &Packet, linear: usize) -> Result<usize, Verdict> {
    let bytes = packet.bytes();
    let family = if packet.v6 { Family::V6 } else { Family::V4 };
    let mut linear = linear.min(bytes.len());
    loop {
        let view = View::new(&bytes[..linear], bytes.len());
        let read = inspect(view, family).and_then(|candidate| {
            let read = Bytes::read(view, family, &candidate, world.classes())?;
            Ok((candidate, read))
        });
        match read {
            Ok((candidate, read)) => {
                let plan = decide_classed(world, &Settings::DEFAULT, candidate, read)?;
                let addr = plan.hops.first().backend.addr;
                let mut tables = (0..3u16).filter(|table| {
                    world
                        .service(*table)
                        .is_some_and(|one| core::ptr::eq(one, plan.table))
                });
                let table = tables.next().expect("a table of the file");
                assert_eq!(format!("{addr:?}"), format!("V4([10, 9, 0, {table}])"));
                return Ok(usize::from(table));
            }
            Err(Stop::Pass(verdict)) => return Err(verdict),
            Err(Stop::NeedLinear(len)) => {
                assert!(len > linear, "each round asks for more");
                linear = len;
            }
        }
    }
}

fn class() -> impl Strategy<Value = Class> {
    let proto = proptest::option::of((0..3usize).prop_map(|index| NAMES[index].0));
    let place = || proptest::option::of(1u8..4);
    let dport = proptest::option::of((79u16..83, 0u16..3));
    (
        (0u32..3, 0usize..3),
        (proto, place(), place()),
        (dport, proptest::option::of(0u8..3), any::<bool>()),
    )
        .prop_map(
            |((priority, table), (proto, dst, src), (dport, flags, encap))| Class {
                priority,
                table,
                proto,
                dst,
                src,
                dport: dport
                    .map(|(first, more)| (first, first + more))
                    .filter(|_| proto.is_some()),
                flags: flags.filter(|_| proto == Some(6)),
                encap: encap && proto == Some(132),
            },
        )
}

fn packet() -> impl Strategy<Value = Packet> {
    let proto = prop_oneof![Just(6u8), Just(17), Just(132), Just(47)];
    let port = || 79u16..84;
    (
        any::<bool>(),
        proto,
        (1u8..4, 1u8..4),
        (port(), port()),
        0u8..3,
    )
        .prop_map(|(v6, proto, (dst, src), (dport, inner), flags)| Packet {
            v6,
            proto,
            dst,
            src,
            dport,
            flags,
            inner,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn as_a_list_and_binds_behind_it(
        classes in proptest::collection::vec(class(), 1..8),
        packets in proptest::collection::vec((packet(), 20usize..80), 40),
    ) {
        let config = config(&classes);
        let tables = compile_all(&config, &mut |_, _| ()).unwrap();
        let binds = classifier(tables.iter().map(|one| &one.binds[..])).unwrap();
        let words = compiled(&config.classes).unwrap();
        let world = Tables::new(tables.iter().map(|one| Some(Cow::Borrowed(one))), &binds).with_classes(&words);
        for (packet, linear) in &packets {
            let got = decided(&world, packet, *linear).ok();
            prop_assert_eq!(got, model(&classes, packet), "{:?}", packet);
        }
    }
}
