// SPDX-License-Identifier: GPL-2.0

//! The server of the pages. It only carries requests to the main loop and answers back, so pages always
//! show one consistent state; and a page that is answered shows that the main loop runs.

use super::{Answer, Page};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{header, Method, Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, Semaphore};

/// A request to the main loop.
pub(crate) type Asked = (Page, oneshot::Sender<Answer>);

/// Connections at a time; further ones wait.
pub(crate) const CONNECTIONS: usize = 32;
/// How long a connection may last: whoever scrapes is done much sooner.
const LIFETIME: Duration = Duration::from_secs(30);

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, asked: mpsc::Sender<Asked>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptor is left; checks that end give theirs back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let asked = asked.clone();
        tokio::spawn(async move {
            // Whoever hangs is cut off.
            let _ = tokio::time::timeout(LIFETIME, connection(stream, asked)).await;
            drop(slot);
        });
    }
}

async fn connection(stream: TcpStream, asked: mpsc::Sender<Asked>) {
    let service = service_fn(|request: Request<Incoming>| {
        let asked = asked.clone();
        async move { Ok::<_, Infallible>(answer(&request, &asked).await) }
    });
    // A client that breaks off is its own affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: &Request<Incoming>, asked: &mpsc::Sender<Asked>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return response(plain(405, "only GET\n"));
    }
    let page = match request.uri().path() {
        "/health" => Page::Health,
        "/debug/vars" => Page::Vars,
        "/metrics" => Page::Metrics,
        _ => return response(plain(404, "there are /health, /metrics and /debug/vars\n")),
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
