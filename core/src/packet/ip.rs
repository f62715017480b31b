// SPDX-License-Identifier: GPL-2.0

//! IPv4 and IPv6 headers, up to the transport header (RFC 791, RFC 8200).
//!
//! Options are stepped over by the header length, extension headers by their own lengths, a bounded
//! number of them. The lengths in the headers bound what is read: padding behind the datagram is never
//! taken for a header.

use super::view::{Short, View};

/// IP protocol numbers that the engine looks at (IANA "Assigned Internet Protocol Numbers").
pub mod proto {
    /// IPv6 Hop-by-Hop Options.
    pub const HOPOPTS: u8 = 0;
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// IPv4 in IP.
    pub const IPIP: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP.
    pub const IPV6: u8 = 41;
    /// IPv6 Routing header.
    pub const ROUTING: u8 = 43;
    /// IPv6 Fragment header.
    pub const FRAGMENT: u8 = 44;
    /// Generic routing encapsulation.
    pub const GRE: u8 = 47;
    /// Encapsulating Security Payload.
    pub const ESP: u8 = 50;
    /// Authentication header.
    pub const AH: u8 = 51;
    /// Datagram Congestion Control Protocol.
    pub const DCCP: u8 = 33;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6 Destination Options.
    pub const DSTOPTS: u8 = 60;
    /// Stream Control Transmission Protocol.
    pub const SCTP: u8 = 132;
    /// Lightweight User Datagram Protocol.
    pub const UDPLITE: u8 = 136;
}

/// Length of an IPv4 header without options, bytes.
pub const IPV4_LEN: usize = 20;
/// Length of the IPv6 fixed header, bytes.
pub const IPV6_LEN: usize = 40;

/// Extension headers stepped over at most; a packet with more is not understood. RFC 8200, section 4.1,
/// knows seven, each once (Destination Options twice).
const MAX_EXTENSION_HEADERS: usize = 8;

/// Which IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Bits of an address: 32 or 128.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The protocol number of such a packet in another one.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => proto::IPIP,
            Self::V6 => proto::IPV6,
        }
    }
}

/// TOS or traffic class of the packet at the view's start: DSCP and ECN.
#[inline]
pub fn tos(view: View<'_>, family: Family) -> Result<u8, Short> {
    let &[first, second] = view.array(0)?;
    Ok(match family {
        Family::V4 => second,
        Family::V6 => first << 4 | second >> 4,
    })
}

/// Source and destination of a packet, network byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addrs {
    /// Of an IPv4 packet.
    V4 {
        /// Source.
        src: [u8; 4],
        /// Destination.
        dst: [u8; 4],
    },
    /// Of an IPv6 packet.
    V6 {
        /// Source.
        src: [u8; 16],
        /// Destination.
        dst: [u8; 16],
    },
}

impl Addrs {
    /// Reads them from the header of family `family` at `at`.
    #[inline]
    pub fn read(view: View<'_>, at: usize, family: Family) -> Result<Self, Short> {
        Ok(match family {
            Family::V4 => {
                let &[s0, s1, s2, s3, d0, d1, d2, d3] = view.array(at.wrapping_add(12))?;
                Self::V4 {
                    src: [s0, s1, s2, s3],
                    dst: [d0, d1, d2, d3],
                }
            }
            Family::V6 => Self::V6 {
                src: *view.array(at.wrapping_add(8))?,
                dst: *view.array(at.wrapping_add(24))?,
            },
        })
    }

    /// The same pair seen from the other end.
    #[inline]
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::V4 { src, dst } => Self::V4 { src: dst, dst: src },
            Self::V6 { src, dst } => Self::V6 { src: dst, dst: src },
        }
    }

    /// Whether both go to one address.
    #[must_use]
    pub fn have_one_receiver(self, other: Self) -> bool {
        match (self, other) {
            (Self::V4 { dst: a, .. }, Self::V4 { dst: b, .. }) => a == b,
            (Self::V6 { dst: a, .. }, Self::V6 { dst: b, .. }) => a == b,
            _ => false,
        }
    }
}

