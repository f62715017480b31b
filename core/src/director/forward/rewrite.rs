// SPDX-License-Identifier: GPL-2.0

//! Changing a packet in place: it is routed to the backend, or back to the client, as a router with another table would.
//!
//! One address becomes another, and TTL or hop limit goes down by one (docs/decisions/0015). What else changes is an [`Edit`]:
//! the DSCP, or the port at that address. All checksums that cover any of it are updated by the difference (RFC 1624), so that a
//! wrong one stays wrong: the IPv4 header's, those of TCP, UDP, UDP-Lite, DCCP and ICMPv6, whose pseudo header has the addresses,
//! and the CRC32c of SCTP, which has no pseudo header. A later fragment has an IP header only. A packet of a protocol whose
//! checksum or signature covers the addresses and is not updated here is left to the stack: no receiver would take it.
//!
//! The packet inside an ICMP error was sent the other way. Where addresses are translated it is, too: at its other end, with
//! its own checksums and that of the ICMP message (RFC 5508). Where a DSCP says what the packet is about it is not touched: it
//! is what the backend sent.

use crate::director::classify::bind::Proto;
use crate::director::inspect::is_icmp_error;
use crate::director::Verdict;
use crate::packet::addr::Addr;
use crate::packet::checksum::{Delta, UdpChecksum};
use crate::packet::crc32c;
use crate::packet::dscp::Dscp;
use crate::packet::ip::{self, proto, Family, Fragment, Ip, IpError, IPV4_LEN, IPV6_LEN};
use crate::packet::view::{Short, View};
use core::num::NonZeroU16;

/// What changes in a packet, beside an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// The DSCP becomes this one.
    Mark(Dscp),
    /// The port becomes this one, if one is given; and what is inside an ICMP error is translated, too.
    Translate(Option<NonZeroU16>),
}

impl Edit {
    /// TOS or traffic class of a packet that had this one.
    #[inline(always)]
    #[must_use]
    pub const fn tos(self, old: u8) -> u8 {
        match self {
            Self::Mark(dscp) => dscp.over(old),
            Self::Translate(_) => old,
        }
    }

    /// Port, at the end that changes, of a packet that had this one: routes and policies are asked for the packet that leaves.
    #[inline]
    #[must_use]
    pub const fn port(self, old: u16) -> u16 {
        match self {
            Self::Translate(Some(port)) => port.get(),
            Self::Translate(None) | Self::Mark(_) => old,
        }
    }
}

/// Whose address changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The sender's.
    Source,
    /// The receiver's.
    Destination,
}

impl End {
    const fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }
}

/// What a packet becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whose address changes.
    pub end: End,
    /// What it becomes.
    pub addr: Addr,
    /// What else changes.
    pub edit: Edit,
}

impl Change {
    /// Of a packet that goes to a backend.
    #[inline(always)]
    #[must_use]
    pub const fn toward(backend: Addr, edit: Edit) -> Self {
        Self {
            end: End::Destination,
            addr: backend,
            edit,
        }
    }
}

/// Where in a packet stands what changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// The transport header, or a later fragment's payload: its offset from the IP header.
    transport: usize,
    /// Whether the transport header begins with ports, and they may change.
    ports: bool,
    /// The transport header's checksum that covers what changes, if there is one.
    check: Option<Check>,
    /// The packet inside an ICMP error, if it changes.
    inside: Option<Inside>,
    /// TOS or traffic class that the packet has.
    tos: u8,
}

/// The packet inside an ICMP error: offsets from the outer IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Inside {
    ip: usize,
    transport: usize,
    /// Whether it begins with ports: an echo does not.
    ports: bool,
    /// If the error has that much of the packet.
    check: Option<Check>,
}

/// A checksum of a transport header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Check {
    /// Its offset from the IP header.
    at: usize,
    covers: Covers,
}

