// SPDX-License-Identifier: GPL-2.0

//! The director's reading of packets, its decision, and the bytes that leave, by each forward. However many of a packet's first bytes are linear, the outcome must
//! be the same in the end, and more bytes must be asked for only where there are more.

#![no_main]

use glb_core::director::classify::bind::{
    build, words_needed, Bind, BindId, Classifier, Entry, Proto,
};
use glb_core::director::rewrite::{Change, Spot};
use glb_core::director::select::hash::HashFields;
use glb_core::director::{
    common, decide, flow_label, header_len, inspect, source_port, Addresses, Candidate, Forward,
    ForwardKind, Given, Leave, MarkOffset, Others, Params, Shape, Stop, World, MAX_HEADER_LEN,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::checksum::UdpChecksum;
use glb_core::packet::dscp::Dscp;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::fragments::FragmentTable;
use glb_core::packet::ip::{tos, Addrs, Family, Fragment};
use glb_core::packet::view::View;
use glb_core::settings::Settings;
use glb_core::siphash::SipKey;
use libfuzzer_sys::fuzz_target;
use std::num::NonZeroU16;
use std::sync::LazyLock;

/// The backends.
const HOPS: [[u8; 4]; 3] = [[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]];

/// One table, to which every address leads: rows of two hops.
struct Fleet {
    words: &'static [u32],
    key: SipKey,
    row: [u8; 2],
    forward: Forward,
    fragments: FragmentTable,
}

impl World for Fleet {
    type Table = Forward;
    type Hop = [u8; 4];

    fn by_port(&self, dst: Addr, proto: Proto, port: u16) -> Option<&Forward> {
        Classifier::new(self.words)
            .lookup(dst, proto, port)
            .map(|_| &self.forward)
    }
    fn by_addr(&self, dst: Addr) -> Option<&Forward> {
        let found = Classifier::new(self.words).lookup_addr(dst);
        found.map(|_| &self.forward)
    }
    fn by_all(&self, dst: Addr) -> Option<&Forward> {
        let found = Classifier::new(self.words).lookup_all(dst);
        found.map(|_| &self.forward)
    }
    fn forward(forward: &Forward) -> Forward {
        *forward
    }
    fn hash_key<'w>(&'w self, _: &'w Forward) -> &'w SipKey {
        &self.key
    }
    fn row<'w>(&'w self, _: &'w Forward, _: u16) -> &'w [u8] {
        &self.row
    }
    fn hop<'w>(&'w self, _: &'w Forward, backend: u8) -> Option<&'w [u8; 4]> {
        HOPS.get(usize::from(backend))
    }
    fn addresses(_: &Forward) -> Addresses<'_> {
        Addresses::V4(&HOPS)
    }
    fn remember(&self, key: &FlowKey, fragment: Fragment) {
        self.fragments.record_ports(key, fragment, 0);
    }
    fn remembered(&self, addrs: &Addrs, fragment: Fragment) -> Option<(u16, u16)> {
        self.fragments.ports(addrs, fragment, 0)
    }
}

/// The classifier's words: binds for every address, port and protocol of both families.
static WORDS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let bind = |addr, proto| Bind {
        addr,
        prefix_len: 0,
        proto,
        port_start: 0,
        port_end: u16::MAX,
    };
    let mut entries = Vec::new();
    for addr in [Addr::V4([0; 4]), Addr::V6([0; 16])] {
        for proto in [Some(Proto::Tcp), Some(Proto::Udp), Some(Proto::Sctp), None] {
            let id = BindId {
                table: 0,
                bind: entries.len() as u16,
            };
            let bind = bind(addr, proto);
            entries.push(Entry { bind, id });
        }
    }
    let mut words = vec![0; words_needed(&entries)];
    let used = build(&mut entries, &mut words).expect("eight binds");
    words.truncate(used);
    words
});

/// What is remembered of fragments is of this input alone: an outcome must not hang on inputs before it.
fn fleet(forward: Forward) -> Fleet {
    Fleet {
        forward,
        words: &WORDS,
        key: SipKey::new(&[7; 16]),
        row: [2, 0],
        fragments: FragmentTable::new(&[9; 16]),
    }
}

