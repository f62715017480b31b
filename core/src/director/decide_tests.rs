// SPDX-License-Identifier: GPL-2.0

//! The order in which a decision is made, on a world of one table.

use super::*;
use crate::director::classify::bind::Proto;
use crate::director::select::hash::HashFields;
use crate::packet::addr::Addr;
use crate::packet::flow::FlowKey;
use crate::packet::ip::{Addrs, Fragment};
use crate::settings::Settings;
use crate::siphash::SipKey;
use std::cell::RefCell;
use std::vec::Vec;

const CLIENT: [u8; 4] = [10, 11, 12, 13];
const BOUND: [u8; 4] = [1, 1, 1, 1];
const OTHER: [u8; 4] = [1, 1, 1, 2];
/// Another bind takes all protocols of it, and one SCTP to [`PORT`].
const ALL: [u8; 4] = [1, 1, 2, 1];
/// The backends.
const HOPS: [[u8; 4]; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]];
/// The bind is for TCP to this port.
const PORT: u16 = 80;

/// A bind for [`BOUND`] and [`PORT`], one table with rows of two, and what was remembered.
struct Small {
    key: SipKey,
    row: Vec<u8>,
    /// Rows of two of a Maglev table, unless there are none.
    maglev: Vec<u8>,
    flow_hash: FlowHash,
    known: Option<(u16, u16)>,
    remembered: RefCell<Vec<FlowKey>>,
}

impl World for Small {
    type Table = ();
    type Hop = [u8; 4];

    fn by_port(&self, dst: Addr, proto: Proto, port: u16) -> Option<&()> {
        let of_tcp = dst == Addr::V4(BOUND) && proto == Proto::Tcp && port == PORT;
        let of_sctp = dst == Addr::V4(ALL) && proto == Proto::Sctp && port == PORT;
        (of_tcp || of_sctp).then_some(&())
    }
    fn by_addr(&self, dst: Addr) -> Option<&()> {
        (dst == Addr::V4(BOUND)).then_some(&())
    }
    fn by_all(&self, dst: Addr) -> Option<&()> {
        (dst == Addr::V4(ALL)).then_some(&())
    }
    fn forward((): &()) -> Forward {
        Forward::Gue
    }

    fn hash_key<'w>(&'w self, (): &'w ()) -> &'w SipKey {
        &self.key
    }
    fn row<'w>(&'w self, (): &'w (), _: u16) -> &'w [u8] {
        &self.row
    }
    fn selector(&self, (): &()) -> Option<Selector> {
        let rows = self.maglev.len() / 2;
        (rows > 0).then_some(Selector {
            select: Select::Maglev,
            rows: rows as u32,
            flow_hash: self.flow_hash,
        })
    }
    fn remembers(&self, (): &()) -> bool {
        false
    }
    fn numbered_row<'w>(&'w self, (): &'w (), row: u32) -> &'w [u8] {
        &self.maglev[2 * row as usize..][..2]
    }
    fn hop<'w>(&'w self, (): &'w (), backend: u8) -> Option<&'w [u8; 4]> {
        HOPS.get(usize::from(backend))
    }
    fn addresses((): &()) -> Addresses<'_> {
        Addresses::V4(&HOPS)
    }
    fn remember(&self, key: &FlowKey, _: Fragment) {
        self.remembered.borrow_mut().push(*key);
    }
    fn remembered(&self, _: &Addrs, _: Fragment) -> Option<(u16, u16)> {
        self.known
    }
}

fn small() -> Small {
    Small {
        key: SipKey::new(&[7; 16]),
        row: [1, 0].into(),
        maglev: Vec::new(),
        flow_hash: FlowHash::Own,
        known: None,
        remembered: RefCell::default(),
    }
}

fn packet(kind: Kind, dst: [u8; 4], dst_port: u16, offset: Option<u16>) -> Candidate {
    Candidate {
        kind,
        key: FlowKey {
            addrs: Addrs::V4 { src: CLIENT, dst },
            src_port: 0,
            dst_port,
        },
        hint: 0,
        len: 40,
        fragment: offset.map(|offset| Fragment { id: 1, offset }),
        flags: 0,
    }
}