/// What a checksum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Covers {
    /// Pseudo header and message.
    Both,
    /// Likewise; 0 says that there is none, as in UDP.
    BothIfAny,
    /// The message alone, as in ICMP over IPv4.
    Message,
    /// A message of so many bytes, by CRC32c, as in SCTP.
    Crc(usize),
}

impl Check {
    /// Where it ends.
    #[inline]
    const fn end(self) -> usize {
        match self.covers {
            Covers::Crc(_) => self.at.wrapping_add(4),
            _ => self.at.wrapping_add(2),
        }
    }

    /// Whether it is at hand.
    fn look(self, view: View<'_>) -> Result<(), Short> {
        match self.covers {
            Covers::Crc(_) => view.array::<4>(self.at).map(|_| ()),
            _ => view.array::<2>(self.at).map(|_| ()),
        }
    }
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
    /// Finds what changes by `edit` in the packet of `view`, from its IP header on.
    #[inline(always)]
    pub fn find(view: View<'_>, family: Family, edit: Edit) -> Result<Self, Unchanged> {
        Self::find_in(view, family, edit, None)
    }

    /// The same; of a fragment that was cut here, `whole` is how many bytes its packet had behind the IP header.
    #[inline(always)]
    pub fn find_in(
        view: View<'_>,
        family: Family,
        edit: Edit,
        whole: Option<usize>,
    ) -> Result<Self, Unchanged> {
        let common = match whole {
            None => Self::find_common(view, family, edit),
            Some(_) => None,
        };
        match common {
            Some(spot) => Ok(spot),
            None => Self::find_any(view, family, edit, whole),
        }
    }

    /// The same in few steps, in a packet that most packets are like: whole, without options, TCP or UDP.
    #[inline(always)]
    fn find_common(view: View<'_>, family: Family, edit: Edit) -> Option<Self> {
        let (end, protocol) = match family {
            Family::V4 => {
                let &[version_ihl, _, len_hi, len_lo, _, _, frag_hi, frag_lo, _, protocol, ..]: &[u8; IPV4_LEN] =
                    view.linear().first_chunk()?;
                if version_ihl != 0x45 || frag_hi & 0x3f != 0 || frag_lo != 0 {
                    return None;
                }
                let len = u16::from_be_bytes([len_hi, len_lo]);
                (usize::from(len), protocol)
            }
            Family::V6 => {
                let &[version, _, _, _, len_hi, len_lo, protocol, ..]: &[u8; IPV6_LEN] =
                    view.linear().first_chunk()?;
                if version >> 4 != 6 {
                    return None;
                }
                let len = u16::from_be_bytes([len_hi, len_lo]);
                (usize::from(len).wrapping_add(IPV6_LEN), protocol)
            }
        };
        let proto = Proto::from_number(protocol)?;
        Self::of_common(view.limit(end), family, edit, proto)
    }

    /// The same in a packet that is known to be one of those ([`common`](crate::director::common)), of this protocol, and that ends
    /// with the view. All but what such a packet can differ in is known to the compiler from there on. `None` if more is to be said,
    /// as [`Self::find`] does.
    #[inline(always)]
    #[must_use]
    pub fn of_common(view: View<'_>, family: Family, edit: Edit, proto: Proto) -> Option<Self> {
        let (transport, ttl) = match family {
            Family::V4 => {
                let header: &[u8; IPV4_LEN] = view.linear().first_chunk()?;
                let &[_, _, _, _, _, _, _, _, ttl, ..] = header;
                (IPV4_LEN, ttl)
            }
            Family::V6 => {
                let header: &[u8; IPV6_LEN] = view.linear().first_chunk()?;
                let &[_, _, _, _, _, _, _, ttl, s0, ..] = header;
                // Whether the source is link-local is looked at where it may be.
                if s0 == 0xfe {
                    return None;
                }
                (IPV6_LEN, ttl)
            }
        };
        let (at, covers) = match proto {
            Proto::Tcp => (16, Covers::Both),
            Proto::Udp => (6, Covers::BothIfAny),
            Proto::Sctp => return None,
        };
        let check = Check {
            at: transport.wrapping_add(at),
            covers,
        };
        if ttl <= 1 || check.end() > view.linear().len() {
            return None;
        }
        Some(Self {
            transport,
            ports: matches!(edit, Edit::Translate(_)),
            check: Some(check),
            inside: None,
            tos: ip::tos(view, family).ok()?,
        })
    }

