// SPDX-License-Identifier: GPL-2.0

//! An appliance's reading of Geneve packets, of the flows inside, and of ICMP errors about them. However many of a packet's first
//! bytes are linear, what is read must be the same in the end, more bytes must be asked for only where there are more, the inner
//! packet must lie in the outer one, the header of the way back must be read as the one that came, and the flow cache must have of
//! flow and header what was put in.

#![no_main]

use glb_core::geneve::flows::{Bucket, Cache, Event, Limits, Part};
use glb_core::geneve::{
    inspect, is_checksum_right, Envelope, Letter, Narrow, Packet, Senders, Settings, Stop, PORT,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::Family;
use glb_core::packet::view::{Short, View};
use glb_core::siphash::SipKey;
use libfuzzer_sys::fuzz_target;
use std::fmt::Debug;

const SECRET: SipKey = SipKey::new(b"0123456789abcdef");

/// What is read of the whole packet, which must be what is read of it in pieces.
fn both_ways<T: Debug + PartialEq>(
    bytes: &[u8],
    mut linear: usize,
    read: impl Fn(View<'_>) -> Result<T, Short>,
) -> Option<T> {
    let whole = read(View::whole(bytes));
    assert!(!matches!(whole, Err(Short::NeedLinear(_))));
    loop {
        match read(View::new(&bytes[..linear], bytes.len())) {
            Err(Short::NeedLinear(more)) => {
                assert!(more > linear && more <= bytes.len());
                linear = more;
            }
            pieced => {
                assert_eq!(whole, pieced);
                return whole.ok();
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [choice, linear, bytes @ ..] = data else {
        return;
    };
    let outer = if choice & 1 == 0 {
        Family::V4
    } else {
        Family::V6
    };
    let mut senders = Senders::ANY;
    if choice & 2 != 0 {
        senders.allow(Addr::V4([10, 1, 0, 0]), 16).expect("room");
        senders.allow(Addr::V6([0xfd; 16]), 8).expect("room");
    }
    let class = if choice & 4 == 0 { 0x0108 } else { 0x0167 };
    let port = PORT;
    let settings = Settings {
        class,
        port,
        senders,
    };
    let view = View::whole(bytes);
    let packet = Packet { view, outer };
    let whole = inspect(&packet, &settings);
    assert!(!matches!(whole, Err(Stop::NeedLinear(_))));
    let mut linear = usize::from(*linear).min(bytes.len());
    let at_first = linear;
    both_ways(bytes, at_first, |view| Narrow::read(view, port));
    both_ways(bytes, at_first, |view| Part::read(view, 0, outer));
    let pieced = loop {
        let view = View::new(&bytes[..linear], bytes.len());
        match inspect(&Packet { view, outer }, &settings) {
            Err(Stop::NeedLinear(more)) => {
                assert!(more > linear && more <= bytes.len());
                linear = more;
            }
            other => break other,
        }
    };
    assert_eq!(whole, pieced);
    let Ok(opened) = whole else { return };
    // Both answers are in order; the question must have one.
    let _ = is_checksum_right(&packet, &opened);
    let inner = &bytes[opened.inner_at..][..opened.inner_len];
    let envelope = Envelope::of(&packet, &opened).expect("what was read is there");
    let (end, at, family) = (opened.end, opened.inner_at, opened.inner);
    let part = both_ways(bytes, at_first, |view| {
        Part::read(view.limit(end), at, family)
    });
    if let Some(Some(Part::Packet(tuple, turn, _))) = part {
        let buckets = [Bucket::new()];
        let cache = Cache {
            buckets: &buckets,
            secret: &SECRET,
            limits: Limits::DEFAULT,
            now: 5,
        };
        let endpoint = opened.ids.endpoint;
        let event = cache.record(endpoint, &tuple, turn, &envelope);
        let first = cache.listed(&buckets[0]).next();
        match first {
            Some(listed) => {
                let held = listed.held;
                assert_eq!((held.endpoint, held.tuple), (endpoint, tuple));
                assert_eq!(held.envelope(), envelope);
                assert_eq!(event, Event::First);
            }
            None => assert_eq!(event, Event::TooLong),
        }
    }
    let mut out = vec![0; envelope.len()];
    let len = inner.len();
    let letter = Letter { len, tos: 0 };
    envelope
        .write_back(&letter, &mut out)
        .expect("its own length");
    envelope
        .fill_checksum(&mut out, inner)
        .expect("a UDP header");
    out.extend(inner);
    let view = View::whole(&out);
    let packet = Packet { view, outer };
    let anybody = Settings {
        senders: Senders::ANY,
        ..settings
    };
    // It came to an address from which nobody can send, or was an aggregate that is longer now.
    let Ok(back) = inspect(&packet, &anybody) else {
        return;
    };
    assert_eq!(back.ids, opened.ids);
    assert_eq!(back.outer, opened.outer.reversed());
    assert!(is_checksum_right(&packet, &back) || out.len() > 65_535);
    let again = Envelope::of(&packet, &back).expect("what was read is there");
    assert_eq!(
        (again.ports, again.base, again.options),
        (envelope.ports, envelope.base, envelope.options)
    );
    assert_eq!(&out[back.inner_at..], inner);
});
