// SPDX-License-Identifier: GPL-2.0

//! The model against the engine: they know nothing of each other, and must agree on every packet.

use super::*;
use glb_core::packet::gue::Hop;
use glb_core::packet::ip::{Addrs, Family};
use glb_core::packet::view::View;
use glb_core::redirect::{
    inspect, next_hop, Next, Options, Packet as Seen, Prefix, Question, Stop, Verdict,
};

fn world(v6: bool) -> World {
    let [director, proxy, reachable, allow, no_route] = if v6 {
        [
            "fd00::1",
            "fd00::2",
            "fd66::/64",
            "fd66::/117",
            "2001:db8:dead::/121",
        ]
    } else {
        [
            "65.65.65.65",
            "3.4.5.6",
            "10.66.0.0/16",
            "10.66.0.0/21",
            "198.51.100.0/25",
        ]
    };
    World {
        director: director.parse().unwrap(),
        proxy: proxy.parse().unwrap(),
        port: 19523,
        match_needs: 4,
        vip4: "1.1.1.1".parse().unwrap(),
        vip6: "fd91:79d3:d621::1".parse().unwrap(),
        reachable: reachable.parse().unwrap(),
        allow: vec![allow.parse().unwrap(), no_route.parse().unwrap()],
    }
}

/// What the engine makes of a packet that reached the target, where no connection is. `before`: whether the first
/// fragment directly before it was passed on.
fn engine(world: &World, packet: &[u8], before: &mut Option<(Addrs, u32, bool)>) -> &'static str {
    let outer = if world.proxy.is_ipv6() {
        Family::V6
    } else {
        Family::V4
    };
    let was = before.take();
    let total = match outer {
        Family::V4 => usize::from(u16::from_be_bytes([packet[2], packet[3]])),
        Family::V6 => 40 + usize::from(u16::from_be_bytes([packet[4], packet[5]])),
    };
    let view = View::whole(&packet[..total]);
    let seen = Seen { view, outer };
    let inspected = match inspect(&seen, Options::NONE) {
        Ok(inspected) => inspected,
        Err(Stop::Decided(verdict)) => return verdict.counter(),
        Err(Stop::NeedLinear(_)) => panic!("all of it is linear"),
    };
    let nets: Vec<([u8; 16], u8, bool)> = world
        .allow
        .iter()
        .map(|net| {
            let mut address = [0; 16];
            match net.network() {
                std::net::IpAddr::V4(net) => address[..4].copy_from_slice(&net.octets()),
                std::net::IpAddr::V6(net) => address = net.octets(),
            }
            (address, net.prefix_len(), net.network().is_ipv6())
        })
        .collect();
    let prefixes = nets.iter().map(|(address, bits, ipv6)| Prefix {
        address,
        bits: *bits,
        ipv6: *ipv6,
    });
    let next = next_hop(&seen, &inspected, Some(prefixes));
    let inner = inspected.inner_addrs(view).unwrap();
    match inspected.question {
        Question::LaterFragment { fragment, .. } if was != Some((inner, fragment.id, true)) => {
            return Verdict::AcceptedFragment.counter();
        }
        Question::Connection {
            fragment: Some(fragment),
            ..
        } => *before = Some((inner, fragment.id, matches!(next, Next::Forward(_)))),
        _ => {}
    }
    match next {
        Next::Stay(verdict) => verdict.counter(),
        Next::Forward(hop) => {
            let hop: std::net::IpAddr = match hop {
                Hop::V4(hop) => hop.into(),
                Hop::V6(hop) => hop.into(),
            };
            if world.reachable.contains(&hop) {
                Verdict::ForwardedToAlternate.counter()
            } else {
                Verdict::DroppedNoRoute.counter()
            }
        }
    }
}

#[test]
fn model_and_engine_agree() {
    for v6 in [false, true] {
        let world = world(v6);
        let mut before = None;
        let mut seen = BTreeMap::new();
        for (index, (packet, fate)) in Packets::new(7, &world).take(200_000).enumerate() {
            let want = match fate {
                Fate::Counted(name) => name,
                Fate::Forwarded(_) => "forwarded_to_alternate_packets",
                Fate::NotSeen | Fate::Unknown => {
                    before = None;
                    *seen.entry("not seen").or_insert(0) += 1;
                    continue;
                }
            };
            let got = engine(&world, &packet, &mut before);
            assert_eq!(got, want, "packet {index}: {packet:02x?}");
            *seen.entry(want).or_insert(0) += 1;
        }
        // Every verdict that needs neither a connection nor a rare state of the kernel comes up, many times.
        for verdict in [
            Verdict::AcceptedSyn,
            Verdict::AcceptedLastResort,
            Verdict::ForwardedToSelf,
            Verdict::ForwardedToAlternate,
            Verdict::AcceptedUdp,
            Verdict::AcceptedIcmp,
            Verdict::AcceptedFragment,
            Verdict::DroppedTruncated,
            Verdict::DroppedOuter,
            Verdict::DroppedGue,
            Verdict::DroppedInner,
            Verdict::DroppedInnerProtocol,
            Verdict::DroppedHopNotAllowed,
            Verdict::DroppedNoRoute,
        ] {
            let times = seen.get(verdict.counter()).copied().unwrap_or(0);
            assert!(times >= 500, "{verdict:?}: {times} of {seen:?}");
        }
        assert!(seen["not seen"] < 20_000, "{seen:?}");
    }
}

#[test]
fn a_seed_is_a_promise() {
    let world = world(false);
    let run = |seed| Packets::new(seed, &world).take(100).collect::<Vec<_>>();
    assert!(run(1) == run(1));
    assert!(run(1) != run(2));
}
