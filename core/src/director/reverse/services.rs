// SPDX-License-Identifier: GPL-2.0

//! The services of all tables that translate, as their backends are known by: (backend, protocol, port) -> bind.
//!
//! A service is one backend of one bind. The look-up is the one of binds ([`bind`](crate::director::classify::bind)), asked the
//! other way: backends are its addresses, and the ports that packets are sent to are its ports. What it answers is the bind
//! that the packets belong to, which has VIP and port.
//!
//! An answer has nothing but its source to be known by. So one backend and port are one service's: [`check`] finds two that
//! would have the same. And a bind must be one address, and one port where the forward gives a port ([`OneWay`]). A backend must be
//! no address of a bind itself: [`chained`] finds one.

use super::Origin;
use crate::director::classify::bind::{Bind, BindId, Classifier, Entry, Proto};
use crate::director::forward::Forward;
use crate::packet::addr::Addr;
use crate::sort::sort;

/// Most services of all tables together: as many as there may be binds.
pub const MAX_SERVICES: usize = crate::netlink::glb::MAX_BINDS as usize;

/// The first port that systems give to connections of their own: Linux (`ip_local_port_range`) from here to 60999, others to the
/// last one (RFC 6335 from 49152). What a backend asks from such a port must not be taken for an answer. A single port that a
/// service listens on is not given to others.
pub const LEAST_OWN_PORT: u16 = 32768;

/// Why the answers to packets of a bind cannot be given their source again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneWay {
    /// It is a prefix: an answer does not say which of its addresses was asked.
    Prefix,
    /// It takes all protocols: of those without ports an answer is like any packet of the backend's.
    Protocols,
    /// It has several ports, which become one: an answer does not say which of them was asked.
    Ports,
    /// It has several ports that stay, and some are those that systems give to connections of their own ([`LEAST_OWN_PORT`]).
    OwnPorts,
    /// It has port 0, which no packet can be given back.
    NoPort,
}

/// Whether packets of this bind may leave by this forward, as far as their answers are concerned.
pub const fn check_bind(forward: Forward, bind: &Bind) -> Result<(), OneWay> {
    if !forward.translates() {
        return Ok(());
    }
    if bind.prefix_len != bind.addr.bits() {
        return Err(OneWay::Prefix);
    }
    if bind.proto.is_none() {
        return Err(OneWay::Protocols);
    }
    let is_range = bind.port_start != bind.port_end;
    match forward.target_port() {
        Some(_) if is_range => return Err(OneWay::Ports),
        Some(_) if bind.port_start == 0 => return Err(OneWay::NoPort),
        None if is_range && bind.port_end >= LEAST_OWN_PORT => return Err(OneWay::OwnPorts),
        _ => {}
    }
    Ok(())
}

/// A backend of a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    backend: Addr,
    /// `None` in no service that [`check_bind`] has passed.
    proto: Option<Proto>,
    /// The ports of the backend that packets are sent to, first and last.
    ports: (u16, u16),
    origin: Origin,
    id: BindId,
}

impl Service {
    /// Of a bind that [`check_bind`] has passed.
    #[must_use]
    pub const fn new(forward: Forward, bind: &Bind, id: BindId, backend: Addr) -> Self {
        Self {
            backend,
            proto: bind.proto,
            ports: match forward.target_port() {
                Some(port) => (port.get(), port.get()),
                None => (bind.port_start, bind.port_end),
            },
            origin: Origin::of(forward, bind),
            id,
        }
    }

    /// The backend.
    #[must_use]
    pub const fn backend(&self) -> Addr {
        self.backend
    }

    /// The protocol.
    #[must_use]
    pub const fn proto(&self) -> Option<Proto> {
        self.proto
    }

    /// The first port of the backend.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.ports.0
    }

    /// The bind.
    #[must_use]
    pub const fn id(&self) -> BindId {
        self.id
    }

    /// What the look-up by port is built of.
    #[must_use]
    pub const fn entry(&self) -> Entry {
        self.entry_of(self.ports)
    }

    const fn entry_of(&self, (port_start, port_end): (u16, u16)) -> Entry {
        Entry {
            bind: Bind {
                addr: self.backend,
                prefix_len: self.backend.bits(),
                proto: self.proto,
                port_start,
                port_end,
            },
            id: self.id,
        }
    }
}

