// SPDX-License-Identifier: GPL-2.0

//! An ICMP error that says that a packet in its header was too big for a router on its way to the load balancer.
//!
//! The kernel evaluates these itself but for one case, the IPv4 routes of a routing domain, so this is of IPv4 only.
//!
//! Anybody can send one. What shows that its sender has seen the packet is what it gives back of it: ports, and the flow inside.

use super::envelope::Envelope;
use super::flows::{quoted, Tuple};
use super::inspect::{BASE_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use crate::packet::gue::UDP_LEN;
use crate::packet::ip::{self, proto, Addrs, Family, Fragment, IpError};
use crate::packet::valid::{self, Invalid};
use crate::packet::view::{Short, View};

const UNREACHABLE: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;
const ICMP_LEN: usize = 8;

/// What the error says. Offsets are from the view's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Narrow {
    /// Where the error itself is sent to.
    pub to: [u8; 4],
    /// Offset of the ICMP header.
    pub icmp: usize,
    /// End of the error.
    pub end: usize,
    /// Offset of the packet that it is about.
    pub about_at: usize,
    /// Source and destination of that packet.
    pub about: Addrs,
    /// Its UDP ports.
    pub ports: [u8; 4],
    /// The flow of the packet inside it, in that packet's direction.
    pub flow: Tuple,
    /// What would have fitted.
    pub mtu: u16,
}

impl Narrow {
    /// Reads an IPv4 packet. None: it is no such error about a Geneve packet to this port, or gives back too little of it.
    pub fn read(view: View<'_>, port: u16) -> Result<Option<Self>, Short> {
        let Some(outer) = understood(ip::parse(view, 0, Family::V4))? else {
            return Ok(None);
        };
        if outer.protocol != proto::ICMP || outer.fragment.is_some() || outer.end > view.len() {
            return Ok(None);
        }
        match valid::check(view, Family::V4, &outer) {
            Ok(()) => {}
            Err(Invalid::Short(short)) => return Err(short),
            Err(Invalid::Martian | Invalid::Header) => return Ok(None),
        }
        let view = view.limit(outer.end);
        let icmp = outer.transport;
        let Some(&[kind, code, _, _, _, _, mtu_hi, mtu_lo]) = there(view.array(icmp))? else {
            return Ok(None);
        };
        if (kind, code) != (UNREACHABLE, FRAGMENTATION_NEEDED) {
            return Ok(None);
        }
        let about_at = icmp.wrapping_add(ICMP_LEN);
        let Some(about) = understood(ip::parse(view, about_at, Family::V4))? else {
            return Ok(None);
        };
        let is_first = !matches!(about.fragment, Some(Fragment { offset: 1.., .. }));
        let Some(&ports) = there(view.array(about.transport))? else {
            return Ok(None);
        };
        let [_, _, to_hi, to_lo] = ports;
        let to_port = u16::from_be_bytes([to_hi, to_lo]);
        if about.protocol != proto::UDP || !is_first || to_port != port {
            return Ok(None);
        }
        let Some(flow) = there(inside(view, about.transport.wrapping_add(UDP_LEN)))?.flatten()
        else {
            return Ok(None);
        };
        let Addrs::V4 { dst: to, .. } = outer.addrs else {
            return Ok(None);
        };
        Ok(Some(Self {
            to,
            icmp,
            end: outer.end,
            about_at,
            about: about.addrs,
            ports,
            flow,
            mtu: u16::from_be_bytes([mtu_hi, mtu_lo]),
        }))
    }

    /// Whether it is about a packet that went back in this header of its flow.
    #[must_use]
    pub fn is_about(&self, envelope: &Envelope<'_>) -> bool {
        self.about == envelope.outer.reversed() && self.ports == envelope.ports
    }
}

/// The flow of the packet behind the Geneve header at `at`. Of the header, only what says where that packet is counts.
fn inside(view: View<'_>, at: usize) -> Result<Option<Tuple>, Short> {
    let &[version_len, _, proto_hi, proto_lo, ..] = view.array::<BASE_LEN>(at)?;
    let family = match u16::from_be_bytes([proto_hi, proto_lo]) {
        ETHERTYPE_IPV4 => Family::V4,
        ETHERTYPE_IPV6 => Family::V6,
        _ => return Ok(None),
    };
    if version_len >> 6 != 0 {
        return Ok(None);
    }
    let options = usize::from(version_len & 0x3f).wrapping_mul(4);
    quoted(
        view,
        at.wrapping_add(BASE_LEN).wrapping_add(options),
        family,
    )
}

/// None where the packet ends before.
fn there<T>(read: Result<T, Short>) -> Result<Option<T>, Short> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Short::Truncated) => Ok(None),
        Err(short) => Err(short),
    }
}

