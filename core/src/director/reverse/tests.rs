// SPDX-License-Identifier: GPL-2.0

//! Services against a search through all of them, and answers of every kind.

use super::services::{
    chained, check, check_bind, with_one_vip, Ambiguous, OneWay, Service, Services,
};
use super::*;
use crate::director::classify::bind::{build, words_needed, BindId, Classifier, Entry};
use proptest::collection::vec;
use proptest::prelude::*;
use std::cell::RefCell;
use std::vec::Vec;

/// A table: its forward, its binds, its backends.
type Table = (Forward, Vec<Bind>, Vec<Addr>);

fn v4(last: u8) -> Addr {
    Addr::V4([10, 0, 0, last])
}

fn bind(addr: Addr, proto: Proto, ports: (u16, u16)) -> Bind {
    Bind {
        addr,
        prefix_len: addr.bits(),
        proto: Some(proto),
        port_start: ports.0,
        port_end: ports.1,
    }
}

fn nat(port: u16) -> Forward {
    Forward::Nat(NonZeroU16::new(port))
}

fn services(tables: &[Table]) -> Vec<Service> {
    let mut all = Vec::new();
    for (table, (forward, binds, backends)) in (0..).zip(tables) {
        for (index, bind) in (0..).zip(binds) {
            let id = BindId { table, bind: index };
            let of_bind = backends
                .iter()
                .map(|backend| Service::new(*forward, bind, id, *backend));
            all.extend(of_bind);
        }
    }
    all
}

fn classifier(mut entries: Vec<Entry>) -> Vec<u32> {
    let mut words = std::vec![0; words_needed(&entries)];
    let used = build(&mut entries, &mut words).expect("built");
    words.truncate(used);
    words
}

/// Tables as the module has them.
struct World {
    tables: Vec<Table>,
    by_port: Vec<u32>,
    one_vip: Vec<u32>,
    known: Option<(u16, u16)>,
    remembered: RefCell<Vec<FlowKey>>,
}

impl World {
    fn new(tables: Vec<Table>) -> Result<Self, Ambiguous> {
        let mut all = services(&tables);
        check(&mut all)?;
        Ok(Self {
            by_port: classifier(all.iter().map(Service::entry).collect()),
            one_vip: classifier(with_one_vip(&all).collect()),
            tables,
            known: None,
            remembered: RefCell::default(),
        })
    }

    fn services(&self) -> Services<'_> {
        Services::new(&self.by_port, &self.one_vip)
    }

    fn of(&self, id: BindId) -> Origin {
        let (forward, binds, _) = &self.tables[usize::from(id.table)];
        Origin::of(*forward, &binds[usize::from(id.bind)])
    }
}

impl Answers for World {
    fn origin(&self, backend: Addr, proto: Proto, port: u16) -> Option<Origin> {
        Some(self.of(self.services().bind(backend, proto, port)?))
    }
    fn has_backend(&self, backend: Addr) -> bool {
        self.services().has_backend(backend)
    }
    fn only_vip(&self, backend: Addr) -> Option<Addr> {
        Some(self.of(self.services().bind_of_only_vip(backend)?).vip)
    }
    fn remember(&self, key: &FlowKey, _: Fragment) {
        self.remembered.borrow_mut().push(*key);
    }
    fn remembered(&self, _: &Addrs, _: Fragment) -> Option<(u16, u16)> {
        self.known
    }
}

/// By a search through all tables: the origins that an answer could have.
fn origins(tables: &[Table], backend: Addr, proto: Proto, port: u16) -> Vec<Origin> {
    let mut found = Vec::new();
    for (forward, binds, backends) in tables {
        for bind in binds {
            let is_sent_there = match forward.target_port() {
                Some(target) => target.get() == port,
                None => (bind.port_start..=bind.port_end).contains(&port),
            };
            if bind.proto == Some(proto) && is_sent_there && backends.contains(&backend) {
                let origin = Origin::of(*forward, bind);
                if !found.contains(&origin) {
                    found.push(origin);
                }
            }
        }
    }
    found
}

fn tables() -> impl Strategy<Value = Vec<Table>> {
    let proto = || prop_oneof![Just(Proto::Tcp), Just(Proto::Udp), Just(Proto::Sctp)];
    // Few of each, so that they meet.
    let with_port = || {
        let bind = (1_u8..4, proto(), 1_u16..12)
            .prop_map(|(vip, proto, port)| bind(v4(100 + vip), proto, (port, port)));
        (vec(bind, 1..3), 1_u16..12).prop_map(|(binds, target)| (nat(target), binds))
    };
    let without = || {
        let bind = (1_u8..4, proto(), 1_u16..12, 0_u16..4)
            .prop_map(|(vip, proto, port, more)| bind(v4(100 + vip), proto, (port, port + more)));
        vec(bind, 1..3).prop_map(|binds| (nat(0), binds))
    };
    let table = (
        prop_oneof![with_port(), without()],
        vec((1_u8..4).prop_map(v4), 1..3),
    )
        .prop_map(|((forward, binds), backends)| (forward, binds, backends));
    vec(table, 1..5)
}