/// Two services whose answers nobody could tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous {
    /// The one that comes first in the tables.
    pub first: Service,
    /// The other one.
    pub second: Service,
}

/// A service whose backend is itself an address that packets are asked at: its answers would be those of two services, one after
/// the other, of which a director gives back one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chained {
    /// The service.
    pub service: Service,
    /// A bind of its backend's address.
    pub bind: BindId,
}

/// The first service whose backend is an address of a bind, of any table and forward.
#[must_use]
pub fn chained(services: &[Service], binds: Classifier<'_>) -> Option<Chained> {
    services.iter().find_map(|service| {
        Some(Chained {
            service: *service,
            bind: binds.lookup_addr(service.backend)?,
        })
    })
}

/// Sorts the services, and says whether each answer has one origin.
pub fn check(services: &mut [Service]) -> Result<(), Ambiguous> {
    sort(services, |a, b| order(a) < order(b));
    let mut last: Option<&Service> = None;
    for service in services.iter() {
        let overlapping = last.filter(|last| {
            (last.backend, last.proto) == (service.backend, service.proto)
                && service.ports.0 <= last.ports.1
        });
        let Some(widest) = overlapping else {
            last = Some(service);
            continue;
        };
        if widest.origin != service.origin {
            let (first, second) = match widest.id <= service.id {
                true => (*widest, *service),
                false => (*service, *widest),
            };
            return Err(Ambiguous { first, second });
        }
        // All that overlap so far have one origin. So the one that reaches furthest stands for them.
        if service.ports.1 > widest.ports.1 {
            last = Some(service);
        }
    }
    Ok(())
}

fn order(service: &Service) -> (Addr, Option<Proto>, u16, u16, BindId) {
    (
        service.backend,
        service.proto,
        service.ports.0,
        service.ports.1,
        service.id,
    )
}

/// Of services that [`check`] has sorted, what the look-up of echo replies is built of, which have no ports: backends with one
/// VIP only.
pub fn with_one_vip(services: &[Service]) -> impl Iterator<Item = Entry> + '_ {
    let mut rest = services;
    core::iter::from_fn(move || loop {
        let (first, mut behind) = rest.split_first()?;
        let mut single = true;
        while let Some((next, further)) = behind.split_first() {
            if next.backend != first.backend {
                break;
            }
            single &= next.origin.vip == first.origin.vip;
            behind = further;
        }
        rest = behind;
        if single {
            return Some(first.entry_of((0, u16::MAX)));
        }
    })
}

/// The services, ready to be asked.
#[derive(Debug, Clone, Copy)]
pub struct Services<'a> {
    by_port: Classifier<'a>,
    with_one_vip: Classifier<'a>,
}

impl<'a> Services<'a> {
    /// Of the words of two classifiers: one of [`Service::entry`], the other of [`with_one_vip`].
    #[inline]
    #[must_use]
    pub const fn new(by_port: &'a [u32], with_one_vip: &'a [u32]) -> Self {
        Self {
            by_port: Classifier::new(by_port),
            with_one_vip: Classifier::new(with_one_vip),
        }
    }

    /// The bind of the service that this backend and port are of.
    #[inline]
    #[must_use]
    pub fn bind(self, backend: Addr, proto: Proto, port: u16) -> Option<BindId> {
        self.by_port.lookup(backend, proto, port)
    }

    /// Whether this is a backend of any service.
    #[inline]
    #[must_use]
    pub fn has_backend(self, backend: Addr) -> bool {
        self.by_port.lookup_addr(backend).is_some()
    }

    /// A bind that has the VIP of this backend, if it has one only.
    #[inline]
    #[must_use]
    pub fn bind_of_only_vip(self, backend: Addr) -> Option<BindId> {
        self.with_one_vip.lookup_addr(backend)
    }
}
