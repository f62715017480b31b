// SPDX-License-Identifier: GPL-2.0

//! The commands about the redirect of a proxy.

use super::values::{netns_name, prefix, seconds};
use clap::{Args, Subcommand};
use glb_netlink::Prefix;

#[derive(Debug, Subcommand)]
pub(crate) enum RedirectCommand {
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