proptest! {
    /// Tables in which an answer could have two origins are found, and in all others each answer has the one.
    #[test]
    fn as_a_search_through_all(tables in tables()) {
        let mut most = 0;
        for proto in Proto::ALL {
            for port in 0..20 {
                for backend in 1..4 {
                    most = most.max(origins(&tables, v4(backend), proto, port).len());
                }
            }
        }
        let world = match World::new(tables.clone()) {
            Ok(world) => world,
            Err(Ambiguous { first, second }) => {
                prop_assert!(most > 1);
                prop_assert!(first.id() <= second.id());
                prop_assert_eq!((first.backend(), first.proto()), (second.backend(), second.proto()));
                return Ok(());
            }
        };
        prop_assert!(most <= 1);
        for proto in Proto::ALL {
            for port in 0..20 {
                for backend in 1..4 {
                    let want = origins(&tables, v4(backend), proto, port).first().copied();
                    prop_assert_eq!(world.origin(v4(backend), proto, port), want);
                }
            }
        }
        for backend in 1..4 {
            let mut vips: Vec<Addr> = Vec::new();
            for (_, binds, backends) in &tables {
                if backends.contains(&v4(backend)) {
                    vips.extend(binds.iter().map(|bind| bind.addr));
                }
            }
            vips.sort_unstable();
            vips.dedup();
            let want = vips.first().copied().filter(|_| vips.len() == 1);
            prop_assert_eq!(world.only_vip(v4(backend)), want);
        }
    }
}

#[test]
fn binds_that_answers_cannot_tell() {
    let whole = bind(v4(100), Proto::Tcp, (80, 80));
    let prefix = Bind {
        prefix_len: 31,
        ..whole
    };
    let range = bind(v4(100), Proto::Tcp, (80, 81));
    assert_eq!(check_bind(nat(8080), &whole), Ok(()));
    assert_eq!(check_bind(nat(8080), &prefix), Err(OneWay::Prefix));
    assert_eq!(check_bind(nat(0), &prefix), Err(OneWay::Prefix));
    assert_eq!(check_bind(nat(8080), &range), Err(OneWay::Ports));
    assert_eq!(check_bind(nat(0), &range), Ok(()));
    // The ports of the backends' own connections, but for a single one, which a service listens on.
    for (ports, want) in [
        ((1000, 32767), Ok(())),
        ((1000, 32768), Err(OneWay::OwnPorts)),
        ((0, u16::MAX), Err(OneWay::OwnPorts)),
        ((40000, 40000), Ok(())),
    ] {
        let bind = bind(v4(100), Proto::Udp, ports);
        assert_eq!(check_bind(nat(0), &bind), want, "{ports:?}");
        assert_eq!(check_bind(Forward::Gue, &bind), Ok(()));
    }
    let zero = bind(v4(100), Proto::Tcp, (0, 0));
    assert_eq!(check_bind(nat(8080), &zero), Err(OneWay::NoPort));
    assert_eq!(check_bind(nat(0), &zero), Ok(()));
    let any = Bind {
        proto: None,
        port_start: 0,
        port_end: u16::MAX,
        ..whole
    };
    assert_eq!(check_bind(nat(0), &any), Err(OneWay::Protocols));
    assert_eq!(check_bind(Forward::Gue, &prefix), Ok(()));
    assert_eq!(check_bind(Forward::Gue, &any), Ok(()));
}

const CLIENT: [u8; 4] = [10, 2, 0, 1];

fn packet(kind: Kind, from: Addr, port: u16, offset: Option<u16>) -> Candidate {
    let Addr::V4(src) = from else {
        unreachable!("of IPv4")
    };
    Candidate {
        kind,
        key: FlowKey {
            addrs: Addrs::V4 { src, dst: CLIENT },
            src_port: port,
            dst_port: 4000,
        },
        hint: 0,
        len: 40,
        fragment: offset.map(|offset| Fragment { id: 1, offset }),
        flags: 0,
    }
}