/// Where a packet stands in a fragmented datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Identification: 32 bits in IPv6. In IPv4 the low 16 bits, below the protocol: each protocol has identifications of its
    /// own (RFC 791, section 3.2).
    pub id: u32,
    /// Offset in units of 8 bytes; 0 is the first fragment, the only one with a transport header.
    pub offset: u16,
}

/// An IP packet up to its transport header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip {
    /// Source and destination.
    pub addrs: Addrs,
    /// Protocol of the transport header, extension headers stepped over.
    pub protocol: u8,
    /// Offset of the transport header (of the payload, in a later fragment) from the view's start.
    pub transport: usize,
    /// End of the datagram by its header's length, offset from the view's start; `usize::MAX` where the
    /// header does not say (an aggregate of more than 64 KiB has length 0).
    pub end: usize,
    /// Set in fragments.
    pub fragment: Option<Fragment>,
}

/// Why a header was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpError {
    /// Bytes are missing.
    Short(Short),
    /// A field has a value that no correct header has.
    Malformed,
}

impl From<Short> for IpError {
    #[inline]
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

/// Reads the header of family `family` at `at`.
///
/// Always inline: callers use few of the fields, and what they do not use is not read.
#[inline(always)]
pub fn parse(view: View<'_>, at: usize, family: Family) -> Result<Ip, IpError> {
    match family {
        Family::V4 => parse_v4(view, at),
        Family::V6 => parse_v6(view, at),
    }
}

#[inline(always)]
fn parse_v4(view: View<'_>, at: usize) -> Result<Ip, IpError> {
    let header: &[u8; IPV4_LEN] = view.array(at)?;
    let &[version_ihl, _, len_hi, len_lo, id_hi, id_lo, frag_hi, frag_lo, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        header;
    let header_len = usize::from(version_ihl & 0x0f) << 2;
    let total_len = usize::from(u16::from_be_bytes([len_hi, len_lo]));
    if version_ihl >> 4 != 4 || header_len < IPV4_LEN || (total_len != 0 && total_len < header_len)
    {
        return Err(IpError::Malformed);
    }
    let flags_offset = u16::from_be_bytes([frag_hi, frag_lo]);
    let more = flags_offset & 0x2000 != 0;
    let offset = flags_offset & 0x1fff;
    Ok(Ip {
        addrs: Addrs::V4 {
            src: [s0, s1, s2, s3],
            dst: [d0, d1, d2, d3],
        },
        protocol,
        transport: at.wrapping_add(header_len),
        end: end_of(at, total_len),
        fragment: (more || offset != 0).then(|| Fragment {
            id: u32::from_be_bytes([0, protocol, id_hi, id_lo]),
            offset,
        }),
    })
}

#[inline(always)]
fn parse_v6(view: View<'_>, at: usize) -> Result<Ip, IpError> {
    let &[version, ..] = view.array::<IPV6_LEN>(at)?;
    if version >> 4 != 6 {
        return Err(IpError::Malformed);
    }
    let payload_len = usize::from(view.be16(at.wrapping_add(4))?);
    let protocol = view.byte(at.wrapping_add(6))?;
    let transport = at.wrapping_add(IPV6_LEN);
    let end = if payload_len == 0 {
        usize::MAX
    } else {
        end_of(at, payload_len.wrapping_add(IPV6_LEN))
    };
    // Taken apart at once: a `Behind` that is lent out would be stored for every packet (docs/decisions/0008).
    let Behind {
        protocol,
        transport,
        fragment,
    } = if is_extension(protocol) {
        skip_extensions(view.limit(end), protocol, transport)?
    } else {
        Behind {
            protocol,
            transport,
            fragment: None,
        }
    };
    Ok(Ip {
        addrs: Addrs::read(view, at, Family::V6)?,
        protocol,
        transport,
        end,
        fragment,
    })
}

/// What stands behind extension headers.
struct Behind {
    protocol: u8,
    transport: usize,
    fragment: Option<Fragment>,
}

#[inline]
fn end_of(at: usize, len: usize) -> usize {
    if len == 0 {
        usize::MAX
    } else {
        at.wrapping_add(len)
    }
}

/// Whether it is the number of an IPv6 extension header that is stepped over.
#[inline]
pub(crate) fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        proto::HOPOPTS | proto::ROUTING | proto::FRAGMENT | proto::AH | proto::DSTOPTS
    )
}