/// The backend of a packet that is said in few steps; if one is, it is the plan's.
fn backend(world: &Small, settings: &Settings, packet: Candidate) -> Option<u8> {
    let settings = &Settings {
        alt_hash_fields: None,
        ..*settings
    };
    let plan = decide(world, settings, packet).expect("a way");
    let bound = bind(world, settings, packet).expect("a table");
    assert_eq!(bound.hash(world, settings), plan.hash);
    let other = bound.other_backend(world, plan.hash, None);
    assert_eq!(other, Some(plan.hops.backend()));
    assert!(bound.key(world).is_none());
    let backend = bound.backend(world, plan.hash, None)?;
    assert_eq!(backend, plan.hops.backend());
    let alone = bound.toward(world, backend, plan.hash).expect("a backend");
    assert_eq!(*alone.hops.first(), *plan.hops.first());
    assert_eq!((alone.verdict, alone.packet), (plan.verdict, plan.packet));
    assert_eq!((alone.alt_hash, alone.hops.others()), (None, 0));
    Some(backend)
}

/// The verdict, sent or not.
fn verdict(world: &Small, settings: &Settings, packet: Candidate) -> Verdict {
    let plan = decide(world, settings, packet);
    // What the module asks for common packets says the same.
    if settings.alt_hash_fields.is_none() && world.selector(&()).is_none() {
        let num_remembered = world.remembered.borrow().len();
        let bound = bind(world, settings, packet);
        let by_rows = bound.and_then(|bound| bound.decide_by_rows(world, settings));
        world.remembered.borrow_mut().truncate(num_remembered);
        let seen = |plan: Plan<'_, _>| (plan.verdict, plan.hash.0, *plan.hops.first());
        assert_eq!(by_rows.map(seen), plan.map(seen));
    }
    plan.map_or_else(|verdict| verdict, |plan| plan.verdict)
}

#[test]
fn each_kind_by_its_bind() {
    use Verdict::*;
    let flow = Kind::Flow(Proto::Tcp);
    let error = Kind::IcmpError(Proto::Tcp);
    let other = Kind::IcmpFailure(Proto::Tcp);
    let later = Kind::LaterFragment(Proto::Tcp);
    // Kind, address, port, offset; and, where echo requests are not forwarded, and where ports are hashed.
    let cases = [
        (flow, BOUND, PORT, None, [Encapsulated; 3]),
        (flow, BOUND, 81, None, [PassedNoMatchingBind; 3]),
        (flow, OTHER, PORT, None, [PassedNoMatchingBind; 3]),
        (
            Kind::Flow(Proto::Udp),
            BOUND,
            PORT,
            None,
            [PassedNoMatchingBind; 3],
        ),
        (error, BOUND, PORT, None, [EncapsulatedIcmpError; 3]),
        (error, BOUND, 81, None, [PassedNoMatchingBind; 3]),
        (other, BOUND, PORT, None, [PassedUnknownFormat; 3]),
        (other, BOUND, 81, None, [PassedUnknownFormat; 3]),
        (
            Kind::Echo,
            BOUND,
            0,
            None,
            [EncapsulatedEcho, PassedEcho, EncapsulatedEcho],
        ),
        // Whether anybody has a bind is asked first.
        (Kind::Echo, OTHER, 0, None, [PassedNoMatchingBind; 3]),
        // Without ports the address decides, if the hash needs none.
        (
            later,
            BOUND,
            0,
            Some(5),
            [EncapsulatedFragment, EncapsulatedFragment, DroppedFragment],
        ),
        (later, OTHER, 0, Some(5), [PassedNoMatchingBind; 3]),
        // Without ports, whatever is hashed; what no bind takes is not understood, as before.
        (Kind::Portless(50), ALL, 0, None, [Encapsulated; 3]),
        (Kind::Portless(50), ALL, 0, Some(0), [Encapsulated; 3]),
        (
            Kind::Portless(50),
            ALL,
            0,
            Some(5),
            [EncapsulatedFragment; 3],
        ),
        (Kind::Portless(50), BOUND, 0, None, [PassedUnknownFormat; 3]),
        (
            Kind::PortlessIcmpError(50),
            ALL,
            0,
            None,
            [EncapsulatedIcmpError; 3],
        ),
        (
            Kind::PortlessIcmpError(50),
            OTHER,
            0,
            None,
            [PassedUnknownFormat; 3],
        ),
    ];
    let settings = [
        Settings::DEFAULT,
        Settings {
            forward_icmp_ping_responses: false,
            ..Settings::DEFAULT
        },
        Settings {
            hash_fields: HashFields::SRC_ADDR.with(HashFields::SRC_PORT),
            ..Settings::DEFAULT
        },
    ];
    for (kind, dst, port, offset, wanted) in cases {
        for (settings, wanted) in settings.iter().zip(wanted) {
            let got = verdict(&small(), settings, packet(kind, dst, port, offset));
            assert_eq!(got, wanted, "{kind:?} {dst:?} {port} {settings:?}");
        }
    }
}

