// SPDX-License-Identifier: GPL-2.0

//! What another load balancer's test packets are here: which are sent, which are left to the stack, and what stands in front.
//!
//! The packets and their verdicts there are facts of katran's fixtures (commit 19f08fec). Which backend is chosen follows from
//! its own hash and is no fact for us. Where this director differs on purpose, the case says so.
//!
//! | fixture | test here, or why there is none |
//! |---|---|
//! | Base, Gue: to a VIP of UDP or TCP, any port, TOS, backends of the other family; ICMP errors | [`what_is_sent_there_is_sent_here`] |
//! | Base, Gue: echo requests | [`an_echo_request_goes_to_a_backend`] |
//! | Base, Gue: IPv4 options, fragments | [`options_and_fragments_are_sent`] |
//! | Base, Gue: no VIP; IP in IP | [`what_is_left_there_is_left_here`] |
//! | Gue: GUE to the balancer itself; DecapStats, XPopDecap, EgressDecap | a director takes nothing out of GUE: such packets are left to the stack, where `fou` takes them out on a machine that is a proxy too ([`what_is_left_there_is_left_here`]) |
//! | Base, Gue: ARP | the core sees IP packets only: the hook leaves all other frames to the stack (the hosts of `tests/lab/director-wire.py` find each other by ARP through an attached device) |
//! | Base, Gue: LRU hit, CH | [`a_flow_that_is_remembered_keeps_its_backend`] |
//! | Base, Gue: hash of the destination port only | [`a_hash_of_the_destination_port_alone_is_of_no_client`] |
//! | Base: a packet of 1,515 bytes | [`a_packet_that_is_too_big_is_cut_or_its_sender_hears_of_it`] |
//! | Gue: a VIP that is not initialized | [`a_vip_without_backends_drops`] |
//! | Base, Gue: QUIC by connection id; UdpStableRt; TPR | not read: a packet goes by its addresses and ports. Those whose outcome there is that of their addresses alone are packets of the first line |
//! | Base: UDP flow migration | likewise: a flow table has flows, and not what servers say of them |
//! | LpmSrcLookup | tables have no rules by the client's address |
//! | HC | health checks are sent by `glb-healthcheck` through a tunnel of its own, and not marked |

#[path = "shared/service.rs"]
mod service;

use glb_core::director::classify::bind::{
    build, words_needed, Bind, BindId, Classifier, Entry, Proto,
};
use glb_core::director::flows::follow;
use glb_core::director::select::hash::HashFields;
use glb_core::director::{
    decide, flow_label, inspect, source_port, too_big, Addresses, Candidate, Cut, Forward, Leave,
    Params, Selector, Shape, Stop, Verdict, World, MAX_TOO_BIG_LEN,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::checksum::Sum;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::fragments::FragmentTable;
use glb_core::packet::ip::{tos, Addrs, Family, Fragment};
use glb_core::packet::view::View;
use glb_core::settings::Settings;
use glb_core::siphash::SipKey;
use service::Service;
use std::net::{IpAddr, Ipv6Addr};

/// Its backends, of each family three.
const PLACES: &[usize] = &[0, 1, 2];
const V4: [[u8; 4]; 3] = [[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]];

fn v6() -> [[u8; 16]; 3] {
    ["fc00::1", "fc00::2", "fc00::3"].map(|text| text.parse::<Ipv6Addr>().unwrap().octets())
}

/// Its set-up: VIPs, and tables of backends of either family.
struct Fleet {
    words: Vec<u32>,
    key: SipKey,
    row: Vec<u8>,
    v6: [[u8; 16]; 3],
    forward: Forward,
    /// The flow table, in a fleet that has one.
    flows: Option<Service>,
    fragments: FragmentTable,
}

/// A table: the family of its backends, and how packets leave.
struct Table {
    family: Family,
    forward: Forward,
    v6: [[u8; 16]; 3],
}

/// The tables, as a world without state lends them.
struct Tables<'a> {
    fleet: &'a Fleet,
    tables: [Table; 2],
}

fn bind(ip: &str, len: u8, proto: Proto, port: Option<u16>) -> Bind {
    Bind {
        addr: addr(ip),
        prefix_len: len,
        proto: Some(proto),
        port_start: port.unwrap_or(0),
        port_end: port.unwrap_or(u16::MAX),
    }
}

