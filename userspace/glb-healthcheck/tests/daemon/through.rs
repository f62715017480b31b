// SPDX-License-Identifier: GPL-2.0

//! Checks through a forward, in a network namespace of the test's own. The backends live in this test: each takes packets out of
//! its tunnel, as the kernel's device would, and its TCP answers from the VIP, without the tunnel. The daemon's connections are
//! the kernel's. (tests/lab/healthcheck-tunnel.py has the kernel's own tunnels.)

use crate::backends::{Plain, Web};
use crate::harness::{table, Place};
use crate::netns::{add_address, add_nowhere, enter};
use serde_json::{json, Value};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 10, 10, 10);
const CHECKER: &str = "10.0.0.11";
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// A backend that takes packets of one forward.
struct Backend {
    ip: Ipv4Addr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    has_vip: AtomicBool,
    /// Whole packets that came, of which the first is the daemon's first SYN.
    packets: Mutex<Vec<Vec<u8>>>,
    /// What was asked.
    asked: Mutex<Vec<String>>,
}

/// What stands in front of the client's packet: the protocol of the outer header, and bytes behind that header.
#[derive(Clone, Copy)]
struct Front {
    protocol: i32,
    behind: usize,
}

impl Backend {
    /// With the address 10.0.1.`number`.
    fn new(number: u8, front: Front) -> Self {
        let ip = Ipv4Addr::new(10, 0, 1, number);
        add_address(&ip.to_string());
        let raw = |protocol| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(protocol)));
        let comes = raw(front.protocol).unwrap();
        comes.bind(&SocketAddr::new(ip.into(), 0).into()).unwrap();
        comes
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        // IPPROTO_RAW: with the IP header.
        let goes = raw(255).unwrap();
        let shared = Arc::new(Shared::default());
        shared.has_vip.store(true, Ordering::Relaxed);
        let serving = shared.clone();
        Self {
            ip,
            shared,
            thread: Some(std::thread::spawn(move || {
                serving.serve(comes, &goes, front);
            })),
        }
    }

    fn table_entry(&self, checks: Value) -> Value {
        json!({"ip": self.ip.to_string(), "state": "active", "healthchecks": checks})
    }

    fn has_vip(&self, has: bool) {
        self.shared.has_vip.store(has, Ordering::Relaxed);
    }

    fn first(&self) -> Vec<u8> {
        self.shared.packets.lock().unwrap()[0].clone()
    }

    fn asked(&self) -> String {
        let asked = self.shared.asked.lock().unwrap();
        asked.first().cloned().unwrap_or_default()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut comes: Socket, goes: &Socket, front: Front) {
        let mut buffer = [0; 4096];
        while !self.stop.load(Ordering::Relaxed) {
            let Ok(length) = comes.read(&mut buffer) else {
                continue;
            };
            let packet = buffer[..length].to_vec();
            let start = match front.protocol {
                // In place: there is no other header.
                6 => 0,
                _ => 20 + front.behind,
            };
            let inner = packet[start..].to_vec();
            // TCP of the machine itself comes to raw sockets, too.
            let to = if start == 0 {
                &packet[16..20]
            } else {
                &inner[16..20]
            };
            if inner[9] != 6
                || (start > 0 && *to != VIP.octets())
                || (start == 0 && packet[1] >> 2 != 7)
            {
                continue;
            }
            self.packets.lock().unwrap().push(packet);
            if self.has_vip.load(Ordering::Relaxed) {
                self.answer(goes, &inner);
            }
        }
    }

    /// As a server's kernel does, from the VIP.
    fn answer(&self, goes: &Socket, packet: &[u8]) {
        let tcp = &packet[20..];
        let number = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
        let (flags, seq, ack) = (tcp[13], number(4), number(8));
        let data = &tcp[usize::from(tcp[12] >> 4) * 4..];
        let back = Back {
            to: packet[12..16].try_into().unwrap(),
            ports: [tcp[2], tcp[3], tcp[0], tcp[1]],
        };
        let answer = match (flags & SYN != 0, flags & (RST | FIN) != 0, data.is_empty()) {
            (true, _, _) => back.packet(1000, seq.wrapping_add(1), SYN | ACK, b""),
            (false, false, false) => {
                self.asked
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(data).into_owned());
                let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                let seq = seq.wrapping_add(u32::try_from(data.len()).unwrap());
                back.packet(ack, seq, PSH | FIN | ACK, ok)
            }
            _ => return,
        };
        let to = SocketAddr::new(IpAddr::from(back.to), 0);
        goes.send_to(&answer, &to.into()).unwrap();
    }
}

