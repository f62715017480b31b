// SPDX-License-Identifier: GPL-2.0

//! The commands about the redirect of a proxy.

use super::cookie::CookieCommand;
use super::values::{netns_name, prefix, seconds};
use clap::{Args, Subcommand, ValueHint};
use glb_netlink::Prefix;
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum RedirectCommand {
    #[command(flatten)]
    Door(DoorCommand),
    /// Let the timestamps of the TCP connections that begin here name this proxy
    ///
    /// Directors that read it send a connection's packets to the proxy that has it, whatever the tables say by now. It concerns
    /// all connections that programs of this network namespace accept, and only those to come. It needs clients that use TCP
    /// timestamps, and a clock that is set by NTP.
    #[command(subcommand)]
    Cookie(CookieCommand),
    /// Count the TCP connections of this proxy that depend on second chance: their first hop is another proxy
    Flows(Flows),
}

/// What is about the module's own hook.
#[derive(Debug, Subcommand)]
pub(crate) enum DoorCommand {
    /// Process the packets to a UDP port; if the redirect is on already, change its settings to these
    ///
    /// A change breaks no connection: each packet sees either the old or the new settings.
    #[command(after_help = "Examples:
  glbctl redirect on --allow-hops 10.1.0.0/16,fd00:1::/64
  glbctl redirect on --allow-hops 10.1.0.0/16 --syn-listener
  glbctl redirect on --port 6080")]
    On(On),
    /// Stop processing packets
    Off,
    /// Show whether it is on, and its settings
    Status,
    /// Print the counters, including those of the iptables target
    Stats {
        /// Print the changes every SECONDS, with rates
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
        watch: Option<f64>,
    },
}

/// Counts the TCP connections of this network namespace that belong to a table and whose row has another first hop than this
/// proxy. Their packets come here by second chance, and the next change of the table may break them. The last line says whether
/// any is left.
///
/// It counts connections that still need packets of their clients, in the states that ss calls established, syn-recv,
/// fin-wait-1, fin-wait-2, close-wait, last-ack and closing. Not counted are connections in time-wait, those that this machine
/// has opened, and those from this machine itself. The table must be the one that the directors have now: with the health of the
/// backends, if any is down, and every director must have loaded it: the answer is no better than the table. If the table has
/// this proxy draining, inactive or unhealthy, its connections that still come to it first count too. Connections that no table
/// has, and those that the redirect finds by the connection tracking or in other network namespaces, make the answer unknown.
/// Where the file says nothing of health, all backends are taken for healthy.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glbctl redirect flows --table /etc/glb/forwarding_table.checked.json
  glbctl redirect flows --table tables.json --config director.conf --netns web1,web2 --list
  glbctl redirect flows --running --wait && echo go on

Exit status: 3 with --exit-code unless it is safe to go on.")]
pub(crate) struct Flows {
    /// The table file, JSON or binary; - for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "running", conflicts_with = "running", value_hint = ValueHint::FilePath)]
    pub(crate) table: Option<PathBuf>,
    /// Ask the running director of this machine instead of a file
    #[arg(long)]
    pub(crate) running: bool,
    /// director.conf, for the hash fields; without it only the client's address is hashed
    #[arg(long, value_name = "FILE", conflicts_with = "running", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// The backend that this proxy is; by default the one with an address of this machine
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) backend: Option<IpAddr>,
    /// Count the connections of these network namespaces too, by name (ip netns) or by path (/proc/PID/ns/net)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) netns: Vec<String>,
    /// Ports of this machine whose connections come without a director, such as 22: they are not unknown
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub(crate) direct: Vec<u16>,
    /// Also list the connections that depend on second chance
    #[arg(long)]
    pub(crate) list: bool,
    /// Wait until it is safe to go on; a table file that changes meanwhile is read again, and what fails is tried again
    #[arg(long)]
    pub(crate) wait: bool,
    /// End with exit status 3 unless it is safe to go on
    #[arg(long)]
    pub(crate) exit_code: bool,
}

#[derive(Debug, Args)]
pub(crate) struct On {
    /// UDP port of the tunnel
    #[arg(long, default_value_t = glb_core::packet::gue::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// Send only to hops in these prefixes, at most 16, separated by commas; without it to any hop
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', value_parser = prefix)]
    pub(crate) allow_hops: Vec<Prefix>,
    /// Keep a SYN only if a socket listens for it; pass others on, until no hop is left
    #[arg(long)]
    pub(crate) syn_listener: bool,
    /// Keep a UDP datagram only if a connected socket has it; pass others on, until no hop is left
    #[arg(long)]
    pub(crate) udp: bool,
    /// Keep what belongs to a connection that the connection tracking knows, as that of a container behind DNAT
    #[arg(long, conflicts_with = "syn_listener")]
    pub(crate) conntrack: bool,
    /// Ask the sockets of these network namespaces too, at most 16, separated by commas, named as by `ip netns`
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = netns_name)]
    pub(crate) netns: Vec<String>,
}