/// Steps over extension headers to the transport header or, in a later fragment, to the payload.
#[inline(never)]
fn skip_extensions(view: View<'_>, protocol: u8, transport: usize) -> Result<Behind, IpError> {
    let mut behind = Behind {
        protocol,
        transport,
        fragment: None,
    };
    for _ in 0..MAX_EXTENSION_HEADERS {
        if !is_extension(behind.protocol) {
            return Ok(behind);
        }
        let &[next, len] = view.array(behind.transport)?;
        let header_len = match behind.protocol {
            proto::FRAGMENT => {
                let &[_, _, frag_hi, frag_lo, id0, id1, id2, id3] = view.array(behind.transport)?;
                let flags_offset = u16::from_be_bytes([frag_hi, frag_lo]);
                // An atomic fragment (RFC 6946) is whole: offset 0 and no more to come.
                if flags_offset & 0xfff9 != 0 {
                    behind.fragment = Some(Fragment {
                        id: u32::from_be_bytes([id0, id1, id2, id3]),
                        offset: flags_offset >> 3,
                    });
                }
                8
            }
            // RFC 4302: the length is in 4-byte units, minus 2.
            proto::AH => usize::from(len).wrapping_add(2) << 2,
            _ => usize::from(len).wrapping_add(1) << 3,
        };
        behind.protocol = next;
        behind.transport = behind.transport.wrapping_add(header_len);
        if matches!(behind.fragment, Some(Fragment { offset: 1.., .. })) {
            return Ok(behind);
        }
    }
    if is_extension(behind.protocol) {
        return Err(IpError::Malformed);
    }
    Ok(behind)
}

