// SPDX-License-Identifier: GPL-2.0

//! Frames taken apart, with each length and checksum in them looked at. Nothing here is shared with the code under test.

use super::{OuterChecksum, Tunnel};
use anyhow::{bail, ensure, Context, Result};
use std::net::IpAddr;

const ETHERNET_LEN: usize = 14;
const TCP: u8 = 6;
const UDP: u8 = 17;
const GRE: u8 = 47;
const IPIP: u8 = 4;
const IPV6: u8 = 41;

fn be16(bytes: &[u8], at: usize) -> Result<u16> {
    let word = bytes.get(at..at + 2).context("shorter than its headers")?;
    Ok(u16::from_be_bytes([word[0], word[1]]))
}

/// The ones' complement sum of 16-bit words, folded; of nothing but zeros it is 0, else never.
fn sum<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u16 {
    let mut total: u64 = 0;
    for pair in pieces.into_iter().flat_map(|piece| piece.chunks(2)) {
        total += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&byte| u64::from(byte));
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// A fragment's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) id: u16,
    pub(super) offset: usize,
    pub(super) more: bool,
}

/// An IP packet whose header is right.
#[derive(Debug, Clone)]
pub(super) struct Ip<'a> {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) protocol: u8,
    /// DSCP and ECN.
    pub(super) tos: u8,
    pub(super) ttl: u8,
    /// IPv4 alone has these.
    pub(super) id: u16,
    pub(super) df: bool,
    pub(super) fragment: Option<Fragment>,
    pub(super) payload: &'a [u8],
}

impl<'a> Ip<'a> {
    /// Reads a packet that `bytes` are no more and no less than.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        match bytes.first().map(|byte| byte >> 4) {
            Some(4) => Self::parse_v4(bytes),
            Some(6) => Self::parse_v6(bytes),
            _ => bail!("neither IPv4 nor IPv6"),
        }
    }

    fn parse_v4(bytes: &'a [u8]) -> Result<Self> {
        let header = bytes.get(..20).context("shorter than an IPv4 header")?;
        ensure!(header[0] == 0x45, "IPv4 options, which nobody sent");
        let len = usize::from(be16(header, 2)?);
        ensure!(
            len == bytes.len(),
            "total length {len}, of {} bytes",
            bytes.len()
        );
        ensure!(sum([header]) == 0xffff, "wrong IPv4 header checksum");
        let (id, flags) = (be16(header, 4)?, be16(header, 6)?);
        let more = flags & 0x2000 != 0;
        let offset = usize::from(flags & 0x1fff) * 8;
        let address = |at: usize| -> IpAddr {
            <[u8; 4]>::try_from(&header[at..at + 4])
                .unwrap_or_default()
                .into()
        };
        Ok(Self {
            src: address(12),
            dst: address(16),
            protocol: header[9],
            tos: header[1],
            ttl: header[8],
            id,
            df: flags & 0x4000 != 0,
            fragment: (more || offset > 0).then_some(Fragment { id, offset, more }),
            payload: &bytes[20..],
        })
    }

    fn parse_v6(bytes: &'a [u8]) -> Result<Self> {
        let header = bytes.get(..40).context("shorter than an IPv6 header")?;
        let len = usize::from(be16(header, 4)?);
        ensure!(
            len + 40 == bytes.len(),
            "payload length {len}, of {} bytes",
            bytes.len() - 40
        );
        let address = |at: usize| -> IpAddr {
            <[u8; 16]>::try_from(&header[at..at + 16])
                .unwrap_or_default()
                .into()
        };
        Ok(Self {
            src: address(8),
            dst: address(24),
            protocol: header[6],
            tos: header[0] << 4 | header[1] >> 4,
            ttl: header[7],
            id: 0,
            df: true,
            fragment: None,
            payload: &bytes[40..],
        })
    }

    /// The sum of the pseudo header, and of `payload` if that is asked for.
    fn transport_sum(&self, payload: &[u8]) -> u16 {
        let len = (self.payload.len() as u32).to_be_bytes();
        let protocol = [0, self.protocol];
        let (src, dst) = (octets(self.src), octets(self.dst));
        sum([&src[..], &dst[..], &len[..], &protocol[..], payload])
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// What is in front of the packets that leave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outer {
    pub(super) tunnel: Tunnel,
    pub(super) mtu: usize,
    /// Of GUE alone.
    pub(super) port: u16,
    pub(super) checksum: OuterChecksum,
}

/// The packet in the tunnel of a frame. `None`: the frame is no tunnel's.
pub(super) fn inner(frame: &[u8], wanted: Outer) -> Result<Option<&[u8]>> {
    let Some(packet) = frame.get(ETHERNET_LEN..) else {
        return Ok(None);
    };
    if !matches!(be16(frame, 12)?, 0x0800 | 0x86dd) {
        return Ok(None);
    }
    let outer = Ip::parse(packet).context("outer")?;
    let inner = match (wanted.tunnel, outer.protocol) {
        (Tunnel::Gue, UDP) if be16(outer.payload, 2)? == wanted.port => in_gue(&outer, wanted)?,
        (Tunnel::Gre, GRE) => in_gre(&outer)?,
        (Tunnel::Ipip, IPIP) => (4, outer.payload),
        (Tunnel::Ipip, IPV6) => (6, outer.payload),
        _ => return Ok(None),
    };
    ensure!(
        packet.len() <= wanted.mtu,
        "{} bytes, and the path takes {}",
        packet.len(),
        wanted.mtu
    );
    ensure!(outer.fragment.is_none(), "the outer packet is a fragment");
    let (version, inner) = inner;
    ensure!(
        inner.first().map(|byte| byte >> 4) == Some(version),
        "the tunnel says IPv{version}, the packet does not"
    );
    if wanted.tunnel != Tunnel::Gue {
        // RFC 2983 and RFC 6040: DSCP and ECN of the packet inside.
        let tos = Ip::parse(inner)?.tos;
        ensure!(
            outer.tos == tos,
            "TOS {:#04x}, inside {tos:#04x}",
            outer.tos
        );
    }
    Ok(Some(inner))
}

