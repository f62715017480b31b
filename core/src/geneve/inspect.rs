// SPDX-License-Identifier: GPL-2.0

//! From the outer IP header to the inner packet.
//!
//! ```text
//!  0                   1                   2                   3
//! |Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |
//! |        Virtual Network Identifier (VNI)       |    Reserved   |
//! |                    options, Opt Len words                     |
//! ```
//!
//! Reserved bits and the VNI are not looked at, as RFC 8926 asks of a receiver. Neither is the C bit, which says that some option
//! is critical: all options are read here, and each says for itself whether it is.

use super::ecn::{Lost, Mark};
use super::options::{self, Ids, OptionsError};
use super::settings::Settings;
use super::verdict::Verdict;
use crate::packet::checksum::of_udp;
use crate::packet::gue::UDP_LEN;
use crate::packet::ip::{self, proto, Addrs, Family, Ip, IpError, IPV4_LEN, IPV6_LEN};
use crate::packet::valid::{self, Invalid};
use crate::packet::view::{Short, View};

/// Bytes of a Geneve header without options.
pub(super) const BASE_LEN: usize = 8;

const CONTROL: u8 = 0x80;
pub(super) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(super) const ETHERTYPE_IPV6: u16 = 0x86dd;

/// A packet as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Its bytes, from the outer IP header on.
    pub view: View<'a>,
    /// Family of the outer IP header.
    pub outer: Family,
}

/// A packet for this appliance: where everything is. Offsets are from the view's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Source and destination of the outer packet.
    pub outer: Addrs,
    /// Offset of the outer UDP header. The Geneve header is behind it.
    pub udp: usize,
    /// End of what the UDP header says is its datagram.
    pub end: usize,
    /// What the options say.
    pub ids: Ids,
    /// Family of the inner packet.
    pub inner: Family,
    /// Offset of the inner packet: what is to be stripped.
    pub inner_at: usize,
    /// Length of the inner packet by its own header.
    pub inner_len: usize,
}

/// Why an inspection ended without an inner packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Make the first `usize` bytes linear and inspect again.
    NeedLinear(usize),
    /// This becomes of the packet.
    Decided(Verdict),
}

impl Opened {
    /// What becomes of the inner packet's congestion mark; the verdict if the packet has to be lost.
    #[inline]
    pub fn mark(&self, packet: &Packet<'_>) -> Result<Option<Mark>, Verdict> {
        // Both headers have been read, so they are there.
        let tos_at = |at, family| {
            let &[first, second] = packet.view.array(at).unwrap_or(&[0; 2]);
            match family {
                Family::V4 => second,
                Family::V6 => first << 4 | second >> 4,
            }
        };
        let (outer, inner) = (tos_at(0, packet.outer), tos_at(self.inner_at, self.inner));
        Mark::of(outer, inner).map_err(|Lost| Verdict::DroppedEcn)
    }
}

impl Stop {
    /// Bytes are missing where the packet is not yet known to be for this appliance.
    #[inline]
    fn before_the_port(short: Short) -> Self {
        match short {
            Short::NeedLinear(len) => Self::NeedLinear(len),
            Short::Truncated => NOT_GENEVE,
        }
    }
}

const NOT_GENEVE: Stop = Stop::Decided(Verdict::PassedNotGeneve);

impl From<Short> for Stop {
    #[inline]
    fn from(short: Short) -> Self {
        match short {
            Short::NeedLinear(len) => Self::NeedLinear(len),
            Short::Truncated => Self::Decided(Verdict::DroppedTruncated),
        }
    }
}

impl From<OptionsError> for Stop {
    #[inline]
    fn from(error: OptionsError) -> Self {
        Self::Decided(match error {
            OptionsError::Malformed => Verdict::DroppedOptions,
            OptionsError::Critical => Verdict::DroppedCriticalOption,
            OptionsError::Missing => Verdict::DroppedMissingOption,
        })
    }
}

/// Reads a packet from its outer IP header to its inner one.
#[inline]
pub fn inspect(packet: &Packet<'_>, settings: &Settings) -> Result<Opened, Stop> {
    let outer = for_port(packet, settings.port)?;
    if !settings.senders.allows(&outer.addrs) {
        return Err(Stop::Decided(Verdict::DroppedSender));
    }
    let view = datagram(packet.view, &outer)?;
    let at = outer.transport.wrapping_add(UDP_LEN);
    let &[version_len, flags, protocol_hi, protocol_lo, ..] = view.array::<BASE_LEN>(at)?;
    if version_len >> 6 != 0 {
        return Err(Stop::Decided(Verdict::DroppedVersion));
    }
    if flags & CONTROL != 0 {
        return Err(Stop::Decided(Verdict::DroppedControl));
    }
    let inner = match u16::from_be_bytes([protocol_hi, protocol_lo]) {
        ETHERTYPE_IPV4 => Family::V4,
        ETHERTYPE_IPV6 => Family::V6,
        _ => return Err(Stop::Decided(Verdict::DroppedProtocol)),
    };
    let options_at = at.wrapping_add(BASE_LEN);
    let inner_at = options_at.wrapping_add(usize::from(version_len) << 2);
    let ids = options::read(bytes(view, options_at, inner_at)?, settings.class)?;
    Ok(Opened {
        outer: outer.addrs,
        udp: outer.transport,
        end: view.len(),
        ids,
        inner,
        inner_at,
        inner_len: inner_len(view, inner_at, inner)?,
    })
}

