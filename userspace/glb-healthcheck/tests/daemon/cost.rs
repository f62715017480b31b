// SPDX-License-Identifier: GPL-2.0

//! What 1,000 targets cost. A measurement: run it alone, with the optimised program:
//!
//! ```text
//! cargo test --release -p glb-healthcheck --test daemon -- --ignored --nocapture cost
//! ```

use crate::harness::Place;
use crate::tunnel::{echo_reply, raw};
use crate::wait::wait;
use serde_json::{json, Value};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PORT: u16 = 18080;
const GUE_PORT: u16 = 19599;
const MEASURED: Duration = Duration::from_secs(20);
/// Of a core, for 1,000 targets every 2 s.
const LIMIT: f64 = 0.04;

fn ip(table: u8, backend: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 60, table, backend)
}

/// A thousand web servers in one thread.
async fn servers(accepted: Arc<AtomicU64>) {
    for table in 0..4 {
        for backend in 1..=250 {
            let listener = TcpListener::bind((ip(table, backend), PORT)).await.unwrap();
            let accepted = accepted.clone();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    accepted.fetch_add(1, Ordering::Relaxed);
                    let mut request = [0; 1024];
                    if stream
                        .read(&mut request)
                        .await
                        .is_ok_and(|length| length > 0)
                    {
                        let answer =
                            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                        let _ = stream.write_all(answer).await;
                    }
                }
            });
        }
    }
    std::future::pending().await
}

/// A thousand proxies in one thread: GUE in, bare echo replies out. False if there may be no raw socket here.
fn proxies() -> bool {
    let Some(raw) = raw(IpAddr::V4(Ipv4Addr::LOCALHOST)) else {
        return false;
    };
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, GUE_PORT)).unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 2048];
        while let Ok(length) = socket.recv(&mut packet) {
            if let Some((_, source, reply)) = echo_reply(&packet[..length]) {
                let _ = raw.send_to(&reply, &SocketAddr::new(source, 0).into());
            }
        }
    });
    true
}

/// Seconds of processor time of a process, its threads included.
fn cpu(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: f64 = fields[11..13]
        .iter()
        .map(|f| f.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}

fn measure(name: &str, checks: &Value) -> f64 {
    let place = Place::new(name);
    let table = |table: u8| {
        let backend =
            |n| json!({"ip": ip(table, n).to_string(), "state": "active", "healthchecks": checks});
        json!({
            "name": format!("t{table}"),
            "hash_key": "12345678901234561234567890123456",
            "seed": format!("{table:032x}"),
            "binds": [{"ip": format!("10.0.0.{table}"), "proto": "tcp", "port": 80}],
            "backends": (1..=250).map(backend).collect::<Vec<_>>(),
        })
    };
    let tables: Vec<_> = (0..4).map(table).collect();
    place.write("src.json", &json!({"tables": tables}).to_string());
    place.configure(&json!({}));
    let daemon = place.start();
    wait("the first table", || place.published());
    let made = || {
        let metrics = daemon.get("/metrics").1;
        let of = |line: &&str| line.starts_with("glb_healthcheck_checks_total{");
        let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        metrics.lines().filter(of).map(value).sum::<f64>()
    };
    let (cpu_before, made_before, start) = (cpu(daemon.child.id()), made(), Instant::now());
    // A measurement, which is not run unless asked for.
    std::thread::sleep(MEASURED);
    let took = start.elapsed().as_secs_f64();
    let (cpu, made) = (cpu(daemon.child.id()) - cpu_before, made() - made_before);
    let share = cpu / took;
    println!(
        "{name}: {:.0} checks/s, {:.2} % of a core, {:.0} us a check",
        made / took,
        share * 100.0,
        cpu / made * 1e6
    );
    assert_eq!(daemon.health()["status"], "ok");
    assert!(
        (made / took - 500.0).abs() < 25.0,
        "{made} checks in {took} s"
    );
    share
}

#[test]
#[ignore = "a measurement of 70 s, for an optimised build on a machine with nothing else to do"]
fn a_thousand_targets_cost_little() {
    let accepted = Arc::new(AtomicU64::new(0));
    let counter = accepted.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(servers(counter));
    });
    let mut shares = vec![
        measure("http", &json!({"http": PORT})),
        measure("tcp", &json!({"tcp": PORT})),
    ];
    assert!(accepted.load(Ordering::Relaxed) > 10_000);
    if proxies() {
        shares.push(measure("gue", &json!({"gue": GUE_PORT})));
    } else {
        println!("gue: SKIPPED, there may be no raw socket here: run it as root");
    }
    assert!(shares.iter().all(|&share| share < LIMIT), "{shares:?}");
}
