// SPDX-License-Identifier: GPL-2.0

//! From the client's IP header to the flow that the packet belongs to.
//!
//! ```text
//! common  most packets, in few steps
//! ```

mod common;

pub use common::{again, common};

use super::classify::bind::Proto;
use super::Verdict;
use crate::packet::flow::FlowKey;
use crate::packet::ip::{self, proto, Addrs, Family, Fragment, Ip, IpError};
use crate::packet::valid::{self, Invalid};
use crate::packet::view::{Short, View};

const ICMP_LEN: usize = 8;
const ICMP_ECHO_REPLY: u8 = 0;
const ICMP_DEST_UNREACH: u8 = 3;
const ICMP_FRAG_NEEDED: u8 = 4;
const ICMP_ECHO: u8 = 8;
const ICMP_TIME_EXCEEDED: u8 = 11;
const ICMP_PARAM_PROBLEM: u8 = 12;
const ICMPV6_DEST_UNREACH: u8 = 1;
const ICMPV6_PKT_TOOBIG: u8 = 2;
const ICMPV6_PARAM_PROBLEM: u8 = 4;
const ICMPV6_ECHO_REQUEST: u8 = 128;
const ICMPV6_ECHO_REPLY: u8 = 129;

/// Whether an ICMP message of this type is an error about a packet, which a translation of addresses concerns (RFC 5508,
/// section 4). A redirect says nothing about the flow, and holds on its own link only.
#[inline]
pub(super) const fn is_icmp_error(family: Family, icmp_type: u8) -> bool {
    match family {
        Family::V4 => matches!(
            icmp_type,
            ICMP_DEST_UNREACH | ICMP_TIME_EXCEEDED | ICMP_PARAM_PROBLEM
        ),
        Family::V6 => matches!(icmp_type, ICMPV6_DEST_UNREACH..=ICMPV6_PARAM_PROBLEM),
    }
}

/// What kind of packet it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// TCP, UDP or SCTP.
    Flow(Proto),
    /// An ICMP error about a packet of this protocol: that it was too long, which every forward passes on.
    IcmpError(Proto),
    /// Another ICMP error about a packet of this protocol: it did not arrive.
    IcmpFailure(Proto),
    /// An echo request; of a backend, an echo reply.
    Echo,
    /// An ICMP error about an echo reply; of what is before a backend, about an echo request.
    EchoIcmpError,
    /// A fragment without ports, of a datagram of this protocol; the ports in the key are 0.
    LaterFragment(Proto),
    /// Of the protocol with this number, of which no ports are known: the ports in the key are 0, in all fragments alike.
    Portless(u8),
    /// An ICMP error about a packet of such a protocol.
    PortlessIcmpError(u8),
}

impl Kind {
    /// What a packet with this protocol number is, of those that [`inspect`] knows: a whole one, and of ICMP an echo request.
    /// `None` if no packet of the family ends with that number: ICMP of the other family, and extension headers of IPv6.
    #[must_use]
    pub fn of_protocol(number: u8, family: Family) -> Option<Self> {
        match (Proto::from_number(number), number, family) {
            (Some(proto), _, _) => Some(Self::Flow(proto)),
            (None, proto::ICMP, Family::V4) | (None, proto::ICMPV6, Family::V6) => Some(Self::Echo),
            (None, _, _) => has_no_ports(number, family).then_some(Self::Portless(number)),
        }
    }
}

/// What a packet says about the life of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Turn {
    /// Nothing; or it is no TCP.
    #[default]
    Amid,
    /// SYN: it begins.
    Opens,
    /// FIN or RST: it ends.
    Ends,
}

/// Where the flags stand in a TCP header.
const TCP_FLAGS: usize = 13;

/// A packet that may belong to a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// What kind of packet it is.
    pub kind: Kind,
    /// The flow, seen from client to bound address; of a packet from a backend, seen from the backend to the client.
    pub key: FlowKey,
    /// What the outer source port is mixed with, beside the hash.
    pub hint: u16,
    /// Length of the packet by its own header, without padding of the frame.
    pub len: usize,
    /// Set in fragments.
    pub fragment: Option<Fragment>,
    /// The byte where TCP has its flags; 0 if it is not at hand: nobody makes bytes linear for it. Only tables with flows
    /// look at it ([`Self::turn`]).
    pub flags: u8,
}

impl Candidate {
    /// What it is if no bind takes it.
    #[inline]
    #[must_use]
    pub fn unmatched(self) -> Verdict {
        match self.without_ports().kind {
            Kind::Portless(_) | Kind::PortlessIcmpError(_) | Kind::EchoIcmpError => {
                Verdict::PassedUnknownFormat
            }
            _ => Verdict::PassedNoMatchingBind,
        }
    }

    /// A packet of SCTP that no bind names, as if nothing were known of its ports; any other one as it is.
    #[must_use]
    pub fn without_ports(self) -> Self {
        let number = Proto::Sctp.number();
        let kind = match self.kind {
            Kind::Flow(Proto::Sctp) | Kind::LaterFragment(Proto::Sctp) => Kind::Portless(number),
            Kind::IcmpError(Proto::Sctp) => Kind::PortlessIcmpError(number),
            _ => return self,
        };
        Self {
            kind,
            key: key(self.key.addrs, 0, 0),
            hint: 0,
            ..self
        }
    }