/// What is decided; in few steps the same.
fn decided(world: &World, settings: &Settings, packet: Candidate) -> Result<Answer, Verdict> {
    let answer = reverse(world, settings, packet);
    if packet.fragment.is_none() {
        assert_eq!(reverse_common(world, settings, packet), answer);
    }
    answer
}

#[test]
fn each_kind_by_its_service() {
    use Verdict::*;
    let web = bind(v4(100), Proto::Tcp, (80, 80));
    let dns = bind(v4(101), Proto::Udp, (53, 53));
    let tables = std::vec![
        (nat(8080), std::vec![web], std::vec![v4(1), v4(2)]),
        (nat(0), std::vec![dns], std::vec![v4(2), v4(3)]),
    ];
    let mut world = World::new(tables).expect("each answer has one origin");
    let tcp = Kind::Flow(Proto::Tcp);
    let got = |world: &World, packet| {
        let answer = decided(world, &Settings::DEFAULT, packet);
        answer.map(|answer| {
            (
                answer.origin.vip,
                answer.origin.port.map_or(0, NonZeroU16::get),
                answer.verdict,
            )
        })
    };
    let none = Err(PassedNoService);
    for (kind, from, port, want) in [
        (tcp, 1, 8080, Ok((v4(100), 80, Returned))),
        (tcp, 2, 8080, Ok((v4(100), 80, Returned))),
        (tcp, 1, 80, none),
        (tcp, 3, 8080, none),
        (Kind::Flow(Proto::Udp), 1, 8080, none),
        (Kind::Flow(Proto::Udp), 3, 53, Ok((v4(101), 0, Returned))),
        (
            Kind::IcmpError(Proto::Tcp),
            1,
            8080,
            Ok((v4(100), 80, ReturnedIcmpError)),
        ),
        (
            Kind::IcmpFailure(Proto::Udp),
            3,
            53,
            Ok((v4(101), 0, ReturnedIcmpError)),
        ),
        (Kind::IcmpFailure(Proto::Udp), 1, 53, none),
        (Kind::Echo, 1, 0, Ok((v4(100), 0, ReturnedEcho))),
        (
            Kind::EchoIcmpError,
            1,
            0,
            Ok((v4(100), 0, ReturnedIcmpError)),
        ),
        // It has two VIPs.
        (Kind::Echo, 2, 0, none),
        (Kind::EchoIcmpError, 2, 0, Err(PassedUnknownFormat)),
        // What no bind names is of any protocol.
        (Kind::Flow(Proto::Sctp), 1, 8080, Err(PassedUnknownFormat)),
        (
            Kind::LaterFragment(Proto::Sctp),
            9,
            0,
            Err(PassedUnknownFormat),
        ),
        (Kind::Echo, 9, 0, none),
        // Of an unknown datagram of a backend, and of somebody else's.
        (Kind::LaterFragment(Proto::Tcp), 1, 0, Err(DroppedFragment)),
        (Kind::LaterFragment(Proto::Tcp), 9, 0, none),
        (Kind::Portless(47), 1, 0, Err(PassedUnknownFormat)),
    ] {
        let offset = matches!(kind, Kind::LaterFragment(_)).then_some(5);
        assert_eq!(
            got(&world, packet(kind, v4(from), port, offset)),
            want,
            "{kind:?} {from} {port}"
        );
    }
    assert!(world.remembered.borrow().is_empty());
    // First fragments of backends are remembered, answers or not, and no others.
    assert!(got(&world, packet(tcp, v4(1), 8080, Some(0))).is_ok());
    assert_eq!(got(&world, packet(tcp, v4(1), 8081, Some(0))), none);
    assert_eq!(got(&world, packet(tcp, v4(9), 8080, Some(0))), none);
    assert_eq!(world.remembered.borrow().len(), 2);
    world.known = Some((8080, 4000));
    let later = packet(Kind::LaterFragment(Proto::Tcp), v4(1), 0, Some(5));
    assert_eq!(got(&world, later), Ok((v4(100), 80, ReturnedFragment)));
    world.known = Some((8081, 4000));
    assert_eq!(got(&world, later), none);
}

#[test]
fn an_echo_reply_is_an_answer_where_requests_are_sent_on() {
    let web = bind(v4(100), Proto::Tcp, (80, 80));
    let tables = std::vec![(nat(8080), std::vec![web], std::vec![v4(1)])];
    let world = World::new(tables).expect("each answer has one origin");
    let reply = packet(Kind::Echo, v4(1), 0, None);
    let mut settings = Settings::DEFAULT;
    settings.forward_icmp_ping_responses = true;
    assert!(decided(&world, &settings, reply).is_ok());
    settings.forward_icmp_ping_responses = false;
    let got = decided(&world, &settings, reply).err();
    assert_eq!(got, Some(Verdict::PassedNoService));
    let error = packet(Kind::EchoIcmpError, v4(1), 0, None);
    let got = decided(&world, &settings, error).err();
    assert_eq!(got, Some(Verdict::PassedUnknownFormat));
}