/// What no bind names of SCTP is as of any other protocol; a later fragment whose first one is not known, too.
#[test]
fn sctp_by_its_bind() {
    use Verdict::*;
    let flow = Kind::Flow(Proto::Sctp);
    let error = Kind::IcmpError(Proto::Sctp);
    let later = Kind::LaterFragment(Proto::Sctp);
    let portless = Kind::Portless(132);
    let about_portless = Kind::PortlessIcmpError(132);
    let (here, there) = (Some((4000, PORT)), Some((4000, 81)));
    for (kind, dst, port, known, want) in [
        (flow, ALL, PORT, None, Ok((flow, PORT, Encapsulated))),
        (flow, ALL, 81, None, Ok((portless, 0, Encapsulated))),
        (flow, BOUND, PORT, None, Err(PassedUnknownFormat)),
        (flow, OTHER, PORT, None, Err(PassedUnknownFormat)),
        (
            error,
            ALL,
            PORT,
            None,
            Ok((error, PORT, EncapsulatedIcmpError)),
        ),
        (
            error,
            ALL,
            81,
            None,
            Ok((about_portless, 0, EncapsulatedIcmpError)),
        ),
        (error, BOUND, PORT, None, Err(PassedUnknownFormat)),
        (later, ALL, 0, here, Ok((later, PORT, EncapsulatedFragment))),
        (
            later,
            ALL,
            0,
            there,
            Ok((portless, 0, EncapsulatedFragment)),
        ),
        (later, ALL, 0, None, Ok((portless, 0, EncapsulatedFragment))),
        (later, BOUND, 0, None, Err(PassedUnknownFormat)),
        (later, BOUND, 0, here, Err(PassedUnknownFormat)),
    ] {
        let world = Small { known, ..small() };
        let offset = (kind == later).then_some(5);
        let packet = packet(kind, dst, port, offset);
        let got = decide(&world, &Settings::DEFAULT, packet)
            .map(|plan| (plan.packet.kind, plan.packet.key.dst_port, plan.verdict));
        assert_eq!(got, want, "{kind:?} {dst:?} {port} {known:?}");
    }
    // First fragments are remembered where a bind names them.
    for (port, count) in [(PORT, 1), (81, 0)] {
        let world = small();
        verdict(&world, &Settings::DEFAULT, packet(flow, ALL, port, Some(0)));
        assert_eq!(world.remembered.borrow().len(), count);
    }
    // No forward here translates.
    for kind in [Kind::IcmpFailure(Proto::Sctp), Kind::EchoIcmpError] {
        let packet = packet(kind, ALL, PORT, None);
        let got = verdict(&small(), &Settings::DEFAULT, packet);
        assert_eq!(got, PassedUnknownFormat);
    }
}

