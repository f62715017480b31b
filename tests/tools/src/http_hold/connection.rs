// SPDX-License-Identifier: GPL-2.0

//! One HTTP connection.

use anyhow::{bail, ensure, Context, Result};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// Room for the head of a response, and for a piece of its body.
const BUFFER: usize = 16 << 10;

/// What each connection asks for and must get.
pub(super) struct Wanted {
    pub(super) server: SocketAddr,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
    pub(super) pause: Duration,
    pub(super) stall: Duration,
}

/// What one connection has for itself.
pub(super) struct Own {
    /// Its own address, if it matters.
    pub(super) source: Option<IpAddr>,
    /// It is closed, in order, after so many responses.
    pub(super) responses: Option<u64>,
}

/// What became of a connection.
pub(super) struct Report {
    pub(super) result: Result<()>,
    pub(super) responses: u64,
    pub(super) bytes: u64,
    /// Who answered; nobody, if it broke before the first response.
    pub(super) server: Option<String>,
    /// Its own end, if there was a connection.
    pub(super) local: Option<SocketAddr>,
}

pub(super) struct Connection {
    wanted: Rc<Wanted>,
    own: Own,
    stopped: watch::Receiver<bool>,
    report: Report,
}

impl Connection {
    pub(super) fn new(wanted: Rc<Wanted>, own: Own, stopped: watch::Receiver<bool>) -> Self {
        Self {
            wanted,
            own,
            stopped,
            report: Report {
                result: Ok(()),
                responses: 0,
                bytes: 0,
                server: None,
                local: None,
            },
        }
    }

    /// Runs until it is stopped, had its responses, or breaks. `busy` is called with the server when the first
    /// response begins.
    pub(super) async fn run(mut self, busy: impl FnOnce(&str)) -> Report {
        self.report.result = self.requests(busy).await;
        self.report
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        let server = self.wanted.server;
        let socket = if server.is_ipv6() {
            TcpSocket::new_v6()?
        } else {
            TcpSocket::new_v4()?
        };
        if let Some(source) = self.own.source {
            socket.bind((source, 0).into())?;
        }
        socket.connect(server).await
    }

    async fn requests(&mut self, busy: impl FnOnce(&str)) -> Result<()> {
        let wanted = Rc::clone(&self.wanted);
        let mut stream = timeout(wanted.stall, self.connect())
            .await
            .context("no connection in time")?
            .context("connect")?;
        self.report.local = stream.local_addr().ok();
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
            wanted.path,
            wanted.server.ip()
        );
        let mut busy = Some(busy);
        loop {
            stream.write_all(request.as_bytes()).await.context("send")?;
            self.response(&mut stream, &mut busy).await?;
            self.report.responses += 1;
            if Some(self.report.responses) == self.own.responses {
                return Ok(());
            }
            // Whoever could stop it is gone, or it was stopped: both end the connection in order.
            let stopped = timeout(wanted.pause, self.stopped.wait_for(|&stop| stop))
                .await
                .is_ok();
            if stopped {
                return Ok(());
            }
        }
    }

    async fn response(
        &mut self,
        stream: &mut TcpStream,
        busy: &mut Option<impl FnOnce(&str)>,
    ) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        let mut have = 0;
        let head = loop {
            have += self.read(stream, &mut buffer[have..]).await?;
            if let Some(head) = self.head(&buffer[..have])? {
                break head;
            }
            ensure!(have < BUFFER, "the head of the response has no end");
        };
        if let Some(busy) = busy.take() {
            busy(self.report.server.as_deref().unwrap_or_default());
        }
        let wanted = Rc::clone(&self.wanted);
        let mut body = wanted.body.as_slice();
        let mut piece = head..have;
        loop {
            let got = &buffer[piece];
            ensure!(body.starts_with(got), "the body is not what it should be");
            body = &body[got.len()..];
            if body.is_empty() {
                return Ok(());
            }
            let room = body.len().min(BUFFER);
            piece = 0..self.read(stream, &mut buffer[..room]).await?;
        }
    }

    async fn read(&mut self, stream: &mut TcpStream, room: &mut [u8]) -> Result<usize> {
        let len = timeout(self.wanted.stall, stream.read(room))
            .await
            .context("stands still")?
            .context("receive")?;
        ensure!(len > 0, "closed by the server");
        self.report.bytes += len as u64;
        Ok(len)
    }

    /// Reads the head of a response, if all of it is there; gives its length.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(len) = response.parse(bytes).context("not HTTP")? else {
            return Ok(None);
        };
        ensure!(
            response.code == Some(200),
            "status {}",
            response.code.unwrap_or(0)
        );
        let value = |name: &str| {
            let header = response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name))
                .with_context(|| format!("no {name}"))?;
            std::str::from_utf8(header.value).context("not text")
        };
        let length: usize = value("content-length")?.parse()?;
        ensure!(length == self.wanted.body.len(), "content-length {length}");
        let server = value("x-proxy")?;
        match &self.report.server {
            None => self.report.server = Some(server.to_owned()),
            Some(known) if known == server => {}
            Some(known) => bail!("answered by {server}, after {known}"),
        }
        Ok(Some(len))
    }
}
