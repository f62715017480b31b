// SPDX-License-Identifier: GPL-2.0

//! The TCP connections of network namespaces, as the kernel lists them (NETLINK_SOCK_DIAG, `include/uapi/linux/inet_diag.h`).
//!
//! A list is read as it comes, in one buffer: the caller is handed each connection, and nothing is kept. The kernel is asked for
//! ports and states that matter and leaves out the others, such as the connections that a proxy has to its own servers.

mod filter;

use crate::error::Error;
use crate::netns::Namespace;
use crate::socket::Socket;
use crate::wire::{Message, Request};
use glb_core::packet::flow::FlowKey;
use glb_core::packet::ip::{proto, Addrs};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_REQ_BYTECODE: u16 = 1;
/// `struct inet_diag_req_v2`, `struct inet_diag_msg`.
const REQUEST: usize = 56;
const MESSAGE: usize = 72;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// How many connections are tracked in the network namespace of who reads it.
const TRACKED: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// What the kernel says that has no such list.
const NOT_FOUND: i32 = 2;

/// `TCP_LISTEN`.
const LISTEN: u8 = 10;
/// `TCP_NEW_SYN_RECV`: how the kernel holds a handshake, which it lists as [`State::SynRecv`].
const NEW_SYN_RECV: u8 = 12;

/// The states of connections that still need packets of their clients.
///
/// Not among them are listeners, sockets that have sent a SYN themselves, and TIME_WAIT: such a connection has ended, and its
/// client needs nothing from it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The handshake waits for its last packet.
    SynRecv,
    /// Both ends may send.
    Established,
    /// This end has ended, and waits for the acknowledgement.
    FinWait1,
    /// This end has ended; the client may send until it ends too.
    FinWait2,
    /// The client has ended; this end may send, and needs acknowledgements.
    CloseWait,
    /// Both have ended; the acknowledgement of this end's FIN is missing.
    LastAck,
    /// Both have ended at once; likewise.
    Closing,
}

impl State {
    /// All of them, with the kernel's numbers (`enum` in `include/net/tcp_states.h`).
    const ALL: [(Self, u8); 7] = [
        (Self::Established, 1),
        (Self::SynRecv, 3),
        (Self::FinWait1, 4),
        (Self::FinWait2, 5),
        (Self::CloseWait, 8),
        (Self::LastAck, 9),
        (Self::Closing, 11),
    ];

    fn from_number(number: u8) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, own)| *own == number);
        found.map(|(state, _)| *state)
    }

    /// What `ss` calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SynRecv => "syn-recv",
            Self::Established => "established",
            Self::FinWait1 => "fin-wait-1",
            Self::FinWait2 => "fin-wait-2",
            Self::CloseWait => "close-wait",
            Self::LastAck => "last-ack",
            Self::Closing => "closing",
        }
    }
}

/// A TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// From the remote end to the local one. Addresses of IPv4 that a socket of IPv6 has are those of IPv4, as in packets.
    pub flow: FlowKey,
    /// Its state.
    pub state: State,
    /// A program listens on its local port.
    pub listened: bool,
    /// Its namespace has connections that are tracked, so that its local address may be a translation.
    pub tracked: bool,
}

/// What lists the sockets of a network namespace.
struct Listing {
    namespace: Namespace,
    socket: Socket,
    tracked: bool,
}

/// The lists of sockets of some network namespaces.
pub struct Sockets {
    of: Vec<Listing>,
}

impl Sockets {
    /// Of the caller's own network namespace and of these, each once.
    pub fn open(names: &[String]) -> Result<Self, Error> {
        let mut of = vec![Listing {
            namespace: Namespace::own()?,
            socket: Socket::sock_diag()?,
            tracked: is_tracked(),
        }];
        for name in names {
            let namespace = Namespace::open(name)?;
            if of.iter().any(|known| known.namespace.is(&namespace)) {
                continue;
            }
            // A socket stays in the namespace that it was made in.
            let (socket, tracked) =
                namespace.inside(|| Ok((Socket::sock_diag()?, is_tracked())))?;
            of.push(Listing {
                namespace,
                socket,
                tracked,
            });
        }
        Ok(Self { of })
    }

    /// The names of the namespaces; the caller's own has an empty one, and is the first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.of.iter().map(|one| one.namespace.name())
    }

    /// Whether this namespace is among them, by whatever name.
    pub(crate) fn has(&self, namespace: &Namespace) -> bool {
        self.of.iter().any(|known| known.namespace.is(namespace))
    }

    /// All connections whose local port is in one of these ranges, or is one that a program of the namespace listens on. `each`
    /// gets the name of their namespace with them.
    pub fn connections(
        &mut self,
        ports: &[(u16, u16)],
        each: &mut dyn FnMut(&str, &Connection),
    ) -> Result<(), Error> {
        for one in &mut self.of {
            let Listing {
                namespace,
                socket,
                tracked,
            } = one;
            let listened = listened(socket)?;
            let mut wanted = ports.to_vec();
            wanted.extend(listened.iter().map(|port| (*port, *port)));
            let filter = filter::local_ports(&filter::merged(wanted));
            let name = namespace.name();
            let states = State::ALL
                .iter()
                .fold(1 << NEW_SYN_RECV, |all, (_, number)| all | 1 << number);
            list(socket, states, &filter, &mut |message| {
                // A socket that closes while it is listed is in another state than the ones that were asked for.
                if let Some(mut one) = connection(message)? {
                    one.listened = listened.binary_search(&one.flow.dst_port).is_ok();
                    one.tracked = *tracked;
                    each(name, &one);
                }
                Some(())
            })?;
        }
        Ok(())
    }
}

