// SPDX-License-Identifier: GPL-2.0

//! One HTTP connection.

use anyhow::{bail, ensure, Context, Result};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
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

/// What became of a connection.
pub(super) struct Report {
    pub(super) result: Result<()>,
    pub(super) responses: u64,
    pub(super) bytes: u64,
    pub(super) server: Option<String>,
}

pub(super) struct Connection {
    wanted: Rc<Wanted>,
    stopped: watch::Receiver<bool>,
    report: Report,
}

impl Connection {
    pub(super) fn new(wanted: Rc<Wanted>, stopped: watch::Receiver<bool>) -> Self {
        Self {
            wanted,
            stopped,
            report: Report {
                result: Ok(()),
                responses: 0,
                bytes: 0,
                server: None,
            },
        }
    }

    /// Runs until it is stopped or breaks. `busy` is called when the first response begins.
    pub(super) async fn run(mut self, busy: impl FnOnce()) -> Report {
        self.report.result = self.requests(busy).await;
        self.report
    }

    async fn requests(&mut self, busy: impl FnOnce()) -> Result<()> {
        let wanted = Rc::clone(&self.wanted);
        let mut stream = timeout(wanted.stall, TcpStream::connect(wanted.server))
            .await
            .context("no connection in time")?
            .context("connect")?;
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
        busy: &mut Option<impl FnOnce()>,
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
            busy();
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