#[test]
fn a_later_fragment_goes_by_the_ports_that_are_remembered() {
    let later = packet(Kind::LaterFragment(Proto::Tcp), BOUND, 0, Some(5));
    let world = Small {
        known: Some((45678, PORT)),
        ..small()
    };
    let plan = decide(&world, &Settings::DEFAULT, later).expect("a way");
    assert_eq!(plan.verdict, Verdict::EncapsulatedFragment);
    assert_eq!(
        (plan.packet.key.src_port, plan.packet.key.dst_port),
        (45678, PORT)
    );
    assert_eq!(plan.packet.hint, 45678);
    // Of a bind that is gone: the address alone would find the table, and does not count.
    let world = Small {
        known: Some((45678, 81)),
        ..small()
    };
    assert_eq!(
        verdict(&world, &Settings::DEFAULT, later),
        Verdict::PassedNoMatchingBind
    );
    // One that nothing says of which datagram it is asks nobody.
    let world = Small {
        known: Some((45678, 81)),
        ..small()
    };
    let of_none = Candidate {
        fragment: None,
        ..later
    };
    assert_eq!(
        verdict(&world, &Settings::DEFAULT, of_none),
        Verdict::EncapsulatedFragment
    );
}

#[test]
fn first_fragments_are_remembered_where_a_bind_is() {
    let remembered = |dst, port, offset| {
        let world = small();
        let packet = packet(Kind::Flow(Proto::Tcp), dst, port, offset);
        verdict(&world, &Settings::DEFAULT, packet);
        let remembered = world.remembered.borrow();
        assert!(remembered.iter().all(|key| *key == packet.key));
        remembered.len()
    };
    assert_eq!(remembered(BOUND, PORT, Some(0)), 1);
    assert_eq!(remembered(BOUND, 81, Some(0)), 0);
    assert_eq!(remembered(OTHER, PORT, Some(0)), 0);
    assert_eq!(remembered(BOUND, PORT, None), 0);
}

/// A packet of no known ports leaves nothing behind, and a world without tables says of it what it said before.
#[test]
fn fragments_without_ports_are_not_remembered() {
    let other = packet(Kind::Portless(50), ALL, 0, Some(0));
    let world = small();
    assert_eq!(
        verdict(&world, &Settings::DEFAULT, other),
        Verdict::Encapsulated
    );
    assert!(world.remembered.borrow().is_empty());
    assert_eq!(other.unmatched(), Verdict::PassedUnknownFormat);
    let error = packet(Kind::PortlessIcmpError(50), ALL, 0, None);
    assert_eq!(error.unmatched(), Verdict::PassedUnknownFormat);
    let tcp = packet(Kind::Flow(Proto::Tcp), ALL, 0, None);
    assert_eq!(tcp.unmatched(), Verdict::PassedNoMatchingBind);
}

#[test]
fn a_row_without_a_hop_drops() {
    let flow = packet(Kind::Flow(Proto::Tcp), BOUND, PORT, None);
    for row in [&[][..], &[9, 0]] {
        let world = Small {
            row: row.into(),
            ..small()
        };
        assert_eq!(
            verdict(&world, &Settings::DEFAULT, flow),
            Verdict::DroppedNoHop,
            "{row:?}"
        );
        // Who has no bind is none of the table's business.
        let other = packet(Kind::Flow(Proto::Tcp), OTHER, PORT, None);
        assert_eq!(
            verdict(&world, &Settings::DEFAULT, other),
            Verdict::PassedNoMatchingBind
        );
    }
    let world = small();
    let plan = decide(&world, &Settings::DEFAULT, flow).expect("a way");
    assert_eq!(*plan.hops.first(), HOPS[1]);
    assert_eq!((plan.hops.others(), plan.alt_hash), (1, None));
    let both = Settings {
        alt_hash_fields: Some(HashFields::DST_ADDR),
        ..Settings::DEFAULT
    };
    let plan = decide(&world, &both, flow).expect("a way");
    assert_eq!((plan.hops.others(), plan.alt_hash.is_some()), (3, true));
}

