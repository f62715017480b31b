// SPDX-License-Identifier: GPL-2.0

//! Kernel state related to director and redirect: devices, addresses, routes, ports of tunnels, features of
//! network cards. Nothing here changes it or loads a module.

use crate::client::{addr, put_addr};
use crate::error::Error;
use crate::names::{ETHTOOL, FOU};
use crate::socket::Socket;
use crate::wire::{Attrs, Message, Request};
use glb_core::packet::addr::Addr;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
/// `struct ifinfomsg`, `ifaddrmsg`, `rtmsg`.
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const ROUTE_HEADER: usize = 12;

const IFF_UP: u32 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_IPTUN_REMOTE: u16 = 3;
const IFLA_IPTUN_PROTO: u16 = 9;
const IFLA_XDP: u16 = 43;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
const IFLA_XDP_ATTACHED: u16 = 2;
/// Of `enum` in linux/if.h: no carrier, and a device that stands on one that has none.
const DOWN: [u8; 2] = [2, 3];

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_METRICS: u16 = 8;
const RTAX_MTU: u16 = 2;
const RTN_LOCAL: u8 = 2;

/// What the kernel says where there is no way: unreachable (two of them), prohibited, blackhole, of no family that it has (97;
/// 95 where IPv6 was left out at boot).
const NO_WAY: [i32; 6] = [101, 113, 13, 22, 97, 95];

pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;

const FOU_CMD_GET: u8 = 3;
const FOU_ATTR_PORT: u16 = 1;
const FOU_ATTR_AF: u16 = 2;
const FOU_ATTR_TYPE: u16 = 4;
const FOU_TYPE_GUE: u8 = 2;

const ETHTOOL_MSG_FEATURES_GET: u8 = 11;
const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
const ETHTOOL_A_FEATURES_ACTIVE: u16 = 4;
const ETHTOOL_A_HEADER_DEV_NAME: u16 = 2;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BITS_BIT: u16 = 1;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;

const ARPHRD_ETHER: u16 = 1;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its other names.
    pub alt_names: Vec<String>,
    /// Longest packet.
    pub mtu: u32,
    /// It was switched on.
    pub up: bool,
    /// It has no carrier.
    pub no_carrier: bool,
    /// What it is, as in `ipip`; empty for most hardware.
    pub kind: String,
    /// Whether a tunnel has no remote address: it takes what no other tunnel takes.
    pub any_remote: bool,
    /// The protocol that a tunnel carries; 0 is any.
    pub proto: u8,
    /// An XDP program sees its packets first.
    pub xdp: bool,
    /// Whether its packets have headers of Ethernet.
    pub ethernet: bool,
}

impl Link {
    /// Whether the device has this name, or has it beside its own one.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.alt_names.iter().any(|one| one == name)
    }
}

/// An address of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Number of its device.
    pub link: u32,
    /// The address.
    pub addr: Addr,
}

/// The way to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// It ends in this machine.
    pub local: bool,
    /// Number of the device.
    pub link: u32,
    /// Longest packet, where the route says so, or a path was found to be narrower than its device.
    pub mtu: Option<u32>,
}

/// A port on which the kernel takes tunnel packets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelPort {
    /// UDP port.
    pub port: u16,
    /// For IPv6 outside.
    pub v6: bool,
    /// With GUE's header.
    pub gue: bool,
}

/// The kernel's devices, addresses and routes.
pub struct Machine {
    socket: Socket,
}

