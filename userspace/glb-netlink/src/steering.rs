// SPDX-License-Identifier: GPL-2.0

//! Rules that lead a firewall mark to a routing table or drop its packets, and the default routes of such tables.
//!
//! All that is made here has the number of one program ([`PROTOCOL`]), and only what has this number is seen, replaced or
//! deleted: what an operator or another program made stays as it is. Nothing here loads a module.

use crate::client::{addr, put_addr};
use crate::error::{Error, Refusal};
use crate::machine::{named, AF_INET, AF_INET6};
use crate::socket::Socket;
use crate::wire::{Attrs, Message, Request};
use glb_core::packet::addr::Addr;

/// The number of who made a rule or a route, of those that nobody has (`/etc/iproute2/rt_protos`).
pub const PROTOCOL: u8 = 71;

pub(crate) const RTM_NEWROUTE: u16 = 24;
pub(crate) const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;

const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

/// `struct fib_rule_hdr`, `struct rtmsg`, `struct rtnexthop`.
const RULE_HEADER: usize = 12;
pub(crate) const ROUTE_HEADER: usize = 12;
const NEXT_HOP: usize = 8;

const FR_ACT_TO_TBL: u8 = 1;
const FR_ACT_BLACKHOLE: u8 = 6;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_PROTOCOL: u16 = 21;

const RTN_UNICAST: u8 = 1;
const RTA_GATEWAY: u16 = 5;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
/// A next hop whose device is down, or has no carrier.
const RTNH_F_DEAD: u8 = 1;
const RTNH_F_LINKDOWN: u8 = 16;

/// `EEXIST`, `ENOENT`, `ESRCH`: it is there already, or is not there.
const EXISTS: i32 = 17;
const GONE: [i32; 2] = [2, 3];
/// What a kernel without a family says: `EOPNOTSUPP`, `EAFNOSUPPORT`.
const NO_FAMILY: [i32; 2] = [95, 97];

/// A rule: packets of one family with this mark are routed by this table, or dropped where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// For IPv6.
    pub v6: bool,
    /// The firewall mark, all of it.
    pub mark: u32,
    /// The routing table.
    pub table: Option<u32>,
    /// Rules are asked by their priority, the lowest first.
    pub priority: u32,
}

/// The place of a default route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// For IPv6.
    pub v6: bool,
    /// The routing table.
    pub table: u32,
}

/// A default route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultRoute {
    /// Where it stands.
    pub place: Place,
    /// Where packets go, flow by flow to one of them, in ascending order.
    pub gateways: Vec<Addr>,
    /// How many of them have a device that is up.
    pub usable: usize,
}

/// What the kernel has of the program's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    /// The rules.
    pub rules: Vec<Rule>,
    /// The routes.
    pub routes: Vec<DefaultRoute>,
}

/// A socket for rules and routes.
pub struct Steering {
    socket: Socket,
}

impl Steering {
    /// Opens a socket.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::filtered_routes()?,
        })
    }

    /// The program's rules and routes.
    pub fn present(&mut self) -> Result<Present, Error> {
        let mut present = Present::default();
        for v6 in [false, true] {
            present.rules.extend(self.rules(v6)?);
            present.routes.extend(self.routes(v6)?);
        }
        Ok(present)
    }

    fn rules(&mut self, v6: bool) -> Result<Vec<Rule>, Error> {
        let mut header = [0; RULE_HEADER];
        header[0] = family(v6);
        let request = Request::with_header(&header);
        self.all(RTM_GETRULE, RTM_NEWRULE, &request, rule)
            .map_err(|error| named(error, "the list of rules"))
    }

    fn routes(&mut self, v6: bool) -> Result<Vec<DefaultRoute>, Error> {
        let mut header = [0; ROUTE_HEADER];
        header[0] = family(v6);
        header[5] = PROTOCOL;
        let request = Request::with_header(&header);
        self.all(RTM_GETROUTE, RTM_NEWROUTE, &request, route)
            .map_err(|error| named(error, "the list of routes"))
    }

    /// A list; of a family that the kernel does not have, an empty one.
    fn all<T>(
        &mut self,
        kind: u16,
        answer: u16,
        request: &Request,
        read: fn(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        let asked = self.socket.typed(kind, request, true, |first, message| {
            if first {
                all.clear();
            }
            if message.kind == answer {
                all.extend(read(message));
            }
        });
        match asked {
            Err(Error::Refused(refusal)) if NO_FAMILY.contains(&refusal.errno) => Ok(Vec::new()),
            Err(error) => Err(error),
            Ok(()) => Ok(all),
        }
    }

    /// Makes a rule. The same one of somebody else is an error, as it goes when they like.
    pub fn add_rule(&mut self, rule: &Rule) -> Result<(), Error> {
        let mut request = rule_request(rule);
        request.add_flags(NLM_F_CREATE | NLM_F_EXCL);
        match self.change(RTM_NEWRULE, &request) {
            // What drops packets is not wanted of an IP version that the kernel does not have: there are none.
            Err(Error::Refused(refusal))
                if rule.table.is_none() && NO_FAMILY.contains(&refusal.errno) =>
            {
                Ok(())
            }
            changed => changed.map_err(|error| refused(error, said_rule(rule))),
        }
    }

    /// Deletes a rule. One that is gone already is no error.
    pub fn delete_rule(&mut self, rule: &Rule) -> Result<(), Error> {
        gone(self.change(RTM_DELRULE, &rule_request(rule)))
            .map_err(|error| named(error, &said_rule(rule)))
    }

    /// Makes the default route of a table, or, where the program has one there, puts this one in its place at once. One of
    /// somebody else is an error, and stays.
    pub fn put_route(
        &mut self,
        place: Place,
        gateways: &[Addr],
        is_there: bool,
    ) -> Result<(), Error> {
        let mut request = route_request(place);
        match gateways {
            [only] => {
                put_addr(&mut request, RTA_GATEWAY, only);
            }
            all => {
                request.bytes(RTA_MULTIPATH, &next_hops(all));
            }
        }
        let how = if is_there { NLM_F_REPLACE } else { NLM_F_EXCL };
        request.add_flags(NLM_F_CREATE | how);
        let changed = self.change(RTM_NEWROUTE, &request);
        changed.map_err(|error| refused(error, said_route(place)))
    }

    /// Deletes the program's default route of a table. One that is gone already is no error.
    pub fn delete_route(&mut self, place: Place) -> Result<(), Error> {
        gone(self.change(RTM_DELROUTE, &route_request(place)))
            .map_err(|error| named(error, &said_route(place)))
    }

    fn change(&mut self, kind: u16, request: &Request) -> Result<(), Error> {
        self.socket.typed(kind, request, false, |_, _| {})
    }
}

