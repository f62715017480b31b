// SPDX-License-Identifier: GPL-2.0

//! The command line: the one definition that help, completions and manual pages are made from.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

const EXIT_STATUS: &str = "\
Exit status: 0 if all went well, 1 if something was wrong (a file, a packet, the system), 2 if the
command line was not understood.";

/// Works with GLB directors: their forwarding tables, as files and in the running kernel.
#[derive(Debug, Parser)]
#[command(name = "glbctl", version, after_help = EXIT_STATUS, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build, check, show and compare forwarding tables
    #[command(subcommand)]
    Table(TableCommand),
    /// Tell where a packet would go: hash, row, hops
    Lookup(Lookup),
    /// Encapsulate the packets of a capture as a director would
    Encap(Encap),
    /// Look at the packets that come in on a device
    Attach {
        /// The device
        device: String,
    },
    /// Leave the packets of a device alone
    Detach {
        /// The device
        device: String,
    },
    /// Show or change the settings of the running director
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Tell what the running director has: tables, devices, settings
    Status,
    /// Print the counters of the running director
    Stats {
        /// Print again every so many seconds what has changed, with rates
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
        watch: Option<f64>,
    },
    /// Print what changes in the running director: tables, devices, settings
    Monitor {
        /// End after so many events
        #[arg(long, value_name = "EVENTS")]
        count: Option<u64>,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example: glbctl completions bash > /etc/bash_completion.d/glbctl")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a directory
    #[command(hide = true)]
    Man {
        /// The directory; made if it is not there
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TableCommand {
    /// Build a binary table file from forwarding_table.json
    ///
    /// DST is written beside itself, brought to the disk and renamed: whatever happens, it is the old
    /// file or the new one, whole.
    Build {
        /// The tables, JSON
        src: PathBuf,
        /// The binary file
        dst: PathBuf,
        /// Version of the binary format; the lowest that can hold the tables unless given
        #[arg(long, value_name = "VERSION")]
        format: Option<BinaryFormat>,
    },
    /// Check a table file, JSON or binary, and print how even its rows are
    Check {
        /// The table files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Load a table file, JSON or binary, into the running director
    ///
    /// All tables of the file take the place of all that are loaded, at once: no packet sees a mixture.
    /// If anything is wrong, the loaded tables stay as they are.
    Load {
        /// The table file
        file: PathBuf,
    },
    /// Print the tables of a file, JSON or binary, or those that are loaded
    Show {
        /// The table file
        #[arg(required_unless_present = "running", conflicts_with = "running")]
        file: Option<PathBuf>,
        /// Those that are loaded in the running director
        #[arg(long)]
        running: bool,
        /// Only this table, by name or by place (0, 1, ...)
        #[arg(long)]
        table: Option<String>,
        /// Also print the rows
        #[arg(long)]
        rows: bool,
    },
    /// Tell which rows move from one table file to another, and whether connections survive it
    Diff {
        /// The old table file, JSON or binary
        old: PathBuf,
        /// The new table file, JSON or binary
        new: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the settings
    Show,
    /// Change settings; those that are not given stay as they are
    Set(ConfigSet),
    /// Take over director.conf; what it does not name goes back to its default
    Load {
        /// The file
        #[arg(default_value = "/etc/glb/director.conf")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ConfigSet {
    /// Source of outer IPv4 headers, or "none" for the route's own
    #[arg(long, value_name = "ADDRESS", value_parser = or_none::<Ipv4Addr>)]
    pub(crate) source_v4: Option<OrNone<Ipv4Addr>>,
    /// Source of outer IPv6 headers, or "none" for the route's own
    #[arg(long, value_name = "ADDRESS", value_parser = or_none::<Ipv6Addr>)]
    pub(crate) source_v6: Option<OrNone<Ipv6Addr>>,
    /// Where all packets are sent on the link, or "none" for by routes
    #[arg(long, value_name = "MAC", value_parser = mac_or_none)]
    pub(crate) gateway_mac: Option<OrNone<[u8; 6]>>,
    /// What is hashed: src_addr, dst_addr, src_port, dst_port, with commas between
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub(crate) hash_fields: Option<Vec<String>>,
    /// A second set of fields, whose hops are appended, or "none"
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub(crate) alt_hash_fields: Option<Vec<String>>,
    /// Whether echo requests to bound addresses go to a backend
    #[arg(long, value_name = "BOOL")]
    pub(crate) forward_icmp_ping_responses: Option<bool>,
    /// Destination port of the outer UDP header
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) udp_port: Option<u16>,
    /// Whether the outer UDP header has a checksum (refused by modules that send none)
    #[arg(long, value_name = "BOOL")]
    pub(crate) udp_checksum: Option<bool>,
}

/// A value, or the word "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OrNone<T>(pub(crate) Option<T>);

fn or_none<T: std::str::FromStr>(text: &str) -> Result<OrNone<T>, String> {
    match text {
        "none" => Ok(OrNone(None)),
        _ => match text.parse() {
            Ok(value) => Ok(OrNone(Some(value))),
            Err(_) => Err("expected an address, or none".to_owned()),
        },
    }
}

fn mac_or_none(text: &str) -> Result<OrNone<[u8; 6]>, String> {
    if text == "none" {
        return Ok(OrNone(None));
    }
    let byte = |part: &str| match part.len() {
        2 if !part.starts_with('+') => u8::from_str_radix(part, 16).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
    match bytes.map(<[u8; 6]>::try_from) {
        Some(Ok(mac)) => Ok(OrNone(Some(mac))),
        _ => {
            Err("expected six pairs of hexadecimal digits with colons between, or none".to_owned())
        }
    }
}

/// Versions of the binary format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BinaryFormat {
    /// As deployed
    #[value(name = "2")]
    V2,
    /// With names, weights, any number of hops, and a checksum
    #[value(name = "3")]
    V3,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glbctl lookup --running 10.11.12.13:45678 1.1.1.1:80
  glbctl lookup --table t.json 10.11.12.13:45678 1.1.1.1:80
  glbctl lookup --table t.bin --proto udp '[fd00::1]:5353' '[fd00::53]:53'")]
pub(crate) struct Lookup {
    /// The client: address, or address:port where the port matters
    #[arg(value_parser = endpoint)]
    pub(crate) client: Endpoint,
    /// What the client talks to: address:port
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
    /// director.conf, for the hash fields; without it the client's address alone is hashed
    #[arg(long, value_name = "FILE", conflicts_with = "running")]
    pub(crate) config: Option<PathBuf>,
    /// Protocol
    #[arg(long, value_enum, default_value_t = Protocol::Tcp)]
    pub(crate) proto: Protocol,
}

/// Reads ingress frames and writes the frames that a director would send, in order. Packets that it would
/// leave alone are left out, and counted. The frames go back to where they came from, or to
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

/// Protocols of binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
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

/// Builds binary forwarding tables, as the tool of deployed directors does.
#[derive(Debug, Parser)]
#[command(name = "glb-director-cli", version, after_help = EXIT_STATUS)]
pub(crate) struct DirectorCli {
    #[command(subcommand)]
    pub(crate) command: DirectorCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DirectorCommand {
    /// Build a binary table file, version 2, from forwarding_table.json
    BuildConfig {
        /// The tables, JSON
        src: PathBuf,
        /// The binary file
        dst: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definitions_are_sound() {
        Cli::command().debug_assert();
        DirectorCli::command().debug_assert();
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
