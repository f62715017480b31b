// SPDX-License-Identifier: GPL-2.0

//! Changing a packet in place: it is routed to the backend, as a router with another table would.
//!
//! The destination becomes the backend, the DSCP what the forward says, ECN stays, and TTL or hop limit goes down by one
//! (docs/decisions/0015). All checksums that cover any of it are updated by the difference (RFC 1624), so that a wrong one
//! stays wrong: the IPv4 header's, and those of TCP, UDP, UDP-Lite, DCCP and ICMPv6, whose pseudo header has the destination. A
//! later fragment has an IP header only. The packet inside an ICMP error is not touched: it is what the backend sent.

use crate::director::Verdict;
use crate::packet::addr::Addr;
use crate::packet::checksum::{Delta, UdpChecksum};
use crate::packet::dscp::Dscp;
use crate::packet::ip::{self, proto, Family, Fragment, IpError, IPV4_LEN, IPV6_LEN};
use crate::packet::view::{Short, View};

/// What a forward changes, beside the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// The DSCP that the packet gets.
    pub dscp: Dscp,
}

/// Where in a packet stands what changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// The transport header, or a later fragment's payload: its offset from the IP header.
    transport: usize,
    /// The transport header's checksum that covers the destination, if there is one.
    check: Option<Check>,
    /// TOS or traffic class that the packet has.
    tos: u8,
}

/// A checksum of a transport header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Check {
    /// Its offset from the IP header.
    at: usize,
    /// Whether 0 says that there is none, as in UDP.
    optional: bool,
}

/// Why a packet cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchanged {
    /// Make the first `usize` bytes linear and ask again.
    NeedLinear(usize),
    /// Its way ends here.
    Ends(Verdict),
}

impl Spot {
    /// Finds what changes in the packet of `view`, from its IP header on.
    #[inline]
    pub fn find(view: View<'_>, family: Family) -> Result<Self, Unchanged> {
        let ip = ip::parse(view, 0, family)?;
        let view = view.limit(ip.end);
        let ttl = match family {
            Family::V4 => view.byte(8)?,
            Family::V6 => view.byte(7)?,
        };
        // A router answers such a packet. The rest of the stack knows how, and whether.
        if ttl <= 1 {
            return Err(Unchanged::Ends(Verdict::PassedTtl));
        }
        // A link-local source has a meaning on its own link only (RFC 4291, section 2.5.6).
        if family == Family::V6 && view.byte(8)? == 0xfe && view.byte(9)? & 0xc0 == 0x80 {
            return Err(Unchanged::Ends(Verdict::PassedMartian));
        }
        let (offset, optional) = match (ip.protocol, family, ip.fragment) {
            (_, _, Some(Fragment { offset: 1.., .. })) => (None, false),
            (proto::TCP, _, _) => (Some(16), false),
            (proto::UDP | proto::UDPLITE, _, _) => (Some(6), true),
            (proto::DCCP, _, _) => (Some(6), false),
            (proto::ICMPV6, Family::V6, _) => (Some(2), false),
            _ => (None, false),
        };
        let check = match offset {
            None => None,
            Some(offset) => {
                let at = ip.transport.wrapping_add(offset);
                match view.array::<2>(at) {
                    Ok(_) => Some(Check { at, optional }),
                    Err(Short::NeedLinear(len)) => return Err(Unchanged::NeedLinear(len)),
                    // A first fragment that is shorter than its transport header: the checksum is in another one.
                    Err(Short::Truncated) if ip.fragment.is_some() => {
                        return Err(Unchanged::Ends(Verdict::DroppedFragment));
                    }
                    Err(Short::Truncated) => return Err(UNKNOWN),
                }
            }
        };
        Ok(Self {
            transport: ip.transport,
            check,
            tos: ip::tos(view, family)?,
        })
    }

    /// TOS or traffic class that the packet has.
    #[inline]
    #[must_use]
    pub fn tos(&self) -> u8 {
        self.tos
    }

    /// Offset of the transport header.
    #[inline]
    #[must_use]
    pub fn transport(&self) -> usize {
        self.transport
    }