/// Whether the IPv6 packet at the view's start has a routing header with segments left: its destination is a stop on the way.
/// An extension header that is not at hand or not understood is none.
pub fn has_segments_left(view: View<'_>) -> Result<bool, Short> {
    let mut kind = view.byte(6)?;
    let mut at = IPV6_LEN;
    for _ in 0..MAX_EXTENSION_HEADERS {
        if !is_extension(kind) {
            return Ok(false);
        }
        let &[next, len, _, segments_left] = view.array(at)?;
        if kind == proto::ROUTING && segments_left != 0 {
            return Ok(true);
        }
        at = at.wrapping_add(match kind {
            proto::FRAGMENT => 8,
            proto::AH => usize::from(len).wrapping_add(2) << 2,
            _ => usize::from(len).wrapping_add(1) << 3,
        });
        kind = next;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn v4(options: usize, frag: u16, payload: usize) -> Vec<u8> {
        let mut p = vec![0u8; 20 + options + payload];
        p[0] = 0x45 + (options / 4) as u8;
        let len = p.len() as u16;
        p[2..4].copy_from_slice(&len.to_be_bytes());
        p[4..6].copy_from_slice(&[0xab, 0xcd]);
        p[6..8].copy_from_slice(&frag.to_be_bytes());
        p[9] = proto::TCP;
        p[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        p
    }

    fn v6(chain: &[(u8, &[u8])], last: u8) -> Vec<u8> {
        let mut p = vec![0u8; 40];
        p[0] = 0x60;
        p[6] = chain.first().map_or(last, |c| c.0);
        for (i, (_, body)) in chain.iter().enumerate() {
            let mut body = body.to_vec();
            body[0] = chain.get(i + 1).map_or(last, |c| c.0);
            p.extend(body);
        }
        p.extend([0; 20]);
        let len = (p.len() - 40) as u16;
        p[4..6].copy_from_slice(&len.to_be_bytes());
        p
    }

    #[test]
    fn ipv4_options_are_stepped_over() {
        for options in (0..=40).step_by(4) {
            let p = v4(options, 0x4000, 20);
            let ip = parse(View::whole(&p), 0, Family::V4).unwrap();
            assert_eq!(ip.transport, 20 + options);
            assert_eq!(ip.end, p.len());
            assert_eq!(ip.fragment, None);
        }
    }

    #[test]
    fn ipv4_fragments() {
        let first = parse(View::whole(&v4(0, 0x2000, 24)), 0, Family::V4).unwrap();
        assert_eq!(
            first.fragment,
            Some(Fragment {
                id: 0x06_abcd,
                offset: 0
            })
        );
        let last = parse(View::whole(&v4(0, 0x0003, 24)), 0, Family::V4).unwrap();
        assert_eq!(
            last.fragment,
            Some(Fragment {
                id: 0x06_abcd,
                offset: 3
            })
        );
    }

    #[test]
    fn ipv4_fragments_of_each_protocol_have_numbers_of_their_own() {
        let of = |protocol| {
            let mut bytes = v4(0, 0x2000, 24);
            bytes[9] = protocol;
            parse(View::whole(&bytes), 0, Family::V4).unwrap().fragment
        };
        assert_ne!(of(proto::TCP), of(proto::UDP));
        assert_eq!(of(proto::UDP).map(|one| one.id & 0xffff), Some(0xabcd));
    }

    #[test]
    fn ipv4_bad_headers() {
        for (byte, value) in [(0, 0x65), (0, 0x44), (3, 19)] {
            let mut p = v4(0, 0, 20);
            p[byte] = value;
            assert_eq!(
                parse(View::whole(&p), 0, Family::V4),
                Err(IpError::Malformed)
            );
        }
        assert_eq!(
            parse(View::whole(&v4(0, 0, 0)[..19]), 0, Family::V4),
            Err(IpError::Short(Short::Truncated))
        );
    }

    #[test]
    fn ipv6_extension_headers() {
        let p = v6(
            &[
                (proto::HOPOPTS, &[0; 8]),
                (
                    proto::ROUTING,
                    &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                ),
                (proto::AH, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
                (proto::FRAGMENT, &[0, 0, 0, 1, 1, 2, 3, 4]),
                (proto::DSTOPTS, &[0; 8]),
            ],
            proto::TCP,
        );
        let ip = parse(View::whole(&p), 0, Family::V6).unwrap();
        assert_eq!(
            (ip.protocol, ip.transport),
            (proto::TCP, 40 + 8 + 16 + 12 + 8 + 8)
        );
        assert_eq!(
            ip.fragment,
            Some(Fragment {
                id: 0x0102_0304,
                offset: 0
            })
        );
    }

    #[test]
    fn ipv6_later_fragment_ends_the_chain() {
        // What follows the fragment header is payload, whatever it looks like.
        let p = v6(
            &[(proto::FRAGMENT, &[0, 0, 0, 8, 0, 0, 0, 9])],
            proto::DSTOPTS,
        );
        let ip = parse(View::whole(&p), 0, Family::V6).unwrap();
        assert_eq!((ip.protocol, ip.transport), (proto::DSTOPTS, 48));
        assert_eq!(ip.fragment, Some(Fragment { id: 9, offset: 1 }));
    }

    #[test]
    fn ipv6_atomic_fragment_is_whole() {
        let p = v6(&[(proto::FRAGMENT, &[0, 0, 0, 0, 0, 0, 0, 9])], proto::TCP);
        assert_eq!(
            parse(View::whole(&p), 0, Family::V6).unwrap().fragment,
            None
        );
    }

    #[test]
    fn ipv6_chain_is_bounded() {
        let eight: Vec<(u8, &[u8])> = vec![(proto::DSTOPTS, &[0; 8]); 8];
        assert!(parse(View::whole(&v6(&eight, proto::TCP)), 0, Family::V6).is_ok());
        let nine: Vec<(u8, &[u8])> = vec![(proto::DSTOPTS, &[0; 8]); 9];
        assert_eq!(
            parse(View::whole(&v6(&nine, proto::TCP)), 0, Family::V6),
            Err(IpError::Malformed)
        );
    }
}