/// The outer IP header of a packet that is UDP to this port, whole, and one that the stack accepts so far.
#[inline]
fn for_port(packet: &Packet<'_>, port: u16) -> Result<Ip, Stop> {
    let view = packet.view;
    let outer = ip::parse(view, 0, packet.outer).map_err(|error| match error {
        IpError::Short(short) => Stop::before_the_port(short),
        IpError::Malformed => NOT_GENEVE,
    })?;
    if outer.protocol != proto::UDP || outer.fragment.is_some() {
        return Err(NOT_GENEVE);
    }
    let to = view.be16(outer.transport.wrapping_add(2));
    if to.map_err(Stop::before_the_port)? != port {
        return Err(NOT_GENEVE);
    }
    valid::check(view, packet.outer, &outer).map_err(|invalid| match invalid {
        Invalid::Short(short) => Stop::before_the_port(short),
        Invalid::Martian | Invalid::Header => NOT_GENEVE,
    })?;
    Ok(outer)
}

/// What the lengths of the outer IP and UDP headers cover, which must be there.
#[inline]
fn datagram<'a>(view: View<'a>, outer: &Ip) -> Result<View<'a>, Stop> {
    const TRUNCATED: Stop = Stop::Decided(Verdict::DroppedTruncated);
    if outer.end != usize::MAX && outer.end > view.len() {
        return Err(TRUNCATED);
    }
    let view = view.limit(outer.end);
    let udp_len = usize::from(view.be16(outer.transport.wrapping_add(4))?);
    let available = view.len().saturating_sub(outer.transport);
    // An aggregate of more than 64 KiB cannot say its length in 16 bits.
    if available > usize::from(u16::MAX) {
        return Ok(view);
    }
    if udp_len < UDP_LEN || udp_len > available {
        return Err(TRUNCATED);
    }
    Ok(view.limit(outer.transport.wrapping_add(udp_len)))
}

/// The bytes from `from` to `to`.
#[inline]
fn bytes(view: View<'_>, from: usize, to: usize) -> Result<&[u8], Short> {
    match view.linear().get(from..to) {
        Some(bytes) => Ok(bytes),
        None if to <= view.len() => Err(Short::NeedLinear(to)),
        None => Err(Short::Truncated),
    }
}

/// The length of the inner packet at the view's `at`, by its own header, if that can be right.
#[inline]
fn inner_len(view: View<'_>, at: usize, family: Family) -> Result<usize, Stop> {
    const WRONG: Stop = Stop::Decided(Verdict::DroppedInner);
    let available = view.len().saturating_sub(at);
    let fixed = match family {
        Family::V4 => IPV4_LEN,
        Family::V6 => IPV6_LEN,
    };
    if available < fixed {
        return Err(WRONG);
    }
    // Extension headers of IPv6 are none of ours: the stack reads them, and so does who wants the ports.
    let &[version_ihl, _, len_hi, len_lo, six_hi, six_lo] = view.array(at)?;
    let (version, header, said) = match family {
        Family::V4 => {
            let said = usize::from(u16::from_be_bytes([len_hi, len_lo]));
            (4, usize::from(version_ihl & 0x0f) << 2, said)
        }
        Family::V6 => {
            let payload = u16::from_be_bytes([six_hi, six_lo]);
            (6, IPV6_LEN, usize::from(payload).wrapping_add(IPV6_LEN))
        }
    };
    if version_ihl >> 4 != version || header < fixed {
        return Err(WRONG);
    }
    // An aggregate of more than 64 KiB says 0.
    let says_nothing = match family {
        Family::V4 => said == 0,
        Family::V6 => said == IPV6_LEN,
    };
    if says_nothing && available > usize::from(u16::MAX) {
        return Ok(available);
    }
    if said < header || said > available {
        return Err(WRONG);
    }
    Ok(said)
}

/// Whether the outer UDP checksum is right, or 0: none. For who has the whole packet at hand; the kernel knows without reading
/// it all.
#[must_use]
pub fn is_checksum_right(packet: &Packet<'_>, opened: &Opened) -> bool {
    let datagram = packet.view.linear().get(opened.udp..opened.end);
    match datagram {
        Some([_, _, _, _, _, _, 0, 0, ..]) => true,
        // Over a right checksum the sum is 0xffff, whose complement is 0.
        Some(datagram) => of_udp(&opened.outer, &[datagram]) == 0,
        None => false,
    }
}