    #[inline(never)]
    fn find_any(
        view: View<'_>,
        family: Family,
        edit: Edit,
        whole: Option<usize>,
    ) -> Result<Self, Unchanged> {
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
        if is_covered(view, &ip, family) {
            return Err(Unchanged::Ends(Verdict::PassedCovered));
        }
        let mut spot = Self {
            transport: ip.transport,
            ports: false,
            check: None,
            inside: None,
            tos: ip::tos(view, family)?,
        };
        if matches!(ip.fragment, Some(Fragment { offset: 1.., .. })) {
            return Ok(spot);
        }
        if let Edit::Translate(port) = edit {
            spot = spot.find_translated(view, &ip, family)?;
            // Its CRC covers the other fragments, too, whose length nobody knows yet if it was cut elsewhere.
            if ip.protocol == proto::SCTP && ip.fragment.is_some() && port.is_some() {
                let whole = whole.ok_or(Unchanged::Ends(Verdict::DroppedFragment))?;
                spot.check = spot.check.map(|check| Check {
                    covers: Covers::Crc(whole),
                    ..check
                });
            }
        }
        if let Some(check) = spot.check.or_else(|| pseudo_check(&ip, family)) {
            match check.look(view) {
                Ok(()) => spot.check = Some(check),
                Err(Short::NeedLinear(len)) => return Err(Unchanged::NeedLinear(len)),
                // A first fragment that is shorter than its transport header: the checksum is in another one.
                Err(Short::Truncated) if ip.fragment.is_some() => {
                    return Err(Unchanged::Ends(Verdict::DroppedFragment));
                }
                Err(Short::Truncated) => return Err(UNKNOWN),
            }
        }
        Ok(spot)
    }

