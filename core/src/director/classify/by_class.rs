// SPDX-License-Identifier: GPL-2.0

//! A packet's table by its class, where there are classes: they are asked first, and binds have what no class takes.

use super::bind::Proto;
use super::flow::{Asked, Classes, Found, Header};
use crate::director::inspect::{Candidate, Kind, Stop};
use crate::director::world::World;
use crate::director::Verdict;
use crate::packet::flow::FlowKey;
use crate::packet::ip::{self, Addrs, Family, Fragment};
use crate::packet::view::View;
use crate::settings::Settings;

/// What classes look at of a packet beside addresses and ports. That of none of its bytes is known is the default: classes that
/// want some do not take it then.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bytes<'p> {
    header: &'p [u8],
    inner: Option<Header<'p>>,
}

/// Bytes of a UDP header.
const UDP_LEN: usize = 8;

impl<'p> Bytes<'p> {
    /// Reads what these classes look at of a packet that was read from the same view.
    pub fn read(
        view: View<'p>,
        family: Family,
        packet: &Candidate,
        classes: Classes<'_>,
    ) -> Result<Self, Stop> {
        let Kind::Flow(proto) = packet.kind else {
            return Ok(Self::default());
        };
        let (len, has_inner) = classes.reads(proto, packet.key.dst_port);
        if len == 0 && !has_inner {
            return Ok(Self::default());
        }
        let at = ip::parse(view, 0, family)?.transport;
        let view = view.limit(packet.len);
        let header = bytes(view, at, len)?;
        let inner = match has_inner {
            true => bytes(view, at.wrapping_add(UDP_LEN), Proto::Sctp.least_header())?,
            false => &[],
        };
        let inner = match *inner {
            [s0, s1, d0, d1, ..] => Some(Header {
                sport: u16::from_be_bytes([s0, s1]),
                dport: u16::from_be_bytes([d0, d1]),
                bytes: inner,
            }),
            _ => None,
        };
        Ok(Self { header, inner })
    }
}

/// Bytes of the packet from `at` on: so many, or those that it has.
fn bytes(view: View<'_>, at: usize, most: u8) -> Result<&[u8], Stop> {
    let end = at.wrapping_add(usize::from(most)).min(view.len());
    if end > view.linear().len() {
        return Err(Stop::NeedLinear(end));
    }
    Ok(view.linear().get(at..end).unwrap_or_default())
}

/// Whether a packet is for many: classes leave those to binds, as one without `dst` would keep them from the machine's own stack.
#[inline]
fn is_for_many(addrs: &Addrs) -> bool {
    match *addrs {
        // 224.0.0.0/4 (RFC 5771), and the broadcast address of a link (RFC 919).
        Addrs::V4 { dst, .. } => matches!(dst, [224..=239, ..] | [255, 255, 255, 255]),
        Addrs::V6 { dst, .. } => matches!(dst, [0xff, ..]),
    }
}

/// The class of a packet.
#[inline]
#[must_use]
pub fn class_of(classes: Classes<'_>, packet: &Candidate, bytes: Bytes<'_>) -> Option<Found> {
    if is_for_many(&packet.key.addrs) {
        return None;
    }
    let header = |bytes| Header {
        sport: packet.key.src_port,
        dport: packet.key.dst_port,
        bytes,
    };
    let (transport, inner) = match packet.kind {
        Kind::Flow(proto) => (Some((proto, header(bytes.header))), bytes.inner),
        // The header that an error has in it is one of the other direction: only its ports are known of this one.
        Kind::IcmpError(proto) | Kind::IcmpFailure(proto) => (Some((proto, header(&[]))), None),
        _ => (None, None),
    };
    classes.lookup(&Asked {
        addrs: packet.key.addrs,
        transport,
        inner,
    })
}

/// The class of a packet that [`common`](crate::director::common) has read, as [`class_of`] says it, in fewer steps. Of one whose
/// bytes matter nothing is said.
#[inline(always)]
#[must_use]
pub fn class_of_common(classes: Classes<'_>, packet: &Candidate) -> Option<Found> {
    let Kind::Flow(proto) = packet.kind else {
        return None;
    };
    if is_for_many(&packet.key.addrs) {
        return None;
    }
    let ports = (packet.key.src_port, packet.key.dst_port);
    classes.of_ports(&packet.key.addrs, proto, ports)
}

