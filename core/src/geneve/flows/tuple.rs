// SPDX-License-Identifier: GPL-2.0

//! The flow that an inner packet belongs to.
//!
//! It is that of the load balancer: addresses, protocol and, of TCP and UDP, ports. A packet that comes and one that goes back are of
//! one flow in one direction or in the other.

use crate::packet::ip::{self, proto, Addrs, Family, Fragment, IpError};
use crate::packet::view::{Short, View};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

const ICMP_LEN: usize = 8;

/// Addresses, protocol and ports of a packet, in the direction in which it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuple {
    /// Source and destination.
    pub addrs: Addrs,
    /// Protocol, extension headers stepped over.
    pub proto: u8,
    /// Source port of TCP or UDP, or 0.
    pub src_port: u16,
    /// Destination port of TCP or UDP, or 0.
    pub dst_port: u16,
}

impl Tuple {
    /// Of a packet in the other direction.
    #[inline]
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            addrs: self.addrs.reversed(),
            proto: self.proto,
            src_port: self.dst_port,
            dst_port: self.src_port,
        }
    }

    /// Whether the flow's connection has a beginning and an end.
    #[inline]
    #[must_use]
    pub const fn is_tcp(&self) -> bool {
        self.proto == proto::TCP
    }
}

/// What a packet does to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// TCP with SYN, and no ACK: a connection begins.
    Opens,
    /// Anything else.
    Amid,
    /// TCP with FIN: this direction ends.
    Ends,
    /// TCP with RST: both end.
    Resets,
    /// It is an ICMP error about the flow, and no packet of it.
    Reports,
}

/// Which part of a flow a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A packet of it. Of a datagram's fragments, the first.
    Packet(Tuple, Turn, Option<Fragment>),
    /// An ICMP error about a packet of it, in the direction of the error.
    Error(Tuple),
    /// A fragment of this protocol, without ports: those of the first one count.
    Later(Addrs, u8, Fragment),
}

impl Part {
    /// Of the IP packet of this family at `at`. None: its headers are not understood.
    #[inline]
    pub fn read(view: View<'_>, at: usize, family: Family) -> Result<Option<Self>, Short> {
        let ip = match ip::parse(view, at, family) {
            Ok(ip) => ip,
            Err(IpError::Short(short)) => return Err(short),
            Err(IpError::Malformed) => return Ok(None),
        };
        let has_ports = matches!(ip.protocol, proto::TCP | proto::UDP);
        if let Some(fragment @ Fragment { offset: 1.., .. }) = ip.fragment {
            return Ok(Some(if has_ports {
                Self::Later(ip.addrs, ip.protocol, fragment)
            } else {
                Self::Packet(without_ports(ip.addrs, ip.protocol), Turn::Amid, None)
            }));
        }
        if has_ports {
            let turn = match ip.protocol {
                proto::TCP => turn(view, ip.transport)?,
                _ => Turn::Amid,
            };
            let tuple = with_ports(view, ip.addrs, ip.protocol, ip.transport)?;
            return Ok(Some(Self::Packet(tuple, turn, ip.fragment)));
        }
        if is_icmp_error(view, family, ip.protocol, ip.transport)? {
            let at = ip.transport.wrapping_add(ICMP_LEN);
            return embedded(view, at, family);
        }
        let tuple = without_ports(ip.addrs, ip.protocol);
        Ok(Some(Self::Packet(tuple, Turn::Amid, None)))
    }
}

fn without_ports(addrs: Addrs, proto: u8) -> Tuple {
    Tuple {
        addrs,
        proto,
        src_port: 0,
        dst_port: 0,
    }
}

#[inline]
fn with_ports(view: View<'_>, addrs: Addrs, proto: u8, at: usize) -> Result<Tuple, Short> {
    Ok(Tuple {
        addrs,
        proto,
        src_port: view.be16(at)?,
        dst_port: view.be16(at.wrapping_add(2))?,
    })
}

#[inline]
fn turn(view: View<'_>, tcp: usize) -> Result<Turn, Short> {
    let flags = view.byte(tcp.wrapping_add(13))?;
    Ok(if flags & RST != 0 {
        Turn::Resets
    } else if flags & (SYN | ACK) == SYN {
        Turn::Opens
    } else if flags & FIN != 0 {
        Turn::Ends
    } else {
        Turn::Amid
    })
}

/// ICMP: destination unreachable, time exceeded, parameter problem. ICMPv6: these and packet too big.
#[inline]
fn is_icmp_error(view: View<'_>, family: Family, protocol: u8, at: usize) -> Result<bool, Short> {
    Ok(match (family, protocol) {
        (Family::V4, proto::ICMP) => matches!(view.byte(at)?, 3 | 11 | 12),
        (Family::V6, proto::ICMPV6) => matches!(view.byte(at)?, 1..=4),
        _ => false,
    })
}

/// The flow of the packet inside an ICMP error, which travelled the other way.
fn embedded(view: View<'_>, at: usize, family: Family) -> Result<Option<Part>, Short> {
    let flow = quoted(view, at, family)?;
    Ok(flow.map(|flow| Part::Error(flow.reversed())))
}

