// SPDX-License-Identifier: GPL-2.0

//! A network namespace of a test's own: the loopback device has what a proxy has, and clients have any address of a prefix.
// Each test is a program of its own and uses its part.
#![allow(dead_code)]

use super::can::can;
use glb_netlink::wire::{messages, Request, NLMSG_ERROR};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::sched::{unshare, CloneFlags};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
/// `NLM_F_ACK`, `NLM_F_CREATE`.
const FLAGS: u16 = 4 | 0x400;
/// The loopback device, which is the first of each namespace.
const LO: u32 = 1;
const NODAD: u8 = 2;
/// What takes so long hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Moves this thread, and the programs that it starts from now on, into a new namespace, whose loopback device is on; false,
/// and said so, where that is not allowed.
pub(crate) fn enter() -> bool {
    let there = unshare(CloneFlags::CLONE_NEWNET).is_ok();
    if !can("make a network namespace", there) {
        return false;
    }
    // Family, padding, type; device; flags, and which of them are meant: IFF_UP.
    let mut header = vec![0; 4];
    for number in [LO, 1, 1] {
        header.extend(number.to_ne_bytes());
    }
    set(RTM_NEWLINK, Request::with_header(&header));
    true
}

/// The machine has this address.
pub(crate) fn add_address(addr: &str) {
    let (family, bytes) = parsed(addr);
    let mut header = vec![family, bits(&bytes), NODAD, 0];
    header.extend(LO.to_ne_bytes());
    let mut request = Request::with_header(&header);
    request.bytes(2, &bytes).bytes(1, &bytes);
    set(RTM_NEWADDR, request);
}

/// Sockets of this machine may have any address of this prefix, though none is one of its own.
pub(crate) fn add_clients(addr: &str, len: u8) {
    let (family, bytes) = parsed(addr);
    // Lengths and type of service; table local, protocol boot, scope host, type local; flags.
    let header = [family, len, 0, 0, 255, 3, 254, 2, 0, 0, 0, 0];
    let mut request = Request::with_header(&header);
    request.bytes(1, &bytes).u32(4, LO);
    set(RTM_NEWROUTE, request);
}

/// Packets to this address leave by the loopback device, and end there.
pub(crate) fn add_nowhere(addr: &str) {
    let (family, bytes) = parsed(addr);
    // As above, but: table main, scope link, type unicast.
    let header = [family, bits(&bytes), 0, 0, 254, 3, 253, 1, 0, 0, 0, 0];
    let mut request = Request::with_header(&header);
    request.bytes(1, &bytes).u32(4, LO);
    set(RTM_NEWROUTE, request);
}

fn parsed(addr: &str) -> (u8, Vec<u8>) {
    match addr.parse().unwrap() {
        IpAddr::V4(addr) => (2, addr.octets().to_vec()),
        IpAddr::V6(addr) => (10, addr.octets().to_vec()),
    }
}

fn bits(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len() * 8).unwrap()
}

fn set(kind: u16, mut request: Request) {
    let socket = Socket::new(NETLINK_ROUTE).unwrap();
    socket.connect(&SocketAddr::new(0, 0)).unwrap();
    request.add_flags(FLAGS);
    socket.send(&request.finish(kind, 1), 0).unwrap();
    let (answer, _) = socket.recv_from_full().unwrap();
    let said = messages(&answer).next().unwrap();
    assert_eq!(said.kind, NLMSG_ERROR);
    assert_eq!(said.payload[..4], [0; 4], "{kind}: refused");
}

/// What is looked at is this, or becomes it: what the ends of a connection tell each other takes the kernel time.
pub(crate) fn becomes<T: PartialEq + std::fmt::Debug>(look: impl Fn() -> T, wanted: T) {
    let began = Instant::now();
    loop {
        let now = look();
        if now == wanted {
            return;
        }
        assert!(began.elapsed() < HANGS, "{now:?} instead of {wanted:?}");
        thread::sleep(Duration::from_millis(1)); // between two looks
    }
}

/// Both ends of a connection: the client's, and the proxy's.
pub(crate) type Both = (TcpStream, TcpStream);

/// A connection from an address to a listener's port at a VIP.
pub(crate) fn connect(from: IpAddr, listener: &TcpListener, vip: IpAddr) -> Both {
    use nix::sys::socket::{
        bind, connect, setsockopt, socket, sockopt, AddressFamily, SockFlag, SockType,
        SockaddrStorage,
    };
    let port = listener.local_addr().unwrap().port();
    let family = match from {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let kind = (SockType::Stream, SockFlag::SOCK_CLOEXEC);
    let client: OwnedFd = socket(family, kind.0, kind.1, None).unwrap();
    let raw = client.as_raw_fd();
    let at = |ip, port| SockaddrStorage::from(std::net::SocketAddr::from((ip, port)));
    // The port is chosen when the other end is known, so that each may serve many connections. An address of IPv6 that is not
    // the machine's own has to be asked for.
    setsockopt(&client, sockopt::IpBindAddressNoPort, &true).unwrap();
    setsockopt(&client, sockopt::IpFreebind, &true).unwrap();
    bind(raw, &at(from, 0)).unwrap();
    // The kernel makes routes of IPv6 when it finds time.
    let began = Instant::now();
    while let Err(error) = connect(raw, &at(vip, port)) {
        assert!(
            error == Errno::ENETUNREACH && began.elapsed() < HANGS,
            "{vip}: {error}"
        );
        thread::sleep(Duration::from_millis(1)); // between two looks
    }
    (TcpStream::from(client), listener.accept().unwrap().0)
}
