// SPDX-License-Identifier: GPL-2.0

//! The command line: the one definition that help, completions and manual pages are made from.
//!
//! This file has the commands that stand alone; a room of commands, and a command with many options, has a file of its own.

pub(crate) mod assign;
pub(crate) mod attach;
pub(crate) mod backend;
pub(crate) mod bind;
mod complete;
pub(crate) mod config;
pub(crate) mod cookie;
pub(crate) mod deployed;
pub(crate) mod doctor;
pub(crate) mod flows;
pub(crate) mod geneve;
pub(crate) mod packet;
pub(crate) mod redirect;
pub(crate) mod statsd;
pub(crate) mod table;
pub(crate) mod target;
pub(crate) mod values;

use assign::Assign;
use attach::Attach;
use backend::BackendCommand;
use bind::BindCommand;
use clap::{Parser, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use clap_complete::Shell;
use config::ConfigCommand;
use doctor::Doctor;
use flows::Flows;
use geneve::GeneveCommand;
use packet::{Decap, Encap, Lookup};
use redirect::RedirectCommand;
use statsd::Statsd;
use std::path::PathBuf;
use table::TableCommand;
use target::TargetCommand;
use values::seconds;

const EXIT_STATUS: &str = "\
Exit status: 0 on success, 1 on an error (in a file, a packet or the system), 2 on a wrong command line.

The name - for a file means standard input or standard output; a file that is edited needs a name. With --json, an error is printed on
standard output instead of the result: {\"error\": ..., \"issues\": [...]}.";

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
    /// Show where a packet would go: hash, row, hops
    Lookup(Lookup),
    /// Encapsulate the packets of a capture as a director would
    Encap(Encap),
    /// Take the inner packets out of a capture of Geneve, as from a gateway load balancer
    ///
    /// Reads packets as a gateway load balancer sends them to an appliance, and writes the packets inside, in order. The others
    /// are omitted and counted; with --json every packet is listed with its verdict, numbered from 1 as in tcpdump and
    /// Wireshark. A VLAN tag is not kept. There are no sockets here: what the header and its options allow is accepted.
    #[command(after_help = "Examples:
  glbctl decap in.pcap out.pcap
  glbctl decap --json --allow-from 10.0.1.0/24,10.0.2.0/24 in.pcap out.pcap
  glbctl decap --class 0x0167 - - < in.pcap > out.pcap

The verdicts are explained in docs/gateway.md.")]
    Decap(Decap),
    /// Process the packets that arrive on a device
    #[command(after_help = "Examples:
  glbctl attach eth0
  glbctl attach eth1 --role geneve --allow-from 10.0.1.0/24
  glbctl attach eth1 --role geneve --pass --tcp-idle 6000
  glbctl attach eth1 --role geneve --replace --config /etc/glb/director.conf")]
    Attach(Attach),
    /// Process the packets of these devices and of no others, as the service glb-director does with GLB_DEVICES
    ///
    /// All is checked before the first change, and if one fails, those before it are taken back. Devices that are attached so already
    /// stay as they are, and others are detached. Devices with the role geneve need an entry with allow_from in "geneve" of FILE;
    /// without any "geneve" there, one that has the role already stays as it was attached, and others are refused.
    #[command(after_help = "Examples:
  glbctl assign eth0 eth1:return
  glbctl assign --check --config /etc/glb/director.conf eth0:geneve")]
    Assign(Assign),
    /// Stop processing the packets of a device
    Detach {
        /// The device
        #[arg(add = ArgValueCompleter::new(complete::attached))]
        device: String,
    },
    /// Show or change the settings of the running director
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show what the running director has: tables, devices, settings
    Status,
    /// Print the counters of the running director
    Stats {
        /// Print the changes every SECONDS, with rates
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
        watch: Option<f64>,
        /// Print the counters of each service instead: a table with flows, or another select or forward than GLB's
        #[arg(long)]
        services: bool,
        /// Print the counters of each backend of the services instead
        #[arg(long, conflicts_with = "services")]
        backends: bool,
    },
    /// Show or forget which backends the flows of services have
    ///
    /// Only tables with "flows" remember them. Of IPv6 flows the director keeps a fingerprint instead of addresses.
    Flows(Flows),
    /// Show what devices with the role geneve count and remember
    #[command(subcommand)]
    Geneve(GeneveCommand),
    /// Send the counters of the running director to a statsd on this machine until it is stopped
    ///
    /// In each interval it reads director.conf and sends the increase of the counters to UDP port statsd_port of
    /// 127.0.0.1, with the names that deployed directors use. Without statsd_port it waits until there is one.
    Statsd(Statsd),
    /// Print changes of the running director: tables, devices, settings
    Monitor {
        /// End after this number of events
        #[arg(long, value_name = "EVENTS")]
        count: Option<u64>,
    },
    /// Take proxies out of service and put them back, in the operator's table; show when to continue
    ///
    /// A backend changes its state in this order: active, draining, inactive, filling, active. Each command makes
    /// one step and changes only the file of the operator's table. Reload the health checker afterwards.
    #[command(subcommand)]
    Backend(BackendCommand),
    /// Change the binds of a table, in the operator's file
    ///
    /// Reload the health checker afterwards.
    #[command(subcommand)]
    Bind(BindCommand),
    /// Switch the redirect of a proxy on and off, for hosts without iptables
    ///
    /// It does what the iptables target GLBREDIRECT does, with a netfilter hook after the filter tables of this
    /// network namespace. Use only one of the two: packets that pass both are counted twice.
    #[command(subcommand)]
    Redirect(RedirectCommand),
    /// Register the targets of a service in etcd, from which glb-targets knows them; list and watch them
    #[command(subcommand)]
    Target(TargetCommand),
    /// Report what is wrong with this director, this proxy or a fleet, and what to do about it
    Doctor(Doctor),
    /// Print a completion script for a shell
    #[command(after_help = "Example: glbctl completions bash > /etc/bash_completion.d/glbctl")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a directory
    #[command(hide = true)]
    Man {
        /// The directory; created if it does not exist
        dir: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::deployed::DirectorCli;
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definitions_are_sound() {
        Cli::command().debug_assert();
        DirectorCli::command().debug_assert();
    }
}
