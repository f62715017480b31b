// SPDX-License-Identifier: GPL-2.0

//! The commands about the redirect of a proxy.

use super::values::{prefix, seconds};
use clap::Subcommand;
use glb_netlink::Prefix;

#[derive(Debug, Subcommand)]
pub(crate) enum RedirectCommand {
    /// Process the packets to a UDP port; if the redirect is on already, change its settings to these
    ///
    /// A change breaks no connection: each packet sees either the old or the new settings.
    #[command(after_help = "Examples:
  glbctl redirect on --allow-hops 10.1.0.0/16,fd00:1::/64
  glbctl redirect on --port 6080")]
    On {
        /// UDP port of the tunnel
        #[arg(long, default_value_t = glb_core::packet::gue::PORT, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// Send only to hops in these prefixes, at most 16, separated by commas; without it to any hop
        #[arg(long, value_name = "PREFIX", value_delimiter = ',', value_parser = prefix)]
        allow_hops: Vec<Prefix>,
    },
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
