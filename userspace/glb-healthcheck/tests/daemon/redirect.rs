// SPDX-License-Identifier: GPL-2.0

//! Redirects, and answers with many headers.

use crate::backends::{backend, ReadWrite, Web, Wrap};
use crate::harness::{fast, table, Place};
use crate::loopback::address;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A server whose answer hangs on what is asked for.
struct Says(fn(&str) -> String);

impl Wrap for Says {
    fn serve(&self, mut stream: TcpStream, _serve: &mut dyn FnMut(&mut dyn ReadWrite)) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let asked = head.split(' ').nth(1).unwrap_or_default();
        // A client that breaks off shows in the daemon's results.
        let _ = stream.write_all(self.0(asked).as_bytes());
    }
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// `/N` leads to `/N-1`, and `/0` is good; `/ever` leads to itself.
fn steps(asked: &str) -> String {
    match asked.trim_start_matches('/').parse::<u32>() {
        Ok(0) => GOOD.to_owned(),
        Ok(step) => redirect(&format!("/{}", step - 1)),
        Err(_) if asked == "/ever" => redirect("/ever"),
        Err(_) if asked == "/nowhere" => redirect("gopher://x"),
        Err(_) => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
    }
}

/// Hints first, then more headers than any table for them has.
fn many_headers(_: &str) -> String {
    let headers = (0..600).fold(String::new(), |all, n| {
        all + &format!("X-Header-{n}: {n}\r\n")
    });
    format!("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n{headers}\r\n")
}

#[test]
fn redirects_are_followed() {
    let place = Place::new("redirect");
    let server = |says| Web::at((address(), 0).into(), Says(says));
    let at = |web: &Web, uri: &str| {
        backend(web.ip(), json!({"http": web.place.port(), "http_uri": uri}))
    };
    let webs: Vec<Web> = (0..6).map(|_| server(steps)).collect();
    let many = server(many_headers);
    // From one server to another, by its address.
    let last = Web::new();
    let away = server(|asked| {
        let to: SocketAddr = asked.trim_start_matches("/to/").parse().unwrap();
        redirect(&format!("http://{to}/here?a=b"))
    });
    let backends = [
        at(&webs[0], "/1"),
        at(&webs[1], "/10"),
        at(&webs[2], "/11"),
        at(&webs[3], "/ever"),
        at(&webs[4], "/nowhere"),
        at(&webs[5], "/gone"),
        at(&many, "/"),
        at(&away, &format!("/to/{}", last.place)),
    ];
    place.write("src.json", &table(&fast(), &backends));
    place.configure(&json!({}));
    let daemon = place.start();
    place.wait_published(&[true, true, false, false, false, false, true, true]);
    let more = format!(
        "more than 10 redirects, the last to http://{}/0",
        webs[2].place
    );
    daemon.wait_failure(2, &more);
    daemon.wait_failure(3, "more than 10 redirects");
    daemon.wait_failure(4, "a redirect to \"gopher://x\", which is no place");
    daemon.wait_failure(5, "status 404, expected 200");
    let asked = last.requests().pop().unwrap();
    assert!(asked.starts_with("GET /here?a=b HTTP/1.1\r\n"), "{asked}");
    assert!(
        asked.contains(&format!("host: {}\r\n", last.place)),
        "{asked}"
    );
}

/// A server that is asked for in the clear and sends clients to TLS; and one that leads to a failing page.
#[test]
fn where_it_leads_counts() {
    let place = Place::new("redirect-bad");
    let last = Web::new();
    let first = Web::at(
        (address(), 0).into(),
        Says(|asked| redirect(&format!("http://{}/", asked.trim_start_matches('/')))),
    );
    let other = Web::new();
    let checks = json!({"http": first.place.port(), "http_uri": format!("/{}", last.place)});
    let backends = [backend(first.ip(), checks), other.backend()];
    place.write("src.json", &table(&fast(), &backends));
    place.configure(&json!({}));
    let daemon = place.start();
    place.wait_published(&[true, true]);
    last.set_status(503);
    place.wait_published(&[false, true]);
    let said = format!("status 503 of http://{}/, expected 200", last.place);
    daemon.wait_failure(0, &said);
}
