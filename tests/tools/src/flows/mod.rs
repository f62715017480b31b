// SPDX-License-Identifier: GPL-2.0

//! Packets of many flows, and whether a director made of them what its tables say.
//!
//! ```text
//! glb-packets flows --out IN.pcap ...           each packet unlike all others
//! glbctl encap IN.pcap OUT.pcap --table T ...   what a director with the table T makes of them
//! tcpreplay IN.pcap; tcpdump -w GOT.pcap        what a running director makes of them
//! glb-packets judge OUT.pcap... -- GOT.pcap...
//! ```

mod judge;
mod packet;

pub(crate) use judge::{judge, Judge};

use crate::capture::ethernet::{self, Mac};
use crate::capture::{create, pcap};
use anyhow::Result;
use packet::{Packet, Transport};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Write a capture of packets of many clients: each has a number of its own in it, so that no two are the same.
#[derive(clap::Args)]
pub(crate) struct Flows {
    /// The capture to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How many packets
    #[arg(long, default_value_t = 1000)]
    packets: u32,
    /// How many flows they belong to, in turns
    #[arg(long, default_value_t = 1000)]
    flows: u32,
    /// Where they go; a flow has one of these
    #[arg(
        long,
        value_name = "ADDRESS:PORT,...",
        value_delimiter = ',',
        required = true
    )]
    to: Vec<SocketAddr>,
    /// UDP and not TCP
    #[arg(long)]
    udp: bool,
    /// The longest payload; the packets have all lengths up to it
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    payload: u16,
    /// All packets have the longest payload
    #[arg(long)]
    full: bool,
    /// IPv4 packets may be fragmented
    #[arg(long)]
    may_fragment: bool,
    /// Destination of the Ethernet header
    #[arg(long, value_name = "MAC", default_value = "02:00:00:00:00:02")]
    dst_mac: Mac,
    /// Source of the Ethernet header
    #[arg(long, value_name = "MAC", default_value = "02:00:00:00:00:01")]
    src_mac: Mac,
}

pub(crate) fn flows(arguments: &Flows) -> Result<()> {
    let mut out = pcap::Writer::new(create(&arguments.out)?)?;
    for number in 0..arguments.packets {
        let flow = number % arguments.flows.max(1);
        let to = arguments.to[flow as usize % arguments.to.len()];
        let [_, hi, mid, lo] = flow.to_be_bytes();
        let from = match to {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(10, 11_u8.wrapping_add(hi), mid, lo)),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(0xfd11 << 112 | u128::from(flow))),
        };
        let payload = match arguments.payload {
            most if arguments.full => most,
            most => (number % (u32::from(most) + 1)) as u16,
        };
        let packet = Packet {
            from: SocketAddr::new(from, 1024 + (flow.wrapping_mul(7) % 60_000) as u16),
            to,
            transport: if arguments.udp {
                Transport::Udp
            } else {
                Transport::Tcp
            },
            number,
            payload: usize::from(payload),
            may_fragment: arguments.may_fragment,
        };
        out.frame(&ethernet::frame(
            arguments.dst_mac,
            arguments.src_mac,
            &packet.bytes(),
        )?)?;
    }
    out.finish()
}
