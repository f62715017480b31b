// SPDX-License-Identifier: GPL-2.0

//! From the outer IP header to the question that only the kernel's socket tables can answer.

use super::{Options, Verdict};
use crate::packet::flow::FlowAt;
use crate::packet::gue::{self, Gue, GueError};
use crate::packet::ip::{self, proto, Addrs, Family, Fragment, Ip, IpError};
use crate::packet::view::{Short, View};

/// Bytes of the TCP header that are looked at: ports, sequence numbers, flags.
const TCP_LOOKED_AT: usize = 14;
pub(super) const TCP_FLAG_SYN: u8 = 0x02;
const TCP_FLAG_RST: u8 = 0x04;
const TCP_FLAG_ACK: u8 = 0x10;

const ICMP_LEN: usize = 8;
const ICMP_DEST_UNREACH: u8 = 3;
const ICMP_FRAG_NEEDED: u8 = 4;
const ICMPV6_PKT_TOOBIG: u8 = 2;

/// A packet as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Its bytes, from the outer IP header on.
    pub view: View<'a>,
    /// Family of the outer IP header.
    pub outer: Family,
}

/// What is left to ask about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether the connection is here.
    Connection {
        /// The connection.
        flow: FlowAt,
        /// Whether the packet could be the answer to a SYN cookie.
        may_be_cookie: bool,
        /// Set in the first fragment of a datagram: later fragments follow it.
        fragment: Option<Fragment>,
    },
    /// With [`Options::SYN_LISTENER`]: whether this TCP connection, which the packet begins, is expected here.
    Opening {
        /// The connection.
        flow: FlowAt,
        /// As above.
        fragment: Option<Fragment>,
    },
    /// With [`Options::UDP`]: whether a connected socket has this flow.
    Datagram {
        /// The flow.
        flow: FlowAt,
        /// As above.
        fragment: Option<Fragment>,
    },
    /// Whether the first fragment of this datagram was passed on. Its addresses are those of the inner packet.
    LaterFragment {
        /// The fragment.
        fragment: Fragment,
        /// Whether it is one of UDP, and not of TCP.
        udp: bool,
    },
}

impl Question {
    /// The first fragment that the packet is, if it is one: later fragments follow it.
    #[inline]
    #[must_use]
    pub fn first_fragment(&self) -> Option<Fragment> {
        match *self {
            Self::Connection { fragment, .. }
            | Self::Opening { fragment, .. }
            | Self::Datagram { fragment, .. } => fragment,
            Self::LaterFragment { .. } => None,
        }
    }

    /// The verdict about a packet that stays because no hop is left. A datagram may be for a socket that is not connected, which is
    /// in order.
    #[inline]
    #[must_use]
    pub fn at_the_end(&self) -> Verdict {
        match self {
            Self::Connection { .. }
            | Self::Opening { .. }
            | Self::LaterFragment { udp: false, .. } => Verdict::AcceptedLastResort,
            Self::Datagram { .. } | Self::LaterFragment { udp: true, .. } => Verdict::AcceptedUdp,
        }
    }

    /// The verdict about a packet that is passed on because the answer is no.
    #[inline]
    #[must_use]
    pub fn passed_on(&self) -> Verdict {
        match self {
            Self::Connection { .. } | Self::LaterFragment { udp: false, .. } => {
                Verdict::ForwardedToAlternate
            }
            Self::Opening { .. } => Verdict::ForwardedSyn,
            Self::Datagram { .. } | Self::LaterFragment { udp: true, .. } => Verdict::ForwardedUdp,
        }
    }
}

/// A packet about which something is left to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected {
    /// Offset of the outer UDP header.
    pub udp_offset: usize,
    /// The tunnel header.
    pub gue: Gue,
    /// What is left to ask.
    pub question: Question,
}

impl Inspected {
    /// Addresses of the inner packet.
    #[inline]
    pub fn inner_addrs(&self, view: View<'_>) -> Result<Addrs, Short> {
        Addrs::read(view, self.gue.inner_offset, self.gue.inner)
    }
}

/// Why an inspection ended without a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Make the first `usize` bytes linear and inspect again.
    NeedLinear(usize),
    /// Nothing is left to ask: the bytes alone decide.
    Decided(Verdict),
}