#[test]
fn what_is_for_another_director_passes() {
    let web = bind(v4(100), Proto::Tcp, (80, 80));
    let tables = std::vec![(nat(8080), std::vec![web], std::vec![v4(1)])];
    let mut world = World::new(tables).expect("each answer has one origin");
    world.known = Some((8080, 4000));
    let mut settings = Settings::DEFAULT;
    let [a, b, c, d] = CLIENT;
    for bits in [32, 24, 0] {
        settings.return_except = crate::settings::Prefixes::NONE;
        settings
            .return_except
            .add(Addr::V4([a, b, c, d ^ u8::from(bits < 32)]), bits)
            .expect("it fits");
        for (kind, offset) in [
            (Kind::Flow(Proto::Tcp), None),
            (Kind::Flow(Proto::Tcp), Some(0)),
            (Kind::LaterFragment(Proto::Tcp), Some(5)),
            (Kind::Echo, None),
            (Kind::IcmpError(Proto::Tcp), None),
        ] {
            let packet = packet(kind, v4(1), 8080, offset);
            let got = decided(&world, &settings, packet).err();
            assert_eq!(got, Some(Verdict::PassedNoService), "{kind:?}");
        }
    }
    assert!(world.remembered.borrow().is_empty());
    settings.return_except = crate::settings::Prefixes::NONE;
    settings
        .return_except
        .add(Addr::V4([a, b, c, d ^ 1]), 32)
        .expect("it fits");
    let other = packet(Kind::Flow(Proto::Tcp), v4(1), 8080, None);
    assert!(decided(&world, &settings, other).is_ok());
}

/// That one of them has a target port, which is the bind's, makes no difference.
#[test]
fn one_origin_said_in_two_ways() {
    let tables = std::vec![
        (
            nat(80),
            std::vec![bind(v4(100), Proto::Tcp, (80, 80))],
            std::vec![v4(1)]
        ),
        (
            nat(0),
            std::vec![bind(v4(100), Proto::Tcp, (80, 81))],
            std::vec![v4(1)]
        ),
    ];
    let world = World::new(tables).expect("each answer has one origin");
    let want = Origin {
        vip: v4(100),
        port: None,
    };
    assert_eq!(world.origin(v4(1), Proto::Tcp, 80), Some(want));
    assert_eq!(world.origin(v4(1), Proto::Tcp, 81), Some(want));
}

#[test]
fn a_backend_that_is_bound_is_found() {
    let bind_of = |last, port| bind(v4(last), Proto::Tcp, (port, port));
    let find = |tables: &[Table]| {
        let mut entries = Vec::new();
        for (table, (_, binds, _)) in (0..).zip(tables) {
            for (index, bind) in (0..).zip(binds) {
                let id = BindId { table, bind: index };
                entries.push(Entry { bind: *bind, id });
            }
        }
        let words = classifier(entries);
        let all: Vec<_> = services(tables)
            .into_iter()
            .filter(|service| tables[usize::from(service.id().table)].0.translates())
            .collect();
        chained(&all, Classifier::new(&words)).map(|one| (one.service.backend(), one.bind))
    };
    let first = (
        nat(8080),
        std::vec![bind_of(100, 80)],
        std::vec![v4(1), v4(2)],
    );
    let id = |table, bind| BindId { table, bind };
    let of_its_own = (
        nat(0),
        std::vec![bind_of(100, 81), bind_of(2, 82)],
        std::vec![v4(3)],
    );
    // Whatever the other one's forward and port are.
    let tunnelled = (Forward::Gue, std::vec![bind_of(2, 443)], std::vec![v4(3)]);
    let wide = Bind {
        prefix_len: 8,
        ..bind_of(9, 443)
    };
    let prefix = (Forward::Gre, std::vec![wide], std::vec![v4(3)]);
    let apart = (Forward::Gue, std::vec![bind_of(101, 80)], std::vec![v4(1)]);
    for (other, want) in [
        (of_its_own, Some((v4(2), id(1, 1)))),
        (tunnelled, Some((v4(2), id(1, 0)))),
        (prefix, Some((v4(1), id(1, 0)))),
        (apart, None),
    ] {
        assert_eq!(find(&[first.clone(), other]), want);
    }
}
