// SPDX-License-Identifier: GPL-2.0

//! Getting a page by HTTP: just enough to ask programs of this project, and exporters, for their metrics.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// No page is longer.
const LONGEST: usize = 16 << 20;

/// Where a page is: `http://HOST[:PORT][/PATH]`, where `{}` may stand for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// Host and port, as in the text.
    authority: String,
    path: String,
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http://{}{}", self.authority, self.path)
    }
}

impl Url {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("http://") else {
            return Err("expected http://HOST:PORT/PATH".to_owned());
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let bad = |c: char| c.is_whitespace() || c.is_control();
        if authority.is_empty() || text.contains(bad) {
            return Err("expected http://HOST:PORT/PATH".to_owned());
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            authority: authority.to_owned(),
            path: path.to_owned(),
        })
    }

    /// With an address in the place of `{}`.
    pub(crate) fn of(&self, addr: IpAddr) -> Self {
        let host = match addr {
            IpAddr::V4(addr) => addr.to_string(),
            IpAddr::V6(addr) => format!("[{addr}]"),
        };
        Self {
            authority: self.authority.replace("{}", &host),
            path: self.path.replace("{}", &addr.to_string()),
        }
    }

    /// Gets the page, in `limit` from the name to the last byte.
    pub(crate) fn get(&self, limit: Duration) -> io::Result<String> {
        self.get_of(limit, &["200"])
    }

    /// Gets the page that comes with a status of these.
    pub(crate) fn get_of(&self, limit: Duration, statuses: &[&str]) -> io::Result<String> {
        let end = Instant::now() + limit;
        let mut stream = TcpStream::connect_timeout(&self.resolved(limit)?, left(end)?)?;
        let (path, host) = (&self.path, &self.authority);
        // Of version 1.0, so that the answer comes in one piece and the connection ends behind it.
        let request =
            format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: glbctl\r\nAccept: text/plain\r\n\r\n");
        stream.set_write_timeout(Some(left(end)?))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut piece = vec![0; 1 << 16];
        loop {
            stream.set_read_timeout(Some(left(end)?))?;
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(len) => answer.extend(piece.iter().take(len)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What a socket says when its time is over.
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(late()),
                Err(error) => return Err(error),
            }
            if answer.len() > LONGEST {
                let message = format!("the page is longer than {} MiB", LONGEST >> 20);
                return Err(io::Error::other(message));
            }
        }
        page(&String::from_utf8_lossy(&answer), statuses).map_err(io::Error::other)
    }

    /// The address, asked for by a thread of its own: the resolver takes the time that it likes.
    fn resolved(&self, limit: Duration) -> io::Result<SocketAddr> {
        let (tell, told) = mpsc::channel();
        let url = self.clone();
        thread::Builder::new().spawn(move || {
            // Nobody listens where it took too long.
            let _late = tell.send(url.address());
        })?;
        told.recv_timeout(limit).unwrap_or_else(|_| Err(late()))
    }

    fn address(&self) -> io::Result<SocketAddr> {
        let name = &self.authority;
        // Of [::1] what follows the last colon is no number.
        let port = name.rsplit_once(':').map(|(_, port)| port);
        let has_port = port.is_some_and(|port| port.parse::<u16>().is_ok());
        let name = if has_port {
            name.clone()
        } else {
            format!("{name}:80")
        };
        let no_address = || io::Error::other("the name has no address");
        name.to_socket_addrs()?.next().ok_or_else(no_address)
    }
}

/// The time that is left, which is not 0: that would be without end.
fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(late());
    }
    Ok(left)
}

fn late() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "no whole answer came in time")
}

/// The page in an answer of one of these statuses.
fn page(answer: &str, statuses: &[&str]) -> Result<String, String> {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return Err("no HTTP".to_owned());
    };
    let status = head.lines().next().unwrap_or_default();
    let code = status
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1));
    match code {
        Some(code) if statuses.contains(&code) => Ok(body.to_owned()),
        Some(code) => Err(format!("HTTP status {code}")),
        None => Err("no HTTP".to_owned()),
    }
}

