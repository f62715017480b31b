// SPDX-License-Identifier: GPL-2.0

//! Echoes through the tunnel, answered by a proxy that lives in this test: it takes the packet out of the
//! tunnel and sends the bare reply by a raw socket, as a proxy's kernel does.

use crate::harness::{fast, table, Daemon, Place};
use crate::loopback::address;
use crate::wait::wait;
use serde_json::{json, Value};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const VIP: &str = "10.10.10.10";

/// A proxy with some addresses on its tunnel device.
struct Proxy {
    place: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    has: Mutex<Vec<IpAddr>>,
    packets: Mutex<Vec<Vec<u8>>>,
}

/// The raw socket that replies are sent by, if this may be had here.
pub(crate) fn raw(ip: IpAddr) -> Option<Socket> {
    let (domain, protocol) = match ip {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::RAW, Some(protocol));
    if let Err(error) = &socket {
        eprintln!("SKIPPED: a raw socket takes CAP_NET_RAW: {error}");
    }
    socket.ok()
}

impl Proxy {
    fn new(ip: IpAddr) -> Option<Self> {
        let socket = match UdpSocket::bind((ip, 0)) {
            Ok(socket) => socket,
            Err(error) => {
                eprintln!("SKIPPED: no {ip} here: {error}");
                return None;
            }
        };
        let raw = raw(ip)?;
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let place = socket.local_addr().unwrap();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            has: Mutex::new(vec![ip]),
            packets: Mutex::default(),
        });
        let serving = shared.clone();
        Some(Self {
            place,
            shared,
            thread: Some(std::thread::spawn(move || serving.serve(&socket, &raw))),
        })
    }

    fn set(&self, addresses: &[IpAddr]) {
        *self.shared.has.lock().unwrap() = addresses.to_vec();
    }

    fn packets(&self) -> Vec<Vec<u8>> {
        self.shared.packets.lock().unwrap().clone()
    }
}

impl Shared {
    fn serve(&self, socket: &UdpSocket, raw: &Socket) {
        let mut buffer = [0; 2048];
        while !self.stop.load(Ordering::Relaxed) {
            let Ok(length) = socket.recv(&mut buffer) else {
                continue;
            };
            let packet = buffer[..length].to_vec();
            let Some((destination, source, reply)) = echo_reply(&packet) else {
                panic!("no echo request in a tunnel: {packet:?}");
            };
            self.packets.lock().unwrap().push(packet);
            if !self.has.lock().unwrap().contains(&destination) {
                continue;
            }
            // A bare reply: nothing of the tunnel is on it.
            let _ = raw.send_to(&reply, &SocketAddr::new(source, 0).into());
        }
    }
}

/// What a proxy's kernel makes of an echo request in a tunnel: who was asked, who asks, and the reply.
pub(crate) fn echo_reply(packet: &[u8]) -> Option<(IpAddr, IpAddr, Vec<u8>)> {
    // Eight bytes of GUE or GRE, then an IP packet without options.
    let v4 = |offset: usize| -> Option<IpAddr> {
        let bytes: [u8; 4] = packet.get(offset..offset + 4)?.try_into().ok()?;
        Some(bytes.into())
    };
    let v6 = |offset: usize| -> Option<IpAddr> {
        let bytes: [u8; 16] = packet.get(offset..offset + 16)?.try_into().ok()?;
        Some(bytes.into())
    };
    let (source, destination, mut reply) = if packet.get(8)? >> 4 == 4 {
        (v4(20)?, v4(24)?, packet.get(28..)?.to_vec())
    } else {
        (v6(16)?, v6(32)?, packet.get(48..)?.to_vec())
    };
    // The kernel sums ICMPv6 itself. For ICMPv4 the sum changes by the type: 8 becomes 0.
    match (destination.is_ipv4(), *reply.first()?) {
        (true, 8) => {
            reply[0] = 0;
            let sum = u32::from(u16::from_be_bytes([*reply.get(2)?, *reply.get(3)?])) + 0x0800;
            let sum = (sum & 0xffff) + (sum >> 16);
            reply[2..4].copy_from_slice(&(sum as u16).to_be_bytes());
        }
        (false, 128) => reply[0] = 129,
        _ => return None,
    }
    Some((destination, source, reply))
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// As usual, but with a timeout that silence is found by. An answer that takes as long is marked down for a while; a test
/// waits until it is not.
fn timing() -> Value {
    json!({"interval_ms": 100, "timeout_ms": 1500, "trigger": 2})
}

fn backend(proxy: &Proxy, checks: Value) -> Value {
    json!({"ip": proxy.place.ip().to_string(), "state": "active", "healthchecks": checks})
}

fn port(proxy: &Proxy) -> u16 {
    proxy.place.port()
}

#[test]
fn gue_finds_a_proxy_without_tunnel_and_one_without_vip() {
    let place = Place::new("gue");
    let proxies: Option<Vec<_>> = (0..3).map(|_| Proxy::new(address().into())).collect();
    let Some(proxies) = proxies else { return };
    let own = |n: usize| proxies[n].place.ip();
    let vip: IpAddr = VIP.parse().unwrap();
    proxies[0].set(&[own(0), vip]);
    proxies[1].set(&[own(1)]);
    proxies[2].set(&[own(2)]);
    let backends = [
        backend(
            &proxies[0],
            json!({"gue": port(&proxies[0]), "gue_vip": true}),
        ),
        backend(
            &proxies[1],
            json!({"gue": port(&proxies[1]), "gue_vip": true}),
        ),
        // As deployed: only the proxy's own address is asked for.
        backend(&proxies[2], json!({"gue": port(&proxies[2])})),
    ];
    place.write("src.json", &table(&timing(), &backends));
    place.configure(&json!({"max_down_percent": 100}));
    let daemon = place.start();
    place.wait_published(&[true, false, true]);
    daemon.wait_failure(
        1,
        "no answer within 1500 ms (is the address on the proxy's tunnel device?)",
    );
    // The VIP comes to one proxy and goes from another, and one loses its tunnel.
    proxies[1].set(&[own(1), vip]);
    place.wait_published(&[true, true, true]);
    proxies[0].set(&[own(0)]);
    place.wait_published(&[false, true, true]);
    proxies[2].set(&[]);
    place.wait_published(&[false, true, false]);
    daemon.wait_failure(2, "no answer within 1500 ms (is the proxy's tunnel up?)");
    let packets = proxies[0].packets();
    for packet in &packets {
        assert_eq!(
            packet[..8],
            [1, 4, 0, 0, 0, 0, 0, 0],
            "GUE with no further hop"
        );
        assert_eq!(packet.len(), 8 + 20 + 32);
        // The kernel's choice of a source towards 127/8.
        assert_eq!(packet[20..24], [127, 0, 0, 1]);
    }
    let to = |ip: IpAddr| {
        let IpAddr::V4(ip) = ip else { return 0 };
        let to_it = |packet: &&Vec<u8>| packet[24..28] == ip.octets();
        packets.iter().filter(to_it).count()
    };
    assert!(to(own(0)) > 2 && to(vip) > 2);
    assert_eq!(to(own(0)) + to(vip), packets.len());
    // No two echoes are the same.
    let mut tokens: Vec<_> = packets.iter().map(|packet| &packet[44..60]).collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), packets.len());
}