fn understood(parsed: Result<ip::Ip, IpError>) -> Result<Option<ip::Ip>, Short> {
    match parsed {
        Ok(ip) => Ok(Some(ip)),
        Err(IpError::Malformed) => Ok(None),
        Err(IpError::Short(short)) => there(Err(short)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::checksum::of_header;
    use std::vec::Vec;

    fn v4(protocol: u8, ends: [[u8; 4]; 2], payload: &[u8]) -> Vec<u8> {
        let mut header = [0; 20];
        let len = (20 + payload.len() as u16).to_be_bytes();
        header[..10].copy_from_slice(&[0x45, 0, len[0], len[1], 0, 9, 0, 0, 64, protocol]);
        header[12..16].copy_from_slice(&ends[0]);
        header[16..].copy_from_slice(&ends[1]);
        let sum = of_header(&header);
        header[10..12].copy_from_slice(&sum);
        [&header[..], payload].concat()
    }

    const ROUTER: [u8; 4] = [10, 9, 9, 9];
    const SERVER: [u8; 4] = [192, 0, 2, 1];
    const CLIENT: [u8; 4] = [198, 51, 100, 7];
    const PORTS: [u8; 4] = [0xc3, 0x50, 0x17, 0xc1];
    const HERE: [u8; 4] = [10, 1, 2, 20];
    const BALANCER: [u8; 4] = [10, 1, 1, 10];

    fn error() -> Vec<u8> {
        // As much as behind the ports of the packet inside; 4 bytes of options.
        let mut inner = v4(6, [SERVER, CLIENT], &[1, 0xbb, 0x9c, 0x40]);
        inner[2] = 5;
        let head = [
            &PORTS[..],
            &[9, 9, 0, 0],
            &[1, 0, 8, 0, 0, 0, 0, 0, 1, 8, 9, 0],
        ]
        .concat();
        let mut about = v4(17, [HERE, BALANCER], &[head, inner].concat());
        // The whole packet was longer than what the router gives back.
        about[2] = 8;
        let icmp = [&[3, 4, 0, 0, 0, 0, 5, 0x78][..], &about].concat();
        v4(1, [ROUTER, HERE], &icmp)
    }

    #[test]
    fn says_what_fits_of_which_packet() {
        let packet = error();
        let expected = Narrow {
            to: HERE,
            icmp: 20,
            end: 92,
            about_at: 28,
            about: Addrs::V4 {
                src: HERE,
                dst: BALANCER,
            },
            ports: PORTS,
            flow: Tuple {
                addrs: Addrs::V4 {
                    src: SERVER,
                    dst: CLIENT,
                },
                proto: 6,
                src_port: 443,
                dst_port: 40000,
            },
            mtu: 1400,
        };
        let padded = [&packet[..], &[0; 10]].concat();
        for bytes in [&packet, &padded] {
            let read = Narrow::read(View::whole(bytes), 6081);
            assert_eq!(read, Ok(Some(expected)));
        }
        assert_eq!(Narrow::read(View::whole(&packet), 6082), Ok(None));
    }

    #[test]
    fn is_about_what_went_back_in_the_header_that_came() {
        let packet = error();
        let error = Narrow::read(View::whole(&packet), 6081).unwrap().unwrap();
        let came = Envelope {
            outer: Addrs::V4 {
                src: BALANCER,
                dst: HERE,
            },
            ports: PORTS,
            has_checksum: false,
            base: [0; 8],
            options: &[],
        };
        assert!(error.is_about(&came));
        let ports = [0xc3, 0x51, 0x17, 0xc1];
        assert!(!error.is_about(&Envelope { ports, ..came }));
        for (src, dst) in [(ROUTER, HERE), (BALANCER, ROUTER), (HERE, BALANCER)] {
            let outer = Addrs::V4 { src, dst };
            assert!(!error.is_about(&Envelope { outer, ..came }));
        }
    }

    #[test]
    fn what_is_none() {
        let packet = error();
        for len in 0..packet.len() {
            assert_eq!(Narrow::read(View::whole(&packet[..len]), 6081), Ok(None));
            let read = Narrow::read(View::new(&packet[..len], packet.len()), 6081);
            // Behind the ports of the packet inside, nothing is read.
            assert!(matches!(read, Err(Short::NeedLinear(_))), "{len}");
        }
        // Protocol, kind, code, family of what it is about, its protocol, its place in a datagram, its port; version and protocol of
        // Geneve, and what is inside.
        for (at, value) in [
            (9, 6),
            (20, 11),
            (21, 3),
            (28, 0x65),
            (37, 6),
            (35, 1),
            (51, 0xc2),
            (56, 0x41),
            (58, 9),
            (68, 0x65),
            (75, 1),
        ] {
            let mut other = packet.clone();
            other[at] = value;
            let header: &mut [u8; 20] = other.first_chunk_mut().unwrap();
            header[10..12].fill(0);
            let sum = of_header(header);
            header[10..12].copy_from_slice(&sum);
            assert_eq!(Narrow::read(View::whole(&other), 6081), Ok(None), "{at}");
        }
        let mut spoilt = packet;
        spoilt[11] ^= 1;
        assert_eq!(Narrow::read(View::whole(&spoilt), 6081), Ok(None));
    }
}