impl From<Short> for Stop {
    #[inline]
    fn from(short: Short) -> Self {
        match short {
            Short::NeedLinear(len) => Self::NeedLinear(len),
            Short::Truncated => Self::Decided(Verdict::DroppedTruncated),
        }
    }
}

impl From<GueError> for Stop {
    #[inline]
    fn from(error: GueError) -> Self {
        match error {
            GueError::Short(short) => short.into(),
            GueError::Malformed => Self::Decided(Verdict::DroppedGue),
            GueError::Protocol => Self::Decided(Verdict::DroppedInner),
        }
    }
}

#[inline]
fn ip_error(error: IpError, malformed: Verdict) -> Stop {
    match error {
        IpError::Short(short) => short.into(),
        IpError::Malformed => Stop::Decided(malformed),
    }
}

/// Reads a packet header after header. It says the same of every packet as [`inspect()`](super::inspect()).
#[inline(never)]
pub fn step_by_step(view: View<'_>, family: Family, options: Options) -> Result<Inspected, Stop> {
    let outer =
        ip::parse(view, 0, family).map_err(|error| ip_error(error, Verdict::DroppedOuter))?;
    let view = udp_payload(view.limit(outer.end), &outer)?;
    let at = outer.transport.wrapping_add(gue::UDP_LEN);
    let gue = gue::parse(view, at, family)?;
    let inner = ip::parse(view, gue.inner_offset, gue.inner)
        .map_err(|error| ip_error(error, Verdict::DroppedInner))?;
    Ok(Inspected {
        udp_offset: outer.transport,
        gue,
        question: question(view.limit(inner.end), &gue, &inner, options)?,
    })
}

/// Whether the packet is UDP to `port`, for a hook that sees all packets. A fragment has no port and is not.
#[inline]
pub fn is_for_port(packet: &Packet<'_>, port: u16) -> Result<bool, Stop> {
    let outer = match ip::parse(packet.view, 0, packet.outer) {
        Ok(outer) => outer,
        Err(IpError::Short(Short::NeedLinear(len))) => return Err(Stop::NeedLinear(len)),
        Err(_) => return Ok(false),
    };
    if outer.protocol != proto::UDP || outer.fragment.is_some() {
        return Ok(false);
    }
    match packet.view.be16(outer.transport.wrapping_add(2)) {
        Ok(to) => Ok(to == port),
        Err(Short::NeedLinear(len)) => Err(Stop::NeedLinear(len)),
        Err(Short::Truncated) => Ok(false),
    }
}

/// Checks the outer UDP header and leaves what its length covers.
#[inline]
fn udp_payload<'a>(view: View<'a>, outer: &Ip) -> Result<View<'a>, Stop> {
    if outer.protocol != proto::UDP || outer.fragment.is_some() {
        return Err(Stop::Decided(Verdict::DroppedOuter));
    }
    let udp_len = usize::from(view.be16(outer.transport.wrapping_add(4))?);
    let available = view.len().saturating_sub(outer.transport);
    // An aggregate of more than 64 KiB cannot say its length in 16 bits.
    if available > usize::from(u16::MAX) {
        return Ok(view);
    }
    if udp_len < gue::UDP_LEN || udp_len > available {
        return Err(Stop::Decided(Verdict::DroppedOuter));
    }
    Ok(view.limit(outer.transport.wrapping_add(udp_len)))
}

#[inline(always)]
fn question(view: View<'_>, gue: &Gue, inner: &Ip, options: Options) -> Result<Question, Stop> {
    match (inner.protocol, gue.inner) {
        (proto::TCP, _) => tcp(view, gue, inner, options),
        (proto::UDP, _) if options.has(Options::UDP) => udp(view, gue, inner),
        (proto::UDP, _) => Err(Stop::Decided(Verdict::AcceptedUdp)),
        (proto::ICMP, Family::V4) | (proto::ICMPV6, Family::V6) => {
            icmp(view, gue.inner, inner, options)
        }
        _ => Err(Stop::Decided(Verdict::DroppedInnerProtocol)),
    }
}