impl Machine {
    /// Opens a socket.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::routes()?,
        })
    }

    /// All devices.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let request = Request::with_header(&[0; LINK_HEADER]);
        self.all(RTM_GETLINK, RTM_NEWLINK, &request, link)
            .map_err(|error| named(error, "the list of devices"))
    }

    /// A device, by its number; nothing where there is none.
    pub fn link(&mut self, index: u32) -> Result<Option<Link>, Error> {
        const NO_DEVICE: i32 = 19;
        let mut header = [0; LINK_HEADER];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        let request = Request::with_header(&header);
        let mut found = None;
        let asked = self
            .socket
            .typed(RTM_GETLINK, &request, false, |_, message| {
                if message.kind == RTM_NEWLINK {
                    found = link(message);
                }
            });
        match asked {
            Ok(()) => Ok(found),
            Err(Error::Refused(refusal)) if refusal.errno == NO_DEVICE => Ok(None),
            Err(error) => Err(named(error, "a device")),
        }
    }

    /// All addresses.
    pub fn addresses(&mut self) -> Result<Vec<Address>, Error> {
        let request = Request::with_header(&[0; ADDRESS_HEADER]);
        self.all(RTM_GETADDR, RTM_NEWADDR, &request, address)
            .map_err(|error| named(error, "the list of addresses"))
    }

    /// The way to an address; nothing where there is none.
    pub fn route(&mut self, to: Addr) -> Result<Option<Route>, Error> {
        let mut header = [0; ROUTE_HEADER];
        header[0] = match to {
            Addr::V4(_) => AF_INET,
            Addr::V6(_) => AF_INET6,
        };
        header[1] = to.bits();
        let mut request = Request::with_header(&header);
        put_addr(&mut request, RTA_DST, &to);
        let mut found = None;
        let asked = self
            .socket
            .typed(RTM_GETROUTE, &request, false, |_, message| {
                if message.kind == RTM_NEWROUTE {
                    found = Some(route(message));
                }
            });
        match asked {
            Ok(()) => Ok(found),
            Err(Error::Refused(refusal)) if NO_WAY.contains(&refusal.errno) => Ok(None),
            Err(error) => Err(named(error, "a route")),
        }
    }

    fn all<T>(
        &mut self,
        kind: u16,
        answer: u16,
        request: &Request,
        read: fn(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        self.socket.typed(kind, request, true, |first, message| {
            if first {
                all.clear();
            }
            if message.kind == answer {
                all.extend(read(message));
            }
        })?;
        Ok(all)
    }
}

