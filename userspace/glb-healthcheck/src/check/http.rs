// SPDX-License-Identifier: GPL-2.0

//! Whether a web server gives a good answer.
//!
//! Each check opens its own connection, because a server that accepts no new connections is of no use to
//! clients. Only the head of the answer is read.
//!
//! Redirects are followed, as in the deployed checker. A redirect to the check's name for the backend leads to
//! the backend itself.

use super::through::Dial;
use super::{Failure, Tls};
use glb_config::tables::{escape_uri, HttpCheck};
use httparse::{Error as ParseError, Header, Status, EMPTY_HEADER};
use hyper::Uri;
use iri_string::types::{UriAbsoluteString, UriReferenceStr};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::ServerName;

/// The header by which server logs can tell checks from clients.
const AGENT: &str = concat!("glb-healthcheck/", env!("CARGO_PKG_VERSION"));
/// Redirects that are followed.
const REDIRECTS: usize = 10;
/// Bytes of an answer's head; no server that clients can use sends as many.
const LONGEST_HEAD: usize = 1 << 20;
/// Headers of most answers. There may be more.
const FEW_HEADERS: usize = 48;

/// How the first server is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct How<'a> {
    /// Over TLS.
    pub(super) secure: bool,
    /// Whether certificates count.
    pub(super) verify: bool,
    /// How it is connected to.
    pub(super) dial: Dial<'a>,
}

/// Asks, and whoever a redirect leads to; `tls` is taken where it is needed.
pub(super) async fn check(
    addr: IpAddr,
    check: &HttpCheck,
    how: How<'_>,
    tls: impl Fn() -> Result<Arc<Tls>, Failure>,
) -> Result<(), Failure> {
    let mut step = Step::first(addr, check, how.secure);
    for followed in 0..=REDIRECTS {
        let answer = step.ask(how, &tls).await?;
        if check.status.contains(&answer.status) {
            return Ok(());
        }
        let redirect = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        let Some(location) = answer.location.filter(|_| redirect) else {
            let good: Vec<_> = check.status.iter().map(u16::to_string).collect();
            let (status, good) = (answer.status, good.join(" or "));
            let of = match followed {
                0 => String::new(),
                _ => format!(" of {}", step.url()),
            };
            return Err(Failure::Bad(format!(
                "status {status}{of}, expected {good}"
            )));
        };
        step = step.follow(&location, addr, check, how.secure).await?;
    }
    let url = step.url();
    let reason = format!("more than {REDIRECTS} redirects, the last to {url}");
    Err(Failure::Bad(reason))
}

/// A server and what it is asked.
#[derive(Debug)]
struct Step {
    secure: bool,
    /// Where it may be; the first that takes the connection is it.
    places: Vec<SocketAddr>,
    /// The name or address that it is asked for.
    host: String,
    /// The Host header.
    authority: String,
    uri: String,
}

/// What is read of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    location: Option<Vec<u8>>,
}

impl Step {
    fn first(addr: IpAddr, check: &HttpCheck, secure: bool) -> Self {
        // The name stands for the service, whose port is the usual one whatever the backend's is.
        let port = check.host.is_none().then_some(check.port);
        let host = check.host.clone().unwrap_or_else(|| addr.to_string());
        Self {
            secure,
            places: vec![SocketAddr::new(addr, check.port)],
            authority: authority(&host, port.filter(|port| *port != usual_port(secure))),
            host,
            uri: check.uri.clone(),
        }
    }

    fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.uri)
    }

    async fn ask(
        &self,
        how: How<'_>,
        tls: &impl Fn() -> Result<Arc<Tls>, Failure>,
    ) -> Result<Answer, Failure> {
        // What is open stays so until all has been said.
        let (stream, _open) = how.dial.connect(&self.places).await?;
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: {}\r\nuser-agent: {AGENT}\r\nconnection: close\r\n\r\n",
            self.uri, self.authority
        );
        if !self.secure {
            return ask(stream, request.as_bytes()).await;
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|_| {
            let host = &self.host;
            Failure::Bad(format!("{host:?} can not be the name of a TLS server"))
        })?;
        let stream = tls()?.connect(stream, name, how.verify).await?;
        ask(stream, request.as_bytes()).await
    }

    /// Where a redirect leads to.
    async fn follow(
        self,
        location: &[u8],
        addr: IpAddr,
        check: &HttpCheck,
        secure: bool,
    ) -> Result<Self, Failure> {
        let text = escape_uri(location);
        let no_place = || Failure::Bad(format!("a redirect to {text:?}, which is no place"));
        let reference = UriReferenceStr::new(text.as_str()).map_err(|_| no_place())?;
        let base = UriAbsoluteString::try_from(self.url()).map_err(|_| no_place())?;
        let whole = reference.resolve_against(&base).to_string();
        let url: Uri = whole.parse().map_err(|_| no_place())?;
        let uri = url
            .path_and_query()
            .map_or("/", |uri| uri.as_str())
            .to_owned();
        if reference.authority_str().is_none() {
            if reference.scheme_str().is_some() {
                return Err(no_place());
            }
            // The same server, by whatever way it was found.
            return Ok(Self { uri, ..self });
        }
        let to_secure = match url.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(no_place()),
        };
        let host = url
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(no_place)?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = url.port_u16().filter(|port| *port != usual_port(to_secure));
        let is_ours = |name: &String| name.eq_ignore_ascii_case(&host);
        let places = if let Ok(ip) = host.parse::<IpAddr>() {
            vec![SocketAddr::new(ip, port.unwrap_or(usual_port(to_secure)))]
        } else if check.host.as_ref().is_some_and(is_ours) {
            let usual = if to_secure == secure {
                check.port
            } else {
                usual_port(to_secure)
            };
            vec![SocketAddr::new(addr, port.unwrap_or(usual))]
        } else {
            let port = port.unwrap_or(usual_port(to_secure));
            let found = tokio::net::lookup_host((host.as_str(), port)).await;
            // A name server that is down says nothing of the backend.
            let unknown = |error| Failure::Unable(format!("a redirect to {host}: {error}"));
            found.map_err(unknown)?.collect()
        };
        Ok(Self {
            secure: to_secure,
            places,
            authority: authority(&host, port),
            host,
            uri,
        })
    }
}

fn usual_port(secure: bool) -> u16 {
    if secure {
        443
    } else {
        80
    }
}

/// The Host header: a name or an address, and the port where it is not the usual one.
fn authority(host: &str, port: Option<u16>) -> String {
    let host = match host.parse() {
        Ok(IpAddr::V6(_)) => format!("[{host}]"),
        _ => host.to_owned(),
    };
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    request: &[u8],
) -> Result<Answer, Failure> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    loop {
        head.reserve(head.len().max(2048));
        if stream.read_buf(&mut head).await? == 0 {
            let reason = "the connection ended before the answer's head did";
            return Err(Failure::Bad(reason.to_owned()));
        }
        while let Some((length, answer)) = parse(&head)? {
            // What comes before the answer proper, such as hints (RFC 9110, section 15.2).
            if (100..200).contains(&answer.status) && answer.status != 101 {
                head.drain(..length);
                continue;
            }
            return Ok(answer);
        }
        if head.len() > LONGEST_HEAD {
            let reason = format!("the answer's head is longer than {LONGEST_HEAD} bytes");
            return Err(Failure::Bad(reason));
        }
    }
}

/// The head of an answer and its length; nothing while it is not whole.
fn parse(head: &[u8]) -> Result<Option<(usize, Answer)>, Failure> {
    match parse_with(head, &mut [EMPTY_HEADER; FEW_HEADERS]) {
        Err(ParseError::TooManyHeaders) => {
            // No header is shorter than a letter, a colon and a line's end.
            let mut many = vec![EMPTY_HEADER; head.len() / 3 + 1];
            parse_with(head, &mut many)
        }
        other => other,
    }
    .map_err(|error| Failure::Bad(format!("the answer is not HTTP: {error}")))
}

