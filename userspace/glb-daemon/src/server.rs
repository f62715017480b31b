// SPDX-License-Identifier: GPL-2.0

//! The server of the pages. It only passes requests to the main loop and answers back. Therefore a page always
//! shows one consistent state, and an answer proves that the main loop runs.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{header, Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, Notify};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

/// A page as it is sent.
#[derive(Debug)]
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// What the body is.
    pub content_type: &'static str,
    /// The text.
    pub body: String,
}

impl Answer {
    /// A page of metrics.
    #[must_use]
    pub fn metrics(body: String) -> Self {
        Self {
            status: 200,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body,
        }
    }

    /// A page for programs, from JSON.
    #[must_use]
    pub fn json(status: u16, body: String) -> Self {
        Self {
            status,
            content_type: "application/json",
            body,
        }
    }
}

/// A page that there is, named by its path.
pub trait Page: Copy + Send + 'static {
    /// The page at this path.
    fn at(path: &str) -> Option<Self>;
    /// What is said where there is none.
    const THERE_ARE: &'static str;
}

/// A request to the main loop.
pub type Asked<P> = (P, oneshot::Sender<Answer>);

/// Connections at a time.
pub const CONNECTIONS: usize = 32;
/// How long a client may take to ask.
const ASKED_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection may last: whoever scrapes is done much sooner.
const LIFETIME: Duration = Duration::from_secs(30);

/// A connection.
struct Open {
    task: AbortHandle,
    peer: IpAddr,
    /// Its question is being answered. One that is not has asked nothing yet, or does not take the answer.
    answering: Arc<AtomicBool>,
}

/// Serves for ever. Where there are too many connections, one that waits gives way to a new one, so that
/// nobody is kept out by those that say nothing.
pub async fn serve<P: Page>(listener: TcpListener, asked: mpsc::Sender<Asked<P>>) {
    let mut tasks = JoinSet::new();
    // The oldest first.
    let mut open: Vec<Open> = Vec::new();
    let answered = Arc::new(Notify::new());
    loop {
        let full = open.len() >= CONNECTIONS;
        let victim = if full { gives_way(&open) } else { None };
        tokio::select! {
            Some(ended) = tasks.join_next_with_id() => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                open.retain(|one| one.task.id() != id);
            }
            // One more may give way now.
            () = answered.notified(), if full && victim.is_none() => {}
            accepted = listener.accept(), if !full || victim.is_some() => {
                let Ok((stream, peer)) = accepted else {
                    // No descriptor is left; checks that end give theirs back.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                if let Some(victim) = victim {
                    open.remove(victim).task.abort();
                }
                let answering = Arc::new(AtomicBool::new(false));
                let connection = connection(stream, asked.clone(), answering.clone(), answered.clone());
                // Whoever hangs is cut off.
                let task = tasks.spawn(async move {
                    let _ = timeout(LIFETIME, connection).await;
                });
                open.push(Open { task, peer: peer.ip(), answering });
            }
        }
    }
}

/// Which connection gives way to a new one: of the peer that has the most, the one that waits longest.
fn gives_way(open: &[Open]) -> Option<usize> {
    let waits = |one: &&Open| !one.answering.load(Ordering::Relaxed);
    let of = |peer| {
        open.iter()
            .filter(waits)
            .filter(|one| one.peer == peer)
            .count()
    };
    let most = open.iter().filter(waits).map(|one| of(one.peer)).max()?;
    open.iter()
        .position(|one| waits(&one) && of(one.peer) == most)
}