#[test]
fn nothing_listens() {
    let place = Place::new("gue-refused");
    let Some(proxy) = Proxy::new(address().into()) else {
        return;
    };
    let nobody = Proxy::new(address().into()).expect("as the one before");
    let checks = json!({"gue": port(&nobody)});
    let backends = [
        backend(&proxy, json!({"gue": port(&proxy)})),
        backend(&nobody, checks),
    ];
    place.write("src.json", &table(&fast(), &backends));
    place.configure(&json!({}));
    drop(nobody);
    let daemon = place.start();
    place.wait_published(&[true, false]);
    daemon.wait_failure(1, "nothing listens on the tunnel's port");
}

#[test]
fn fou_as_old_fleets_use_it() {
    let place = Place::new("fou");
    let Some(proxy) = Proxy::new(address().into()) else {
        return;
    };
    let other = Proxy::new(address().into()).expect("as the one before");
    other.set(&[]);
    let backends = [
        backend(&proxy, json!({"fou": port(&proxy)})),
        backend(&other, json!({"fou": port(&other)})),
    ];
    place.write("src.json", &table(&timing(), &backends));
    place.configure(&json!({}));
    let _daemon = place.start();
    place.wait_published(&[true, false]);
    let packets = proxy.packets();
    assert_eq!(
        packets[0][..8],
        [0x20, 0, 8, 0, 0, 0, 0, 0],
        "GRE with a key, IPv4 inside"
    );
}

#[test]
fn ipv6_proxies() {
    let place = Place::new("gue6");
    let loopback = IpAddr::from(Ipv6Addr::LOCALHOST);
    let Some(proxy) = Proxy::new(loopback) else {
        return;
    };
    let backends = [
        backend(&proxy, json!({"gue": port(&proxy)})),
        json!({"ip": "fd00::2", "state": "active"}),
    ];
    place.write("src.json", &table(&timing(), &backends));
    place.configure(&json!({}));
    let _daemon = place.start();
    place.wait_published(&[true, true]);
    wait("a packet", || (!proxy.packets().is_empty()).then_some(()));
    // The empty list of hops is one of IPv6 addresses.
    assert_eq!(proxy.packets()[0][..8], [1, 41, 0, 0, 0, 1, 0, 0]);
}

/// Without the right to open raw sockets, backends are not taken for dead.
#[test]
fn without_privileges_nothing_is_said_of_backends() {
    let place = Place::new("unprivileged");
    let backends = ["192.0.2.1", "192.0.2.2"]
        .map(|ip| json!({"ip": ip, "state": "active", "healthchecks": {"gue": 19523}}));
    place.write("src.json", &table(&fast(), &backends));
    place.configure(&json!({}));
    // A user namespace of its own gives no rights over the network, which is another's.
    let works = Command::new("unshare").args(["--user", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no user namespaces here");
        return;
    }
    let inner = place.command();
    let mut command = Command::new("unshare");
    command
        .arg("--user")
        .arg(inner.get_program())
        .args(inner.get_args());
    let daemon = Daemon::start_command(&place, command);
    place.wait_published(&[true, true]);
    let health = daemon.health();
    let problems = health["problems"].to_string();
    assert!(problems.contains("2 checks can not be made"), "{problems}");
    assert!(problems.contains("this takes CAP_NET_RAW"), "{problems}");
}
