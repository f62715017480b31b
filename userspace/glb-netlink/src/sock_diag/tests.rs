// SPDX-License-Identifier: GPL-2.0

//! The decoder of sockets, and the lists of the kernel that runs the test.

use super::*;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};

/// What the kernel says of a socket with these ends, of the family that it has.
fn said(family: u8, state: u8, local: (&[u8], u16), remote: (&[u8], u16)) -> Vec<u8> {
    let mut message = vec![0; MESSAGE];
    message[0] = family;
    message[1] = state;
    message[4..6].copy_from_slice(&local.1.to_be_bytes());
    message[6..8].copy_from_slice(&remote.1.to_be_bytes());
    message[8..8 + local.0.len()].copy_from_slice(local.0);
    message[24..24 + remote.0.len()].copy_from_slice(remote.0);
    // An attribute follows, as it does.
    message.extend([5, 0, 8, 0, 0, 0, 0, 0]);
    message
}

fn in_v6(v4: [u8; 4]) -> [u8; 16] {
    Ipv4Addr::from(v4).to_ipv6_mapped().octets()
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..120), family in 0usize..4) {
        // Most of them would fail at the first byte.
        if let (Some(first), Some(family)) = (bytes.first_mut(), [AF_INET, AF_INET6].get(family)) {
            *first = *family;
        }
        let one = connection(&bytes);
        if bytes.len() < MESSAGE {
            prop_assert_eq!(one, None);
        }
        if let Some(Some(one)) = one {
            prop_assert_eq!(Some(one.flow.dst_port), local_port(&bytes));
            prop_assert!(State::ALL.contains(&(one.state, bytes[1])));
        }
    }

    #[test]
    fn what_the_kernel_says_is_read(v4: [[u8; 4]; 2], v6: [[u8; 16]; 2], ports: [u16; 2], state in 0usize..7) {
        let (state, number) = State::ALL[state];
        let read = |bytes: &[u8]| connection(bytes).map(|one| one.map(|one| (one.flow, one.state)));
        let expected = |addrs| Some(Some((FlowKey { addrs, src_port: ports[1], dst_port: ports[0] }, state)));
        let over_v4 = expected(Addrs::V4 { src: v4[1], dst: v4[0] });
        prop_assert_eq!(read(&said(AF_INET, number, (&v4[0], ports[0]), (&v4[1], ports[1]))), over_v4);
        let mapped = v4.map(in_v6);
        prop_assert_eq!(read(&said(AF_INET6, number, (&mapped[0], ports[0]), (&mapped[1], ports[1]))), over_v4);
        // A socket has both ends in one family.
        prop_assert_eq!(read(&said(AF_INET6, number, (&mapped[0], ports[0]), (&v6[1], ports[1]))), None);
        let bytes = said(AF_INET6, number, (&v6[0], ports[0]), (&v6[1], ports[1]));
        prop_assert_eq!(read(&bytes), expected(Addrs::V6 { src: v6[1], dst: v6[0] }));
    }
}

#[test]
fn other_states_and_families_are_none() {
    let state = |number| connection(&said(AF_INET, number, (&[1; 4], 80), (&[2; 4], 1000)));
    // Such as one that closed while it was listed: it can be read, and does not count.
    for number in [0, 2, 6, 7, LISTEN, NEW_SYN_RECV, 13, 255] {
        assert_eq!(state(number), Some(None), "{number}");
    }
    // Of its ends one may be gone.
    let closed = said(AF_INET6, 7, (&in_v6([1; 4]), 80), (&[0; 16], 0));
    assert_eq!(connection(&closed), Some(None));
    assert!(state(1).is_some_and(|one| one.is_some()));
    let short = said(AF_INET, 7, (&[1; 4], 80), (&[2; 4], 1000));
    assert_eq!(connection(&short[..MESSAGE - 1]), None);
    assert_eq!(
        connection(&said(1, 1, (&[1; 4], 80), (&[2; 4], 1000))),
        None
    );
}

/// Sockets of all kinds on the loopback device: what the kernel lists is what was made.
#[test]
fn sockets_of_this_machine() {
    let mut made = Vec::new();
    let mut listeners = Vec::new();
    // The last one is of IPv6 and hears IPv4.
    for host in ["127.0.0.1", "::1", "::"] {
        let Ok(listener) = TcpListener::bind((host, 0)) else {
            continue;
        };
        let port = listener.local_addr().expect("bound").port();
        let to = if host == "::" { "127.0.0.1" } else { host };
        let one = TcpStream::connect((to, port)).expect("connected");
        let two = listener.accept().expect("accepted").0;
        let (local, remote) = (
            one.peer_addr().expect("open"),
            one.local_addr().expect("open"),
        );
        made.push((local, remote, one, two));
        listeners.push(listener);
    }
    let mut sockets = Sockets::open(&[]).expect("opened");
    assert_eq!(sockets.names().collect::<Vec<_>>(), [""]);
    let mut seen = Vec::new();
    sockets
        .connections(&[], &mut |_, one| seen.push(*one))
        .expect("listed");
    assert!(!made.is_empty());
    for (local, remote, ..) in &made {
        let addrs = match (remote.ip(), local.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Addrs::V4 {
                src: src.octets(),
                dst: dst.octets(),
            },
            (IpAddr::V6(src), IpAddr::V6(dst)) => Addrs::V6 {
                src: src.octets(),
                dst: dst.octets(),
            },
            _ => panic!("two families"),
        };
        let wanted = Connection {
            flow: FlowKey {
                addrs,
                src_port: remote.port(),
                dst_port: local.port(),
            },
            state: State::Established,
            listened: true,
            tracked: is_tracked(),
        };
        let found = seen.iter().filter(|one| **one == wanted).count();
        assert_eq!(found, 1, "{wanted:?}");
    }
    // Without a listener the ports have to be asked for.
    let ports: Vec<(u16, u16)> = made
        .iter()
        .map(|(local, ..)| (local.port(), local.port()))
        .collect();
    drop(listeners);
    let mut count = 0;
    let mut count_each = |_: &str, one: &Connection| {
        let is_asked = ports.iter().any(|(port, _)| *port == one.flow.dst_port);
        count += usize::from(is_asked && !one.listened);
    };
    sockets
        .connections(&ports, &mut count_each)
        .expect("listed");
    assert_eq!(count, made.len());
}