/// A packet's table, and the verdict that it gets if it reaches a hop, and the packet as it is seen then.
type Classed<'w, W> = (&'w <W as World>::Table, Verdict, Candidate);

/// Finds a packet's table by its class; nothing if no class has it.
pub(in crate::director) fn by_class<'w, W: World>(
    world: &'w W,
    settings: &Settings,
    packet: Candidate,
    bytes: Bytes<'_>,
) -> Result<Option<Classed<'w, W>>, Verdict> {
    let classes = world.classes();
    if classes.is_empty() || is_for_many(&packet.key.addrs) {
        return Ok(None);
    }
    if let (Kind::LaterFragment(proto), Some(fragment)) = (packet.kind, packet.fragment) {
        return later_fragment(world, proto, fragment, packet);
    }
    let found = class_of(classes, &packet, bytes);
    let led = found.and_then(|found| Some((found.service, world.service(found.service)?)));
    let Some((service, table)) = led else {
        if let (Kind::Flow(_), Some(fragment)) = (packet.kind, packet.fragment) {
            remember(world, &packet.key, fragment, NO_SERVICE);
        }
        return Ok(None);
    };
    let verdict = match packet.kind {
        Kind::Flow(_) => {
            if let Some(fragment) = packet.fragment {
                remember(world, &packet.key, fragment, service);
            }
            Verdict::Encapsulated
        }
        Kind::IcmpError(_) | Kind::PortlessIcmpError(_) => Verdict::EncapsulatedIcmpError,
        Kind::IcmpFailure(_) if W::forward(table).takes_failures() => {
            Verdict::EncapsulatedIcmpError
        }
        Kind::Echo if settings.forward_icmp_ping_responses => Verdict::EncapsulatedEcho,
        Kind::Echo => return Err(Verdict::PassedEcho),
        Kind::EchoIcmpError
            if settings.forward_icmp_ping_responses && W::forward(table).takes_failures() =>
        {
            Verdict::EncapsulatedIcmpError
        }
        Kind::IcmpFailure(_) | Kind::EchoIcmpError => return Err(Verdict::PassedUnknownFormat),
        // Without ports all fragments are alike.
        Kind::Portless(_) | Kind::LaterFragment(_) => match packet.fragment {
            Some(Fragment { offset: 1.., .. }) => Verdict::EncapsulatedFragment,
            _ => Verdict::Encapsulated,
        },
    };
    Ok(Some((table, verdict, packet)))
}

/// What is remembered of a first fragment that no class has. It is no index of a table: there are fewer.
const NO_SERVICE: u16 = u16::MAX;

/// Remembers a first fragment, for the later ones.
#[cold]
#[inline(never)]
fn remember<W: World>(world: &W, key: &FlowKey, fragment: Fragment, service: u16) {
    // In this order, and read in the other one, so that who sees new ports sees whose they are.
    world.remember_service(&key.addrs, fragment, service);
    world.remember(key, fragment);
}

/// The same of a fragment without ports: it goes where the first one went.
#[cold]
#[inline(never)]
fn later_fragment<W: World>(
    world: &W,
    proto: Proto,
    fragment: Fragment,
    mut packet: Candidate,
) -> Result<Option<Classed<'_, W>>, Verdict> {
    let addrs = packet.key.addrs;
    let ports = world.remembered(&addrs, fragment);
    let service = world.remembered_service(&addrs, fragment);
    if service == Some(NO_SERVICE) {
        return Ok(None);
    }
    let table = service.and_then(|service| world.service(service));
    match (table, ports) {
        (Some(table), Some((src_port, dst_port))) => {
            (packet.key.src_port, packet.key.dst_port) = (src_port, dst_port);
            packet.hint = src_port;
            Ok(Some((table, Verdict::EncapsulatedFragment, packet)))
        }
        // It is of a class, and its row is not known.
        (Some(_), None) => Err(Verdict::DroppedFragment),
        // Whether a class has it is not known, and a bind must not take what a class may have.
        (None, _) if world.classes().may_take(&addrs, proto) => Err(Verdict::DroppedFragment),
        (None, _) => Ok(None),
    }
}