fn addr(text: &str) -> Addr {
    match text.parse().unwrap() {
        IpAddr::V4(addr) => Addr::V4(addr.octets()),
        IpAddr::V6(addr) => Addr::V6(addr.octets()),
    }
}

impl Fleet {
    fn new(forward: Forward) -> Self {
        let (tcp, udp) = (Proto::Tcp, Proto::Udp);
        // Table 0 has IPv4 backends, table 1 IPv6 ones.
        let binds = [
            (0, bind("10.200.1.1", 32, tcp, Some(80))),
            (0, bind("10.200.1.1", 32, udp, Some(80))),
            (0, bind("10.200.1.2", 32, tcp, None)),
            (0, bind("10.200.1.4", 32, tcp, None)),
            (1, bind("10.200.1.3", 32, tcp, Some(80))),
            (1, bind("fc00:1::1", 128, tcp, Some(80))),
            (1, bind("10.200.1.5", 32, udp, Some(443))),
            (1, bind("fc00:1::2", 128, udp, Some(443))),
        ];
        let entry = |(place, (table, bind)): (usize, (u16, Bind))| Entry {
            bind,
            id: BindId {
                table,
                bind: place as u16,
            },
        };
        let mut entries: Vec<Entry> = binds.into_iter().enumerate().map(entry).collect();
        let mut words = vec![0; words_needed(&entries)];
        let used = build(&mut entries, &mut words).unwrap();
        words.truncate(used);
        Self {
            words,
            key: SipKey::new(&[3; 16]),
            row: vec![1, 0],
            flows: None,
            v6: v6(),
            forward,
            fragments: FragmentTable::new(&[4; 16]),
        }
    }

    fn tables(&self) -> Tables<'_> {
        let (forward, v6) = (self.forward, self.v6);
        Tables {
            fleet: self,
            tables: [Family::V4, Family::V6].map(|family| Table {
                family,
                forward,
                v6,
            }),
        }
    }
}

impl World for Tables<'_> {
    type Table = Table;
    type Hop = usize;

    fn by_port(&self, dst: Addr, proto: Proto, port: u16) -> Option<&Table> {
        let id = Classifier::new(&self.fleet.words).lookup(dst, proto, port)?;
        self.tables.get(usize::from(id.table))
    }
    fn by_addr(&self, dst: Addr) -> Option<&Table> {
        let id = Classifier::new(&self.fleet.words).lookup_addr(dst)?;
        self.tables.get(usize::from(id.table))
    }
    fn by_all(&self, dst: Addr) -> Option<&Table> {
        let id = Classifier::new(&self.fleet.words).lookup_all(dst)?;
        self.tables.get(usize::from(id.table))
    }
    fn forward(table: &Table) -> Forward {
        table.forward
    }
    fn hash_key<'w>(&'w self, _: &'w Table) -> &'w SipKey {
        &self.fleet.key
    }
    fn row<'w>(&'w self, _: &'w Table, _: u16) -> &'w [u8] {
        match self.fleet.flows {
            None => &self.fleet.row,
            Some(_) => &[],
        }
    }
    fn selector(&self, _: &Table) -> Option<Selector> {
        self.fleet.flows.as_ref().map(|_| Selector::GLB)
    }
    fn numbered_row<'w>(&'w self, _: &'w Table, _: u32) -> &'w [u8] {
        &self.fleet.row
    }
    fn flow(&self, _: &Table, packet: Candidate, first: Option<u8>) -> Option<u8> {
        follow(self.fleet.flows.as_ref()?, &packet, first)
    }
    fn hop<'w>(&'w self, _: &'w Table, backend: u8) -> Option<&'w usize> {
        PLACES.get(usize::from(backend))
    }
    fn addresses(table: &Table) -> Addresses<'_> {
        match table.family {
            Family::V4 => Addresses::V4(&V4),
            Family::V6 => Addresses::V6(&table.v6),
        }
    }
    fn remember(&self, key: &FlowKey, fragment: Fragment) {
        self.fleet.fragments.record_ports(key, fragment, 0);
    }
    fn remembered(&self, addrs: &Addrs, fragment: Fragment) -> Option<(u16, u16)> {
        self.fleet.fragments.ports(addrs, fragment, 0)
    }
}

