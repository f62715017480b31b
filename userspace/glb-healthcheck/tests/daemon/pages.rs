// SPDX-License-Identifier: GPL-2.0

//! The pages for clients that are not alone.

use crate::backends::Web;
use crate::harness::{fast, get, table, Place};
use crate::wait::wait;
use serde_json::json;
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// As long a client may take to ask.
const ASKED_WITHIN: Duration = Duration::from_secs(5);

/// Connections that say nothing keep nobody out: the page is answered, and later they are cut off. That the answer does not
/// wait for the latter is proven where the clock can be held (`status::server`).
#[test]
fn silence_keeps_nobody_out() {
    let (place, _webs) = Place::with_webs::<2>("silent");
    let daemon = place.start();
    daemon.wait_status("ok");
    let (mut silent, mut youngest) = (Vec::new(), Instant::now());
    for round in 1..=3 {
        for _ in 0..40 {
            silent.push(TcpStream::connect(place.listen).unwrap());
        }
        youngest = Instant::now();
        assert_eq!(daemon.get("/health").0, 200, "round {round}");
    }
    // The oldest gave way, the youngest did not.
    let ended = |stream: &mut TcpStream| {
        stream.set_nonblocking(true).unwrap();
        !matches!(stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    };
    wait("the oldest to be cut off", || {
        ended(&mut silent[0]).then_some(())
    });
    // Unless all of this took a busy machine so long that it had its time.
    assert!(!ended(silent.last_mut().unwrap()) || youngest.elapsed() >= ASKED_WITHIN);
    // Whoever is slow to ask is cut off, whether there is room or not.
    wait("the youngest to be cut off", || {
        ended(silent.last_mut().unwrap()).then_some(())
    });
}

/// Many who ask at a time are all answered.
#[test]
fn many_ask_at_a_time() {
    let place = Place::new("crowd");
    let web = Web::new();
    let other = Web::new();
    place.write(
        "src.json",
        &table(&fast(), &[web.backend(), other.backend()]),
    );
    place.configure(&json!({}));
    let daemon = place.start();
    daemon.wait_status("ok");
    let listen = place.listen;
    let ask = move || (0..5).all(|_| matches!(get(listen, "/metrics"), Ok((200, _))));
    // Fewer at a time than there is room for.
    let threads: Vec<_> = (0..24).map(|_| std::thread::spawn(ask)).collect();
    for thread in threads {
        assert!(thread.join().unwrap());
    }
}