/// The samples of a page of Prometheus' text format: name and labels as they stand there, value.
pub(crate) fn samples(page: &str) -> impl Iterator<Item = (&str, f64)> {
    page.lines().filter_map(|line| {
        if line.starts_with('#') {
            return None;
        }
        let end = match line.rfind('}') {
            Some(end) => end + 1,
            None => line.find(' ')?,
        };
        let (name, value) = line.split_at(end);
        // A time may follow.
        let value = value.split_whitespace().next()?.parse().ok()?;
        Some((name, value))
    })
}

/// A label's value, with what is escaped in it.
pub(crate) fn label(labels: &str, name: &str) -> Option<String> {
    let start = labels.find(&format!("{name}=\""))? + name.len() + 2;
    let mut value = String::new();
    let mut characters = labels.get(start..)?.chars();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url = Url::new("http://{}:19520/metrics?of={}").unwrap();
        let v4 = url.of("10.0.0.1".parse().unwrap());
        assert_eq!(
            (&*v4.authority, &*v4.path),
            ("10.0.0.1:19520", "/metrics?of=10.0.0.1")
        );
        let v6 = url.of("fd00::1".parse().unwrap());
        assert_eq!(
            (&*v6.authority, &*v6.path),
            ("[fd00::1]:19520", "/metrics?of=fd00::1")
        );
        assert_eq!(v6.address().unwrap().port(), 19520);
        assert_eq!(
            Url::new("http://[::1]").unwrap().address().unwrap().port(),
            80
        );
        assert_eq!(Url::new("http://127.0.0.1").unwrap().path, "/");
        for bad in [
            "",
            "10.0.0.1",
            "https://x/",
            "http://",
            "http:///x",
            "http://a b/",
        ] {
            assert!(Url::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn answers() {
        let ok = |answer| page(answer, &["200"]);
        assert_eq!(
            ok("HTTP/1.0 200 OK\r\nA: b\r\n\r\nx\n"),
            Ok("x\n".to_owned())
        );
        assert_eq!(
            ok("HTTP/1.1 404 Not Found\r\n\r\n"),
            Err("HTTP status 404".to_owned())
        );
        assert!(ok("220 mail").is_err() && ok("").is_err() && ok("\r\n\r\n").is_err());
    }

    /// A server for one connection, which does this with it.
    fn server(serve: fn(TcpStream)) -> Url {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut request = [0; 1024];
            let _len = stream.read(&mut request).unwrap();
            serve(stream);
        });
        Url::new(&format!("http://{addr}/health")).unwrap()
    }

    #[test]
    fn a_page_of_503_is_one_where_it_is_asked_for() {
        let serve = |mut stream: TcpStream| {
            let _sent = stream.write_all(b"HTTP/1.0 503 Service Unavailable\r\n\r\n{}");
        };
        let limit = Duration::from_secs(20);
        assert_eq!(server(serve).get_of(limit, &["200", "503"]).unwrap(), "{}");
        let error = server(serve).get(limit).unwrap_err();
        assert_eq!(error.to_string(), "HTTP status 503");
    }

    #[test]
    fn who_sends_byte_by_byte_is_not_waited_for() {
        let url = server(|mut stream| {
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let start = Instant::now();
        let error = url.get(Duration::from_millis(300)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_page_without_end_is_an_error() {
        let url = server(|mut stream| {
            let _sent = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
            while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
        });
        let error = url.get(Duration::from_secs(120)).unwrap_err();
        assert_eq!(error.to_string(), "the page is longer than 16 MiB");
    }

    #[test]
    fn metrics() {
        let page = "# HELP a b\na 1\nb{x=\"y z\"} 2.5 1700000000\nbad\nc{} NaN\n";
        let found: Vec<_> = samples(page).map(|(name, _)| name).collect();
        assert_eq!(found, ["a", "b{x=\"y z\"}", "c{}"]);
        assert_eq!(samples(page).nth(1), Some(("b{x=\"y z\"}", 2.5)));
    }

    #[test]
    fn labels() {
        let labels = r#"table="a\"b\\c",backend="10.0.0.1"}"#;
        assert_eq!(label(labels, "table").as_deref(), Some("a\"b\\c"));
        assert_eq!(label(labels, "backend").as_deref(), Some("10.0.0.1"));
        assert_eq!(label(labels, "other"), None);
    }
}
