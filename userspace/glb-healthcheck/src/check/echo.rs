// SPDX-License-Identifier: GPL-2.0

//! ICMP echo through the tunnel, on the path of clients' packets.
//!
//! The request is sent as the payload of a UDP packet. The proxy decapsulates it and answers the echo itself,
//! so the reply comes back without a tunnel, like all packets from proxies to clients. Raw sockets, one for
//! each family, receive the replies. A secret token in the payload matches a reply to its request.
//!
//! An echo to the backend's address tests the tunnel; one to a VIP also tests that the proxy has the VIP.

use super::packet::{self, Inner, Token};
use super::Failure;
use crate::logic::probe::Tunnel;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::collections::hash_map::RandomState;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

/// Echoes under way, by their tokens.
type Pending = Arc<Mutex<HashMap<Token, oneshot::Sender<()>>>>;

/// Sends echoes and waits for replies.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    pending: Pending,
    listeners: Mutex<Listeners>,
    /// Secret, so that nobody can foresee tokens.
    random: RandomState,
    count: AtomicU64,
}

/// The tasks that pick up replies.
#[derive(Debug, Default)]
struct Listeners {
    v4: Option<tokio::task::JoinHandle<()>>,
    v6: Option<tokio::task::JoinHandle<()>>,
}

/// Removes the echo when the check is over, also by timeout.
struct Waiting<'a> {
    pending: &'a Pending,
    token: Token,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(self.pending).remove(&self.token);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is guarded is whole at any time, whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Echo {
    pub(super) async fn check(
        &self,
        tunnel: Tunnel,
        outer: SocketAddr,
        inner: IpAddr,
    ) -> Result<(), Failure> {
        self.listen(inner).map_err(|error| {
            let reason = "no raw socket for ICMP replies (this takes CAP_NET_RAW)";
            Failure::Unable(format!("{reason}: {error}"))
        })?;
        let udp = connected(outer).await?;
        let source = udp.local_addr()?.ip();
        let is_own = source == outer.ip();
        // The packet inside may be of the other family, which has an address of its own here.
        let source = if source.is_ipv4() == inner.is_ipv4() {
            source
        } else {
            let probe = connected(SocketAddr::new(inner, outer.port())).await;
            let no_source =
                |error| Failure::Unable(format!("no source address for {inner}: {error}"));
            probe
                .and_then(|udp| udp.local_addr())
                .map_err(no_source)?
                .ip()
        };
        let addrs = match (source, inner) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Inner::V4 { src, dst },
            (IpAddr::V6(src), IpAddr::V6(dst)) => Inner::V6 { src, dst },
            _ => return Err(Failure::Unable(format!("no source address for {inner}"))),
        };
        let (seq, token) = self.token();
        // All echoes have one identifier, so that a proxy that tracks connections has one for each address.
        let id = self.random.hash_one("identifier") as u16;
        let echo = packet::Echo { id, seq, token };
        let request = packet::request(tunnel, outer.ip(), addrs, &echo);
        let (sender, receiver) = oneshot::channel();
        lock(&self.pending).insert(token, sender);
        let _waiting = Waiting {
            pending: &self.pending,
            token,
        };
        udp.send(&request).await?;
        tokio::select! {
            biased;
            // The sender lives in `pending` until `_waiting` is dropped, so this is a reply.
            _ = receiver => Ok(()),
            refused = refused(&udp) => Err(refused_by(refused, is_own)),
        }
    }

    /// A new echo's number and token.
    fn token(&self) -> (u16, Token) {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut token = Token::default();
        token[..8].copy_from_slice(&count.to_be_bytes());
        token[8..].copy_from_slice(&self.random.hash_one(count).to_be_bytes());
        (count as u16, token)
    }

    /// Starts to pick up replies from addresses of this family, unless that goes on already.
    fn listen(&self, family: IpAddr) -> io::Result<()> {
        let mut listeners = lock(&self.listeners);
        let (listener, domain, protocol) = match family {
            IpAddr::V4(_) => (&mut listeners.v4, Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (&mut listeners.v6, Domain::IPV6, Protocol::ICMPV6),
        };
        if listener.as_ref().is_some_and(|task| !task.is_finished()) {
            return Ok(());
        }
        let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
        socket.set_nonblocking(true)?;
        socket.attach_filter(&only_echo_replies(family))?;
        // To tokio, a socket that gives datagrams is one like another.
        let socket = UdpSocket::from_std(socket.into())?;
        let pick: fn(&[u8]) -> Option<Token> = match family {
            IpAddr::V4(_) => packet::reply_v4,
            IpAddr::V6(_) => packet::reply_v6,
        };
        *listener = Some(tokio::spawn(receive(socket, pick, self.pending.clone())));
        Ok(())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let listeners = lock(&self.listeners);
        for task in [&listeners.v4, &listeners.v6].into_iter().flatten() {
            task.abort();
        }
    }
}

