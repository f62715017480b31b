// SPDX-License-Identifier: GPL-2.0

//! What was found out about the machine. The judges look at nothing else, so that tests can make up a machine.

use glb_core::director::classify::bind::Bind;
use glb_core::director::Forward;
use glb_core::packet::addr::Addr;
use glb_core::settings::Settings;
use glb_netlink::machine::{Address, Link, Route, TunnelPort};
use glb_netlink::{Cookie as CookieSettings, Door};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) links: Vec<Link>,
    pub(super) addresses: Vec<Address>,
    /// `net.ipv4.conf.*.rp_filter`; `all` is one of them.
    pub(super) rp_filter: BTreeMap<String, u8>,
    /// `net.ipv4.conf.*.accept_local`.
    pub(super) accept_local: BTreeMap<String, u8>,
    /// Entries of the table of connections, and how many there may be; nothing where it is not in use.
    pub(super) conntrack: Option<(u64, u64)>,
    /// Nothing where the module `fou` is not loaded.
    pub(super) tunnels: Option<Vec<TunnelPort>>,
    /// Sockets on UDP ports.
    pub(super) udp: Vec<UdpSocket>,
    pub(super) director: Option<Director>,
    pub(super) redirect: Option<Redirect>,
    pub(super) cookie: Option<Cookie>,
    /// The VIPs: of the director's tables, of a table file, or as they were named.
    pub(super) vips: Vec<Vip>,
    /// Where the VIPs are from, as in "the loaded tables"; nothing where none are known.
    pub(super) vips_from: Option<String>,
    /// The proxies of the tables that the VIPs are from.
    pub(super) backends: Vec<(Addr, Forward)>,
    pub(super) rules: Vec<Rules>,
    pub(super) modules: Vec<Module>,
    /// What could not be found out, and why.
    pub(super) unknown: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct UdpSocket {
    pub(super) port: u16,
    /// Name and number of a process that has it; nothing if it is the kernel's own, or cannot be found out.
    pub(super) owner: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Director {
    pub(super) generation: u32,
    pub(super) settings: Settings,
    pub(super) tables: Vec<Table>,
    /// Names; empty for a device that went away.
    pub(super) devices: Vec<String>,
    /// `GLB_DEVICES` of /etc/default/glb-director, where it is.
    pub(super) wanted_devices: Option<Vec<String>>,
    /// Attached devices on which LRO is on.
    pub(super) lro: Vec<String>,
    /// Each proxy, and the way to it.
    pub(super) proxies: Vec<(Addr, Option<Route>)>,
    /// What the health checker says; nothing where it was not asked.
    pub(super) checker: Option<Result<Checker, String>>,
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) label: String,
    pub(super) hops: u8,
    pub(super) forward: Forward,
    pub(super) backends: Vec<Addr>,
    pub(super) binds: Vec<Bind>,
}

#[derive(Debug, Clone)]
pub(super) struct Checker {
    pub(super) status: String,
    pub(super) problems: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Redirect {
    /// The hook's settings, where it is on.
    pub(super) door: Option<Door>,
    /// The port of the tunnel.
    pub(super) port: u16,
}

/// A proxy that sets cookies.
#[derive(Debug, Clone)]
pub(super) struct Cookie {
    pub(super) settings: CookieSettings,
    /// Whether the clock follows other clocks, or why that is not known.
    pub(super) synchronized: Result<bool, String>,
    /// `net.ipv4.tcp_timestamps`.
    pub(super) timestamps: Option<u8>,
}

/// An address or a prefix that is served.
#[derive(Debug, Clone)]
pub(super) struct Vip {
    pub(super) addr: Addr,
    pub(super) len: u8,
    /// The way to it, or to the first address of the prefix.
    pub(super) route: Option<Route>,
}

/// What iptables has for a family.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) v6: bool,
    /// As iptables-save prints them, or why it does not.
    pub(super) text: Result<String, String>,
}

#[derive(Debug, Clone)]
pub(super) struct Module {
    pub(super) name: &'static str,
    pub(super) loaded: bool,
    /// As the module says; those of this project do not always.
    pub(super) version: Option<String>,
    /// Whether what is loaded is what is installed for the running kernel; nothing where that cannot be told.
    pub(super) is_installed: Option<bool>,
}

impl Facts {
    pub(super) fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    pub(super) fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    pub(super) fn link_name(&self, index: u32) -> &str {
        self.link(index).map_or("?", |link| &link.name)
    }

    /// The reverse path filter that holds on a device: the stricter of its own and everybody's.
    pub(super) fn rp_filter(&self, device: &str) -> u8 {
        let of = |name: &str| self.rp_filter.get(name).copied().unwrap_or_default();
        of("all").max(of(device))
    }

    /// Whether a device takes packets from the machine's own addresses: where it says so, or everybody does. Nothing where
    /// it is not known.
    pub(super) fn accepts_local(&self, device: &str) -> Option<bool> {
        let of = |name: &str| self.accept_local.get(name).copied();
        Some(of(device)? != 0 || of("all").unwrap_or_default() != 0)
    }

    /// Which of everybody's and the device's own reverse path filter are strict.
    pub(super) fn strict<'a>(&'a self, device: &'a str) -> impl Iterator<Item = &'a str> {
        let strict = |name: &&str| self.rp_filter.get(*name) == Some(&1);
        ["all", device].into_iter().filter(strict)
    }

    /// Addresses of the machine in a prefix, each with its device.
    pub(super) fn own_in(&self, addr: Addr, len: u8) -> impl Iterator<Item = (Addr, &str)> {
        let inside = move |one: &&Address| {
            one.addr.bits() == addr.bits() && one.addr.masked(len) == addr.masked(len)
        };
        let own = self.addresses.iter().filter(inside);
        own.map(|one| (one.addr, self.link_name(one.link)))
    }

    /// The tunnel that takes what no other takes: of this kind, without a remote address.
    pub(super) fn fallback(&self, kind: &str) -> Option<&Link> {
        let is = |link: &&Link| link.kind == kind && link.any_remote;
        let mut all = self.links.iter().filter(is);
        let first = all.clone().next();
        // More than one may have no remote address; the fallback has its well-known name, unless renamed.
        all.find(|link| ["tunl0", "sit0", "ip6tnl0"].contains(&&*link.name))
            .or(first)
    }
}
