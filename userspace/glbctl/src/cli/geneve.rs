// SPDX-License-Identifier: GPL-2.0

//! The commands about devices with the role geneve.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum GeneveCommand {
    /// Print the counters of packets that came from the load balancer and of those that went back
    Stats,
    /// Show the devices with the role, and what each was told when it was attached
    Devices,
    /// Show the flows whose headers are remembered
    Flows,
    /// Show the endpoints that packets came from, with their counters
    ///
    /// The first 64 endpoints have counters of their own; all others are counted together.
    Endpoints,
}