/// The ports of the kernel's tunnels in UDP; nothing where their module is not loaded.
pub fn tunnel_ports() -> Result<Option<Vec<TunnelPort>>, Error> {
    let mut socket = match Socket::open_loaded(&FOU) {
        Ok(socket) => socket,
        Err(Error::NoFamily(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut ports = Vec::new();
    let request = Request::new(FOU_CMD_GET, 1, 0);
    socket.list(&request, |first, attrs| {
        if first {
            ports.clear();
        }
        ports.push(TunnelPort {
            port: u16::from_be(attrs.u16(FOU_ATTR_PORT)),
            v6: attrs.u8(FOU_ATTR_AF) == AF_INET6,
            gue: attrs.u8(FOU_ATTR_TYPE) == FOU_TYPE_GUE,
        });
    })?;
    Ok(Some(ports))
}

/// The features of a network card that are on, as in `rx-lro`.
pub fn features(device: &str) -> Result<Vec<String>, Error> {
    let mut socket = Socket::open_loaded(&ETHTOOL)?;
    let mut request = Request::new(ETHTOOL_MSG_FEATURES_GET, 1, 0);
    request.nest(ETHTOOL_A_FEATURES_HEADER, |nest| {
        nest.text(ETHTOOL_A_HEADER_DEV_NAME, device);
    });
    let mut names = Vec::new();
    socket.ask(request, |attrs| {
        let active = attrs.get(ETHTOOL_A_FEATURES_ACTIVE);
        let bits = active.and_then(|active| active.nested().get(ETHTOOL_A_BITSET_BITS));
        for bit in bits
            .into_iter()
            .flat_map(|bits| bits.nested().all(ETHTOOL_A_BITSET_BITS_BIT))
        {
            names.push(bit.nested().text(ETHTOOL_A_BITSET_BIT_NAME));
        }
    })?;
    Ok(names)
}

/// The error with the name of what was asked for: these messages have no names of their own here.
pub(crate) fn named(error: Error, what: &str) -> Error {
    match error {
        Error::Refused(mut refusal) => {
            what.clone_into(&mut refusal.command);
            Error::Refused(refusal)
        }
        other => other,
    }
}

fn number(payload: &[u8], at: usize) -> u32 {
    let bytes = payload.get(at..at + 4);
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    u32::from_ne_bytes(bytes.unwrap_or_default())
}

fn link(message: &Message<'_>) -> Option<Link> {
    let attrs = message.attrs_behind(LINK_HEADER);
    let empty = Attrs(&[]);
    let info = attrs.get(IFLA_LINKINFO).map_or(empty, |info| info.nested());
    let data = info.get(IFLA_INFO_DATA).map_or(empty, |data| data.nested());
    let remote = data.get(IFLA_IPTUN_REMOTE).map(|attr| attr.payload);
    let xdp = attrs.get(IFLA_XDP).map_or(empty, |xdp| xdp.nested());
    let list = attrs
        .get(IFLA_PROP_LIST)
        .map_or(empty, |list| list.nested());
    Some(Link {
        index: number(message.payload, 4),
        name: attrs.text(IFLA_IFNAME),
        alt_names: list.all(IFLA_ALT_IFNAME).map(|name| name.text()).collect(),
        mtu: attrs.u32(IFLA_MTU),
        up: number(message.payload, 8) & IFF_UP != 0,
        no_carrier: DOWN.contains(&attrs.u8(IFLA_OPERSTATE)),
        kind: info.text(IFLA_INFO_KIND),
        any_remote: remote.is_none_or(|remote| remote.iter().all(|byte| *byte == 0)),
        proto: data.u8(IFLA_IPTUN_PROTO),
        xdp: xdp.u8(IFLA_XDP_ATTACHED) != 0,
        ethernet: message.payload.get(2..4) == Some(&ARPHRD_ETHER.to_ne_bytes()),
    })
}

fn address(message: &Message<'_>) -> Option<Address> {
    let attrs = message.attrs_behind(ADDRESS_HEADER);
    // On a link of two ends the first is the other end's.
    let own = attrs.get(IFA_LOCAL).or_else(|| attrs.get(IFA_ADDRESS))?;
    Some(Address {
        link: number(message.payload, 4),
        addr: addr(Some(own)),
    })
}

fn route(message: &Message<'_>) -> Route {
    let attrs = message.attrs_behind(ROUTE_HEADER);
    let metrics = attrs.get(RTA_METRICS);
    let mtu = metrics.map_or(0, |metrics| metrics.nested().u32(RTAX_MTU));
    Route {
        // Behind family, two lengths, type of service, table, protocol and scope.
        local: message.payload.get(7) == Some(&RTN_LOCAL),
        link: attrs.u32(RTA_OIF),
        mtu: (mtu != 0).then_some(mtu),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_ipv6_has_no_way() {
        for errno in [95, 97, 101, 113] {
            assert!(NO_WAY.contains(&errno), "{errno}");
        }
        // That one may not ask is another matter.
        assert!(!NO_WAY.contains(&1));
    }

    /// The kernel that runs the test has a loopback device, whatever else.
    #[test]
    fn the_loopback_is_there() {
        let mut machine = Machine::open().expect("a socket");
        let links = machine.links().expect("devices");
        let lo = links.iter().find(|link| link.name == "lo").expect("lo");
        assert!(lo.index > 0 && lo.mtu >= 1500 && !lo.xdp, "{lo:?}");
        if lo.up {
            let own = Addr::V4([127, 0, 0, 1]);
            let addresses = machine.addresses().expect("addresses");
            let found = addresses.iter().find(|one| one.addr == own);
            assert_eq!(found.map(|one| one.link), Some(lo.index));
            let route = machine.route(own).expect("asked").expect("a route");
            assert!(route.local && route.link == lo.index, "{route:?}");
        }
        // Of no use as a destination: there is no way, and that is no error.
        let nowhere = machine.route(Addr::V4([240, 0, 0, 1]));
        assert!(nowhere.is_ok(), "{nowhere:?}");
        let features = features("lo").expect("features");
        assert!(
            features.iter().any(|name| name.starts_with("tx-")),
            "{features:?}"
        );
    }
}
