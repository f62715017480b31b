// SPDX-License-Identifier: GPL-2.0

//! The judge is judged: frames that are right pass, and each thing that can be wrong with them is seen.

use super::*;
use glb_core::director::{Params, Tunnel};
use glb_core::packet::addr::Addr;
use glb_core::packet::checksum::Sum;
use glb_core::packet::ip::Family;

const LINE: &str = "src=10.2.0.1 dst=1.1.1.1 sport=2000 seq=4294967000 id=7 len=2500 size=1000";
const TUNNEL_LEN: usize = 36;

/// The TCP packet with the bytes `range`, in IPv4.
fn tcp(spec: &Spec, number: u16, range: std::ops::Range<usize>, flags: u8) -> Vec<u8> {
    let mut tcp = vec![0; 20];
    tcp[..4].copy_from_slice(&[7, 0xd0, 0, 80]);
    tcp[4..8].copy_from_slice(&spec.seq.wrapping_add(range.start as u32).to_be_bytes());
    (tcp[12], tcp[13]) = (0x50, flags);
    tcp.extend(range.map(|offset| spec.byte(offset)));
    let (src, dst) = ([10, 2, 0, 1], [1, 1, 1, 1]);
    let mut padded = tcp.clone();
    padded.resize(tcp.len().next_multiple_of(2), 0);
    let check = Sum::default()
        .with(&src)
        .with(&dst)
        .with(&[0, 6])
        .with(&(tcp.len() as u16).to_be_bytes())
        .with(&padded)
        .checksum();
    tcp[16..18].copy_from_slice(&check.to_be_bytes());
    let mut ip = vec![0x45, 0];
    ip.extend((20 + tcp.len() as u16).to_be_bytes());
    ip.extend((spec.id + number).to_be_bytes());
    ip.extend([0x40, 0, 64, 6, 0, 0]);
    ip.extend(src.iter().chain(&dst));
    seal(&mut ip);
    ip.extend(tcp);
    ip
}

/// Makes the checksum of an IPv4 header right.
fn seal(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let check = Sum::default().with(&packet[..20]).checksum();
    packet[10..12].copy_from_slice(&check.to_be_bytes());
}

fn frame(inner: &[u8]) -> Vec<u8> {
    let mut out = vec![0; TUNNEL_LEN];
    let params = Params {
        src: Addr::V4([65; 4]),
        dst: Addr::V4([10, 1, 0, 1]),
        src_port: 0x8001,
        dst_port: glb_core::packet::gue::PORT,
        flow_label: 0,
        tos: 0,
        inner: Family::V4,
        inner_len: inner.len(),
    };
    let others: [Addr; 0] = [];
    let written = Tunnel::Gue.write(&params, &others[..], &mut out);
    written.expect("it fits");
    let mut frame = vec![2; 12];
    frame.extend([8, 0]);
    frame.extend(out);
    frame.extend(inner);
    frame
}

/// What the judge says of frames that were made of what was wanted.
fn verdict(want: &str, frames: &[Vec<u8>], mtu: usize) -> Result<()> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("glb-shapes-{}-{number}", std::process::id()));
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("want"), want)?;
    let mut out = crate::capture::pcap::Writer::new(crate::capture::create(&dir.join("got"))?)?;
    for frame in frames {
        out.frame(frame)?;
    }
    out.finish()?;
    let result = shapes(&Shapes {
        want: dir.join("want"),
        got: dir.join("got"),
        mtu,
        tunnel: super::Tunnel::Gue,
        outer_checksum: OuterChecksum::None,
        port: glb_core::packet::gue::PORT,
        dscp: None,
        backends: Vec::new(),
        target_port: None,
        vips: Vec::new(),
    });
    fs::remove_dir_all(&dir)?;
    result
}

fn of(want: &str, ranges: &[std::ops::Range<usize>]) -> (String, Vec<Vec<u8>>) {
    let line = format!("{want} {LINE}");
    let spec = Spec::parse(&line).expect("it is a line");
    let frames = ranges
        .iter()
        .enumerate()
        .map(|(number, range)| {
            let flags = if range.end == spec.len() { 0x18 } else { 0x10 };
            frame(&tcp(&spec, number as u16, range.clone(), flags))
        })
        .collect();
    (line, frames)
}

#[test]
fn right_ones_pass() {
    let (want, frames) = of("same", &[0..1000, 1000..2000, 2000..2500]);
    verdict(&want, &frames, 1100).unwrap();
    assert!(
        verdict(&want, &frames, 1075).is_err(),
        "longer than the path takes"
    );
    let (want, frames) = of("cut", &[0..900, 900..1800, 1800..2500]);
    verdict(&want, &frames, 1000).unwrap();
    let nothing = want.replace("cut", "nothing");
    verdict(&nothing, &[], 1000).unwrap();
    assert!(verdict(&nothing, &frames, 1000).is_err());
    assert!(verdict(&want, &[], 1000).is_err());
}