/// An IP packet with a right header checksum. `fragment` has identification, and flags with offset.
struct Ip<'a> {
    src: &'a str,
    dst: &'a str,
    tos: u8,
    proto: u8,
    options: usize,
    fragment: (u16, u16),
}

fn from<'a>(src: &'a str, dst: &'a str, proto: u8) -> Ip<'a> {
    Ip {
        src,
        dst,
        tos: 0,
        proto,
        options: 0,
        fragment: (1, 0),
    }
}

impl Ip<'_> {
    fn with(&self, payload: &[u8]) -> Vec<u8> {
        match (addr(self.src), addr(self.dst)) {
            (Addr::V4(src), Addr::V4(dst)) => {
                let head = 20 + self.options;
                let len = (head + payload.len()) as u16;
                let mut bytes = vec![0x40 | (head / 4) as u8, self.tos];
                bytes.extend(len.to_be_bytes());
                bytes.extend(self.fragment.0.to_be_bytes());
                bytes.extend(self.fragment.1.to_be_bytes());
                bytes.extend([64, self.proto, 0, 0]);
                bytes.extend(src);
                bytes.extend(dst);
                // No-operations.
                bytes.extend(vec![1; self.options]);
                let sum = Sum::default().with(&bytes).checksum();
                bytes[10..12].copy_from_slice(&sum.to_be_bytes());
                bytes.extend(payload);
                bytes
            }
            (Addr::V6(src), Addr::V6(dst)) => {
                let word = 0x6000_0000 | u32::from(self.tos) << 20;
                let mut bytes = word.to_be_bytes().to_vec();
                bytes.extend((payload.len() as u16).to_be_bytes());
                bytes.extend([self.proto, 64]);
                bytes.extend(src);
                bytes.extend(dst);
                bytes.extend(payload);
                bytes
            }
            _ => panic!("two families"),
        }
    }
}

/// A TCP header with payload.
fn tcp(src: u16, dst: u16) -> Vec<u8> {
    let mut bytes = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0]);
    bytes.extend(b"fifteen  bytes!");
    bytes
}

fn udp(src: u16, dst: u16) -> Vec<u8> {
    let mut bytes = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    bytes.extend([0, 23, 0, 0]);
    bytes.extend(b"fifteen  bytes!");
    bytes
}

