// SPDX-License-Identifier: GPL-2.0

//! Whether a web server gives a good answer.
//!
//! Each check is a connection of its own: a server that answers on old connections but takes no new ones
//! is of no use to clients.

use super::{with_causes, Failure, Tls};
use glb_config::tables::{HttpCheck, HttpsCheck};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{header, Request};
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The header by which server logs can tell checks from clients.
const AGENT: &str = concat!("glb-healthcheck/", env!("CARGO_PKG_VERSION"));

/// Asks in the clear.
pub(super) async fn check(addr: IpAddr, check: &HttpCheck) -> Result<(), Failure> {
    let stream = TcpStream::connect((addr, check.port)).await?;
    ask(stream, addr, check, 80).await
}

/// Asks over TLS.
pub(super) async fn check_tls(addr: IpAddr, check: &HttpsCheck, tls: &Tls) -> Result<(), Failure> {
    let stream = TcpStream::connect((addr, check.http.port)).await?;
    let stream = tls.connect(stream, addr, check).await?;
    ask(stream, addr, &check.http, 443).await
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    addr: IpAddr,
    check: &HttpCheck,
    usual_port: u16,
) -> Result<(), Failure> {
    let request = Request::get(&check.uri)
        .header(header::HOST, host(addr, check, usual_port))
        .header(header::USER_AGENT, AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Failure::Bad(with_causes(&error)))?;
    let bad = |error: hyper::Error| Failure::Bad(with_causes(&error));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(bad)?;
    let mut response = pin!(sender.send_request(request));
    let mut connection = pin!(connection);
    let response = tokio::select! {
        biased;
        response = &mut response => response,
        // The connection's end may come before the response is picked up.
        end = &mut connection => match end {
            Ok(()) => response.await,
            Err(error) => Err(error),
        },
    };
    let status = response.map_err(bad)?.status().as_u16();
    if check.status.contains(&status) {
        return Ok(());
    }
    let good: Vec<_> = check.status.iter().map(u16::to_string).collect();
    let reason = format!("status {status}, expected {}", good.join(" or "));
    Err(Failure::Bad(reason))
}

/// The Host header: the name that was given, or where the server is.
fn host(addr: IpAddr, check: &HttpCheck, usual_port: u16) -> String {
    match (&check.host, addr) {
        (Some(host), _) => match host.parse() {
            Ok(IpAddr::V6(_)) => format!("[{host}]"),
            _ => host.clone(),
        },
        (None, _) if check.port != usual_port => SocketAddr::new(addr, check.port).to_string(),
        (None, IpAddr::V4(addr)) => addr.to_string(),
        (None, IpAddr::V6(addr)) => format!("[{addr}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_headers() {
        let said = |addr: &str, port, name: Option<&str>| {
            let check = HttpCheck {
                port,
                uri: "/".into(),
                host: name.map(str::to_owned),
                status: vec![200],
            };
            host(addr.parse().unwrap(), &check, 80)
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
}
