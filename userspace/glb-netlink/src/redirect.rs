// SPDX-License-Identifier: GPL-2.0

//! The commands of the family `glb_redirect`.

use crate::client::{addr, counters, put_addr};
use crate::error::Error;
use crate::names::REDIRECT;
use crate::socket::Socket;
use crate::wire::{Attrs, Request};
use glb_core::cookie::KEY_LEN;
use glb_core::netlink::glb_redirect::{command, cookie, prefix, redirect, VERSION};
use glb_core::packet::addr::Addr;

/// The redirect of this network namespace.
pub struct Redirect {
    socket: Socket,
}

/// The settings of a hook that is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Door {
    /// UDP port of the tunnel.
    pub port: u16,
    /// Prefixes that hops are allowed from; none allows every hop.
    pub allow_hops: Vec<Prefix>,
    /// Whether a SYN stays only where a socket listens for it.
    pub syn_listener: bool,
    /// Whether a datagram of UDP stays only where a connected socket has it.
    pub udp: bool,
    /// Whether a packet stays whose connection the connection tracking knows.
    pub conntrack: bool,
    /// Names of the network namespaces whose sockets are asked after those of this one.
    pub netns: Vec<String>,
}

/// What cookies are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    /// The id of this proxy.
    pub id: u16,
    /// Bits of an id.
    pub bits: u8,
    /// Whether there is a key. The kernel tells none.
    pub keyed: bool,
}

/// A key of the cookie.
pub type CookieKey = [u8; KEY_LEN];

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// An address.
    pub addr: Addr,
    /// Bits of it that count.
    pub len: u8,
}

impl Redirect {
    /// Finds the redirect; the kernel loads its module if it is not there and may be loaded on demand.
    /// [`Error::NoFamily`] if it is not.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open(&REDIRECT)?,
        })
    }

    /// Finds the redirect. [`Error::NoFamily`] if its module is not loaded; it stays so.
    pub fn open_loaded() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open_loaded(&REDIRECT)?,
        })
    }

    /// Switches the hook on, or changes one that is on to these settings.
    pub fn on(&mut self, door: &Door) -> Result<(), Error> {
        let mut request = request(command::ON);
        request.u16(redirect::PORT, door.port);
        for hop in &door.allow_hops {
            request.nest(redirect::ALLOW_HOP, |nest| {
                put_addr(nest, prefix::ADDRESS, &hop.addr);
                nest.u8(prefix::PREFIX_LEN, hop.len);
            });
        }
        // An older module refuses attributes that it does not know, so what is not asked for is not sent.
        for (kind, wanted) in [
            (redirect::SYN_LISTENER, door.syn_listener),
            (redirect::UDP, door.udp),
            (redirect::CONNTRACK, door.conntrack),
        ] {
            if wanted {
                request.u8(kind, 1);
            }
        }
        for name in &door.netns {
            request.text(redirect::NETNS, name);
        }
        self.socket.ask(request, |_| {})
    }

    /// Switches the hook off. Refused if it is off.
    pub fn off(&mut self) -> Result<(), Error> {
        self.socket.ask(request(command::OFF), |_| {})
    }

    /// The settings of the hook, if it is on.
    pub fn get(&mut self) -> Result<Option<Door>, Error> {
        self.socket.one(request(command::GET), door)
    }

    /// Sets cookies, or changes those that are set to these settings.
    pub fn cookie_on(&mut self, settings: &Cookie, key: Option<&CookieKey>) -> Result<(), Error> {
        let mut request = request(command::COOKIE_ON);
        request.u16(cookie::ID, settings.id);
        request.u8(cookie::BITS, settings.bits);
        if let Some(key) = key {
            request.bytes(cookie::KEY, key);
        }
        self.socket.ask(request, |_| {})
    }

    /// Sets no more cookies. Refused if none are set.
    pub fn cookie_off(&mut self) -> Result<(), Error> {
        self.socket.ask(request(command::COOKIE_OFF), |_| {})
    }

    /// What cookies are made of, if they are set.
    pub fn cookie(&mut self) -> Result<Option<Cookie>, Error> {
        self.socket.one(request(command::COOKIE_GET), |attrs| {
            (attrs.u8(cookie::ENABLED) != 0).then(|| Cookie {
                id: attrs.u16(cookie::ID),
                bits: attrs.u8(cookie::BITS),
                keyed: attrs.u8(cookie::KEYED) != 0,
            })
        })
    }

    /// The counters, those of the iptables target included: names and values, in the kernel's order.
    pub fn stats(&mut self) -> Result<Vec<(String, u64)>, Error> {
        self.socket.one(request(command::STATS_GET), counters)
    }
}

fn request(command: u8) -> Request {
    Request::new(command, VERSION, 0)
}

fn door(attrs: Attrs<'_>) -> Option<Door> {
    let allowed = attrs.all(redirect::ALLOW_HOP).map(|nest| nest.nested());
    (attrs.u8(redirect::ENABLED) != 0).then(|| Door {
        port: attrs.u16(redirect::PORT),
        allow_hops: allowed
            .map(|nest| Prefix {
                addr: addr(nest.get(prefix::ADDRESS)),
                len: nest.u8(prefix::PREFIX_LEN),
            })
            .collect(),
        syn_listener: attrs.u8(redirect::SYN_LISTENER) != 0,
        udp: attrs.u8(redirect::UDP) != 0,
        conntrack: attrs.u8(redirect::CONNTRACK) != 0,
        netns: attrs.all(redirect::NETNS).map(|name| name.text()).collect(),
    })
}