async fn connection<P: Page>(
    stream: TcpStream,
    asked: mpsc::Sender<Asked<P>>,
    answering: Arc<AtomicBool>,
    answered: Arc<Notify>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (asked, answering, answered) = (asked.clone(), answering.clone(), answered.clone());
        async move {
            answering.store(true, Ordering::Relaxed);
            let answer = answer(&request, &asked).await;
            answering.store(false, Ordering::Relaxed);
            answered.notify_one();
            Ok::<_, Infallible>(answer)
        }
    });
    // A client that breaks off is its own affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASKED_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer<P: Page>(
    request: &Request<Incoming>,
    asked: &mpsc::Sender<Asked<P>>,
) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return response(plain(405, "only GET\n"));
    }
    let Some(page) = P::at(request.uri().path()) else {
        return response(plain(404, P::THERE_ARE));
    };
    let (sender, receiver) = oneshot::channel();
    if asked.send((page, sender)).await.is_err() {
        return response(plain(503, "stopping\n"));
    }
    let stopping = || plain(503, "stopping\n");
    response(receiver.await.unwrap_or_else(|_| stopping()))
}

fn plain(status: u16, body: &str) -> Answer {
    Answer {
        status,
        content_type: "text/plain; charset=utf-8",
        body: body.to_owned(),
    }
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    let content_type = header::HeaderValue::from_static(answer.content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream as Client};
    use tokio::time::Instant;

    /// Some page.
    #[derive(Clone, Copy)]
    struct Any;

    impl Page for Any {
        fn at(path: &str) -> Option<Self> {
            (path == "/health").then_some(Self)
        }
        const THERE_ARE: &'static str = "there is /health\n";
    }

    /// What takes so long hangs.
    const HANGS: Duration = Duration::from_secs(120);

    /// Connects, and is silent.
    fn silent(to: SocketAddr) -> Client {
        let client = Client::connect(to).unwrap();
        client.set_read_timeout(Some(HANGS)).unwrap();
        client
    }

    fn ask(mut client: &Client) -> String {
        let question = "GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        client.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        client
            .read_to_string(&mut answer)
            .expect("an answer, although no time passes");
        answer
    }

    fn is_open(mut client: &Client) -> bool {
        client.set_nonblocking(true).unwrap();
        let read = client.read(&mut [0]);
        matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Serves these clients, who find that no time passes.
    fn serve_them(clients: impl FnOnce(SocketAddr) + Send + 'static) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let to = listener.local_addr().unwrap();
            let (asked, mut questions) = mpsc::channel::<Asked<Any>>(1);
            tokio::spawn(serve(listener, asked));
            tokio::spawn(async move {
                while let Some((_, sender)) = questions.recv().await {
                    let _ = sender.send(plain(200, "here\n"));
                }
            });
            let began = Instant::now();
            // The clock moves on by itself only where nothing blocks.
            tokio::task::spawn_blocking(move || clients(to))
                .await
                .unwrap();
            assert_eq!(began.elapsed(), Duration::ZERO);
        });
    }

    /// The answer waits for no time limit: the clock stands still, so that none ever ends a connection.
    #[test]
    fn an_answer_does_not_wait_for_the_end_of_a_silent_connection() {
        serve_them(|to| {
            let mut open: Vec<Client> = (0..CONNECTIONS).map(|_| silent(to)).collect();
            let answer = ask(&silent(to));
            assert!(answer.ends_with("here\n"), "{answer}");
            // One gave way, the oldest.
            assert_eq!(open.remove(0).read(&mut [0]).ok(), Some(0));
            assert!(open.iter().all(is_open));
        });
    }

    /// Nor do those that send a bit now and then, and never all of it.
    #[test]
    fn an_answer_does_not_wait_for_the_end_of_a_slow_one() {
        serve_them(|to| {
            let mut open: Vec<Client> = (0..2 * CONNECTIONS).map(|_| silent(to)).collect();
            for part in ["GET /health", " HTTP/1.1\r\n", "Host: "] {
                for one in &mut open {
                    // Whoever gave way is gone.
                    let _ = one.write_all(part.as_bytes());
                }
                let answer = ask(&silent(to));
                assert!(answer.ends_with("here\n"), "{part}: {answer}");
            }
        });
    }
}
