// SPDX-License-Identifier: GPL-2.0

//! Getting a page by HTTP: just enough to ask programs of this project, and exporters, for their metrics.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// No page is longer.
const LONGEST: u64 = 16 << 20;

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

    /// Gets the page. Each step has `limit` to be done.
    pub(crate) fn get(&self, limit: Duration) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address()?, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        let (path, host) = (&self.path, &self.authority);
        // Of version 1.0, so that the answer comes in one piece and the connection ends behind it.
        let request =
            format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: glbctl\r\nAccept: text/plain\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer)?;
        page(&String::from_utf8_lossy(&answer)).map_err(io::Error::other)
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

/// The page in an answer.
fn page(answer: &str) -> Result<String, String> {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return Err("no HTTP".to_owned());
    };
    let status = head.lines().next().unwrap_or_default();
    let code = status
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1));
    match code {
        Some("200") => Ok(body.to_owned()),
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
        assert_eq!(
            page("HTTP/1.0 200 OK\r\nA: b\r\n\r\nx\n"),
            Ok("x\n".to_owned())
        );
        assert_eq!(
            page("HTTP/1.1 404 Not Found\r\n\r\n"),
            Err("HTTP status 404".to_owned())
        );
        assert!(page("220 mail").is_err() && page("").is_err() && page("\r\n\r\n").is_err());
    }

    #[test]
    fn metrics() {
        let page = "# HELP a b\na 1\nb{x=\"y z\"} 2.5 1700000000\nbad\nc{} NaN\n";
        let found: Vec<_> = samples(page).map(|(name, _)| name).collect();
        assert_eq!(found, ["a", "b{x=\"y z\"}", "c{}"]);
        assert_eq!(samples(page).nth(1), Some(("b{x=\"y z\"}", 2.5)));
    }
}
