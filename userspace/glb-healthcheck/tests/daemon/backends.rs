// SPDX-License-Identifier: GPL-2.0

//! Backends: servers whose answers tests change.

use crate::loopback::address;
use crate::wait::LIMIT;
use serde_json::{json, Value};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A web server that gives one status.
pub(crate) struct Web {
    pub(crate) place: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    status: AtomicU16,
    stop: AtomicBool,
    requests: Mutex<Vec<String>>,
}

/// Accepted connections become something to read and write.
pub(crate) trait Wrap: Send + 'static {
    fn serve(&self, stream: TcpStream, serve: &mut dyn FnMut(&mut dyn ReadWrite));
}

pub(crate) trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// As they are.
pub(crate) struct Plain;

impl Wrap for Plain {
    fn serve(&self, mut stream: TcpStream, serve: &mut dyn FnMut(&mut dyn ReadWrite)) {
        serve(&mut stream);
    }
}

impl Web {
    pub(crate) fn new() -> Self {
        Self::at((address(), 0).into(), Plain)
    }

    pub(crate) fn at(place: SocketAddr, wrap: impl Wrap) -> Self {
        let listener = TcpListener::bind(place).unwrap();
        let place = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            status: AtomicU16::new(200),
            stop: AtomicBool::new(false),
            requests: Mutex::default(),
        });
        let thread = {
            let shared = shared.clone();
            std::thread::spawn(move || shared.serve(&listener, &wrap))
        };
        Self {
            place,
            shared,
            thread: Some(thread),
        }
    }

    pub(crate) fn ip(&self) -> Ipv4Addr {
        match self.place {
            SocketAddr::V4(place) => *place.ip(),
            SocketAddr::V6(_) => panic!("tests use IPv4"),
        }
    }

    pub(crate) fn set_status(&self, status: u16) {
        self.shared.status.store(status, Ordering::Relaxed);
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// A backend that this server answers for, checked by HTTP.
    pub(crate) fn backend(&self) -> Value {
        backend(self.ip(), json!({"http": self.place.port()}))
    }
}

/// An active backend.
pub(crate) fn backend(ip: Ipv4Addr, checks: Value) -> Value {
    json!({"ip": ip.to_string(), "state": "active", "healthchecks": checks})
}

impl Shared {
    fn serve(&self, listener: &TcpListener, wrap: &impl Wrap) {
        listener.set_nonblocking(true).unwrap();
        while !self.stop.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    stream.set_read_timeout(Some(LIMIT)).unwrap();
                    // What clients do wrong shows in the daemon's results.
                    wrap.serve(stream, &mut |stream| drop(self.answer(stream)));
                }
                // Between two looks.
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn answer(&self, stream: &mut dyn ReadWrite) -> io::Result<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && head.len() < 4096 {
            if stream.read(&mut byte)? == 0 {
                break;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        self.requests.lock().unwrap().push(head);
        let status = self.status.load(Ordering::Relaxed);
        write!(
            stream,
            "HTTP/1.1 {status} Said\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
        )?;
        stream.flush()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