fn family(v6: bool) -> u8 {
    if v6 {
        AF_INET6
    } else {
        AF_INET
    }
}

fn version(v6: bool) -> &'static str {
    if v6 {
        "IPv6"
    } else {
        "IPv4"
    }
}

fn said_rule(rule: &Rule) -> String {
    format!("the {} rule of mark {}", version(rule.v6), rule.mark)
}

fn said_route(place: Place) -> String {
    format!(
        "the {} default route of table {}",
        version(place.v6),
        place.table
    )
}

/// The error of what could not be made. Ours are looked for before: what is there is somebody else's.
fn refused(error: Error, what: String) -> Error {
    match error {
        Error::Refused(refusal) if refusal.errno == EXISTS => {
            let message = Some("somebody else made one, which stays".to_owned());
            Error::Refused(Refusal {
                command: what,
                message,
                ..refusal
            })
        }
        other => named(other, &what),
    }
}

fn gone(changed: Result<(), Error>) -> Result<(), Error> {
    match changed {
        Err(Error::Refused(refusal))
            if GONE.contains(&refusal.errno) || NO_FAMILY.contains(&refusal.errno) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn rule_request(rule: &Rule) -> Request {
    let mut header = [0; RULE_HEADER];
    header[0] = family(rule.v6);
    header[7] = match rule.table {
        Some(_) => FR_ACT_TO_TBL,
        None => FR_ACT_BLACKHOLE,
    };
    let mut request = Request::with_header(&header);
    request
        .u32(FRA_PRIORITY, rule.priority)
        .u32(FRA_FWMARK, rule.mark)
        .u8(FRA_PROTOCOL, PROTOCOL);
    if let Some(table) = rule.table {
        request.u32(FRA_TABLE, table);
    }
    request
}

fn route_request(place: Place) -> Request {
    let mut header = [0; ROUTE_HEADER];
    header[0] = family(place.v6);
    header[5] = PROTOCOL;
    header[7] = RTN_UNICAST;
    let mut request = Request::with_header(&header);
    request.u32(RTA_TABLE, place.table);
    request
}

/// `struct rtnexthop` of each, with its gateway: the kernel finds the device by itself.
fn next_hops(gateways: &[Addr]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for gateway in gateways {
        let octets: &[u8] = match gateway {
            Addr::V4(octets) => octets,
            Addr::V6(octets) => octets,
        };
        let attr = octets.len() + 4;
        let len = u16::try_from(NEXT_HOP + attr).unwrap_or_default();
        bytes.extend(len.to_ne_bytes());
        bytes.extend([0; NEXT_HOP - 2]);
        bytes.extend(u16::try_from(attr).unwrap_or_default().to_ne_bytes());
        bytes.extend(RTA_GATEWAY.to_ne_bytes());
        bytes.extend(octets);
    }
    bytes
}

/// A rule of the program's.
fn rule(message: &Message<'_>) -> Option<Rule> {
    let attrs = message.attrs_behind(RULE_HEADER);
    if attrs.u8(FRA_PROTOCOL) != PROTOCOL {
        return None;
    }
    Some(Rule {
        v6: *message.payload.first()? == AF_INET6,
        mark: attrs.u32(FRA_FWMARK),
        table: (*message.payload.get(7)? == FR_ACT_TO_TBL).then(|| attrs.u32(FRA_TABLE)),
        priority: attrs.u32(FRA_PRIORITY),
    })
}

/// A default route of the program's.
fn route(message: &Message<'_>) -> Option<DefaultRoute> {
    let header: &[u8; ROUTE_HEADER] = message.payload.first_chunk()?;
    // Behind the family, the length of the destination's prefix.
    if header[1] != 0 || header[5] != PROTOCOL {
        return None;
    }
    let attrs = message.attrs_behind(ROUTE_HEADER);
    let mut hops: Vec<(Addr, bool)> = Vec::new();
    let mut hop = |attrs: Attrs<'_>, flags: u8| {
        let usable = flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN) == 0;
        hops.extend(
            attrs
                .get(RTA_GATEWAY)
                .map(|gateway| (addr(Some(gateway)), usable)),
        );
    };
    match attrs.get(RTA_MULTIPATH) {
        Some(all) => {
            let mut rest = all.payload;
            while let Some(head) = rest.first_chunk::<NEXT_HOP>() {
                let len = usize::from(u16::from_ne_bytes([head[0], head[1]]));
                let Some(own) = rest.get(NEXT_HOP..len) else {
                    break;
                };
                hop(Attrs(own), head[2]);
                rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
            }
        }
        // The flags of the only next hop are the low ones of the route's.
        None => hop(
            attrs,
            u32::from_ne_bytes([header[8], header[9], header[10], header[11]]) as u8,
        ),
    }
    hops.sort();
    Some(DefaultRoute {
        place: Place {
            v6: header[0] == AF_INET6,
            table: attrs.u32(RTA_TABLE),
        },
        usable: hops.iter().filter(|(_, usable)| *usable).count(),
        gateways: hops.into_iter().map(|(gateway, _)| gateway).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages;

    const PLACE: Place = Place {
        v6: false,
        table: 5000,
    };

    /// What is asked for is what is read, as the kernel says it back.
    #[test]
    fn a_rule_is_read_as_it_was_written() {
        for table in [Some(6001), None] {
            let wanted = Rule {
                v6: true,
                mark: 5001,
                table,
                priority: 900,
            };
            let bytes = rule_request(&wanted).finish(RTM_NEWRULE, 1);
            let read: Vec<_> = messages(&bytes).filter_map(|one| rule(&one)).collect();
            assert_eq!(read, [wanted]);
        }
    }

    #[test]
    fn next_hops_are_read_as_they_were_written() {
        let gateways = [Addr::V4([192, 168, 50, 10]), Addr::V4([192, 168, 50, 11])];
        let mut request = route_request(PLACE);
        request.bytes(RTA_MULTIPATH, &next_hops(&gateways));
        let bytes = request.finish(RTM_NEWROUTE, 1);
        let read: Vec<_> = messages(&bytes).filter_map(|one| route(&one)).collect();
        let wanted = DefaultRoute {
            place: PLACE,
            gateways: gateways.to_vec(),
            usable: 2,
        };
        assert_eq!(read, [wanted]);
    }

    #[test]
    fn a_device_without_a_carrier_is_no_way() {
        let mut request = route_request(PLACE);
        put_addr(&mut request, RTA_GATEWAY, &Addr::V4([192, 168, 50, 10]));
        let mut bytes = request.finish(RTM_NEWROUTE, 1);
        bytes[16 + 8] = RTNH_F_LINKDOWN;
        let read = messages(&bytes)
            .find_map(|one| route(&one))
            .expect("a route");
        assert_eq!((read.usable, read.gateways.len()), (0, 1));
    }

    #[test]
    fn broken_next_hops_end_the_reading() {
        for bytes in [
            &[9u8, 0, 0][..],
            &[0; 8],
            &[255; 8],
            &[8, 0, 0, 0, 0, 0, 0, 0],
        ] {
            let mut request = route_request(PLACE);
            request.bytes(RTA_MULTIPATH, bytes);
            let bytes = request.finish(RTM_NEWROUTE, 1);
            let read = messages(&bytes)
                .find_map(|one| route(&one))
                .expect("a route");
            assert_eq!(read.gateways, []);
        }
    }

    #[test]
    fn what_others_made_is_not_seen() {
        let mut bytes = route_request(PLACE).finish(RTM_NEWROUTE, 1);
        bytes[16 + 5] = 4;
        assert_eq!(messages(&bytes).find_map(|one| route(&one)), None);
    }
}