#[test]
fn a_maglev_table_is_decided_on_by_the_share_of_the_hash() {
    // Five rows, of which each says its number: the primary of odd ones is the other backend.
    let world = Small {
        row: Vec::new(),
        maglev: [0, 1, 1, 0, 0, 1, 1, 0, 0, 1].into(),
        ..small()
    };
    let settings = Settings {
        hash_fields: HashFields::SRC_ADDR.with(HashFields::SRC_PORT),
        alt_hash_fields: Some(HashFields::SRC_ADDR),
        ..Settings::DEFAULT
    };
    let mut seen = [0; 5];
    for port in 0..1_000 {
        let mut flow = packet(Kind::Flow(Proto::Tcp), BOUND, PORT, None);
        flow.key.src_port = port;
        let plan = decide(&world, &settings, flow).expect("a way");
        let row = (u128::from(plan.hash.0 >> 32) * 5 >> 32) as usize;
        assert_eq!(*plan.hops.first(), HOPS[row % 2]);
        assert_eq!(backend(&world, &settings, flow), Some(row as u8 % 2));
        // Behind it stand the second hop, and the row of the second set of fields.
        assert_eq!(plan.hops.others(), 3);
        assert_eq!(plan.row(&world), row as u32);
        assert!(plan.alt_row(&world).is_some_and(|row| row < 5));
        seen[row] += 1;
    }
    assert!(seen.iter().all(|rows| *rows > 100), "{seen:?}");
}

#[test]
fn a_compatible_table_is_decided_on_by_the_hash_of_its_system() {
    let world = Small {
        row: Vec::new(),
        maglev: [0, 1, 1, 0, 0, 1, 1, 0].into(),
        flow_hash: FlowHash::Vpp,
        ..small()
    };
    let settings = Settings {
        alt_hash_fields: Some(HashFields::SRC_ADDR),
        ..Settings::DEFAULT
    };
    let mut seen = [0; 4];
    for port in 0..100 {
        let mut flow = packet(Kind::Flow(Proto::Tcp), BOUND, PORT, None);
        flow.key.src_port = port;
        let plan = decide(&world, &settings, flow).expect("a way");
        let row = select::maglev::vpp::flow_hash(&flow.key, select::maglev::vpp::By::Flow) & 3;
        assert_eq!(plan.row(&world), row);
        assert_eq!(*plan.hops.first(), HOPS[row as usize % 2]);
        assert_eq!(backend(&world, &settings, flow), None);
        // A second set of the director's own fields says nothing of this table.
        assert_eq!((plan.hops.others(), plan.alt_row(&world)), (1, None));
        seen[row as usize] += 1;
    }
    assert!(seen.iter().all(|rows| *rows > 5), "{seen:?}");
    // The ports of a later fragment are not known, and the row depends on them.
    let later = packet(Kind::LaterFragment(Proto::Tcp), BOUND, 0, Some(5));
    let dropped = Verdict::DroppedFragment;
    assert_eq!(verdict(&world, &Settings::DEFAULT, later), dropped);
    let sticky = Small {
        flow_hash: FlowHash::VppSticky,
        ..world
    };
    let sent = Verdict::EncapsulatedFragment;
    assert_eq!(verdict(&sticky, &Settings::DEFAULT, later), sent);
}

#[test]
fn a_world_without_maglev_tables_drops_what_would_need_one() {
    struct Without;
    impl World for Without {
        type Table = ();
        type Hop = ();

        fn by_port(&self, _: Addr, _: Proto, _: u16) -> Option<&()> {
            Some(&())
        }
        fn by_addr(&self, _: Addr) -> Option<&()> {
            Some(&())
        }
        fn forward((): &()) -> Forward {
            Forward::Gre
        }
        fn hash_key<'w>(&'w self, (): &'w ()) -> &'w SipKey {
            const { &SipKey::new(&[7; 16]) }
        }
        fn row<'w>(&'w self, (): &'w (), _: u16) -> &'w [u8] {
            &[]
        }
        fn selector(&self, (): &()) -> Option<Selector> {
            Some(Selector {
                select: Select::Maglev,
                rows: 7,
                flow_hash: FlowHash::Own,
            })
        }
        fn hop<'w>(&'w self, (): &'w (), _: u8) -> Option<&'w ()> {
            Some(&())
        }
        fn addresses((): &()) -> Addresses<'_> {
            Addresses::V4(&[])
        }
        fn remember(&self, _: &FlowKey, _: Fragment) {}
        fn remembered(&self, _: &Addrs, _: Fragment) -> Option<(u16, u16)> {
            None
        }
    }
    let flow = packet(Kind::Flow(Proto::Tcp), BOUND, PORT, None);
    let decided = decide(&Without, &Settings::DEFAULT, flow);
    assert_eq!(decided.err(), Some(Verdict::DroppedNoHop));
}