    /// The same with what a translation changes beside an address.
    fn find_translated(
        mut self,
        view: View<'_>,
        ip: &Ip,
        family: Family,
    ) -> Result<Self, Unchanged> {
        let icmp = match family {
            Family::V4 => proto::ICMP,
            Family::V6 => proto::ICMPV6,
        };
        match ip.protocol {
            proto::TCP | proto::UDP => self.ports = true,
            proto::SCTP => {
                self.ports = true;
                let len = view.len().wrapping_sub(ip.transport);
                self.check = Some(Check {
                    at: ip.transport.wrapping_add(8),
                    covers: Covers::Crc(len),
                });
            }
            protocol if protocol == icmp && is_icmp_error(family, view.byte(ip.transport)?) => {
                let at = ip.transport.wrapping_add(ICMP_LEN);
                self.inside = Some(Inside::find(view, at, family)?);
                self.check = Some(Check {
                    at: ip.transport.wrapping_add(2),
                    covers: match family {
                        Family::V4 => Covers::Message,
                        Family::V6 => Covers::Both,
                    },
                });
            }
            _ => {}
        }
        if self.ports {
            view.array::<4>(ip.transport)?;
        }
        Ok(self)
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
    #[inline(always)]
    #[must_use]
    pub fn len(&self, family: Family) -> usize {
        let header = match family {
            Family::V4 => IPV4_LEN,
            Family::V6 => IPV6_LEN,
        };
        // What stands further behind is longer.
        let ports = match self.ports {
            true => self.transport.wrapping_add(4),
            false => header,
        };
        let check = self.check.map_or(0, Check::end);
        let inside = self.inside.map_or(0, |inside| inside.end());
        ports.max(check).max(inside)
    }

    /// Changes the packet that begins with `head`. `sum` says what the transport header's checksum field holds. `None` if the
    /// new address is not of the packet's family, or `head` is too short.
    #[inline(always)]
    pub fn write(&self, head: &mut [u8], change: &Change, sum: UdpChecksum) -> Option<()> {
        let family = match (head.first()? >> 4, change.addr) {
            (4, Addr::V4(_)) => Family::V4,
            (6, Addr::V6(_)) => Family::V6,
            _ => return None,
        };
        // First what may fail, so that a packet is changed whole or not at all.
        head.get(..self.len(family))?;
        let pseudo = match change.addr {
            Addr::V4(to) => write_v4(head, to, change)?,
            Addr::V6(to) => write_v6(head, to, change)?,
        };
        let mut ports = ([0; 4], [0; 4]);
        if self.ports {
            ports = write_port(head, self.transport, change.end, change.edit)?;
        }
        let Some(check) = self.check else {
            return Some(());
        };
        let mut whole = match check.covers {
            Covers::Message => Delta::NONE,
            _ => pseudo,
        };
        whole = whole.replaced(&ports.0, &ports.1);
        if let Some(inside) = self.inside {
            // Of a copy, so that what changes in most packets is in no memory.
            let change = *change;
            whole = inside.write(head, &change, whole)?;
        }
        match sum {
            UdpChecksum::Complete => check.mend(head, whole, ports),
            // What covers the data is yet to come.
            UdpChecksum::PseudoHeader => match check.covers {
                Covers::Both | Covers::BothIfAny => {
                    let field = head.get_mut(check.at..)?.first_chunk_mut::<2>()?;
                    *field = pseudo
                        .apply_to_sum(u16::from_be_bytes(*field))
                        .to_be_bytes();
                    Some(())
                }
                Covers::Message | Covers::Crc(_) => Some(()),
            },
        }
    }
}

/// The checksum that covers the pseudo header of a packet that is no later fragment.
#[inline]
fn pseudo_check(ip: &Ip, family: Family) -> Option<Check> {
    let (offset, covers) = match (ip.protocol, family) {
        (proto::TCP, _) => (16, Covers::Both),
        (proto::UDP | proto::UDPLITE, _) => (6, Covers::BothIfAny),
        (proto::DCCP, _) => (6, Covers::Both),
        (proto::ICMPV6, Family::V6) => (2, Covers::Both),
        _ => return None,
    };
    Some(Check {
        at: ip.transport.wrapping_add(offset),
        covers,
    })
}

/// Whether a checksum or signature that is not updated covers the addresses of a packet: of a whole one, and of each fragment.
#[inline]
fn is_covered(view: View<'_>, ip: &Ip, family: Family) -> bool {
    match (family, ip.protocol) {
        (_, proto::AH | proto::HIP) => true,
        (Family::V4, _) => false,
        // Their pseudo header is that of ICMPv6 (RFC 5340, RFC 7761, RFC 5798, RFC 6275).
        (Family::V6, proto::OSPF | proto::PIM | proto::VRRP | proto::MOBILITY) => true,
        (Family::V6, _) => ip.transport != IPV6_LEN && ip::is_authenticated(view),
    }
}

impl Check {
    /// Makes a final checksum right again, where what it covers has changed by `whole`, of which these are the ports.
    #[inline(always)]
    fn mend(self, head: &mut [u8], whole: Delta, ports: ([u8; 4], [u8; 4])) -> Option<()> {
        let field = head.get_mut(self.at..)?;
        if let Covers::Crc(len) = self.covers {
            return mend_crc(field, len, ports);
        }
        let field = field.first_chunk_mut::<2>()?;
        let old = u16::from_be_bytes(*field);
        let new = match self.covers {
            Covers::BothIfAny if old == 0 => 0,
            // RFC 768: a computed 0 is sent as all ones.
            Covers::BothIfAny => match whole.apply(old) {
                0 => 0xffff,
                new => new,
            },
            _ => whole.apply(old),
        };
        *field = new.to_be_bytes();
        Some(())
    }
}

/// The same of the CRC32c that `field` begins with, of `len` bytes.
#[inline(never)]
fn mend_crc(field: &mut [u8], len: usize, ports: ([u8; 4], [u8; 4])) -> Option<()> {
    let field = field.first_chunk_mut::<4>()?;
    let old = u32::from_le_bytes(*field);
    // 0 says that both ends do without (RFC 9653).
    if old != 0 && ports.0 != ports.1 {
        let change = crc32c::difference(ports.0, ports.1, len.wrapping_sub(4));
        *field = (old ^ change).to_le_bytes();
    }
    Some(())
}

impl Inside {
    /// Finds it at `at` of the packet.
    fn find(view: View<'_>, at: usize, family: Family) -> Result<Self, Unchanged> {
        let ip = ip::parse(view, at, family)?;
        // Ports, or the first half of an echo's header. Nobody asks about anything else: no flow would have been found.
        view.array::<4>(ip.transport)?;
        let mut check = pseudo_check(&ip, family);
        let len = ip.end.wrapping_sub(ip.transport);
        // Of a part of a message nobody knows the length.
        if ip.protocol == proto::SCTP && ip.fragment.is_none() && ip.end != usize::MAX {
            check = Some(Check {
                at: ip.transport.wrapping_add(8),
                covers: Covers::Crc(len),
            });
        }
        if let Some(one) = check {
            match one.look(view) {
                Ok(()) => {}
                Err(Short::NeedLinear(len)) => return Err(Unchanged::NeedLinear(len)),
                // An error need not have more than 8 bytes behind the IP header (RFC 792).
                Err(Short::Truncated) => check = None,
            }
        }
        Ok(Self {
            ip: at,
            transport: ip.transport,
            ports: !matches!(ip.protocol, proto::ICMP | proto::ICMPV6),
            check,
        })
    }