#[inline(always)]
fn tcp(view: View<'_>, gue: &Gue, inner: &Ip, options: Options) -> Result<Question, Stop> {
    if let Some(fragment @ Fragment { offset: 1.., .. }) = inner.fragment {
        let udp = false;
        return Ok(Question::LaterFragment { fragment, udp });
    }
    let &[.., flags] = view.array::<TCP_LOOKED_AT>(inner.transport)?;
    if flags & TCP_FLAG_SYN == 0 {
        return Ok(connection(gue, inner.transport, flags, inner.fragment));
    }
    if options.has(Options::SYN_LISTENER) {
        return Ok(opening(gue, inner.transport, inner.fragment));
    }
    Err(Stop::Decided(Verdict::AcceptedSyn))
}

#[inline(never)]
fn udp(view: View<'_>, gue: &Gue, inner: &Ip) -> Result<Question, Stop> {
    if let Some(fragment @ Fragment { offset: 1.., .. }) = inner.fragment {
        let udp = true;
        return Ok(Question::LaterFragment { fragment, udp });
    }
    view.array::<{ gue::UDP_LEN }>(inner.transport)?;
    Ok(Question::Datagram {
        flow: of_client(gue, inner.transport),
        fragment: inner.fragment,
    })
}

/// The flow of a packet that a client sent, whose transport header is at `transport`.
#[inline(always)]
fn of_client(gue: &Gue, transport: usize) -> FlowAt {
    FlowAt {
        ip: gue.inner_offset,
        transport,
        family: gue.inner,
        from_proxy: false,
    }
}

/// The question about a connection that a TCP header with SYN, at `tcp`, begins.
#[inline(always)]
pub(super) fn opening(gue: &Gue, tcp: usize, fragment: Option<Fragment>) -> Question {
    Question::Opening {
        flow: of_client(gue, tcp),
        fragment,
    }
}

/// The question about a connection whose TCP header, at `tcp`, has these flags.
#[inline(always)]
pub(super) fn connection(gue: &Gue, tcp: usize, flags: u8, fragment: Option<Fragment>) -> Question {
    Question::Connection {
        flow: of_client(gue, tcp),
        // The kernel answers a cookie with a connection under the same condition (cookie_v4_check).
        may_be_cookie: flags & (TCP_FLAG_ACK | TCP_FLAG_RST) == TCP_FLAG_ACK,
        fragment,
    }
}

/// An ICMP error about a packet that this fleet sent goes where the connection is; all other ICMP stays.
/// The proxy was the sender of the embedded packet, so its tuple is reversed.
#[inline(never)]
fn icmp(view: View<'_>, family: Family, inner: &Ip, options: Options) -> Result<Question, Stop> {
    const STAYS: Result<Question, Stop> = Err(Stop::Decided(Verdict::AcceptedIcmp));
    let at = inner.transport;
    if matches!(inner.fragment, Some(Fragment { offset: 1.., .. })) {
        return STAYS;
    }
    let &[icmp_type, code] = view.array(at)?;
    let about_size = match family {
        Family::V4 => icmp_type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED,
        Family::V6 => icmp_type == ICMPV6_PKT_TOOBIG,
    };
    if !about_size {
        return STAYS;
    }
    // The embedded packet is cut short, so only its headers are asked for, never its length.
    let at = at.wrapping_add(ICMP_LEN);
    let embedded =
        ip::parse(view, at, family).map_err(|error| ip_error(error, Verdict::DroppedInner))?;
    let is_flow = match embedded.protocol {
        proto::TCP => true,
        proto::UDP => options.has(Options::UDP),
        _ => false,
    };
    if !is_flow || matches!(embedded.fragment, Some(Fragment { offset: 1.., .. })) {
        return STAYS;
    }
    let flow = FlowAt {
        ip: at,
        transport: embedded.transport,
        family,
        from_proxy: true,
    };
    // Whoever asks about the flow can read it.
    flow.read(view)?;
    Ok(if embedded.protocol == proto::UDP {
        Question::Datagram {
            flow,
            fragment: None,
        }
    } else {
        Question::Connection {
            flow,
            may_be_cookie: false,
            fragment: None,
        }
    })
}
