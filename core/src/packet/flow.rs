// SPDX-License-Identifier: GPL-2.0

//! The flow that a packet belongs to, as the packet names it: by its addresses and ports.

use super::ip::{Addrs, Family};
use super::view::{Short, View};

/// What of a packet the hash looks at, seen in the direction from client to bound address. For an ICMP
/// error that is the embedded packet, reversed. Ports are 0 where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowKey {
    /// Client and bound address.
    pub addrs: Addrs,
    /// Client's port.
    pub src_port: u16,
    /// Bound port.
    pub dst_port: u16,
}

/// A connection of TCP or UDP as its packet names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow<'p> {
    /// Over IPv4.
    V4(Ends<'p, 4>),
    /// Over IPv6.
    V6(Ends<'p, 16>),
}

/// Both ends of a connection: addresses of `N` bytes in network byte order, ports in the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends<'p, const N: usize> {
    /// Address of the client.
    pub client: &'p [u8; N],
    /// The VIP.
    pub vip: &'p [u8; N],
    /// Port of the client.
    pub client_port: u16,
    /// Port of the VIP.
    pub vip_port: u16,
}

impl<'p> Flow<'p> {
    /// Of a packet that a client sent: its IPv4 header from the addresses on, and the ports right behind it.
    #[inline(always)]
    pub(crate) fn of_client_v4(bytes: &'p [u8; 12]) -> Option<Self> {
        Ends::of_client(bytes).map(Self::V4)
    }

    /// The same with an IPv6 header.
    #[inline(always)]
    pub(crate) fn of_client_v6(bytes: &'p [u8; 36]) -> Option<Self> {
        Ends::of_client(bytes).map(Self::V6)
    }
}

impl<'p, const N: usize> Ends<'p, N> {
    /// Source, destination and ports, side by side.
    #[inline(always)]
    fn of_client(bytes: &'p [u8]) -> Option<Self> {
        let (client, rest) = bytes.split_first_chunk()?;
        let (vip, ports) = rest.split_first_chunk()?;
        let &[s0, s1, d0, d1] = ports.first_chunk()?;
        Some(Self {
            client,
            vip,
            client_port: u16::from_be_bytes([s0, s1]),
            vip_port: u16::from_be_bytes([d0, d1]),
        })
    }
}

/// Where a packet names a connection of TCP or UDP: offsets from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowAt {
    /// The IP header with the addresses.
    pub ip: usize,
    /// The TCP or UDP header, which begins with the ports.
    pub transport: usize,
    /// Family of that IP header.
    pub family: Family,
    /// Whether the proxy is the sender, as of a packet inside an ICMP error.
    pub from_proxy: bool,
}

impl FlowAt {
    /// The connection, read from its packet.
    #[inline]
    pub fn read<'p>(&self, view: View<'p>) -> Result<Flow<'p>, Short> {
        Ok(match self.family {
            Family::V4 => Flow::V4(self.ends(view, 12)?),
            Family::V6 => Flow::V6(self.ends(view, 8)?),
        })
    }

    /// The ends, where addresses stand at `at` of the IP header.
    #[inline]
    fn ends<'p, const N: usize>(&self, view: View<'p>, at: usize) -> Result<Ends<'p, N>, Short> {
        let at = self.ip.wrapping_add(at);
        let (src, dst) = (view.array(at)?, view.array(at.wrapping_add(N))?);
        let &[s0, s1, d0, d1] = view.array(self.transport)?;
        let (source, destination) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
        Ok(if self.from_proxy {
            Ends {
                client: dst,
                vip: src,
                client_port: destination,
                vip_port: source,
            }
        } else {
            Ends {
                client: src,
                vip: dst,
                client_port: source,
                vip_port: destination,
            }
        })
    }
}