    /// What the packet says about the life of its connection.
    #[inline(always)]
    #[must_use]
    pub fn turn(&self) -> Turn {
        const FIN: u8 = 1;
        const SYN: u8 = 2;
        const RST: u8 = 4;
        match (self.kind, self.flags & (FIN | SYN | RST)) {
            (Kind::Flow(Proto::Tcp), SYN) => Turn::Opens,
            (Kind::Flow(Proto::Tcp), 1..) => Turn::Ends,
            _ => Turn::Amid,
        }
    }
}

/// Why there is no candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Make the first `usize` bytes linear and inspect again.
    NeedLinear(usize),
    /// Not for a director.
    Pass(Verdict),
}

const UNKNOWN: Stop = Stop::Pass(Verdict::PassedUnknownFormat);

impl From<Short> for Stop {
    #[inline]
    fn from(short: Short) -> Self {
        match short {
            Short::NeedLinear(len) => Self::NeedLinear(len),
            Short::Truncated => UNKNOWN,
        }
    }
}

impl From<Invalid> for Stop {
    #[inline]
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Martian => Self::Pass(Verdict::PassedMartian),
            Invalid::Header => UNKNOWN,
            Invalid::Short(short) => short.into(),
        }
    }
}

impl From<IpError> for Stop {
    #[inline]
    fn from(error: IpError) -> Self {
        match error {
            IpError::Short(short) => short.into(),
            IpError::Malformed => UNKNOWN,
        }
    }
}

/// Where a packet comes from, which decides the echoes that concern it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Client,
    Backend,
}

/// Reads a client's packet from its IP header on.
#[inline]
pub fn inspect(view: View<'_>, family: Family) -> Result<Candidate, Stop> {
    inspect_from(view, family, Sender::Client)
}

/// Reads a backend's packet from its IP header on: its flow is seen from the backend. An ICMP error is about a packet to the
/// backend.
#[inline]
pub fn inspect_answer(view: View<'_>, family: Family) -> Result<Candidate, Stop> {
    inspect_from(view, family, Sender::Backend)
}

#[inline(always)]
fn inspect_from(view: View<'_>, family: Family, from: Sender) -> Result<Candidate, Stop> {
    let ip = ip::parse(view, 0, family)?;
    let len = if ip.end == usize::MAX {
        view.len()
    } else {
        ip.end
    };
    if len > view.len() {
        return Err(UNKNOWN);
    }
    let view = view.limit(len);
    valid::check(view, family, &ip)?;
    let (kind, key, hint) = match (ip.protocol, family) {
        (proto::TCP, _) => flow(view, &ip, Proto::Tcp)?,
        (proto::UDP, _) => flow(view, &ip, Proto::Udp)?,
        (proto::SCTP, _) => sctp(view, &ip)?,
        (proto::ICMP, Family::V4) | (proto::ICMPV6, Family::V6) => icmp(view, &ip, family, from)?,
        (number, _) if has_no_ports(number, family) => {
            (Kind::Portless(number), key(ip.addrs, 0, 0), 0)
        }
        _ => return Err(UNKNOWN),
    };
    Ok(Candidate {
        kind,
        key,
        hint,
        len,
        fragment: ip.fragment,
        flags: match view.linear().get(ip.transport.wrapping_add(TCP_FLAGS)) {
            Some(&flags) => flags,
            None => 0,
        },
    })
}

#[inline]
fn flow(view: View<'_>, ip: &Ip, proto: Proto) -> Result<(Kind, FlowKey, u16), Stop> {
    if matches!(ip.fragment, Some(Fragment { offset: 1.., .. })) {
        return Ok((Kind::LaterFragment(proto), key(ip.addrs, 0, 0), 0));
    }
    let &[s0, s1, d0, d1] = view.array(ip.transport)?;
    let src_port = u16::from_be_bytes([s0, s1]);
    let dst_port = u16::from_be_bytes([d0, d1]);
    Ok((
        Kind::Flow(proto),
        key(ip.addrs, src_port, dst_port),
        src_port,
    ))
}

/// SCTP has its ports where TCP and UDP have them. A packet that ends before has none, like those of other protocols.
#[cold]
fn sctp(view: View<'_>, ip: &Ip) -> Result<(Kind, FlowKey, u16), Stop> {
    match flow(view, ip, Proto::Sctp) {
        Err(UNKNOWN) => Ok((Kind::Portless(proto::SCTP), key(ip.addrs, 0, 0), 0)),
        flow => flow,
    }
}

/// Whether a protocol is one of which no ports are known. ICMP is not, as its messages speak of other packets or are this
/// machine's. Nor is an extension header of IPv6, behind which a later fragment has the protocol.
#[cold]
fn has_no_ports(number: u8, family: Family) -> bool {
    match number {
        proto::TCP | proto::UDP | proto::ICMP | proto::ICMPV6 => false,
        _ => family == Family::V4 || !ip::is_extension(number),
    }
}