#[test]
fn what_is_lost_doubled_or_moved_is_seen() {
    let (want, frames) = of("same", &[0..1000, 1000..2000, 2000..2500]);
    assert!(verdict(&want, &frames[..2], 1500).is_err());
    let doubled = [&frames[..], &frames[2..]].concat();
    assert!(verdict(&want, &doubled, 1500).is_err());
    let moved = vec![frames[1].clone(), frames[0].clone(), frames[2].clone()];
    assert!(verdict(&want, &moved, 1500).is_err());
    let (cut, frames) = of("cut", &[0..900, 900..1700, 1800..2500]);
    assert!(
        verdict(&cut, &frames, 1500).is_err(),
        "100 bytes are missing"
    );
}

#[test]
fn each_byte_counts() {
    let (want, frames) = of("same", &[0..1000, 1000..2000, 2000..2500]);
    let inner = 14 + TUNNEL_LEN;
    // All but the Ethernet addresses and the outer source port.
    let free = |at: usize| at < 12 || (34..36).contains(&at);
    for at in 0..frames[1].len() {
        let mut frames = frames.clone();
        frames[1][at] ^= 0x01;
        let seen = verdict(&want, &frames, 1500).is_err();
        assert!(
            seen || free(at),
            "byte {at} ({} of the inner packet)",
            at as i64 - inner as i64
        );
    }
}

#[test]
fn fragments_are_put_together() {
    let line = format!("fragments {LINE} df=0");
    let spec = Spec::parse(&line).unwrap();
    let mut frames = Vec::new();
    for (number, range) in spec.segments().enumerate() {
        let flags = if range.end == spec.len() { 0x18 } else { 0x10 };
        let packet = tcp(&spec, number as u16, range, flags);
        for (start, end) in [(0, 480), (480, packet.len() - 20)] {
            let mut part = packet[..20].to_vec();
            let len = (20 + end - start) as u16;
            part[2..4].copy_from_slice(&len.to_be_bytes());
            let more = if start == 0 { 0x2000 } else { 0 };
            part[6..8].copy_from_slice(&(start as u16 / 8 | more).to_be_bytes());
            seal(&mut part);
            part.extend(&packet[20 + start..20 + end]);
            frames.push(frame(&part));
        }
    }
    verdict(&line, &frames, 1500).unwrap();
    assert!(verdict(&line, &frames[..5], 1500).is_err());
    assert!(verdict(&line, &frames[1..], 1500).is_err());
    assert!(verdict(&line.replace("fragments", "same"), &frames, 1500).is_err());
}

#[test]
fn other_tunnels_are_looked_into() {
    let line = format!("same {LINE}");
    let spec = Spec::parse(&line).expect("it is a line");
    let packet = tcp(&spec, 1, 0..1000, 0x10);
    let framed = |tos: u8, protocol: u8, between: &[u8]| {
        let len = (20 + between.len() + packet.len()) as u16;
        let mut head = vec![0x45, tos];
        head.extend(len.to_be_bytes());
        head.extend([
            0, 0, 0x40, 0, 64, protocol, 0, 0, 65, 65, 65, 65, 10, 1, 0, 1,
        ]);
        seal(&mut head);
        [&[2; 12][..], &[8, 0], &head, between, &packet].concat()
    };
    let look = |tunnel, frame: &[u8]| {
        let outer = frame::Outer {
            tunnel,
            mtu: 1500,
            port: 19523,
            checksum: OuterChecksum::None,
        };
        frame::inner(frame, outer).map(|inner| inner.map(<[u8]>::to_vec))
    };
    use super::Tunnel::{Gre, Ipip};
    let (gre, ipip) = (framed(0, 47, &[0, 0, 8, 0]), framed(0, 4, &[]));
    assert_eq!(look(Gre, &gre).expect("right"), Some(packet.clone()));
    assert_eq!(look(Ipip, &ipip).expect("right"), Some(packet.clone()));
    assert_eq!(look(Gre, &ipip).expect("another"), None);
    for (tunnel, wrong) in [
        (Gre, framed(0, 47, &[0x20, 0, 8, 0])),
        (Gre, framed(0, 47, &[0, 0, 0x86, 0xdd])),
        (Gre, framed(1, 47, &[0, 0, 8, 0])),
        (Ipip, framed(0, 41, &[])),
        (Ipip, framed(4, 4, &[])),
    ] {
        assert!(look(tunnel, &wrong).is_err(), "{wrong:02x?}");
    }
}