/// IP version and bytes of what is in GUE.
fn in_gue<'a>(outer: &Ip<'a>, wanted: Outer) -> Result<(u8, &'a [u8])> {
    let udp = outer.payload;
    ensure!(
        usize::from(be16(udp, 4)?) == udp.len(),
        "outer UDP length {}, of {} bytes",
        be16(udp, 4)?,
        udp.len()
    );
    let field = be16(udp, 6)?;
    let is_right = match wanted.checksum {
        OuterChecksum::None => field == 0,
        OuterChecksum::Right => field != 0 && outer.transport_sum(udp) == 0xffff,
        // What a device is to complete: the pseudo header's sum.
        OuterChecksum::Device => {
            field != 0 && (outer.transport_sum(udp) == 0xffff || field == outer.transport_sum(&[]))
        }
    };
    ensure!(is_right, "outer UDP checksum {field:#06x}");
    let gue = udp.get(8..).context("no GUE header")?;
    let head = gue.get(..8).context("no GUE header")?;
    let (hop_len, hop_type) = if outer.src.is_ipv4() { (4, 0) } else { (16, 1) };
    let header_len = 4 + usize::from(head[0] & 0x1f) * 4;
    ensure!(
        head[0] & 0xe0 == 0
            && header_len == 8 + usize::from(head[7]) * hop_len
            && head[2..7] == [0, 0, 0, hop_type, 0],
        "GUE header {head:02x?}"
    );
    let inner = gue.get(header_len..).context("nothing in the tunnel")?;
    match head[1] {
        4 => Ok((4, inner)),
        41 => Ok((6, inner)),
        protocol => bail!("GUE payload of protocol {protocol}"),
    }
}

/// The same of what is in GRE (RFC 2784): no checksum, key or number.
fn in_gre<'a>(outer: &Ip<'a>) -> Result<(u8, &'a [u8])> {
    let gre = outer.payload;
    ensure!(be16(gre, 0)? == 0, "GRE flags {:#06x}", be16(gre, 0)?);
    let inner = gre.get(4..).context("nothing in the tunnel")?;
    match be16(gre, 2)? {
        0x0800 => Ok((4, inner)),
        0x86dd => Ok((6, inner)),
        kind => bail!("GRE payload of type {kind:#06x}"),
    }
}

/// The packet of a frame without a tunnel, if it is one that is meant. `None`: it is another one.
pub(super) fn plain(
    frame: &[u8],
    meant: impl Fn(&Ip<'_>) -> bool,
    mtu: usize,
    dscp: Option<u8>,
) -> Result<Option<&[u8]>> {
    let Some(packet) = frame.get(ETHERNET_LEN..) else {
        return Ok(None);
    };
    if !matches!(be16(frame, 12)?, 0x0800 | 0x86dd) {
        return Ok(None);
    }
    let ip = Ip::parse(packet)?;
    if !meant(&ip) {
        return Ok(None);
    }
    ensure!(
        packet.len() <= mtu,
        "{} bytes, and the path takes {mtu}",
        packet.len()
    );
    if let Some(dscp) = dscp {
        ensure!(ip.tos >> 2 == dscp, "DSCP {}, not {dscp}", ip.tos >> 2);
    }
    Ok(Some(packet))
}

/// A TCP or UDP packet, whole, with its lengths right.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    pub(super) ip: Ip<'a>,
    pub(super) udp: bool,
    pub(super) sport: u16,
    pub(super) dport: u16,
    /// TCP's alone.
    pub(super) seq: u32,
    pub(super) flags: u8,
    pub(super) options: &'a [u8],
    pub(super) sum_is_right: bool,
    pub(super) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    pub(super) fn parse(ip: Ip<'a>) -> Result<Self> {
        let bytes = ip.payload;
        let (udp, header_len) = match ip.protocol {
            UDP => {
                let len = usize::from(be16(bytes, 4)?);
                ensure!(len == bytes.len(), "UDP length {len}, of {}", bytes.len());
                (true, 8)
            }
            TCP => (
                false,
                usize::from(*bytes.get(12).context("no TCP header")? >> 4) * 4,
            ),
            protocol => bail!("protocol {protocol}, which nobody sent"),
        };
        let payload = bytes
            .get(header_len.max(8)..)
            .context("shorter than its headers")?;
        let number = |at: usize| -> Result<u32> {
            Ok(u32::from(be16(bytes, at)?) << 16 | u32::from(be16(bytes, at + 2)?))
        };
        Ok(Self {
            udp,
            sport: be16(bytes, 0)?,
            dport: be16(bytes, 2)?,
            seq: if udp { 0 } else { number(4)? },
            flags: if udp { 0 } else { bytes[13] },
            options: if udp {
                &[]
            } else {
                bytes
                    .get(20..header_len)
                    .context("TCP header of less than 20 bytes")?
            },
            sum_is_right: ip.transport_sum(bytes) == 0xffff,
            payload,
            ip,
        })
    }
}