/// A raw socket gets a copy of all ICMP of the machine; what is no echo reply is left out by the kernel
/// (classic BPF, `Documentation/networking/filter.rst`).
fn only_echo_replies(family: IpAddr) -> Vec<SockFilter> {
    const LOAD_IP_HEADER_LENGTH: u16 = 0xb1;
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_BYTE_BEHIND_HEADER: u16 = 0x50;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let (load, kind) = match family {
        IpAddr::V4(_) => {
            let header = SockFilter::new(LOAD_IP_HEADER_LENGTH, 0, 0, 0);
            let load = SockFilter::new(LOAD_BYTE_BEHIND_HEADER, 0, 0, 0);
            (vec![header, load], 0)
        }
        IpAddr::V6(_) => (vec![SockFilter::new(LOAD_BYTE, 0, 0, 0)], 129),
    };
    let mut filter = load;
    filter.push(SockFilter::new(JUMP_IF_EQUAL, 0, 1, kind));
    filter.push(SockFilter::new(RETURN, 0, 0, u32::MAX));
    filter.push(SockFilter::new(RETURN, 0, 0, 0));
    filter
}

/// Picks up replies until the socket fails; the next check opens another one then.
async fn receive(socket: UdpSocket, pick: fn(&[u8]) -> Option<Token>, pending: Pending) {
    let mut buffer = [0; 2048];
    while let Ok(length) = socket.recv(&mut buffer).await {
        let token = buffer.get(..length).and_then(pick);
        let waiting = token.and_then(|token| lock(&pending).remove(&token));
        if let Some(waiting) = waiting {
            // The check may have just timed out.
            let _ = waiting.send(());
        }
    }
}

/// The address of this machine that the kernel's routes choose for packets to this one.
pub(super) async fn source_to(to: IpAddr) -> io::Result<IpAddr> {
    // Nothing is sent, so any port will do.
    let udp = connected(SocketAddr::new(to, 9)).await?;
    Ok(udp.local_addr()?.ip())
}

/// A socket whose local address is the one that the kernel's routes choose.
async fn connected(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let udp = UdpSocket::bind((any, 0)).await?;
    udp.connect(to).await?;
    Ok(udp)
}

/// Waits for an ICMP error about what was sent. The proxy sends nothing to this port.
async fn refused(udp: &UdpSocket) -> io::Error {
    let mut nothing = [0; 1];
    loop {
        if let Err(error) = udp.recv(&mut nothing).await {
            return error;
        }
    }
}

fn refused_by(error: io::Error, is_own: bool) -> Failure {
    let reason = if error.kind() == io::ErrorKind::ConnectionRefused {
        "nothing listens on the tunnel's port (ip fou add port ... gue)".to_owned()
    } else {
        error.to_string()
    };
    if is_own {
        return Failure::Bad(format!("{reason}; the backend is this machine itself"));
    }
    Failure::Bad(reason)
}
