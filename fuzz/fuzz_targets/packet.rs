// SPDX-License-Identifier: GPL-2.0

//! The redirect's reading and rewriting of packets. However many of a packet's first bytes are linear,
//! the verdict must be the same in the end, more bytes must be asked for only where there are more, and
//! rewriting must not touch what it does not mean.

#![no_main]

use glb_core::packet::checksum::UdpChecksum;
use glb_core::packet::ip::Family;
use glb_core::packet::view::View;
use glb_core::redirect::{
    inspect, next_hop, rewrite, step_by_step, Common, Next, Options, Packet, Prefix, Question,
    Stop, Verdict,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choice, linear, bytes @ ..] = data else {
        return;
    };
    let outer = if choice & 1 == 0 {
        Family::V4
    } else {
        Family::V6
    };
    let options = Options::NONE
        .with(Options::SYN_LISTENER, choice & 4 != 0)
        .with(Options::UDP, choice & 8 != 0);
    let view = View::whole(bytes);
    let whole = inspect(&Packet { view, outer }, options);
    assert!(!matches!(whole, Err(Stop::NeedLinear(_))));
    // The short way for common packets says what the long way says.
    assert_eq!(whole, step_by_step(view, outer, options));
    if let Some(common) = Common::read(&Packet { view, outer }) {
        let question = whole.map(|inspected| inspected.question);
        assert_eq!(
            common.is_syn(),
            matches!(
                question,
                Ok(Question::Opening { .. }) | Err(Stop::Decided(Verdict::AcceptedSyn))
            )
        );
        if let Ok(Question::Connection { flow, .. } | Question::Opening { flow, .. }) = question {
            assert_eq!(common.flow(view), flow.read(view).ok());
        }
    }
    let mut linear = usize::from(*linear).min(bytes.len());
    let pieced = loop {
        let view = View::new(&bytes[..linear], bytes.len());
        match inspect(&Packet { view, outer }, options) {
            Err(Stop::NeedLinear(more)) => {
                assert!(more > linear && more <= bytes.len());
                linear = more;
            }
            other => break other,
        }
    };
    assert_eq!(whole, pieced);
    let Ok(packet) = whole else { return };
    // What is asked about can be read.
    if let Question::Connection { flow, .. }
    | Question::Opening { flow, .. }
    | Question::Datagram { flow, .. } = packet.question
    {
        assert!(flow.read(view).is_ok());
    }
    assert!(packet.inner_addrs(view).is_ok());
    let any = None::<core::iter::Empty<Prefix<'_>>>;
    let Next::Forward(hop) = next_hop(&Packet { view, outer }, &packet, any) else {
        return;
    };
    let mut head = bytes.to_vec();
    let udp = if choice & 2 == 0 {
        UdpChecksum::Complete
    } else {
        UdpChecksum::PseudoHeader
    };
    if rewrite(&mut head, &packet, hop, udp).is_none() {
        assert_eq!(head, bytes);
        return;
    }
    assert_eq!(
        head[packet.gue.index_offset],
        bytes[packet.gue.index_offset].wrapping_add(1)
    );
    assert_eq!(
        head[packet.gue.inner_offset..],
        bytes[packet.gue.inner_offset..]
    );
});