/// What becomes of a packet: what stands in front of it if it is sent.
fn go(fleet: &Fleet, packet: &[u8]) -> Result<(Verdict, Vec<u8>), Verdict> {
    let family = match packet[0] >> 4 {
        4 => Family::V4,
        _ => Family::V6,
    };
    let view = View::whole(packet);
    let candidate = inspect(view, family).map_err(|stop| match stop {
        Stop::Pass(verdict) => verdict,
        Stop::NeedLinear(_) => panic!("all of it is at hand"),
    })?;
    let world = fleet.tables();
    let plan = decide(&world, &Settings::DEFAULT, candidate)?;
    let Leave::Tunnel(tunnel) = plan.forward().leave() else {
        panic!("no tunnel");
    };
    let hop = *plan.hops.first();
    let (src, dst, outer) = match plan.table.family {
        Family::V4 => (Addr::V4([10, 0, 13, 37]), Addr::V4(V4[hop]), Family::V4),
        Family::V6 => (addr("fc00:2307::1337"), Addr::V6(fleet.v6[hop]), Family::V6),
    };
    let layout = tunnel.layout(&Shape {
        outer,
        inner: family,
        others: plan.hops.others(),
        udp_checksum: false,
    });
    let mut header = vec![0; layout.len];
    let params = Params {
        src,
        dst,
        src_port: source_port(plan.hash, plan.packet.hint),
        dst_port: 9886,
        flow_label: flow_label(plan.hash, plan.packet.hint),
        tos: tos(view, family).unwrap(),
        inner: family,
        inner_len: plan.packet.len,
    };
    tunnel
        .write(&params, &plan.hops, &mut header)
        .expect("room");
    Ok((plan.verdict, header))
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The packets that katran sends, and which this director sends too, by the same rule of families; TOS is copied.
#[test]
fn what_is_sent_there_is_sent_here() {
    let error4 = [
        &[3, 4, 0, 0, 0, 0, 0, 0][..],
        &from("10.200.1.1", "192.168.1.1", TCP).with(&tcp(80, 31337)),
    ]
    .concat();
    let error6 = [
        &[2, 0, 0, 0, 0, 0, 5, 0][..],
        &from("fc00:1::1", "fc00:2::1", TCP).with(&tcp(80, 31337)),
    ]
    .concat();
    let marked = |ip: Ip<'static>| Ip { tos: 0x8c, ..ip };
    let sent = Verdict::Encapsulated;
    let cases = [
        (
            from("192.168.1.1", "10.200.1.1", UDP).with(&udp(31337, 80)),
            sent,
            4,
        ),
        (
            from("192.168.1.1", "10.200.1.1", TCP).with(&tcp(31337, 80)),
            sent,
            4,
        ),
        (
            marked(from("192.168.1.1", "10.200.1.1", TCP)).with(&tcp(31337, 80)),
            sent,
            4,
        ),
        // Any port.
        (
            from("192.168.1.1", "10.200.1.2", TCP).with(&tcp(31337, 42)),
            sent,
            4,
        ),
        // Backends of the other family.
        (
            from("192.168.1.1", "10.200.1.3", TCP).with(&tcp(31337, 80)),
            sent,
            6,
        ),
        (
            from("fc00:2::1", "fc00:1::1", TCP).with(&tcp(31337, 80)),
            sent,
            6,
        ),
        (
            marked(from("fc00:2::1", "fc00:1::1", TCP)).with(&tcp(31337, 80)),
            sent,
            6,
        ),
        (
            from("192.168.1.42", "10.200.1.5", UDP).with(&udp(31337, 443)),
            sent,
            6,
        ),
        (
            from("fc00:2::42", "fc00:1::2", UDP).with(&udp(31337, 443)),
            sent,
            6,
        ),
        (
            from("192.168.100.1", "10.200.1.1", 1).with(&error4),
            Verdict::EncapsulatedIcmpError,
            4,
        ),
        (
            from("fc00:200::1", "fc00:1::1", 58).with(&error6),
            Verdict::EncapsulatedIcmpError,
            6,
        ),
    ];
    for forward in [Forward::Gue, Forward::Gre, Forward::Ipip] {
        for (packet, verdict, outer) in &cases {
            let fleet = Fleet::new(forward);
            let (got, header) = go(&fleet, packet).expect("it is sent");
            assert_eq!(got, *verdict, "{forward:?} {packet:02x?}");
            assert_eq!(header[0] >> 4, *outer, "{forward:?} {packet:02x?}");
            let tos_of = |bytes: &[u8]| match bytes[0] >> 4 {
                4 => bytes[1],
                _ => bytes[0] << 4 | bytes[1] >> 4,
            };
            // GUE's outer header is as that of deployed directors, which is the same for all packets.
            if forward != Forward::Gue {
                assert_eq!(tos_of(&header), tos_of(packet), "{forward:?} {packet:02x?}");
            }
            // TTL 64, and no fragment; the chosen backend behind the source.
            let ttl = if *outer == 4 { header[8] } else { header[7] };
            assert_eq!(ttl, 64, "{forward:?}");
            let to = match outer {
                4 => header[16..20] == V4[1],
                _ => header[24..40] == fleet.v6[1],
            };
            assert!(to, "{header:02x?}");
            // The same packet again goes the same way.
            assert_eq!(go(&fleet, packet), Ok((got, header)));
        }
    }
}

#[test]
fn what_is_left_there_is_left_here() {
    let (no_bind, unknown) = (Verdict::PassedNoMatchingBind, Verdict::PassedUnknownFormat);
    let inner4 = from("192.168.1.1", "10.200.1.1", UDP).with(&udp(31337, 80));
    let inner6 = from("fc00:2::1", "fc00:1::1", TCP).with(&tcp(31337, 80));
    let cases = [
        (
            from("192.168.1.1", "10.200.1.1", TCP).with(&tcp(31337, 82)),
            no_bind,
        ),
        (
            from("fc00:2::1", "fc00:1::1", TCP).with(&tcp(31337, 82)),
            no_bind,
        ),
        // Tunnels to this machine, with a header of options or not.
        (from("172.16.1.1", "172.16.100.1", 4).with(&inner4), unknown),
        (
            Ip {
                options: 4,
                ..from("172.16.1.1", "172.16.100.1", 4)
            }
            .with(&inner4),
            unknown,
        ),
        (from("100::1", "100::2", 41).with(&inner6), unknown),
        // GUE to this machine.
        (
            from("172.16.1.1", "172.16.100.1", UDP).with(&udp(1234, 9886)),
            no_bind,
        ),
        (from("100::1", "100::2", 4).with(&inner4), unknown),
        // To a VIP, of a protocol that no bind takes.
        (
            from("192.168.1.1", "10.200.1.1", 47).with(&[0; 24]),
            unknown,
        ),
        (from("fc00:2::1", "fc00:1::1", 50).with(&[0; 24]), unknown),
    ];
    for (packet, verdict) in cases {
        let got = go(&Fleet::new(Forward::Ipip), &packet);
        assert_eq!(got.err(), Some(verdict), "{packet:02x?}");
    }
}

/// Echo requests are answered there by the balancer, and go to a backend here: whether one answers says more.
#[test]
fn an_echo_request_goes_to_a_backend() {
    for packet in [
        from("192.168.1.1", "10.200.1.3", 1).with(&[8, 0, 0, 0, 0, 0, 0, 0]),
        from("fc00:2::1", "fc00:1::1", 58).with(&[128, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let (verdict, header) = go(&Fleet::new(Forward::Ipip), &packet).expect("sent");
        assert_eq!((verdict, header[0] >> 4), (Verdict::EncapsulatedEcho, 6));
    }
}

/// Packets with IPv4 options and fragments are dropped there, and are sent here: all of a datagram to one backend.
#[test]
fn options_and_fragments_are_sent() {
    let fleet = Fleet::new(Forward::Ipip);
    let options = Ip {
        options: 4,
        ..from("192.168.1.1", "10.200.1.1", TCP)
    };
    assert_eq!(
        go(&fleet, &options.with(&tcp(31337, 80))).unwrap().0,
        Verdict::Encapsulated
    );
    let first = Ip {
        fragment: (9, 0x2000),
        ..from("192.168.1.1", "10.200.1.1", TCP)
    };
    let later = Ip {
        fragment: (9, 4),
        ..from("192.168.1.1", "10.200.1.1", TCP)
    };
    let whole = go(&fleet, &first.with(&tcp(31337, 80)[..32])).unwrap();
    let rest = go(&fleet, &later.with(&tcp(31337, 80)[32..])).unwrap();
    assert_eq!(
        (whole.0, rest.0),
        (Verdict::Encapsulated, Verdict::EncapsulatedFragment)
    );
    assert_eq!(whole.1[16..20], rest.1[16..20]);
    // Of IPv6 the first fragment of its own: offset 0, and more to come.
    let v6 = [&[TCP, 0, 0, 1, 0, 0, 0, 9][..], &tcp(31337, 80)].concat();
    let packet = from("fc00:2::1", "fc00:1::1", 44).with(&v6);
    assert_eq!(go(&fleet, &packet).unwrap().0, Verdict::Encapsulated);
}

/// No fact of katran's: what the stack would drop is left to it.
#[test]
fn clients_that_cannot_be_are_left() {
    let packet = from("127.0.0.1", "10.200.1.1", TCP).with(&tcp(31337, 80));
    assert_eq!(
        go(&Fleet::new(Forward::Gre), &packet).err(),
        Some(Verdict::PassedMartian)
    );
}

/// A VIP that has no backends drops its packets; it does not leave them to this machine.
#[test]
fn a_vip_without_backends_drops() {
    let mut fleet = Fleet::new(Forward::Gue);
    fleet.row.clear();
    for packet in [
        from("192.168.1.1", "10.200.1.1", TCP).with(&tcp(31337, 80)),
        from("fc00:2::42", "fc00:1::2", UDP).with(&udp(31337, 443)),
    ] {
        assert_eq!(go(&fleet, &packet).err(), Some(Verdict::DroppedNoHop));
    }
}

/// Where the row leads elsewhere meanwhile, a flow that is known stays, and a new one goes there.
#[test]
fn a_flow_that_is_remembered_keeps_its_backend() {
    let mut fleet = Fleet::new(Forward::Ipip);
    fleet.flows = Some(Service::new(8, PLACES.len()));
    let to = |fleet: &Fleet, port: u16| {
        let packet = from("192.168.1.1", "10.200.1.1", TCP).with(&tcp(port, 80));
        let header = go(fleet, &packet).unwrap().1;
        header[16..20].to_vec()
    };
    assert_eq!(to(&fleet, 31337), V4[1]);
    fleet.row = vec![2, 0];
    assert_eq!([to(&fleet, 31337), to(&fleet, 31338)], [V4[1], V4[2]]);
    // Without the flow table both go by the row.
    fleet.flows = None;
    assert_eq!([to(&fleet, 31337), to(&fleet, 31338)], [V4[2], V4[2]]);
}

/// There a property of the VIP, here of all tables.
#[test]
fn a_hash_of_the_destination_port_alone_is_of_no_client() {
    let fleet = Fleet::new(Forward::Gue);
    let hash = |fields, src, sport, dport| {
        let packet = from(src, "10.200.1.4", TCP).with(&tcp(sport, dport));
        let candidate = inspect(View::whole(&packet), Family::V4).unwrap();
        let settings = Settings {
            hash_fields: fields,
            ..Settings::DEFAULT
        };
        let world = fleet.tables();
        let plan = decide(&world, &settings, candidate).ok().unwrap();
        plan.hash.0
    };
    let of = |fields| {
        [
            hash(fields, "192.168.1.1", 31337, 42),
            hash(fields, "192.168.1.100", 1337, 42),
            hash(fields, "192.168.1.1", 31337, 43),
        ]
    };
    let [one, other, other_port] = of(HashFields::DST_PORT);
    assert!(one == other && one != other_port);
    let [one, other, _] = of(HashFields::DEFAULT);
    assert_ne!(one, other);
}

/// One byte more than Ethernet carries: there it is dropped, and its sender is told. Here it is cut, unless it may not be.
#[test]
fn a_packet_that_is_too_big_is_cut_or_its_sender_hears_of_it() {
    let mut datagram = [31337u16.to_be_bytes(), 80u16.to_be_bytes()].concat();
    datagram.extend(1481u16.to_be_bytes());
    datagram.extend([0; 2 + 1473]);
    let with = |flags| {
        let ip = Ip {
            fragment: (1, flags),
            ..from("192.168.1.1", "10.200.1.1", UDP)
        };
        ip.with(&datagram)
    };
    let (open, whole) = (with(0), with(0x4000));
    // Behind an Ethernet header of 14 bytes.
    assert_eq!(open.len() + 14, 1515);
    let fleet = Fleet::new(Forward::Ipip);
    let (verdict, header) = go(&fleet, &open).unwrap();
    assert_eq!((verdict, header.len()), (Verdict::Encapsulated, 20));
    let fits = 1500 - header.len();
    let cut = Cut::new(View::whole(&open), open.len(), fits).expect("it may be cut");
    let first = cut.piece(0).unwrap();
    let rest = cut.piece(first.start + first.len).unwrap();
    assert!(first.len + cut.header_len() <= fits);
    assert_eq!(first.len + rest.len, datagram.len());
    assert_eq!(Cut::new(View::whole(&whole), whole.len(), fits), None);
    let addrs = Addrs::V4 {
        src: [192, 168, 1, 1],
        dst: [10, 200, 1, 1],
    };
    let mut answer = [0; MAX_TOO_BIG_LEN];
    let told = |packet: &[u8], out: &mut _| too_big(View::whole(packet), &addrs, fits, out);
    assert_eq!(told(&open, &mut answer), None);
    let len = told(&whole, &mut answer).unwrap();
    let answer = &answer[..len];
    // From the VIP to the client: ICMP, "fragmentation needed", with what fits.
    assert_eq!(
        (&answer[12..16], &answer[16..20]),
        (&[10, 200, 1, 1][..], &[192, 168, 1, 1][..])
    );
    assert_eq!(
        (answer[9], &answer[20..22], &answer[26..28]),
        (1, &[3, 4][..], &1480u16.to_be_bytes()[..])
    );
}