fn icmp(
    view: View<'_>,
    ip: &Ip,
    family: Family,
    from: Sender,
) -> Result<(Kind, FlowKey, u16), Stop> {
    // A later fragment of an ICMP message says nothing about what it is about.
    if matches!(ip.fragment, Some(Fragment { offset: 1.., .. })) {
        return Err(UNKNOWN);
    }
    let &[icmp_type, code] = view.array(ip.transport)?;
    let echo = match (family, from) {
        (Family::V4, Sender::Client) => ICMP_ECHO,
        (Family::V4, Sender::Backend) => ICMP_ECHO_REPLY,
        (Family::V6, Sender::Client) => ICMPV6_ECHO_REQUEST,
        (Family::V6, Sender::Backend) => ICMPV6_ECHO_REPLY,
    };
    if icmp_type == echo {
        // What tells echo requests of one client apart is no port: the identification of the IPv4
        // packet, or the low 16 bits of the flow label.
        let hint = match family {
            Family::V4 => view.be16(4)?,
            Family::V6 => view.be16(2)?,
        };
        return Ok((Kind::Echo, key(ip.addrs, 0, 0), hint));
    }
    let too_long = matches!(
        (family, icmp_type, code),
        (Family::V4, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED) | (Family::V6, ICMPV6_PKT_TOOBIG, _)
    );
    if !too_long && !is_icmp_error(family, icmp_type) {
        return Err(UNKNOWN);
    }
    let inside = ip.transport.wrapping_add(ICMP_LEN);
    let (about, key) = embedded(view, inside, family, from)?;
    // Whoever has sent the packet inside is told about it, and nobody else (RFC 5508, section 4.2): otherwise a translation
    // would make it speak for the VIP to anybody. What other forwards pass on is what it always was.
    let passed_on = from == Sender::Client && too_long && !matches!(about, About::Echo);
    if !passed_on && !ip.addrs.have_one_receiver(key.addrs) {
        return Err(UNKNOWN);
    }
    let kind = match (about, too_long) {
        (About::Flow(proto), true) => Kind::IcmpError(proto),
        (About::Flow(proto), false) => Kind::IcmpFailure(proto),
        (About::Echo, _) => Kind::EchoIcmpError,
        (About::Portless(number), true) => Kind::PortlessIcmpError(number),
        // Nothing that translates has such a flow.
        (About::Portless(_), false) => return Err(UNKNOWN),
    };
    Ok((kind, key, key.src_port))
}

/// What an ICMP error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Flow(Proto),
    Echo,
    /// A packet of the protocol with this number, of which no ports are known.
    Portless(u8),
}

/// The flow of the packet inside an ICMP error: it was sent the other way.
fn embedded(
    view: View<'_>,
    at: usize,
    family: Family,
    from: Sender,
) -> Result<(About, FlowKey), Stop> {
    let ip = ip::parse(view, at, family)?;
    let portless = Ok((About::Portless(ip.protocol), key(ip.addrs.reversed(), 0, 0)));
    let is_later = matches!(ip.fragment, Some(Fragment { offset: 1.., .. }));
    let Some(proto) = Proto::from_number(ip.protocol) else {
        return match (ip.protocol, family) {
            (proto::ICMP, Family::V4) | (proto::ICMPV6, Family::V6) if !is_later => {
                is_echo(view, ip.transport, family, from)?;
                Ok((About::Echo, key(ip.addrs.reversed(), 0, 0)))
            }
            (number, _) if has_no_ports(number, family) => portless,
            _ => Err(UNKNOWN),
        };
    };
    let ports = match is_later {
        true => Err(UNKNOWN),
        false => view.array(ip.transport).map_err(Stop::from),
    };
    match ports {
        Ok(&[s0, s1, d0, d1]) => {
            let sender = u16::from_be_bytes([d0, d1]);
            let receiver = u16::from_be_bytes([s0, s1]);
            let key = key(ip.addrs.reversed(), sender, receiver);
            Ok((About::Flow(proto), key))
        }
        Err(UNKNOWN) if proto == Proto::Sctp => portless,
        Err(stop) => Err(stop),
    }
}

/// Whether the ICMP message inside an error is an echo that the error can be about: a reply of the VIP, or a request to a backend.
fn is_echo(view: View<'_>, at: usize, family: Family, from: Sender) -> Result<(), Stop> {
    let want = match (family, from) {
        (Family::V4, Sender::Client) => ICMP_ECHO_REPLY,
        (Family::V4, Sender::Backend) => ICMP_ECHO,
        (Family::V6, Sender::Client) => ICMPV6_ECHO_REPLY,
        (Family::V6, Sender::Backend) => ICMPV6_ECHO_REQUEST,
    };
    // With its checksum, which may change.
    let &[icmp_type, _, _, _] = view.array(at)?;
    match icmp_type == want {
        true => Ok(()),
        false => Err(UNKNOWN),
    }
}

#[inline]
fn key(addrs: Addrs, src_port: u16, dst_port: u16) -> FlowKey {
    FlowKey {
        addrs,
        src_port,
        dst_port,
    }
}
