// SPDX-License-Identifier: GPL-2.0

//! Packets with classes and binds: the decision, from the bytes on, against a list of the file's classes that is searched from
//! top to bottom, and binds behind it.

use glb_config::classes::compiled;
use glb_config::rows::compile_all;
use glb_config::tables::{read_with_classes, Config};
use glb_config::world::{classifier, Tables};
use glb_core::director::classify::by_class::{class_of, class_of_common, Bytes};
use glb_core::director::{common, decide_classed, inspect, Stop, Verdict, World};
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::{Addrs, Family, Fragment};
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

/// Which part of a datagram is sent: all of it, or the first or a later fragment of the one with this identification.
#[derive(Debug, Clone, Copy)]
enum Part {
    Whole,
    First(u16),
    Later(u16),
}

impl Packet {
    fn bytes(&self, part: Part) -> Vec<u8> {
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
        // Offset and "more fragments" as IPv4 has them, and the same as IPv6 does.
        let (id, flags_v4, flags_v6) = match part {
            Part::Whole => (0u16, 0x4000u16, None),
            Part::First(id) => (id, 0x2000, Some(1u16)),
            Part::Later(id) => (id, 100, Some(100 << 3)),
        };
        if let Part::Later(_) = part {
            // What is like ports is of the payload.
            transport = vec![0, 80, 0, 80, 1, 2, 3, 4];
        } else if flags_v6.is_some() {
            transport.resize(24, 0);
        }
        // The cast is exact: it is short.
        let len = transport.len() as u8;
        let mut packet = if self.v6 {
            let (len, next) = match flags_v6 {
                Some(_) => (len + 8, 44),
                None => (len, self.proto),
            };
            let mut ip = vec![0x60, 0, 0, 0, 0, len, next, 64];
            let mut src = [0; 16];
            (src[0], src[1], src[7], src[15]) = (0xfd, 1, self.src, 9);
            let mut dst = [0; 16];
            (dst[0], dst[15]) = (0xfd, self.dst);
            ip.extend(src);
            ip.extend(dst);
            if let Some(flags) = flags_v6 {
                ip.extend([self.proto, 0]);
                ip.extend(flags.to_be_bytes());
                ip.extend(u32::from(id).to_be_bytes());
            }
            ip
        } else {
            let mut ip = vec![0x45, 0, 0, 20 + len];
            ip.extend(id.to_be_bytes());
            ip.extend(flags_v4.to_be_bytes());
            ip.extend([64, self.proto, 0, 0]);
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
    let bind = |ip: &str| json!({"ip": ip, "proto": "tcp", "port": 80});
    config_with(classes, &json!([bind("10.0.0.0/8"), bind("fd00::/8")]))
}

/// The same with these binds of the last one.
fn config_with(classes: &[Class], binds: &Value) -> Config {
    let table = |number: usize, binds: Value| {
        json!({"name": format!("t{number}"), "select": {"kind": "maglev", "size": 7}, "forward": {"kind": "mark", "offset": 100},
            "flows": false, "hash_key": "00".repeat(16), "seed": format!("{number:032x}"), "binds": binds,
            "backends": [{"ip": format!("10.9.0.{number}"), "state": "active", "healthy": true}]})
    };
    let classes: Vec<Value> = (0..)
        .zip(classes)
        .map(|(index, one)| one.json(index))
        .collect();
    let tree = json!({"tables": [table(0, json!([])), table(1, json!([])), table(2, binds.clone())],
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
fn decided(
    world: &Tables<'_>,
    (packet, part): (&Packet, Part),
    linear: usize,
) -> Result<usize, Verdict> {
    let bytes = packet.bytes(part);
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
                // The module asks common packets first in fewer steps.
                if let Some(found) = common(view, family)
                    .and_then(|packet| class_of_common(world.classes(), &packet))
                {
                    assert_eq!(class_of(world.classes(), &candidate, read), Some(found));
                }
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

/// What a test decides on.
fn with_world(config: &Config, test: impl FnOnce(&Tables<'_>)) {
    let tables = compile_all(config, &mut |_, _| ()).unwrap();
    let binds = classifier(tables.iter().map(|one| &one.binds[..])).unwrap();
    let words = compiled(&config.classes).unwrap();
    let tables = tables.iter().map(|one| Some(Cow::Borrowed(one)));
    test(&Tables::new(tables, &binds).with_classes(&words));
}

/// The addresses of a datagram's packets, as fragments are remembered by them.
fn seen(packet: &Packet, part: Part) -> (Addrs, Fragment) {
    let bytes = packet.bytes(part);
    let family = if packet.v6 { Family::V6 } else { Family::V4 };
    let candidate = inspect(View::whole(&bytes), family).expect("a packet");
    (
        candidate.key.addrs,
        candidate.fragment.expect("a fragment of one"),
    )
}

fn to_port(proto: u8, dport: u16) -> Packet {
    Packet {
        v6: false,
        proto,
        dst: 1,
        src: 1,
        dport,
        flags: 0,
        inner: 0,
    }
}

/// A class of a protocol and a port.
fn of_port(proto: u8, table: usize, port: u16) -> Class {
    Class {
        priority: 0,
        table,
        proto: Some(proto),
        dst: None,
        src: None,
        dport: Some((port, port)),
        flags: None,
        encap: false,
    }
}

const ALL: usize = 2_000;

/// What neither a class nor a bind has passes, all fragments of it.
#[test]
fn later_fragments_pass_with_the_first() {
    for proto in [6, 17, 132] {
        let config = config(&[of_port(proto, 1, 82)]);
        with_world(&config, |world| {
            for v6 in [false, true] {
                let packet = Packet {
                    v6,
                    ..to_port(proto, 83)
                };
                let first = decided(world, (&packet, Part::First(7)), ALL).unwrap_err();
                let later = decided(world, (&packet, Part::Later(7)), ALL).unwrap_err();
                assert!(first.counter().contains("passed"), "{first:?}");
                assert!(later.counter().contains("passed"), "{proto}: {later:?}");
            }
        });
    }
}

/// SCTP to a port that a class does not have is of the bind for all protocols, whichever fragment.
#[test]
fn fragments_of_sctp_beside_a_class_are_of_the_bind_for_all() {
    let binds = json!([{"ip": "10.0.0.0/8", "proto": "any"}, {"ip": "fd00::/8", "proto": "any"}]);
    let config = config_with(&[of_port(132, 1, 82)], &binds);
    with_world(&config, |world| {
        for v6 in [false, true] {
            for (port, table) in [(83, 2), (82, 1)] {
                let packet = Packet {
                    v6,
                    ..to_port(132, port)
                };
                for part in [Part::First(port), Part::Later(port)] {
                    assert_eq!(
                        decided(world, (&packet, part), ALL),
                        Ok(table),
                        "{port} {part:?}"
                    );
                }
            }
        }
    });
}

/// A fragment of which only one half is remembered is of nobody.
#[test]
fn what_is_half_known_is_dropped() {
    let config = config(&[of_port(6, 1, 81)]);
    let (to_class, to_bind) = (to_port(6, 81), to_port(6, 80));
    with_world(&config, |world| {
        let dropped = Err(Verdict::DroppedFragment);
        let later = |packet, id| decided(world, (packet, Part::Later(id)), ALL);
        // Ports without a class: what says whose they are was lost, or is of other tables.
        let (addrs, fragment) = seen(&to_bind, Part::First(1));
        let key = FlowKey {
            addrs,
            src_port: 0x1000,
            dst_port: 80,
        };
        world.remember(&key, fragment);
        assert_eq!(later(&to_bind, 1), dropped);
        // A class without ports.
        let (addrs, fragment) = seen(&to_class, Part::First(2));
        world.remember_service(&addrs, fragment, 1);
        assert_eq!(later(&to_class, 2), dropped);
        // An identification that is used again, now for a packet of a bind.
        assert_eq!(decided(world, (&to_class, Part::First(3)), ALL), Ok(1));
        assert_eq!(later(&to_class, 3), Ok(1));
        assert_eq!(decided(world, (&to_bind, Part::First(3)), ALL), Ok(2));
        assert_eq!(later(&to_bind, 3), Ok(2));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn as_a_list_and_binds_behind_it(
        classes in proptest::collection::vec(class(), 1..8),
        packets in proptest::collection::vec((packet(), 20usize..80), 40),
    ) {
        with_world(&config(&classes), |world| {
            for (packet, linear) in &packets {
                let got = decided(world, (packet, Part::Whole), *linear).ok();
                assert_eq!(got, model(&classes, packet), "{packet:?}");
            }
        });
    }

    /// A later fragment goes where the first one went, or nowhere if that is forgotten: 300 datagrams do not fit what remembers.
    #[test]
    fn fragments_go_with_their_first_one(
        classes in proptest::collection::vec(class(), 1..8),
        packets in proptest::collection::vec((packet(), 20usize..80), 300),
    ) {
        with_world(&config(&classes), |world| {
            let first = |(id, (packet, linear)): (u16, &(Packet, usize))| {
                let expected = model(&classes, packet);
                let first = decided(world, (packet, Part::First(id)), *linear).ok();
                assert_eq!(first, expected, "{packet:?}");
                let later = decided(world, (packet, Part::Later(id)), *linear).ok();
                assert_eq!(later, expected, "{packet:?}");
                expected
            };
            let expected: Vec<_> = (1..).zip(&packets).map(first).collect();
            for ((id, (packet, linear)), expected) in (1..).zip(&packets).zip(expected) {
                let is_classed = classes.iter().any(|class| class.takes(packet));
                match decided(world, (packet, Part::Later(id)), *linear) {
                    Err(Verdict::DroppedFragment) => {}
                    // Without ports it is of any bind of its address, as where there are no classes.
                    Ok(2) if !is_classed => {}
                    later => assert_eq!(later.ok(), expected, "{packet:?}"),
                }
            }
        });
    }
}
