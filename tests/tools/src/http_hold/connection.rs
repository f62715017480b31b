// SPDX-License-Identifier: GPL-2.0

//! One HTTP connection.

use anyhow::{bail, ensure, Context, Result};
use std::cell::Cell;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// Room for the head of a response, and for a piece of its body.
const BUFFER: usize = 16 << 10;

/// Bytes that come so many times after a mark show that the connection goes on: what was under way at the mark may be
/// the first.
const READS_TO_GO_ON: u32 = 2;

const SECOND: Duration = Duration::from_secs(1);

/// What each connection asks for and must get.
pub(super) struct Wanted {
    pub(super) server: SocketAddr,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
    pub(super) pause: Duration,
    /// Seconds of silence.
    pub(super) stall: u64,
    /// How often any connection got bytes.
    pub(super) reads: Cell<u64>,
    /// So often it must have happened while a connection was silent, before that one counts as broken.
    pub(super) turns: Option<u64>,
    /// How many marks were set: since the last one each connection is asked whether it goes on.
    pub(super) mark: Cell<u64>,
}

impl Wanted {
    /// What the other end must do; nothing, when it stands still.
    ///
    /// Silence is counted in seconds in which this program ran: a machine that stood still for minutes (a guest that was stopped,
    /// whose clock then jumps) has not been silent for minutes.
    async fn patiently<T>(&self, doing: impl Future<Output = T>) -> Option<T> {
        let mut doing = pin!(doing);
        let first = self.reads.get();
        let mut last = first;
        loop {
            for _ in 0..self.stall {
                if let Ok(done) = timeout(SECOND, &mut doing).await {
                    return Some(done);
                }
            }
            let now = self.reads.get();
            let turns_left = self.turns.is_some_and(|turns| now - first < turns);
            if !turns_left || now == last {
                return None;
            }
            last = now;
        }
    }
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
    /// When it began to be opened.
    pub(super) begun: SystemTime,
    pub(super) responses: u64,
    pub(super) bytes: u64,
    /// Who answered; nobody, if it broke before the first response.
    pub(super) server: Option<String>,
    /// Its own end, if there was a connection.
    pub(super) local: Option<SocketAddr>,
    /// The last mark after which it went on.
    pub(super) went_on: u64,
}

/// What a connection tells while it runs.
pub(super) enum Progress<'a> {
    /// The first response begins, from this server.
    Busy(&'a str),
    /// It went on after this mark.
    WentOn(u64),
}

pub(super) struct Connection {
    wanted: Rc<Wanted>,
    own: Own,
    stopped: watch::Receiver<bool>,
    report: Report,
    busy: bool,
    /// A mark, and how often bytes came after it.
    since: (u64, u32),
}

impl Connection {
    pub(super) fn new(wanted: Rc<Wanted>, own: Own, stopped: watch::Receiver<bool>) -> Self {
        Self {
            wanted,
            own,
            stopped,
            report: Report {
                result: Ok(()),
                begun: SystemTime::now(),
                responses: 0,
                bytes: 0,
                server: None,
                local: None,
                went_on: 0,
            },
            busy: false,
            since: (0, 0),
        }
    }

    /// Runs until it is stopped, had its responses, or breaks.
    pub(super) async fn run(mut self, mut tell: impl FnMut(Progress<'_>)) -> Report {
        self.report.begun = SystemTime::now();
        self.report.result = self.requests(&mut tell).await;
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

    async fn requests(&mut self, tell: &mut impl FnMut(Progress<'_>)) -> Result<()> {
        let wanted = Rc::clone(&self.wanted);
        let mut stream = wanted
            .patiently(self.connect())
            .await
            .context("no connection in time")?
            .context("connect")?;
        self.report.local = stream.local_addr().ok();
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
            wanted.path,
            wanted.server.ip()
        );
        loop {
            stream.write_all(request.as_bytes()).await.context("send")?;
            self.response(&mut stream, tell).await?;
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
        tell: &mut impl FnMut(Progress<'_>),
    ) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        let mut have = 0;
        let head = loop {
            have += self.read(stream, &mut buffer[have..], tell).await?;
            if let Some(head) = self.head(&buffer[..have])? {
                break head;
            }
            ensure!(have < BUFFER, "the head of the response has no end");
        };
        if !std::mem::replace(&mut self.busy, true) {
            tell(Progress::Busy(
                self.report.server.as_deref().unwrap_or_default(),
            ));
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
            piece = 0..self.read(stream, &mut buffer[..room], tell).await?;
        }
    }

    async fn read(
        &mut self,
        stream: &mut TcpStream,
        room: &mut [u8],
        tell: &mut impl FnMut(Progress<'_>),
    ) -> Result<usize> {
        let wanted = Rc::clone(&self.wanted);
        let len = wanted
            .patiently(stream.read(room))
            .await
            .context("stands still")?
            .context("receive")?;
        ensure!(len > 0, "closed by the server");
        wanted.reads.set(wanted.reads.get() + 1);
        self.report.bytes += len as u64;
        let mark = self.wanted.mark.get();
        if self.since.0 != mark {
            self.since = (mark, 0);
        }
        self.since.1 = self.since.1.saturating_add(1);
        if mark > 0 && self.since.1 == READS_TO_GO_ON {
            self.report.went_on = mark;
            tell(Progress::WentOn(mark));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::{advance, sleep, Instant};

    fn wanted(turns: Option<u64>) -> Wanted {
        Wanted {
            server: ([192, 0, 2, 1], 80).into(),
            path: "/".to_owned(),
            body: Vec::new(),
            pause: Duration::ZERO,
            stall: 120,
            reads: Cell::new(0),
            turns,
            mark: Cell::new(0),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_the_wait() {
        let begun = Instant::now();
        assert_eq!(wanted(None).patiently(pending::<()>()).await, None);
        let waited = begun.elapsed().as_secs();
        assert!((120..130).contains(&waited), "{waited} s");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_while_others_get_nothing_either_ends_the_wait() {
        assert_eq!(wanted(Some(300)).patiently(pending::<()>()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_is_no_silence() {
        for turns in [None, Some(300)] {
            let wanted = wanted(turns);
            let begun = Instant::now();
            let answer = async {
                // The machine stands still while everybody waits, and the other end answers when it goes on.
                advance(Duration::from_secs(1000)).await;
                // In tokio's paused time, which takes none: longer than one of the holder's seconds.
                sleep(Duration::from_millis(1500)).await;
            };
            assert_eq!(wanted.patiently(answer).await, Some(()));
            assert!(begun.elapsed() > Duration::from_secs(1000));
        }
    }
}