/// Whether the network namespace of this thread has connections that are tracked: without any, no address is a translation.
fn is_tracked() -> bool {
    match std::fs::read_to_string(TRACKED) {
        Ok(count) => count.trim() != "0",
        // Where the kernel has no connection tracking, there is no such file.
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// The ports that programs listen on, ascending.
fn listened(socket: &mut Socket) -> Result<Vec<u16>, Error> {
    let mut ports = Vec::new();
    list(socket, 1 << LISTEN, &[], &mut |message| {
        let port = local_port(message)?;
        if message.get(1) == Some(&LISTEN) {
            ports.push(port);
        }
        Some(())
    })?;
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

/// Lists the sockets of both families that are in one of these states. `each` returns nothing of what it cannot read.
fn list(
    socket: &mut Socket,
    states: u32,
    filter: &[u8],
    each: &mut dyn FnMut(&[u8]) -> Option<()>,
) -> Result<(), Error> {
    for family in [AF_INET, AF_INET6] {
        let mut header = [0; REQUEST];
        header[0] = family;
        header[1] = proto::TCP;
        header[4..8].copy_from_slice(&states.to_ne_bytes());
        let mut request = Request::with_header(&header);
        if !filter.is_empty() {
            request.bytes(INET_DIAG_REQ_BYTECODE, filter);
        }
        let (mut begun, mut twice, mut unread) = (false, false, false);
        let mut one = |first: bool, message: &Message<'_>| {
            // A list that begins anew would have been counted in part already.
            twice |= first && begun;
            begun = true;
            if !twice && message.kind == SOCK_DIAG_BY_FAMILY {
                unread |= each(message.payload).is_none();
            }
        };
        socket
            .typed(SOCK_DIAG_BY_FAMILY, &request, true, &mut one)
            .map_err(named)?;
        if twice {
            return Err(Error::Answer(
                "the list of sockets was interrupted: try again",
            ));
        }
        if unread {
            return Err(Error::Answer(
                "the list of sockets has one that cannot be read",
            ));
        }
    }
    Ok(())
}

/// The error with the name of what was asked for.
fn named(error: Error) -> Error {
    match error {
        Error::Refused(mut refusal) => {
            "the list of sockets".clone_into(&mut refusal.command);
            if refusal.errno == NOT_FOUND {
                let reason = "the kernel cannot list them: modprobe tcp_diag";
                refusal.message = Some(reason.to_owned());
            }
            Error::Refused(refusal)
        }
        other => other,
    }
}

/// The local port of a socket.
fn local_port(message: &[u8]) -> Option<u16> {
    let message: &[u8; MESSAGE] = message.first_chunk()?;
    Some(u16::from_be_bytes([message[4], message[5]]))
}

/// A connection, from what the kernel says of its socket: nothing inside if it is in a state that is not counted, nothing at all
/// if it cannot be read.
fn connection(message: &[u8]) -> Option<Option<Connection>> {
    let message: &[u8; MESSAGE] = message.first_chunk()?;
    if ![AF_INET, AF_INET6].contains(&message[0]) {
        return None;
    }
    // The ends of one that has closed may be gone already, so they are not looked at.
    let Some(state) = State::from_number(message[1]) else {
        return Some(None);
    };
    // Family, state, two bytes more; then ports and addresses of the local end and of the remote one.
    let (local, remote): (&[u8; 16], &[u8; 16]) = (
        message.get(8..)?.first_chunk()?,
        message.get(24..)?.first_chunk()?,
    );
    let addrs = match message[0] {
        AF_INET => Addrs::V4 {
            src: *remote.first_chunk()?,
            dst: *local.first_chunk()?,
        },
        AF_INET6 => match (mapped(remote), mapped(local)) {
            (Some(src), Some(dst)) => Addrs::V4 { src, dst },
            (None, None) => Addrs::V6 {
                src: *remote,
                dst: *local,
            },
            _ => return None,
        },
        _ => return None,
    };
    Some(Some(Connection {
        flow: FlowKey {
            addrs,
            src_port: u16::from_be_bytes([message[6], message[7]]),
            dst_port: local_port(message)?,
        },
        state,
        listened: false,
        tracked: false,
    }))
}

/// The IPv4 address that an address of IPv6 stands for (RFC 4291, section 2.5.5.2).
fn mapped(addr: &[u8; 16]) -> Option<[u8; 4]> {
    let (prefix, v4) = addr.split_first_chunk::<12>()?;
    let is = *prefix == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    v4.first_chunk().copied().filter(|_| is)
}

#[cfg(test)]
mod tests;
