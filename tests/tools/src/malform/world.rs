// SPDX-License-Identifier: GPL-2.0

//! The network that the packets are made for.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who sends, who receives, and what the proxy under test has routes to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct World {
    /// Outer source.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) director: IpAddr,
    /// Outer destination, of the same family.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) proxy: IpAddr,
    /// UDP port of the rule.
    #[arg(long, value_name = "PORT", default_value_t = 19523)]
    pub(super) port: u16,
    /// Bytes of the UDP header that the rule's match must see: 4 for iptables-nft, 8 for iptables-legacy.
    #[arg(long, value_name = "BYTES", default_value_t = 4)]
    pub(super) match_needs: usize,
    /// Destination of IPv4 packets inside; the proxy must have it.
    #[arg(long, value_name = "ADDRESS", default_value = "1.1.1.1")]
    pub(super) vip4: Ipv4Addr,
    /// Destination of IPv6 packets inside; the proxy must have it.
    #[arg(long, value_name = "ADDRESS", default_value = "fd91:79d3:d621::1")]
    pub(super) vip6: Ipv6Addr,
    /// The only prefix that the proxy has a route to.
    #[arg(long, value_name = "PREFIX")]
    pub(super) reachable: IpNet,
    /// Prefixes that the rule allows hops in; none: the rule allows all.
    #[arg(long, value_name = "PREFIX")]
    pub(super) allow: Vec<IpNet>,
}