fn parse_with<'h>(
    head: &'h [u8],
    headers: &mut [Header<'h>],
) -> Result<Option<(usize, Answer)>, ParseError> {
    let mut response = httparse::Response::new(headers);
    let Status::Complete(length) = response.parse(head)? else {
        return Ok(None);
    };
    let is_location = |header: &&Header<'_>| header.name.eq_ignore_ascii_case("location");
    let location = response.headers.iter().find(is_location);
    let location = location.map(|header| header.value.to_vec());
    let answer = Answer {
        status: response.code.ok_or(ParseError::Status)?,
        location: location.filter(|location| !location.is_empty()),
    };
    Ok(Some((length, answer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_of(port: u16, name: Option<&str>) -> HttpCheck {
        HttpCheck {
            port,
            uri: "/a/b?c".into(),
            host: name.map(str::to_owned),
            status: vec![200],
        }
    }

    #[test]
    fn host_headers() {
        let said = |addr: &str, port, name: Option<&str>| {
            Step::first(addr.parse().unwrap(), &check_of(port, name), false).authority
        };
        assert_eq!(said("10.0.0.1", 80, None), "10.0.0.1");
        assert_eq!(said("10.0.0.1", 8080, None), "10.0.0.1:8080");
        assert_eq!(said("fd00::1", 80, None), "[fd00::1]");
        assert_eq!(said("fd00::1", 8080, None), "[fd00::1]:8080");
        // The name stands for the service, whose port is the usual one whatever the backend's is.
        assert_eq!(
            said("10.0.0.1", 8080, Some("www.example.net")),
            "www.example.net"
        );
        assert_eq!(said("10.0.0.1", 8080, Some("fd00::9")), "[fd00::9]");
    }

    #[test]
    fn redirects_lead_where_they_say() {
        let addr: IpAddr = "10.0.0.1".parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let led = |name: Option<&str>, location: &str| {
            let check = check_of(8080, name);
            let step = Step::first(addr, &check, false);
            let step = runtime.block_on(step.follow(location.as_bytes(), addr, &check, false));
            step.map(|step| (step.url(), step.places[0].to_string()))
        };
        let name = Some("www.example.net");
        for (name, location, url, place) in [
            (None, "/x", "http://10.0.0.1:8080/x", "10.0.0.1:8080"),
            (None, "x#y", "http://10.0.0.1:8080/a/x", "10.0.0.1:8080"),
            (
                None,
                "../x?y=z",
                "http://10.0.0.1:8080/x?y=z",
                "10.0.0.1:8080",
            ),
            (None, "?x", "http://10.0.0.1:8080/a/b?x", "10.0.0.1:8080"),
            (None, "//10.0.0.2/x", "http://10.0.0.2/x", "10.0.0.2:80"),
            (
                None,
                "https://10.0.0.1",
                "https://10.0.0.1/",
                "10.0.0.1:443",
            ),
            (
                None,
                "http://[fd00::1]:81/\u{fc} x",
                "http://[fd00::1]:81/%C3%BC%20x",
                "[fd00::1]:81",
            ),
            // The backend's name is the backend.
            (name, "/x", "http://www.example.net/x", "10.0.0.1:8080"),
            (
                name,
                "http://WWW.example.net/x",
                "http://WWW.example.net/x",
                "10.0.0.1:8080",
            ),
            (
                name,
                "https://www.example.net/x",
                "https://www.example.net/x",
                "10.0.0.1:443",
            ),
            (
                name,
                "http://www.example.net:81/",
                "http://www.example.net:81/",
                "10.0.0.1:81",
            ),
        ] {
            let led = led(name, location).unwrap();
            assert_eq!(led, (url.to_owned(), place.to_owned()), "{location}");
        }
        for location in ["ftp://10.0.0.1/", "http://", "http://a:b/", "mailto:a@b"] {
            let led = led(None, location);
            assert!(matches!(led, Err(Failure::Bad(_))), "{location}: {led:?}");
        }
    }

    #[test]
    fn heads() {
        let answer = |status, location: Option<&str>| Answer {
            status,
            location: location.map(|l| l.as_bytes().to_vec()),
        };
        let parsed = |text: &str| parse(text.as_bytes()).unwrap();
        let text = "HTTP/1.1 302 Found\r\nLOCATION: /x\r\n\r\nrest";
        let length = text.len() - 4;
        assert_eq!(parsed(text), Some((length, answer(302, Some("/x")))));
        for end in 0..length {
            assert_eq!(parsed(&text[..end]), None);
        }
        assert_eq!(
            parsed("HTTP/1.0 200\r\n\r\n"),
            Some((16, answer(200, None)))
        );
        let many = (0..5000).fold(String::new(), |all, n| all + &format!("X-{n}: {n}\r\n"));
        let text = format!("HTTP/1.1 200 OK\r\n{many}Location: z\r\n\r\n");
        assert_eq!(parsed(&text), Some((text.len(), answer(200, Some("z")))));
        // As many and as short as can be.
        let text = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a:\n".repeat(20_000));
        assert_eq!(parsed(&text).unwrap().1, answer(200, None));
        assert!(parse(b"220 mail.example.net ESMTP\r\n").is_err());
    }
}