/// Where an answer goes.
struct Back {
    to: [u8; 4],
    ports: [u8; 4],
}

impl Back {
    fn packet(&self, seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
        let mut tcp = self.ports.to_vec();
        tcp.extend(seq.to_be_bytes());
        tcp.extend(ack.to_be_bytes());
        tcp.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
        tcp.extend(data);
        let length = u8::try_from(tcp.len()).unwrap();
        let pseudo = [&VIP.octets()[..], &self.to, &[0, 6, 0, length]].concat();
        let check = !sum(&[pseudo, tcp.clone()].concat());
        tcp[16..18].copy_from_slice(&check.to_be_bytes());
        // The kernel fills in the header's checksum.
        let mut packet = vec![0x45, 0, 0, 20 + length, 0, 0, 0x40, 0, 64, 6, 0, 0];
        packet.extend(VIP.octets());
        packet.extend(self.to);
        packet.extend(tcp);
        packet
    }
}

fn sum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let sum: u32 = bytes.chunks(2).map(word).sum();
    let once = (sum & 0xffff) + (sum >> 16);
    u16::try_from((once & 0xffff) + (once >> 16)).unwrap()
}

/// Each forward has a table of its own with two backends; of the second, the VIP goes.
fn try_forward(name: &str, forward: &Value, front: Front, numbers: [u8; 2]) {
    let place = Place::new(&format!("through-{name}"));
    let backends = numbers.map(|number| Backend::new(number, front));
    let checks =
        json!({"http": 80, "http_host": "www.example", "http_uri": "/up", "through": true});
    let entries = [0, 1].map(|at| backends[at].table_entry(checks.clone()));
    let timing = json!({"interval_ms": 100, "timeout_ms": 1500, "trigger": 2});
    let text = table(&timing, &entries);
    let mut tree: Value = serde_json::from_str(&text).unwrap();
    tree["tables"][0]["binds"] = json!([{"ip": VIP.to_string(), "proto": "tcp", "port": 80}]);
    tree["tables"][0]["select"] = json!({"kind": "maglev", "size": 1021});
    tree["tables"][0]["forward"] = forward.clone();
    // What answers at a backend's own address does so all the time.
    let _webs = [0, 1].map(|at| Web::at((backends[at].ip, 80).into(), Plain));
    place.write("src.json", &tree.to_string());
    place.configure(&json!({"max_down_percent": 100}));
    let daemon = place.start();
    place.wait_published(&[true, true]);
    backends[1].has_vip(false);
    place.wait_published(&[true, false]);
    daemon.wait_failure(
        1,
        "does the backend take the forward's packets, and does it have the VIP?",
    );
    backends[1].has_vip(true);
    place.wait_published(&[true, true]);
    let asked = backends[0].asked();
    assert!(
        asked.starts_with("GET /up HTTP/1.1\r\nhost: www.example\r\n"),
        "{asked}"
    );
    let first = backends[0].first();
    assert_eq!(
        sum(&first[..20]),
        0xffff,
        "{name}: the outer header's checksum"
    );
    assert_eq!(first[16..20], backends[0].ip.octets(), "{name}");
    if front.protocol != 6 {
        let inner = &first[20 + front.behind..];
        // The whole machine is the backend, so the checker has its address.
        assert_eq!(
            (inner[8], &inner[12..16]),
            (64, &backends[0].ip.octets()[..]),
            "{name}"
        );
        assert_eq!(
            sum(&inner[..20]),
            0xffff,
            "{name}: the inner header's checksum"
        );
    }
}

#[test]
fn a_backend_without_the_vip_is_found_through_each_forward() {
    if !enter() {
        return;
    }
    add_address(CHECKER);
    add_nowhere(&VIP.to_string());
    let front = |protocol, behind| Front { protocol, behind };
    try_forward("ipip", &json!({"kind": "ipip"}), front(4, 0), [1, 2]);
    try_forward("gre", &json!({"kind": "gre"}), front(47, 4), [3, 4]);
    try_forward("gue", &json!({"kind": "gue"}), front(17, 16), [5, 6]);
    try_forward(
        "l3dsr",
        &json!({"kind": "l3dsr", "dscp": 7}),
        front(6, 0),
        [7, 8],
    );
}