/// The flow of a packet that an ICMP error gives back, in the direction of that packet. It is cut short, so only its headers are asked
/// for.
pub(in crate::geneve) fn quoted(
    view: View<'_>,
    at: usize,
    family: Family,
) -> Result<Option<Tuple>, Short> {
    let ip = match ip::parse(view, at, family) {
        Ok(ip) => ip,
        Err(IpError::Short(Short::NeedLinear(len))) => return Err(Short::NeedLinear(len)),
        Err(_) => return Ok(None),
    };
    if !matches!(ip.protocol, proto::TCP | proto::UDP) {
        return Ok(Some(without_ports(ip.addrs, ip.protocol)));
    }
    if matches!(ip.fragment, Some(Fragment { offset: 1.., .. })) {
        return Ok(None);
    }
    match with_ports(view, ip.addrs, ip.protocol, ip.transport) {
        Ok(tuple) => Ok(Some(tuple)),
        Err(Short::Truncated) => Ok(None),
        Err(short) => Err(short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn v4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = std::vec![0x45, 0, 0, 20 + payload.len() as u8, 0, 9];
        packet.extend(fragment.to_be_bytes());
        packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(payload);
        packet
    }

    fn read(packet: &[u8]) -> Option<Part> {
        Part::read(View::whole(packet), 0, Family::V4).unwrap()
    }

    const ADDRS: Addrs = Addrs::V4 {
        src: [10, 0, 0, 1],
        dst: [10, 0, 0, 2],
    };

    const fn tuple(proto: u8, src_port: u16, dst_port: u16) -> Tuple {
        Tuple {
            addrs: ADDRS,
            proto,
            src_port,
            dst_port,
        }
    }

    fn tcp(flags: u8) -> [u8; 20] {
        let mut header = [0; 20];
        header[..4].copy_from_slice(&[1, 2, 3, 4]);
        header[13] = flags;
        header
    }

    #[test]
    fn flags_of_tcp() {
        for (flags, turn) in [
            (0x02, Turn::Opens),
            (0x12, Turn::Amid),
            (0x10, Turn::Amid),
            (0x11, Turn::Ends),
            (0x14, Turn::Resets),
            (0x15, Turn::Resets),
        ] {
            let seen = read(&v4(6, 0, &tcp(flags)));
            let expected = Part::Packet(tuple(6, 0x102, 0x304), turn, None);
            assert_eq!(seen, Some(expected), "{flags:#x}");
        }
        let short = v4(6, 0, &tcp(0x10)[..13]);
        let seen = Part::read(View::whole(&short), 0, Family::V4);
        assert_eq!(seen, Err(Short::Truncated));
    }

    #[test]
    fn ports_are_those_of_tcp_and_udp() {
        let udp = read(&v4(17, 0, &[0, 53, 0, 99, 0, 8, 0, 0]));
        assert_eq!(udp, Some(Part::Packet(tuple(17, 53, 99), Turn::Amid, None)));
        for protocol in [47, 50, 132] {
            let seen = read(&v4(protocol, 0, &[1; 20]));
            let expected = Part::Packet(tuple(protocol, 0, 0), Turn::Amid, None);
            assert_eq!(seen, Some(expected));
        }
        let ping = read(&v4(1, 0, &[8, 0, 0, 0, 0, 1, 0, 1]));
        assert_eq!(ping, Some(Part::Packet(tuple(1, 0, 0), Turn::Amid, None)));
    }

    #[test]
    fn fragments() {
        let id = |protocol: u8| u32::from_be_bytes([0, protocol, 0, 9]);
        let first = Fragment {
            id: id(17),
            offset: 0,
        };
        let seen = read(&v4(17, 0x2000, &[0, 53, 0, 99, 0, 80, 0, 0]));
        let expected = Part::Packet(tuple(17, 53, 99), Turn::Amid, Some(first));
        assert_eq!(seen, Some(expected));
        let later = Fragment { offset: 1, ..first };
        let seen = read(&v4(17, 1, &[9; 8]));
        assert_eq!(seen, Some(Part::Later(ADDRS, 17, later)));
        // Without ports there is nothing to ask the first one for.
        let seen = read(&v4(1, 1, &[3; 8]));
        assert_eq!(seen, Some(Part::Packet(tuple(1, 0, 0), Turn::Amid, None)));
    }

    #[test]
    fn an_error_is_of_the_flow_that_it_is_about() {
        for (protocol, ports) in [(17, (0x102, 0x304)), (47, (0, 0))] {
            let about = v4(protocol, 0, &tcp(0));
            let mut error = std::vec![3, 4, 0, 0, 0, 0, 0, 0];
            error.extend(&about[..28]);
            let seen = read(&v4(1, 0, &error));
            let expected = tuple(protocol, ports.0, ports.1).reversed();
            assert_eq!(seen, Some(Part::Error(expected)));
        }
        assert_eq!(read(&v4(1, 0, &[3, 4, 0, 0, 0, 0, 0, 0, 0x45])), None);
    }

    #[test]
    fn what_is_no_packet() {
        let mut packet = v4(17, 0, &[0; 8]);
        packet[0] = 0x65;
        assert_eq!(read(&packet), None);
    }
}