    /// Where what changes in it ends.
    fn end(&self) -> usize {
        let ports = self.transport.wrapping_add(4);
        self.check.map_or(ports, |check| ports.max(check.end()))
    }

    /// Changes it at its other end; answers what `delta` has become by it.
    #[inline(never)]
    fn write(&self, head: &mut [u8], change: &Change, mut delta: Delta) -> Option<Delta> {
        let end = change.end.other();
        let pseudo = match change.addr {
            Addr::V4(new) => {
                let at = match end {
                    End::Source => 12,
                    End::Destination => 16,
                };
                let old = replace(head, self.ip.wrapping_add(at), new)?;
                let pseudo = Delta::NONE.replaced(&old, &new);
                let at = self.ip.wrapping_add(10);
                let field = head.get_mut(at..)?.first_chunk_mut::<2>()?;
                let (old_check, new_check) = (*field, pseudo.apply(u16::from_be_bytes(*field)));
                *field = new_check.to_be_bytes();
                delta = delta.replaced(&old, &new).replaced(&old_check, field);
                pseudo
            }
            Addr::V6(new) => {
                let at = match end {
                    End::Source => 8,
                    End::Destination => 24,
                };
                let old = replace(head, self.ip.wrapping_add(at), new)?;
                delta = delta.replaced(&old, &new);
                Delta::NONE.replaced(&old, &new)
            }
        };
        let ports = match self.ports {
            true => write_port(head, self.transport, end, change.edit)?,
            false => ([0; 4], [0; 4]),
        };
        delta = delta.replaced(&ports.0, &ports.1);
        let Some(check) = self.check else {
            return Some(delta);
        };
        // Its checksum may be the last two bytes that there are, which is no matter of two or four.
        let before = self.field(head, check)?;
        check.mend(head, pseudo.replaced(&ports.0, &ports.1), ports)?;
        Some(delta.replaced(&before, &self.field(head, check)?))
    }