/// Each forward, with parameters where it has some.
fn forward(choice: u8) -> Forward {
    let kinds = ForwardKind::ALL;
    let kind = kinds[usize::from(choice) % kinds.len()];
    let parameter = choice / kinds.len() as u8;
    let given = match kind {
        ForwardKind::L3dsr => Given {
            dscp: Dscp::new(parameter & 63),
            ..Given::default()
        },
        // Port 0 is none: the packet's own stays.
        ForwardKind::Nat => Given {
            target_port: NonZeroU16::new(u16::from(parameter)),
            ..Given::default()
        },
        ForwardKind::Mark => Given {
            mark_offset: MarkOffset::new(u32::from(parameter) + 1),
            ..Given::default()
        },
        _ => Given::default(),
    };
    kind.with(given).expect("what it needs is given")
}

fuzz_target!(|data: &[u8]| {
    let [choice, linear, way, bytes @ ..] = data else {
        return;
    };
    let family = if choice & 1 == 0 {
        Family::V4
    } else {
        Family::V6
    };
    let whole = inspect(View::whole(bytes), family);
    assert!(!matches!(whole, Err(Stop::NeedLinear(_))));
    let mut linear = usize::from(*linear).min(bytes.len());
    let pieced = loop {
        match inspect(View::new(&bytes[..linear], bytes.len()), family) {
            Err(Stop::NeedLinear(more)) => {
                assert!(more > linear && more <= bytes.len());
                linear = more;
            }
            other => break other,
        }
    };
    // Nobody makes bytes linear for TCP's flags: they are there, or they are not known.
    let flags = |found: &Result<Candidate, Stop>| found.as_ref().map_or(0, |one| one.flags);
    let flagless = |found: Result<Candidate, Stop>| found.map(|one| Candidate { flags: 0, ..one });
    assert_eq!(flagless(whole), flagless(pieced));
    assert!(flags(&pieced) == 0 || flags(&pieced) == flags(&whole));
    if let Some(common) = common(View::whole(bytes), family) {
        assert_eq!(whole, Ok(common));
    }
    let Ok(candidate) = whole else { return };
    assert!(candidate.len <= bytes.len());
    let settings = Settings {
        hash_fields: HashFields::from_bits(choice >> 1 & 15).unwrap_or(HashFields::DEFAULT),
        alt_hash_fields: (choice & 32 != 0).then_some(HashFields::DEFAULT),
        forward_icmp_ping_responses: choice & 64 == 0,
        ..Settings::DEFAULT
    };
    let fleet = fleet(forward(*way));
    if let Ok(plan) = decide(&fleet, &settings, candidate) {
        assert_eq!(*plan.hops.first(), HOPS[2]);
        let others = plan.hops.others();
        let mut list = vec![0; 4 * usize::from(others)];
        assert_eq!(plan.hops.write(Family::V4, &mut list), Some(()));
        assert_eq!(list[..4], HOPS[0]);
        assert_eq!(others, if plan.alt_hash.is_some() { 3 } else { 1 });
        assert!(header_len(Family::V4, others) <= MAX_HEADER_LEN);
        match plan.forward().leave() {
            Leave::Tunnel(tunnel) => {
                let layout = tunnel.layout(&Shape {
                    outer: Family::V4,
                    inner: family,
                    others,
                    udp_checksum: false,
                });
                assert!(layout.len <= MAX_HEADER_LEN);
                let params = Params {
                    src: Addr::V4([10, 9, 9, 9]),
                    dst: Addr::V4(*plan.hops.first()),
                    src_port: source_port(plan.hash, plan.packet.hint),
                    dst_port: 19523,
                    flow_label: flow_label(plan.hash, plan.packet.hint),
                    tos: tos(View::whole(bytes), family).expect("its header was read"),
                    inner: family,
                    inner_len: plan.packet.len,
                };
                let mut header = vec![0; layout.len];
                assert_eq!(tunnel.write(&params, &plan.hops, &mut header), Some(()));
                assert_eq!(header[16..20], HOPS[2]);
            }
            // No table leads to backends of the other family.
            Leave::Rewrite(edit) if family == Family::V4 => {
                if let Ok(spot) = Spot::find(View::whole(bytes), family, edit) {
                    let mut packet = bytes.to_vec();
                    let change = Change::toward(Addr::V4(HOPS[2]), edit);
                    if spot
                        .write(&mut packet, &change, UdpChecksum::Complete)
                        .is_some()
                    {
                        assert_eq!(packet[16..20], HOPS[2]);
                        assert_eq!(packet.len(), bytes.len());
                    }
                }
            }
            Leave::Rewrite(_) => {}
            Leave::Mark(offset) => assert_eq!(offset.mark(plan.hops.backend()), offset.value() + 2),
        }
    }
});
