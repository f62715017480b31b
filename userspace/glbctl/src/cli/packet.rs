// SPDX-License-Identifier: GPL-2.0

//! The commands that say what a director does with packets.

use super::values::{class, prefix};
use clap::{Args, ValueHint};
use glb_core::director::classify::bind::Proto;
use glb_core::geneve;
use glb_core::packet::ip::proto;
use glb_netlink::Prefix;
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glbctl lookup --running 10.11.12.13:45678 1.1.1.1:80
  glbctl lookup --table t.json 10.11.12.13:45678 1.1.1.1:80
  glbctl lookup --table t.bin --proto udp '[fd00::1]:5353' '[fd00::53]:53'
  glbctl lookup --table t.json --proto esp 10.11.12.13 90.0.0.1")]
pub(crate) struct Lookup {
    /// The client: address, or address:port if the port matters
    #[arg(value_parser = endpoint)]
    pub(crate) client: Endpoint,
    /// The service: address:port, or address where the protocol has no ports
    #[arg(value_parser = endpoint)]
    pub(crate) service: Endpoint,
    /// The table file, JSON or binary
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "running",
        conflicts_with = "running"
    )]
    pub(crate) table: Option<PathBuf>,
    /// Ask the running director instead of a file
    #[arg(long)]
    pub(crate) running: bool,
    /// director.conf, for the hash fields; without it only the client's address is hashed
    #[arg(long, value_name = "FILE", conflicts_with = "running")]
    pub(crate) config: Option<PathBuf>,
    /// tcp, udp, icmp (an echo request), gre, esp, ah, sctp, or the number of a protocol
    #[arg(long, default_value = "tcp", value_parser = protocol)]
    pub(crate) proto: Protocol,
}

/// Reads ingress frames and writes the frames that a director would send, in order. Packets that it would not
/// encapsulate are omitted and counted. The frames are sent back to where they came from, or to
/// outbound_gateway_mac; VLAN tags are kept.
#[derive(Debug, Args)]
pub(crate) struct Encap {
    /// The capture: pcap, of Ethernet frames or raw IP packets
    #[arg(value_name = "IN.pcap")]
    pub(crate) input: PathBuf,
    /// The capture to write
    #[arg(value_name = "OUT.pcap")]
    pub(crate) output: PathBuf,
    /// The table file, JSON or binary
    #[arg(long, value_name = "FILE")]
    pub(crate) table: PathBuf,
    /// director.conf
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Decap {
    /// The capture: pcap, of Ethernet frames or raw IP packets
    #[arg(value_name = "IN.pcap", value_hint = ValueHint::FilePath)]
    pub(crate) input: PathBuf,
    /// The capture to write
    #[arg(value_name = "OUT.pcap", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Class of the three options, 0 to 0xffff: 0x0108 is that of AWS
    #[arg(long, value_name = "CLASS", default_value = "0x0108", value_parser = class)]
    pub(crate) class: u16,
    /// UDP port of Geneve
    #[arg(long, default_value_t = geneve::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// Accept packets only from these prefixes, at most 16, separated by commas; without it from any sender
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', value_parser = prefix)]
    pub(crate) allow_from: Vec<Prefix>,
}

/// What kind of packet is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// One that has ports.
    Ported(Proto),
    /// An echo request.
    Echo,
    /// Another one, which binds for all protocols take.
    Other(u8),
}

impl Protocol {
    /// The number that the running director is asked about.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Ported(proto) => proto.number(),
            Self::Echo => proto::ICMP,
            Self::Other(number) => number,
        }
    }

    /// Whether its packets have no ports, as far as the director knows.
    pub(crate) fn has_no_ports(self) -> bool {
        !matches!(self, Self::Ported(_))
    }

    /// Whether a packet cannot be asked about without its ports. Of SCTP, binds for all protocols need none.
    pub(crate) fn needs_ports(self) -> bool {
        matches!(self, Self::Ported(Proto::Tcp | Proto::Udp))
    }
}

fn protocol(text: &str) -> Result<Protocol, String> {
    let number = match text {
        "tcp" => proto::TCP,
        "udp" => proto::UDP,
        "icmp" => proto::ICMP,
        "gre" => proto::GRE,
        "esp" => proto::ESP,
        "ah" => proto::AH,
        "sctp" => proto::SCTP,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() => digits
            .parse()
            .map_err(|_| "a protocol number is 0 to 255".to_owned())?,
        _ => {
            return Err(
                "expected tcp, udp, icmp, gre, esp, ah, sctp or the number of a protocol"
                    .to_owned(),
            )
        }
    };
    Ok(match (Proto::from_number(number), number) {
        (Some(proto), _) => Protocol::Ported(proto),
        (None, proto::ICMP | proto::ICMPV6) => Protocol::Echo,
        (None, number) => Protocol::Other(number),
    })
}

/// An address with or without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) addr: IpAddr,
    pub(crate) port: Option<u16>,
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    if let Ok(addr) = text.parse() {
        return Ok(Endpoint { addr, port: None });
    }
    match text.parse::<std::net::SocketAddr>() {
        Ok(both) => Ok(Endpoint {
            addr: both.ip(),
            port: Some(both.port()),
        }),
        Err(_) => Err("expected ADDRESS or ADDRESS:PORT ([ADDRESS]:PORT for IPv6)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols() {
        for (text, wanted) in [
            ("tcp", Protocol::Ported(Proto::Tcp)),
            ("17", Protocol::Ported(Proto::Udp)),
            ("icmp", Protocol::Echo),
            ("58", Protocol::Echo),
            ("esp", Protocol::Other(50)),
            ("255", Protocol::Other(255)),
        ] {
            assert_eq!(protocol(text), Ok(wanted));
        }
        for bad in ["", "any", "256", "-1", "0x11"] {
            assert!(protocol(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn endpoints() {
        let port = |text: &str| endpoint(text).map(|e| e.port);
        assert_eq!(port("10.0.0.1"), Ok(None));
        assert_eq!(port("10.0.0.1:80"), Ok(Some(80)));
        assert_eq!(port("fd00::1"), Ok(None));
        assert_eq!(port("[fd00::1]:80"), Ok(Some(80)));
        assert!(port("10.0.0.1:").is_err());
        assert!(port("host").is_err());
    }
}