    /// Bytes of the packet, from its IP header on, that [`Self::write`] needs.
    #[inline]
    #[must_use]
    pub fn len(&self, family: Family) -> usize {
        match (self.check, family) {
            // It stands behind the IP header.
            (Some(check), _) => check.at.wrapping_add(2),
            (None, Family::V4) => IPV4_LEN,
            (None, Family::V6) => IPV6_LEN,
        }
    }

    /// Changes the packet that begins with `head`, so that it goes to `to`. `sum` says what the transport header's checksum
    /// field holds. `None` if the backend is not of the packet's family, or `head` is too short.
    #[inline]
    pub fn write(&self, head: &mut [u8], to: Addr, edit: Edit, sum: UdpChecksum) -> Option<()> {
        // First what may fail, so that a packet is changed whole or not at all.
        if let Some(check) = self.check {
            head.get(check.at..)?.first_chunk::<2>()?;
        }
        let pseudo = match (head.first()? >> 4, to) {
            (4, Addr::V4(to)) => write_v4(head, to, edit)?,
            (6, Addr::V6(to)) => write_v6(head, to, edit)?,
            _ => return None,
        };
        if let Some(check) = self.check {
            let field = head.get_mut(check.at..)?.first_chunk_mut::<2>()?;
            let old = u16::from_be_bytes(*field);
            let new = match (sum, check.optional) {
                (UdpChecksum::PseudoHeader, _) => pseudo.apply_to_sum(old),
                (UdpChecksum::Complete, true) if old == 0 => 0,
                // RFC 768: a computed 0 is sent as all ones.
                (UdpChecksum::Complete, true) => match pseudo.apply(old) {
                    0 => 0xffff,
                    new => new,
                },
                (UdpChecksum::Complete, false) => pseudo.apply(old),
            };
            *field = new.to_be_bytes();
        }
        Some(())
    }
}

const UNKNOWN: Unchanged = Unchanged::Ends(Verdict::PassedUnknownFormat);

impl From<Short> for Unchanged {
    #[inline]
    fn from(short: Short) -> Self {
        match short {
            Short::NeedLinear(len) => Self::NeedLinear(len),
            Short::Truncated => UNKNOWN,
        }
    }
}

impl From<IpError> for Unchanged {
    #[inline]
    fn from(error: IpError) -> Self {
        match error {
            IpError::Short(short) => short.into(),
            IpError::Malformed => UNKNOWN,
        }
    }
}

/// Changes an IPv4 header; answers what changed in the pseudo header.
#[inline(always)]
fn write_v4(head: &mut [u8], to: [u8; 4], edit: Edit) -> Option<Delta> {
    let header: &mut [u8; IPV4_LEN] = head.first_chunk_mut()?;
    let [version_ihl, tos, _, _, _, _, _, _, ttl, protocol, check_hi, check_lo, _, _, _, _, d0, d1, d2, d3] =
        header;
    let old = [*d0, *d1, *d2, *d3];
    let (new_tos, new_ttl) = (edit.dscp.over(*tos), ttl.wrapping_sub(1));
    let pseudo = Delta::NONE.replaced(&old, &to);
    let header = pseudo
        .replaced(&[*version_ihl, *tos], &[*version_ihl, new_tos])
        .replaced(&[*ttl, *protocol], &[new_ttl, *protocol]);
    let check = u16::from_be_bytes([*check_hi, *check_lo]);
    [*check_hi, *check_lo] = header.apply(check).to_be_bytes();
    (*tos, *ttl) = (new_tos, new_ttl);
    [*d0, *d1, *d2, *d3] = to;
    Some(pseudo)
}

/// The same of an IPv6 header.
#[inline(always)]
fn write_v6(head: &mut [u8], to: [u8; 16], edit: Edit) -> Option<Delta> {
    let header: &mut [u8; IPV6_LEN] = head.first_chunk_mut()?;
    let (fixed, addrs) = header.split_first_chunk_mut::<8>()?;
    let [first, second, _, _, _, _, _, hop_limit] = fixed;
    let tos = edit.dscp.over(*first << 4 | *second >> 4);
    *first = *first & 0xf0 | tos >> 4;
    *second = *second & 0x0f | tos << 4;
    *hop_limit = hop_limit.wrapping_sub(1);
    let destination = addrs.get_mut(16..)?.first_chunk_mut::<16>()?;
    let pseudo = Delta::NONE.replaced(destination, &to);
    *destination = to;
    Some(pseudo)
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
pub(super) mod tests;