    /// The bytes of its checksum; of a short one, zeroes behind it.
    fn field(&self, head: &[u8], check: Check) -> Option<[u8; 4]> {
        let field = head.get(check.at..check.end())?;
        match *field {
            [a, b, c, d] => Some([a, b, c, d]),
            [a, b] => Some([a, b, 0, 0]),
            _ => None,
        }
    }
}

/// Writes an address; answers what stood there.
#[inline(always)]
fn replace<const N: usize>(head: &mut [u8], at: usize, new: [u8; N]) -> Option<[u8; N]> {
    let place = head.get_mut(at..)?.first_chunk_mut::<N>()?;
    Some(core::mem::replace(place, new))
}

/// Writes the port of one end; answers both ports before and after.
#[inline(always)]
fn write_port(
    head: &mut [u8],
    transport: usize,
    end: End,
    edit: Edit,
) -> Option<([u8; 4], [u8; 4])> {
    let ports = head.get_mut(transport..)?.first_chunk_mut::<4>()?;
    let old = *ports;
    if let Edit::Translate(Some(port)) = edit {
        let [high, low] = port.get().to_be_bytes();
        let [s0, s1, d0, d1] = old;
        *ports = match end {
            End::Source => [high, low, d0, d1],
            End::Destination => [s0, s1, high, low],
        };
    }
    Some((old, *ports))
}

/// Length of an ICMP header, bytes.
const ICMP_LEN: usize = 8;

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
fn write_v4(head: &mut [u8], new: [u8; 4], change: &Change) -> Option<Delta> {
    let header: &mut [u8; IPV4_LEN] = head.first_chunk_mut()?;
    // Word by word: what is put together byte by byte is written byte by byte.
    let (a, rest) = header.split_first_chunk_mut::<4>()?;
    let (_, rest) = rest.split_first_chunk_mut::<4>()?;
    let (c, addrs) = rest.split_first_chunk_mut::<4>()?;
    let place = match change.end {
        End::Source => addrs.get_mut(..4)?,
        End::Destination => addrs.get_mut(4..)?,
    };
    let place: &mut [u8; 4] = place.first_chunk_mut()?;
    let pseudo = Delta::NONE.replaced(place, &new);
    *place = new;
    let mut header = pseudo;
    let [version_ihl, tos, len_hi, len_lo] = *a;
    let new_tos = change.edit.tos(tos);
    if let Edit::Mark(_) = change.edit {
        let marked = [version_ihl, new_tos, len_hi, len_lo];
        header = header.replaced(a, &marked);
        *a = marked;
    }
    let [ttl, protocol, check_hi, check_lo] = *c;
    let new_ttl = ttl.wrapping_sub(1);
    header = header.replaced(&[ttl, protocol], &[new_ttl, protocol]);
    let [check_hi, check_lo] = header
        .apply(u16::from_be_bytes([check_hi, check_lo]))
        .to_be_bytes();
    *c = [new_ttl, protocol, check_hi, check_lo];
    Some(pseudo)
}

/// The same of an IPv6 header.
#[inline(always)]
fn write_v6(head: &mut [u8], new: [u8; 16], change: &Change) -> Option<Delta> {
    let header: &mut [u8; IPV6_LEN] = head.first_chunk_mut()?;
    let (fixed, addrs) = header.split_first_chunk_mut::<8>()?;
    let [first, second, _, _, _, _, _, hop_limit] = fixed;
    let tos = change.edit.tos(*first << 4 | *second >> 4);
    *first = *first & 0xf0 | tos >> 4;
    *second = *second & 0x0f | tos << 4;
    *hop_limit = hop_limit.wrapping_sub(1);
    let at = match change.end {
        End::Source => 0,
        End::Destination => 16,
    };
    let old = replace(addrs, at, new)?;
    Some(Delta::NONE.replaced(&old, &new))
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
pub(super) mod tests;

#[cfg(test)]
#[path = "translate_tests.rs"]
mod translate_tests;
